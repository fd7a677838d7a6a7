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
from .errors import GroundswiftError, Tally, error_at

LARGEST_AREA_PX2 = 1e5**2  # of COCO's area range `all`
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
    """Which annotations need no closer look: of a known image and class, with a box inside it, neither rotated nor ignored."""
    if not len(lookup.images):
        return np.zeros(len(rows), bool)
    low, size = columns.boxes_xywh_px[:, :2], columns.boxes_xywh_px[:, 2:]
    with np.errstate(over="ignore", invalid="ignore"):
        high = low + size
    inside = ((low >= 0) & (low < high) & (high <= lookup.sizes_wh[columns.image_index])).all(axis=1)
    areas = columns.areas_px2
    plain = inside & (columns.image_index >= 0) & (columns.category_index >= 0) & (areas >= 0) & (areas <= LARGEST_AREA_PX2)
    for value_of in (IGNORE, ROTATION):
        if any(map(value_of, rows)):
            plain &= ~np.fromiter(map(bool, map(value_of, rows)), bool, len(rows))
    return plain


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
