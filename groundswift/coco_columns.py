"""Annotations of a COCO file as columns, and which of them can be scored: most are seen to be in order by their columns alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from math import isfinite
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .box_checks import BoxProblem
from .boxes import Boxes
from .coco_file import IGNORED, ROTATED, CocoAnnotation, CocoImage, Ignored, annotation_problem, clip_rotated
from .coco_pieces import Annotations
from .errors import GroundswiftError, Tally, error_at

LARGEST_AREA_PX2 = 1e5**2  # of COCO's area range `all`
DENSE = 16  # how many times more numbers than ids a table may have
IMAGE_ID, CATEGORY_ID, BBOX, AREA, CROWD, IGNORE, ROTATION = map(
    attrgetter, ("image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "rotation")
)


class AnnotationColumns(NamedTuple):
    """(N,) index of image and class (-1: unknown), area in px², whether it is a crowd; (N, 4) boxes, x, y, width, height in px."""

    image_index: NDArray[np.int64]
    category_index: NDArray[np.int64]
    boxes_xywh_px: Boxes
    areas_px2: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]

    def chosen(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> AnnotationColumns:
        """Some of them."""
        return AnnotationColumns(*(column[places] for column in self))


class Lookup(NamedTuple):
    """The images in the order of their ids with their (width, height), and the places of image and category ids."""

    images: Sequence[CocoImage]
    sizes_wh: NDArray[np.int64]
    image_index: dict[int, int]
    category_index: dict[int, int]


def usable_annotations(
    rows: list[CocoAnnotation], lookup: Lookup, ignored: Ignored, path: str | Path, tally: Tally, problems: list[GroundswiftError]
) -> tuple[list[CocoAnnotation], AnnotationColumns]:
    """The annotations that can be scored, and their columns; rotated ones are clipped at the border of their image.

    Others go to `problems` and `tally`, as do the reasons of what was changed.
    """
    columns = _columns(rows, lookup)
    plain = np.zeros(len(rows), bool) if columns is None else _in_order(rows, columns, lookup)
    if columns is not None and plain.all():
        return rows, columns
    for place in np.flatnonzero(~plain).tolist():
        row = rows[place]
        image = lookup.image_index.get(row.image_id)
        image = None if image is None else lookup.images[image]
        plain[place] = _is_usable(row, image, row.category_id in lookup.category_index, ignored, path, tally, problems)
    kept = [rows[place] for place in np.flatnonzero(plain).tolist()]
    columns = _columns(kept, lookup)
    assert columns is not None  # each box has four numbers
    return kept, columns


def usable_columns(
    found: Annotations, lookup: Lookup, path: str | Path, tally: Tally, problems: list[GroundswiftError]
) -> tuple[NDArray[np.int64], AnnotationColumns]:
    """`usable_annotations` of columns: the ids of the annotations that can be scored, and their columns."""
    indices = (places_of(index, ids) for index, ids in ((lookup.image_index, found.image_ids), (lookup.category_index, found.category_ids)))
    columns = AnnotationColumns(*indices, found.boxes_xywh_px, found.areas_px2, found.is_crowd)
    plain = known_and_inside(columns, lookup)
    if plain.all():
        return found.ids, columns
    for place in np.flatnonzero(~plain).tolist():
        number, image_id, category_id, area_px2 = (column[place].item() for column in found[:4])
        row = CocoAnnotation(image_id, category_id, found.boxes_xywh_px[place].tolist(), number, area_px2)
        image = None if columns.image_index[place] < 0 else lookup.images[columns.image_index[place]]
        plain[place] = _is_usable(row, image, columns.category_index[place] >= 0, "keep", path, tally, problems)
    return found.ids[plain], columns.chosen(plain)


def places_of(index: dict[int, int], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) the places of ids by an index whose ids grow with the places; -1 for an unknown one."""
    known = np.fromiter(index, np.int64, len(index))
    if not len(known):
        return np.full(len(ids), -1)
    first, span = int(known[0]), int(known[-1]) - int(known[0]) + 1
    if span > DENSE * len(known):
        found = np.searchsorted(known, ids)
        return np.where(known[np.minimum(found, len(known) - 1)] == ids, found, -1)
    table = np.full(span + 1, -1)  # the last one of those that are outside
    table[known - first] = np.arange(len(known))
    return table[np.where((ids >= first) & (ids <= known[-1]), ids - first, span)]


