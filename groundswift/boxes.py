"""Arithmetic on (N, 4) float64 arrays of boxes. Everything here is `xyxy`: x1, y1, x2, y2 with x2, y2 exclusive edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float64]
HASH_WEIGHTS = np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0]) / 100  # of columns; a sum of seven is never over the largest float


def as_boxes(boxes: ArrayLike) -> Boxes:
    """Anything box-like -> (N, 4) float64; no boxes -> (0, 4). Raises ValueError for another shape."""
    array = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes have shape {array.shape}; expected (N, 4)")
    return array


def xywh_to_xyxy(boxes_xywh: ArrayLike) -> Boxes:
    """(N, 4) x, y, width, height -> (N, 4) xyxy, same unit. Source: COCO annotations are xywh."""
    boxes = as_boxes(boxes_xywh).copy()
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def xyxy_to_xywh(boxes_xyxy: ArrayLike) -> Boxes:
    """(N, 4) xyxy -> (N, 4) x, y, width, height, same unit."""
    boxes = as_boxes(boxes_xyxy).copy()
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def ordered(boxes_xyxy: ArrayLike) -> Boxes:
    """(N, 4) two opposite corners in any order -> xyxy with x1 <= x2 and y1 <= y2."""
    boxes = as_boxes(boxes_xyxy)
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


def rotated_bounds(box_xyxy: Sequence[float], radians: float) -> tuple[float, float, float, float]:
    """The axis-aligned xyxy box around one box that is rotated about its centre; `radians` in either direction, same unit."""
    x1, y1, x2, y2 = box_xyxy
    sine, cosine = abs(math.sin(radians)), abs(math.cos(radians))
    half_width = ((x2 - x1) * cosine + (y2 - y1) * sine) / 2
    half_height = ((x2 - x1) * sine + (y2 - y1) * cosine) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def ellipse_bounds(x: float, y: float, half_width: float, half_height: float, radians: float) -> tuple[float, float, float, float]:
    """The axis-aligned xyxy box around an ellipse about x, y that is rotated; `radians` in either direction, same unit.

    Inverted where a half axis is negative.
    """
    if half_width >= 0 and half_height >= 0:
        sine, cosine = math.sin(radians), math.cos(radians)
        half_width, half_height = math.hypot(half_width * cosine, half_height * sine), math.hypot(half_width * sine, half_height * cosine)
    return x - half_width, y - half_height, x + half_width, y + half_height


def clipped(boxes_xyxy_px: ArrayLike, size_wh: ArrayLike) -> Boxes:
    """(N, 4) xyxy in pixels, clipped to an image; `size_wh` is (2,) or, one a box, (N, 2)."""
    sizes = np.asarray(size_wh, dtype=np.float64)
    return np.clip(as_boxes(boxes_xyxy_px), 0.0, np.concatenate([sizes, sizes], axis=-1))


def exact_repeats(groups: Sequence[NDArray[np.int64]], boxes: ArrayLike, scores: NDArray[np.float64] | None = None) -> NDArray[np.bool_]:
    """(N,) whether a box equals another of the same groups that has a higher score or, at the same score, is earlier.

    `groups` are columns (N,), such as image and class.
    """
    boxes = as_boxes(boxes)
    with np.errstate(all="ignore"):  # numbers that are not finite
        mixed = sum(column * weight for column, weight in zip((*boxes.T, *groups), HASH_WEIGHTS, strict=False))  # equal for equal boxes
    ordered = np.sort(mixed)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    suspects = np.flatnonzero(np.isin(mixed, twice))  # sorting all by each column would take several times as long
    columns = [column[suspects] for column in (*boxes.T, *groups)]
    order = np.lexsort(columns if scores is None else [-scores[suspects], *columns])
    same = np.logical_and.reduce([column[order][1:] == column[order][:-1] for column in columns])
    repeated = np.zeros(len(boxes), dtype=bool)
    repeated[suspects[order[1:]]] = same
    return repeated


def area(boxes_xyxy: ArrayLike) -> NDArray[np.float64]:
    """(N, 4) xyxy -> (N,) area in the square of the unit; inverted boxes have none."""
    boxes = as_boxes(boxes_xyxy)
    return np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None)


def iou(boxes_xyxy: ArrayLike, others_xyxy: ArrayLike) -> NDArray[np.float64]:
    """IoU of (N, 4) and (M, 4) xyxy boxes -> (N, M) in 0..1; 0 where the union is empty. Source: COCO."""
    first, second = as_boxes(boxes_xyxy), as_boxes(others_xyxy)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = area(first)[:, None] + area(second)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def paired_iou(boxes_xyxy: ArrayLike, others_xyxy: ArrayLike, other_is_crowd: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """IoU of (N, 4) boxes with (N, 4) others, one to one -> (N,) in 0..1; 0 where the union is empty.

    With a crowd it is the share of the first box that the crowd covers. Source: COCO.
    """
    first, second = as_boxes(boxes_xyxy), as_boxes(others_xyxy)
    with np.errstate(all="ignore"):  # a number too large to square gives an IoU of 0
        shared = np.clip(np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2]), 0, None).prod(axis=1)
        union = area(first) + area(second) - shared
        if other_is_crowd is not None:
            union = np.where(other_is_crowd, area(first), union)
        return np.nan_to_num(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))
