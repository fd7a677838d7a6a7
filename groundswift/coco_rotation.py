"""Rotated boxes in COCO files, as CVAT and Datumaro export them: the box before the rotation, and `attributes.rotation` in degrees.

Source: cvat-ai/cvat#4745, open-edge-platform/datumaro#1887.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

from .boxes import rotated_bounds

DIGITS = 6  # of a number in px: beyond is noise of the arithmetic
CLOSE = 0.51  # px by which the extent of an outline and a box of it may differ: exporters round


def degrees_of(attributes: object) -> float:
    """The rotation in degrees that attributes state, 0 where they state none; NaN for one that is not a finite number."""
    value = attributes.get("rotation") if isinstance(attributes, dict) else None
    if value is None or value == "":
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def axis_aligned(bbox: list[float], attributes: object, segmentation: object) -> tuple[list[float], float]:
    """(bbox of the rotated object as xywh in px, degrees that were applied; NaN, and the bbox as it is, for what is not an angle).

    A box that the segmentation shows to be that of the rotated outline already stays, with 0 degrees.
    """
    degrees = degrees_of(attributes)
    usable = len(bbox) == 4 and all(map(math.isfinite, bbox)) and bbox[2] > 0 and bbox[3] > 0
    if math.isnan(degrees):
        return bbox, degrees
    if degrees % 360 == 0 or not usable or _follows(segmentation, bbox):
        return bbox, 0.0
    x, y, width, height = bbox
    x1, y1, x2, y2 = rotated_bounds((x, y, x + width, y + height), math.radians(degrees % 360))
    return [round(number, DIGITS) for number in (x1, y1, x2 - x1, y2 - y1)], degrees


def _follows(segmentation: Any, bbox: Sequence[float]) -> bool:
    """Whether a box is the extent of an outline, other than the outline of the box itself, or of a mask."""
    if isinstance(segmentation, dict):  # a mask in run lengths: only a box drawn as one has a rotation of its own
        return True
    try:
        rings = [list(map(float, ring)) for ring in segmentation or ()]
    except (TypeError, ValueError):
        return False
    numbers = list(chain.from_iterable(rings))
    if len(numbers) < 6 or any(len(ring) % 2 for ring in rings):
        return False
    x, y, width, height = bbox
    xs, ys = numbers[::2], numbers[1::2]
    extent = min(xs), min(ys), max(xs), max(ys)
    if any(abs(side - own) > CLOSE for side, own in zip(extent, (x, y, x + width, y + height), strict=True)):
        return False
    upright = len(numbers) == 8 and abs(xs[0] - x) <= CLOSE and abs(ys[0] - y) <= CLOSE
    return not (upright and all(_at_an_end(a, x, width) and _at_an_end(b, y, height) for a, b in zip(xs, ys, strict=True)))


def _at_an_end(value: float, start: float, length: float) -> bool:
    return min(abs(value - start), abs(value - start - length)) <= CLOSE
