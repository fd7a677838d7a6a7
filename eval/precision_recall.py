"""Precision-recall curves with one operating point for each distinct score, and COCO's 101 recalls on them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0.0, 1.0, 101)


class Points(NamedTuple):
    """The operating points of all classes, by class and then by score, highest first.

    `last`: (P,) the place of each point's last prediction in `order`, which sorts the predictions; `classes` (P,); `starts` (P,): the index
    of the first point of its class.
    """

    order: NDArray[np.int64]
    last: NDArray[np.int64]
    classes: NDArray[np.int64]
    starts: NDArray[np.int64]


def points_of(category_index: NDArray[np.int64], scores: NDArray[np.float64]) -> Points:
    """One point for each distinct score of each class."""
    order = np.argsort(-scores, kind="stable")
    order = order[
        np.argsort(category_index[order].astype(np.int16 if category_index.max(initial=0) < 1 << 15 else np.int64), kind="stable")
    ]
    return points_in_order(order, category_index[order], scores[order])


def points_in_order(order: NDArray[np.int64], classes: NDArray[np.int64], scores: NDArray[np.float64]) -> Points:
    """The points of predictions that are in this order already."""
    changes = (np.diff(classes, append=-1) != 0) | (np.diff(scores, append=np.nan) != 0)
    last = np.flatnonzero(changes)
    return Points(order, last, classes[last], np.searchsorted(classes[last], classes[last], side="left"))


def numbers_of(points: Points) -> NDArray[np.int64]:
    """(N,) the point of each prediction."""
    numbers = np.empty(len(points.order), np.int64)
    numbers[points.order] = np.repeat(np.arange(len(points.last)), np.diff(points.last, prepend=-1))
    return numbers


def within_classes(points: Points, counts: NDArray) -> NDArray:
    """(..., P) sums of counts (..., P) of points up to each point within its class."""
    total = np.cumsum(counts, axis=-1)
    return total - np.where(points.starts > 0, total[..., points.starts - 1], 0)


def counts_at(points: Points, flags: NDArray) -> NDArray:
    """(..., P) the sums of flags (..., N) up to each point within its class."""
    return sums_at(points, flags[..., points.order])


def sums_at(points: Points, in_order: NDArray) -> NDArray:
    """`counts_at` of whole numbers that are in `order` already."""
    total = np.cumsum(in_order, axis=-1, dtype=np.int32)
    total = total if len(points.last) == total.shape[-1] else total[..., points.last]
    before = np.where(points.starts > 0, total[..., points.starts - 1], np.int32(0)) if len(points.starts) else total
    return total - before


def average_precision(points: Points, true: NDArray[np.bool_], false: NDArray[np.bool_], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """(T, K) AP from the predictions (T, N) that are TP and FP and the objects (K,) of the classes; NaN where a class has none."""
    numbers, count = numbers_of(points), len(points.last)
    counts = (np.array([np.bincount(numbers[row], minlength=count) for row in flags]).reshape(len(flags), count) for flags in (true, false))
    return summed_precision(points, *(within_classes(points, each) for each in counts), wanted) / len(RECALLS)


def summed_precision(points: Points, found: NDArray, false: NDArray, wanted: NDArray) -> NDArray:
    """(T, K) sum of the precision at the 101 recalls from TP and FP (T, P) at each point and the objects (K,)."""
    levels, classes = len(found), len(wanted)
    precision = found / np.maximum(found + false, 1)
    for start, end in _segments(points):
        precision[:, start:end] = np.maximum.accumulate(precision[:, start:end][:, ::-1], axis=1)[:, ::-1]
    starts = np.cumsum(wanted + 1) - (wanted + 1)
    each = np.arange(int(wanted.sum()) + classes) - np.repeat(starts, wanted + 1)  # 0 to the objects of each class
    recalls_reached = np.searchsorted(RECALLS, each / np.repeat(np.maximum(wanted, 1), wanted + 1), side="right")
    reached = recalls_reached[np.minimum(found, wanted[points.classes]) + starts[points.classes]]
    first = points.starts == np.arange(len(points.starts))
    gained = np.diff(reached, axis=1, prepend=0)
    gained[:, first] = reached[:, first]
    gained[:, wanted[points.classes] == 0] = 0
    level, place = np.nonzero(gained)
    sums = np.bincount(level * classes + points.classes[place], precision[level, place] * gained[level, place], minlength=levels * classes)
    return np.where(wanted > 0, sums.reshape(levels, classes), np.nan)


def _segments(points: Points) -> list[tuple[int, int]]:
    """(start, end) of the points of each class."""
    starts = np.flatnonzero(points.starts == np.arange(len(points.starts))).tolist()
    return list(pairwise([*starts, len(points.starts)]))


def exact_mean(values: NDArray) -> float | None:
    """The mean of what is not NaN, rounded once, so that no order of summation changes it; None where nothing is."""
    defined = values[~np.isnan(values)].tolist()
    return math.fsum(defined) / len(defined) if defined else None
