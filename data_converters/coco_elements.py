"""COCO files of which some entries cannot be read: each image and annotation is decoded by itself, and one that fails is a fault."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from groundswift.coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage, read_coco
from groundswift.coco_types import LENIENT, decode
from groundswift.errors import GroundswiftError
from groundswift.storage import shown

from .faults import Fault, Notes
from .mapped_json import NOT_JSON, read_mapped

Kind = TypeVar("Kind")
LOST = "annotation of an image that was left out"  # a reason to count by


class Elements(msgspec.Struct):
    """A COCO file whose images and annotations are not decoded yet."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw] = []


class Ids(msgspec.Struct):
    """What an element that cannot be read may still tell."""

    id: Any = None
    image_id: Any = None


def read_what_can_be(path: str, notes: Notes) -> CocoFile:
    """`read_coco`; where that fails at some images or annotations, what is left without them.

    An annotation that cannot be read takes its image with it: an answer without it would say that nothing is there.
    Raises GroundswiftError where the file cannot be read even so.
    """
    try:
        return read_coco(path)
    except GroundswiftError as error:
        try:
            content = read_mapped(path, Elements, "COCO with images, annotations and categories")
            categories = [decode(raw, CocoCategory) for raw in content.categories]
        except (GroundswiftError, *NOT_JSON):
            raise error from None
    images, no_images = readable(content.images, CocoImage, path, "image", "id, file_name, width and height", notes)
    rows, no_rows = readable(content.annotations, CocoAnnotation, path, "annotation", "image_id, category_id and bbox", notes)
    marred = {ids.image_id for ids in no_rows if type(ids.image_id) in (int, float)}
    lost = marred | {ids.id for ids in no_images if type(ids.id) in (int, float)}
    for image in images:
        if image.id in marred:
            notes.count("image with an annotation that cannot be read", image.file_name)
    for row in rows:
        if row.image_id in lost:
            notes.count(LOST, row.where())
    left = [row for row in rows if row.image_id not in lost]
    return CocoFile([image for image in images if image.id not in lost], left, categories)


def readable(
    raws: Iterable[msgspec.Raw], kind: type[Kind], path: str, what: str, expected: str, notes: Notes
) -> tuple[list[Kind], list[Ids]]:
    """(the entries of a list that are of a kind, what the others tell of themselves). These are noted, as `what`, by their index from 0."""
    good: list[Kind] = []
    bad: list[Ids] = []
    for index, raw in enumerate(raws):
        try:
            good.append(decode(raw, kind) if kind in LENIENT else msgspec.json.decode(raw, type=kind))
        except NOT_JSON as error:
            notes.add(Fault(f"{what} entry unreadable", f"{shown(path)}: {what} entry {index}", str(error), expected))
            ids = Ids()
            with suppress(*NOT_JSON):
                ids = msgspec.json.decode(raw, type=Ids)
            bad.append(ids)
    return good, bad
