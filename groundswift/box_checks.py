"""Whether a box can be used: the one check of converters, lint, templates and evaluation. Problems are counted by their id."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from numbers import Real
from typing import NamedTuple

LARGEST_PX = 1_000_000_000  # of a coordinate: no image is that large, and clipping such a box would make nonsense look likely
PLAIN = {int, float}


class BoxProblem(NamedTuple):
    """The id to count by, and what was expected instead."""

    id: str
    expected: str


NOT_FINITE = BoxProblem("box-not-finite", "finite numbers")
TOO_LARGE = BoxProblem("box-too-large", f"numbers of at most {LARGEST_PX} px")
INVERTED = BoxProblem("box-inverted", "x1 below x2 and y1 below y2")
EMPTY = BoxProblem("box-empty", "x1 below x2 and y1 below y2")


def box_problem(box_xyxy: Sequence[float], size_wh: tuple[int, int] | None = None, allowed: Collection[str] = ()) -> BoxProblem | None:
    """Why a box of four numbers cannot be used; None where it can, also if it is partly outside its image.

    Checked in this order: `box-not-finite`, `box-too-large`, `box-inverted`, `box-empty`, `box-outside` (no part of it is inside; without
    a size, left of or above the corner). `allowed`: ids of problems to pass over.
    """
    x1, y1, x2, y2 = box_xyxy
    if size_wh is not None and 0 <= x1 < x2 <= size_wh[0] and 0 <= y1 < y2 <= size_wh[1]:
        return None  # most are
    found = None
    if not (-LARGEST_PX <= x1 < x2 <= LARGEST_PX and -LARGEST_PX <= y1 < y2 <= LARGEST_PX):
        found = _corner_problem(x1, y1, x2, y2)
    if found is None or found.id in allowed:
        outside = x2 <= 0 or y2 <= 0 or (size_wh is not None and (x1 >= size_wh[0] or y1 >= size_wh[1]))
        found = _outside(size_wh) if outside and "box-outside" not in allowed else None
    return found


def _corner_problem(x1: float, y1: float, x2: float, y2: float) -> BoxProblem:
    """What is wrong with corners that are not finite, too large, or not in order."""
    if not all(map(finite, (x1, y1, x2, y2))):
        return NOT_FINITE
    if max(x1, y1, x2, y2) > LARGEST_PX or min(x1, y1, x2, y2) < -LARGEST_PX:
        return TOO_LARGE
    return INVERTED if x2 < x1 or y2 < y1 else EMPTY


def _outside(size_wh: tuple[int, int] | None) -> BoxProblem:
    return BoxProblem("box-outside", "a box that overlaps its image" + (f" of {size_wh[0]}x{size_wh[1]} px" if size_wh else ""))


def number_problem(box: Sequence[object]) -> BoxProblem | None:
    """Why a value from a file is not a box or point; None where it is 4 (or 2) finite numbers.

    Ids: `box-nested`, `box-not-number`, `box-length`, `box-not-finite`. True and false are not numbers.
    """
    if len(box) in (2, 4) and PLAIN.issuperset(map(type, box)) and all(map(finite, box)):
        return None
    if any(isinstance(value, list | tuple) for value in box):
        return BoxProblem("box-nested", "4 numbers, one flat list for each box")
    if any(isinstance(value, bool) or not isinstance(value, Real) for value in box):
        return BoxProblem("box-not-number", "4 numbers")
    if len(box) not in (2, 4):
        return BoxProblem("box-length", "x1, y1, x2, y2, or x, y for a point")
    return None if all(map(finite, box)) else NOT_FINITE


def finite(value: float) -> bool:
    """Whether a float can hold a number: JSON may have whole numbers beyond."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
