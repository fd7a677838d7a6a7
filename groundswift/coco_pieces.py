"""A COCO instance file read in pieces: annotations become columns as they are decoded, so that a large file needs little memory.

The array of annotations is split at `}, {`, which may also occur within an annotation. But a piece that starts at a true boundary and is
a list of annotations by itself ends at a true boundary. So each piece confirms the next one, and the last the rest of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, repeat
from operator import attrgetter, is_not
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from .boxes import Boxes
from .coco_decoding import ROTATION, degrees_of
from .coco_types import CocoCategory, CocoImage, PieceAnnotation
from .file_guard import regular_size
from .gc_control import without_collection
from .storage import local_copy

PIECE = 1 << 20  # bytes that another process gets at once
CACHED = 1 << 18  # bytes: what is decoded together fits into the cache of a core
KEY = b'"annotations"'
ARRAY = re.compile(KEY + rb"\s*:\s*\[\s*")
BOUNDARY = re.compile(rb"\}\s*,\s*(?=\{)")
ID, IMAGE_ID, CATEGORY_ID, BBOX, AREA, CROWD, IGNORE, ATTRIBUTES = map(
    attrgetter, ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "attributes")
)


class Rest(msgspec.Struct):
    """The file up to its annotations, or from one of them to the end."""

    images: list[CocoImage] | None = None
    annotations: list[PieceAnnotation] = []
    categories: list[CocoCategory] | None = None


class Annotations(NamedTuple):
    """(N,) the ids of annotations, their images and classes, area in px² (width times height where the file has none), whether each is a
    crowd; (N, 4) boxes, x, y, width, height in px. Neither rotated nor marked ignore."""

    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    areas_px2: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    boxes_xywh_px: Boxes


class FileColumns(NamedTuple):
    """A COCO file whose annotations are columns."""

    images: list[CocoImage]
    categories: list[CocoCategory]
    annotations: Annotations


class Unusual(ValueError):
    """The file cannot be read in pieces: it is broken, or only unusual."""


def read_columns(path: str | Path, piece_bytes: int = CACHED) -> FileColumns | None:
    """The file, a path or URL. None where it cannot be read in pieces; `read_coco` says why, or reads it."""
    here = local_copy(path)
    try:
        regular_size(here)  # to open a pipe would wait for ever
        with open(here, "rb") as file, without_collection():
            return _columns(file, piece_bytes)
    except (OSError, ValueError, OverflowError, msgspec.MsgspecError, RecursionError):  # an id beyond 64 bits, among others
        return None


def _columns(file: BinaryIO, piece_bytes: int) -> FileColumns:
    before, start = _head(file, piece_bytes)
    head = msgspec.json.decode(before + KEY + b":[]}", type=Rest)
    text = bytearray(start)
    parts = list(_pieces(file, text, piece_bytes))
    if KEY in text:  # a second array, perhaps
        raise Unusual
    tail = msgspec.json.decode(b"{" + KEY + b":[" + text, type=Rest)
    parts.append(annotation_columns(tail.annotations))
    images, categories = tail.images or head.images, tail.categories or head.categories
    if images is None or categories is None:
        raise Unusual
    return FileColumns(images, categories, Annotations(*map(np.concatenate, zip(*parts, strict=True))))


def _head(file: BinaryIO, piece_bytes: int) -> tuple[bytes, bytes]:
    """The text before the key of the annotations, and the start of their list."""
    text = bytearray()
    while block := file.read(piece_bytes):
        start = max(len(text) - len(KEY) - 64, 0)  # where a key that ends in this block may start
        text += block
        if (place := text.find(KEY, start)) >= 0:
            text += file.read(64)  # white space and the bracket
            if array := ARRAY.match(text, place):
                return bytes(text[:place]), bytes(text[array.end() :])
            break
    raise Unusual


def _pieces(file: BinaryIO, text: bytearray, piece_bytes: int) -> Iterator[Annotations]:
    """The columns of pieces, up to the first that is not a list of annotations; `text` is what was read and then what is left."""
    decode = msgspec.json.Decoder(list[PieceAnnotation]).decode
    text[:0] = b"["  # of the list that each piece becomes in its place: nothing is allocated for it
    filled = len(text)
    while count := _read_into(file, text, filled, piece_bytes):
        filled += count
        boundary = _last_boundary(text, filled)
        if boundary is None:
            continue
        end, start = boundary
        comma, text[end] = text[end], ord("]")
        try:
            with memoryview(text) as view:
                rows = decode(view[: end + 1])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            text[end] = comma
            break
        yield annotation_columns(rows)
        left = filled - start
        text[1 : 1 + left] = text[start:filled]
        filled = 1 + left
    text[:] = text[1:filled] + file.read()


def _read_into(file: BinaryIO, text: bytearray, start: int, count: int) -> int:
    """Read up to `count` bytes to their place, with room made for them -> how many."""
    if len(text) < start + count:
        text.extend(bytes(count + start // 8))
    with memoryview(text) as view:
        return file.readinto(view[start : start + count])


def _last_boundary(text: bytearray, filled: int) -> tuple[int, int] | None:
    """Where the last annotation but some ends, and where the next one starts."""
    for back in (1 << 12, 1 << 16, filled):
        if found := BOUNDARY.search(text, max(filled - back, 0), filled):
            return found.start() + 1, found.end()
    return None


def annotation_columns(rows: list[PieceAnnotation]) -> Annotations:
    """The columns of some annotations. Raises Unusual for one that is marked ignore or rotated, or a crowd by half."""
    count = len(rows)
    if not plain(rows):
        raise Unusual
    boxes = np.fromiter(chain.from_iterable(map(BBOX, rows)), np.float64, 4 * count).reshape(-1, 4)
    crowds = np.fromiter(map(CROWD, rows), np.float64, count)
    if (crowds % 1 != 0).any():
        raise Unusual
    ids = (np.fromiter(map(of, rows), np.int64, count) for of in (ID, IMAGE_ID, CATEGORY_ID))
    return Annotations(*ids, _areas(rows, boxes), crowds != 0, boxes)


def _areas(rows: list[PieceAnnotation], boxes: Boxes) -> NDArray[np.float64]:
    """The areas of annotations, of their boxes where they have none."""
    areas = np.fromiter(map(AREA, rows), np.float64, len(rows))
    unstated = np.isnan(areas)  # None; JSON has no NaN
    with np.errstate(over="ignore", invalid="ignore"):
        areas[unstated] = boxes[unstated, 2] * boxes[unstated, 3]
    return areas


def plain(annotations: list[PieceAnnotation]) -> bool:
    """Whether no annotation is marked ignore or rotated, which columns do not hold."""
    if any(map(IGNORE, annotations)):
        return False
    if not any(map(is_not, map(ATTRIBUTES, annotations), repeat(msgspec.UNSET))):
        return True
    return not any(rotated(raw) for raw in map(ATTRIBUTES, annotations) if raw is not msgspec.UNSET)


def rotated(attributes: msgspec.Raw) -> bool:
    """Whether the attributes of an annotation state a rotation by other than whole turns."""
    raw = bytes(attributes)
    return ROTATION in raw and degrees_of(msgspec.json.decode(raw)) % 360 != 0
