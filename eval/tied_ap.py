"""AP and recall that no order changes: predictions of equal score count as one operating point of the precision-recall curve.

For each class and IoU threshold the points (recall, precision) are taken after each distinct score, never inside a group of equal ones; the
precision at each of COCO's 101 recalls is the highest of the points with at least that recall. This is the lowest AP that any
order of equal scores can give. Without equal scores it is COCO's AP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .box_matching import IOU_THRESHOLDS, IS_FP, IS_NOT_COUNTED, IS_TP, default_limit
from .close_pairs import Pairs, groups_of
from .ground_truth import Truth
from .precision_recall import RECALLS, Points, numbers_of, points_of, summed_precision, within_classes
from .tied_matching import Found, chosen, counting, false_does_not_count, find_matches, outside_of

LEVELS = len(IOU_THRESHOLDS)


class Tied(NamedTuple):
    """AP and recall (T, K) at COCO's thresholds, NaN where a class has no object; scores and outcomes at IoU 0.5 (N,) of what counts.

    `ap`: by area range. `recall`: by area range and limit of detections.
    """

    ap: dict[str, NDArray[np.float64]]
    recall: dict[tuple[str, int], NDArray[np.float64]]
    scores: NDArray[np.float64]
    outcomes: NDArray[np.uint8]


def tied(
    truth: Truth,
    predictions: Predictions,
    max_detections: int,
    limits: Sequence[int] = (),
    areas: Sequence[str] = ("all",),
    near: Pairs | None = None,
) -> Tied:
    """Match and accumulate. `limits`: further ones, of recall in the first area range. `near`: `near_pairs`, where they are known."""
    kept = counting(truth, predictions, max_detections, near)
    counted = chosen(predictions, kept)
    ignored, no_false = outside_of(truth.areas_px2, areas) | truth.is_crowd, false_does_not_count(truth, counted, areas)
    pairs = None if near is None else near.among(kept, len(predictions.scores))
    found = find_matches(truth, counted, IOU_THRESHOLDS, ignored, near=pairs)
    points, ap, recall = points_of(counted.category_index, counted.scores), {}, {}
    of_points = numbers_of(points)
    for at, area in enumerate(areas):
        wanted = np.bincount(truth.category_index[~ignored[at]], minlength=len(truth.category_ids))
        true = true_positives(found, at, ignored, of_points, len(points.last))
        false = false_positives(found, at, no_false, of_points, len(points.last))
        ap[area] = summed_precision(points, within_classes(points, true), within_classes(points, false), wanted) / len(RECALLS)
        recall[area, max_detections] = recall_of_classes(_of_classes(points, true, len(wanted)), wanted)
    for limit in set(limits) - {max_detections}:
        true = _true_positives_at(limit, truth, predictions, kept, found, ignored, near)
        wanted = np.bincount(truth.category_index[~ignored[0]], minlength=len(truth.category_ids))
        recall[areas[0], limit] = recall_of_classes(true, wanted)
    return Tied(ap, recall, counted.scores, _outcomes(found, ignored[0], no_false[0]))


def tied_ap(truth: Truth, predictions: Predictions, max_detections: int | None = None) -> NDArray[np.float64]:
    """The AP of `tied` of all areas."""
    return tied(truth, predictions, max_detections or default_limit(truth)).ap["all"]


def equal_scores(predictions: Predictions) -> int:
    """How many predictions have the class and score of another one."""
    sizes = np.diff(points_of(predictions.category_index, predictions.scores).last, prepend=-1)
    return int(sizes[sizes > 1].sum())


def true_positives(found: Found, at: int, ignored: NDArray[np.bool_], of: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(T, count) how many predictions match an object that counts, by the number `of` (N,) of each prediction."""
    matched = found.matched[at]
    return _by_number(found, of, count, ~ignored[at][found.pairs.object], (matched >= 0) & ~ignored[at][matched])


def false_positives(found: Found, at: int, no_false: NDArray[np.bool_], of: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(T, count) how many predictions that may be false match nothing."""
    may_be = ~no_false[at]
    matched = _by_number(found, of, count, may_be[found.pairs.prediction], (found.matched[at] >= 0) & may_be[found.others])
    return np.bincount(of[may_be], minlength=count) - matched


def _by_number(found: Found, of: NDArray[np.int64], count: int, pairs: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(T, count) matches by number: some of the pairs, at the thresholds up to their IoU, and of the others (T, R) where it is true."""
    cells = np.bincount((of[found.pairs.prediction] * (LEVELS + 1) + found.levels)[pairs], minlength=count * (LEVELS + 1))
    sums = cells.reshape(count, LEVELS + 1)[:, :0:-1].T.cumsum(axis=0)[::-1]  # from the highest threshold down
    level, place = np.nonzero(others)
    return sums + np.bincount(level * count + of[found.others[place]], minlength=LEVELS * count).reshape(LEVELS, count)


def _of_classes(points: Points, counts: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(T, K) sums by class of counts (T, P) of points."""
    sums = np.zeros((len(counts), classes), np.int64)
    for level, row in enumerate(counts):
        sums[level] = np.bincount(points.classes, row, minlength=classes)
    return sums


def _true_positives_at(
    limit: int,
    truth: Truth,
    predictions: Predictions,
    kept: NDArray[np.int64],
    found: Found,
    ignored: NDArray[np.bool_],
    near: Pairs | None,
) -> NDArray[np.int64]:
    """(T, K) matches with another limit: only images and classes that lose or gain predictions are matched again."""
    here, classes = np.zeros((2, len(predictions.scores)), bool), len(truth.category_ids)
    here[0, kept], here[1, counting(truth, predictions, limit, near)] = True, True
    if (here[0] == here[1]).all():
        return true_positives(found, 0, ignored, predictions.category_index[kept], classes)
    groups = groups_of(truth, predictions)
    again = np.isin(groups, groups[here[0] != here[1]])
    pairs, others = ~again[kept[found.pairs.prediction]], ~again[kept[found.others]]
    same = Found(found.pairs.take(pairs), found.levels[pairs], found.others[others], found.matched[:, :, others])
    true = true_positives(same, 0, ignored, predictions.category_index[kept], classes)
    if again.any():
        some = np.flatnonzero(again & here[1])
        part, pairs = chosen(predictions, some), None if near is None else near.among(some, len(again))
        more = find_matches(truth, part, IOU_THRESHOLDS, ignored[:1], near=pairs)
        true = true + true_positives(more, 0, ignored, part.category_index, classes)
    return true


def _outcomes(found: Found, ignored: NDArray[np.bool_], no_false: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(N,) outcomes at the first threshold of the first area range."""
    codes = np.where(no_false, np.uint8(IS_NOT_COUNTED), np.uint8(IS_FP))
    of_objects = np.where(ignored, np.uint8(IS_NOT_COUNTED), np.uint8(IS_TP))
    codes[found.pairs.prediction] = of_objects[found.pairs.object]
    hit = found.matched[0, 0] >= 0
    codes[found.others[hit]] = of_objects[found.matched[0, 0][hit]]
    return codes


def recall_of_classes(true: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """(T, K) recall by threshold and class, NaN where the class has no object."""
    return np.divide(true, wanted, out=np.full(true.shape, np.nan), where=wanted > 0)
