"""AP that no order changes: predictions of equal score count as one operating point of the precision-recall curve.

For each class and IoU threshold the points (recall, precision) are taken after each distinct score, never inside a group of equal ones; the
precision at each of COCO's 101 recalls is the highest of the points with at least that recall. This is the lowest AP that any
order of equal scores can give. Without equal scores it is COCO's AP.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .box_matching import IS_FP, IS_TP
from .ground_truth import Truth
from .precision_recall import RECALLS, counts_at, points_of, summed_precision
from .tied_matching import chosen, counting, match


class Tied(NamedTuple):
    """(T, K) AP at COCO's thresholds by class, NaN where the class has no object; (N,) scores and outcomes (T, N) of what counts."""

    ap: NDArray[np.float64]
    scores: NDArray[np.float64]
    outcomes: NDArray[np.uint8]


def tied(truth: Truth, predictions: Predictions, max_detections: int | None = None) -> Tied:
    """Match and accumulate."""
    counted = chosen(predictions, counting(truth, predictions, max_detections))
    found = match(truth, counted)
    ap = ap_of_classes(truth, counted.category_index, counted.scores, found.outcomes[0], found.objects[0])
    return Tied(ap, counted.scores, found.outcomes[0])


def tied_ap(truth: Truth, predictions: Predictions, max_detections: int | None = None) -> NDArray[np.float64]:
    """The AP of `tied`."""
    return tied(truth, predictions, max_detections).ap


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