def _columns(rows: list[CocoAnnotation], lookup: Lookup) -> AnnotationColumns | None:
    """The columns; None where not every box has four numbers."""
    count = len(rows)
    numbers = np.fromiter(chain.from_iterable(map(BBOX, rows)), np.float64)
    if len(numbers) != 4 * count or not {4}.issuperset(map(len, map(BBOX, rows))):
        return None
    boxes = numbers.reshape(-1, 4)
    areas = np.array(list(map(AREA, rows)), np.float64)  # NaN for None
    unstated = [place for place in np.flatnonzero(np.isnan(areas)).tolist() if rows[place].area is None]
    with np.errstate(over="ignore", invalid="ignore"):
        areas[unstated] = boxes[unstated, 2] * boxes[unstated, 3]
    return AnnotationColumns(
        np.fromiter(map(lookup.image_index.get, map(IMAGE_ID, rows), repeat(-1)), np.int64, count),
        np.fromiter(map(lookup.category_index.get, map(CATEGORY_ID, rows), repeat(-1)), np.int64, count),
        boxes,
        areas,
        np.fromiter(map(bool, map(CROWD, rows)), bool, count),
    )


def _in_order(rows: list[CocoAnnotation], columns: AnnotationColumns, lookup: Lookup) -> NDArray[np.bool_]:
    """Which annotations need no closer look: `known_and_inside`, neither rotated nor ignored."""
    plain = known_and_inside(columns, lookup)
    for value_of in (IGNORE, ROTATION):
        if any(map(value_of, rows)):
            plain &= ~np.fromiter(map(bool, map(value_of, rows)), bool, len(rows))
    return plain


def known_and_inside(columns: AnnotationColumns, lookup: Lookup) -> NDArray[np.bool_]:
    """Which annotations are of a known image and class, with a box inside it and an area that COCO looks for."""
    if not len(lookup.images):
        return np.zeros(len(columns.image_index), bool)
    low, size = columns.boxes_xywh_px[:, :2], columns.boxes_xywh_px[:, 2:]
    with np.errstate(over="ignore", invalid="ignore"):
        high = low + size
    inside = ((low >= 0) & (low < high) & (high <= lookup.sizes_wh[columns.image_index])).all(axis=1)
    areas = columns.areas_px2
    return inside & (columns.image_index >= 0) & (columns.category_index >= 0) & (areas >= 0) & (areas <= LARGEST_AREA_PX2)


def _is_usable(
    row: CocoAnnotation,
    image: CocoImage | None,
    category_known: bool,
    ignored: Ignored,
    path: str | Path,
    tally: Tally,
    problems: list[GroundswiftError],
) -> bool:
    """Whether an annotation can be scored. Changes one that is rotated or marked as to be ignored."""
    problem = annotation_problem(row, image, category_known)
    if problem is None:
        problem = area_problem(row.bbox[2] * row.bbox[3] if row.area is None else row.area)
    if problem is not None:
        tally.add(problem.id, row.where())
        problems.append(error_at(path, f"{row.where()}: {problem.id}, bbox {row.bbox}", problem.expected))
        return False
    if row.rotation:
        tally.add(ROTATED, row.where())
        clip_rotated(row, image)
    if row.ignore:
        tally.add(IGNORED[ignored], row.where())
        row.iscrowd = 1 if ignored == "crowd" else row.iscrowd
    return not (row.ignore and ignored == "skip")


def area_problem(area_px2: float) -> BoxProblem | None:
    """Why an area cannot be used; None where it can. COCO does not look for objects over 1e10 px²."""
    if not isfinite(area_px2):
        return BoxProblem("area-not-finite", "a finite number")
    if area_px2 < 0:
        return BoxProblem("area-negative", "0 or more px²")
    return BoxProblem("area-too-large", "at most 1e10 px²") if area_px2 > LARGEST_AREA_PX2 else None
