"""AP that no order changes: predictions of equal score count as one operating point of the precision-recall curve.

For each class and IoU threshold the points (recall, precision) are taken after each distinct score, never inside a group of equal ones; the
precision at each of COCO's 101 recalls is the highest of the points with at least that recall. This is the lowest AP that any
order of equal scores can give. Without equal scores it is COCO's AP.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .box_matching import IS_FP, IS_TP
from .ground_truth import Truth
from .tied_matching import chosen, counting, match

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
    order = np.lexsort((-scores, category_index))
    classes, sorted_scores = category_index[order], scores[order]
    changes = (np.diff(classes, append=-1) != 0) | (np.diff(sorted_scores, append=np.nan) != 0)
    last = np.flatnonzero(changes)
    return Points(order, last, classes[last], np.searchsorted(classes[last], classes[last], side="left"))


def counts_at(points: Points, flags: NDArray) -> NDArray:
    """(..., P) how many flags (..., N) are set up to each point within its class."""
    total = np.cumsum(flags[..., points.order], axis=-1)[..., points.last]
    before = np.concatenate([np.zeros((*total.shape[:-1], 1), total.dtype), total], axis=-1)
    return total - before[..., points.starts]


def tied_ap(truth: Truth, predictions: Predictions, max_detections: int | None = None) -> NDArray[np.float64]:
    """(T, K) AP at COCO's thresholds by class, NaN where the class has no object."""
    counted = chosen(predictions, counting(truth, predictions, max_detections))
    found = match(truth, counted)
    return ap_of_classes(truth, counted.category_index, counted.scores, found.outcomes[0], found.objects[0])


def equal_scores(predictions: Predictions) -> int:
    """How many predictions have the class and score of another one."""
    order = np.lexsort((predictions.scores, predictions.category_index))
    same = (np.diff(predictions.category_index[order]) == 0) & (np.diff(predictions.scores[order]) == 0)
    return int((np.append(same, False) | np.insert(same, 0, False)).sum()) if len(order) else 0


def ap_of_classes(
    truth: Truth, category_index: NDArray[np.int64], scores: NDArray[np.float64], outcomes: NDArray, objects: NDArray
) -> NDArray:
    """(T, K) AP by threshold and class, NaN where the class has no object. `outcomes` (T, N) and `objects` (G,) as in `Matches`."""
    points = points_of(category_index, scores)
    found, false = (counts_at(points, outcomes == code) for code in (IS_TP, IS_FP))
    wanted = np.bincount(truth.category_index[objects], minlength=len(truth.category_ids))
    return summed_precision(points, found, false, wanted) / len(RECALLS)


def summed_precision(points: Points, found: NDArray, false: NDArray, wanted: NDArray) -> NDArray:
    """(T, K) sum of the precision at the 101 recalls from TP and FP (T, P) at each point and the objects (K,)."""
    levels, classes = len(found), len(wanted)
    precision = found / np.maximum(found + false, 1)
    recall = found / np.maximum(wanted[points.classes], 1)
    for start, end in _segments(points):
        precision[:, start:end] = np.maximum.accumulate(precision[:, start:end][:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALLS, recall, side="right")
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
