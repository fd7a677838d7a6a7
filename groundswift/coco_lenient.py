"""COCO files of which some entries cannot be read: each image and annotation is decoded by itself, and one that fails is reported.

Converters and the evaluator read such a file alike, so that rows and ground truth hold the same images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .coco_decoding import LENIENT, decode
from .coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from .errors import Tally
from .urls import shown

Kind = TypeVar("Kind")
Unreadable = Callable[[str, str, str, str], object]  # gets a reason to count by, the place, what is wrong, what was expected
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # raised for text that is not JSON, or not of a type
LOST = "annotation-image-skipped"  # reasons to count by
MARRED = "image-annotation-unreadable"


class Elements(msgspec.Struct):
    """A COCO file whose images and annotations are not decoded yet."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw] = []


class Ids(msgspec.Struct):
    """The ids of an element that cannot be read."""

    id: Any = None
    image_id: Any = None


def readable_part(path: str | Path, content: Elements, unreadable: Unreadable, tally: Tally, needs_images: bool = True) -> CocoFile:
    """The file without the entries that cannot be read; what goes with them is counted in `tally`.

    An annotation that cannot be read takes its image with it: an answer without it would say that nothing is there.
    Raises what msgspec does where a category cannot be read.
    """
    categories = [decode(raw, CocoCategory) for raw in content.categories]
    image_keys = "id, file_name, width and height" if needs_images else "id"
    images, no_images = readable(content.images, CocoImage, path, "image", image_keys, unreadable, needs_images)
    rows, no_rows = readable(content.annotations, CocoAnnotation, path, "annotation", "image_id, category_id and bbox", unreadable)
    marred = {ids.image_id for ids in no_rows if type(ids.image_id) in (int, float)}
    lost = marred | {ids.id for ids in no_images if type(ids.id) in (int, float)}
    for image in images:
        if image.id in marred:
            tally.add(MARRED, image.file_name)
    for row in rows:
        if row.image_id in lost:
            tally.add(LOST, row.where())
    left = [row for row in rows if row.image_id not in lost]
    return CocoFile([image for image in images if image.id not in lost], left, categories)


def readable(
    raws: Iterable[msgspec.Raw],
    kind: type[Kind],
    path: str | Path,
    what: str,
    expected: str,
    unreadable: Unreadable,
    needs_images: bool = True,
) -> tuple[list[Kind], list[Ids]]:
    """(the entries of a list that are of a kind, the ids of the others). These are reported, as `what`, by their index from 0."""
    decoded = partial(decode, kind=kind, needs_images=needs_images) if kind in LENIENT else partial(msgspec.json.decode, type=kind)
    good: list[Kind] = []
    bad: list[Ids] = []
    for index, raw in enumerate(raws):
        try:
            good.append(decoded(raw))
        except NOT_JSON as error:
            unreadable(f"{what}-entry-unreadable", f"{shown(path)}: {what} entry {index}", str(error), expected)
            ids = Ids()
            with suppress(*NOT_JSON):
                ids = msgspec.json.decode(raw, type=Ids)
            bad.append(ids)
    return good, bad
