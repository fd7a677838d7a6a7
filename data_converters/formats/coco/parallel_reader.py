"""A COCO instance file read in pieces by several processes, as `groundswift.coco_pieces` splits it."""

from __future__ import annotations

import mmap
from contextlib import closing
from functools import partial
from itertools import pairwise, takewhile
from pathlib import Path

import msgspec
import numpy as np

from groundswift.coco_pieces import ARRAY, BOUNDARY, KEY, PIECE, Rest, plain
from groundswift.coco_types import PieceAnnotation
from groundswift.file_guard import regular_size
from groundswift.gc_control import without_collection
from groundswift.storage import local_copy
from groundswift.worker_pool import WorkerPool

from ...file_io.mmap_json import NOT_JSON
from ...tasks.annotation_table import CocoColumns, Columns, columns_of

MANY = 64  # pieces that are worth sharing
_decode = msgspec.json.Decoder(list[PieceAnnotation]).decode
_room = bytearray(2 * PIECE)  # for one piece after the other: no memory is asked for again


def read_pieces(path: str | Path, pool: WorkerPool, piece_bytes: int = PIECE) -> CocoColumns | None:
    """The file, a path or URL. None where it cannot be read in pieces: it is broken, or only unusual."""
    here = local_copy(path)
    try:
        regular_size(here)  # to open a pipe would wait for ever
        with open(here, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text, without_collection():
            array = ARRAY.match(text, max(text.find(KEY), 0))
            if array is None:
                return None
            starts = piece_starts(text, array.end(), piece_bytes)
            if len(starts) > MANY:
                pool.start_one()
            head = msgspec.json.decode(text[: array.start()] + KEY + b":[]}", type=Rest)
            parts = decoded(here, starts, pool)
            last = starts[len(parts)]
            if text.find(KEY, last) >= 0:  # a second array, perhaps
                return None
            tail = msgspec.json.decode(b"{" + KEY + b":[" + text[last:], type=Rest)
            if not plain(tail.annotations):
                return None
            parts.append(columns_of(tail.annotations))
    except (OSError, ValueError, OverflowError, *NOT_JSON):  # no bytes to be mapped, an id beyond 64 bits
        return None
    images, categories = tail.images or head.images, tail.categories or head.categories
    if images is None or categories is None:
        return None
    return CocoColumns(images, categories, Columns(*map(np.concatenate, zip(*(part[:5] for part in parts), strict=True))))


def piece_starts(text: mmap.mmap, start: int, piece_bytes: int) -> list[int]:
    """The offset of each piece, the first at `start`; the last piece is the rest of the file."""
    starts = [start]
    while starts[-1] + piece_bytes < len(text) and (end := BOUNDARY.search(text, starts[-1] + piece_bytes)):
        starts.append(end.end())
    return starts


def decoded(path: Path, starts: list[int], pool: WorkerPool) -> list[Columns]:
    """The columns of the pieces, up to the first that is not a list of annotations. Raises OverflowError for an id beyond 64 bits."""
    with closing(pool.in_order(pairwise(starts), partial(decoded_piece, path))) as parts:
        return list(takewhile(lambda part: part is not None, parts))


def decoded_piece(path: Path, span: tuple[int, int]) -> Columns | None:
    """The columns of one piece; None if it is not a list of annotations."""
    start, end = span
    text = _room if end - start < len(_room) else bytearray(end - start + 1)
    with open(path, "rb", buffering=0) as file, memoryview(text) as room:
        file.seek(start)
        read = file.readinto(room[1 : end - start + 1])
    text[0], stop = ord("["), text.rindex(b"}", 0, read + 1) + 1
    text[stop] = ord("]")  # in place of what separates it from the next
    try:
        with memoryview(text) as room:
            annotations = _decode(room[: stop + 1])
    except NOT_JSON:
        return None
    return columns_of(annotations) if plain(annotations) else None
