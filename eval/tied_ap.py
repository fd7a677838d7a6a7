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
from .box_matching import IS_FP, IS_TP, default_limit
from .ground_truth import Truth
from .precision_recall import average_precision, points_of
from .tied_matching import Matches, chosen, counting, match


class Tied(NamedTuple):
    """AP and recall (T, K) at COCO's thresholds, NaN where a class has no object; scores (N,) and outcomes (T, N) of what counts.

    `ap`: by area range. `recall`: by area range and limit of detections.
    """

    ap: dict[str, NDArray[np.float64]]
    recall: dict[tuple[str, int], NDArray[np.float64]]
    scores: NDArray[np.float64]
    outcomes: NDArray[np.uint8]


def tied(truth: Truth, predictions: Predictions, max_detections: int, limits: Sequence[int] = (), areas: Sequence[str] = ("all",)) -> Tied:
    """Match and accumulate. `limits`: further ones, of recall in the first area range."""
    kept = counting(truth, predictions, max_detections)
    counted = chosen(predictions, kept)
    found = match(truth, counted, areas=areas)
    points, ap = points_of(counted.category_index, counted.scores), {}
    for at, area in enumerate(areas):
        ap[area] = average_precision(
            points, *(found.outcomes[at] == code for code in (IS_TP, IS_FP)), objects_of_classes(truth, found.objects[at])
        )
    recall = {(area, max_detections): recall_of_classes(truth, counted, found, at) for at, area in enumerate(areas)}
    for limit in set(limits) - {max_detections}:
        of_limit = counting(truth, predictions, limit)
        part = chosen(predictions, of_limit)
        matches = found if np.array_equal(of_limit, kept) else match(truth, part, areas=areas[:1])
        recall[areas[0], limit] = recall_of_classes(truth, part, matches)
    return Tied(ap, recall, counted.scores, found.outcomes[0])


def tied_ap(truth: Truth, predictions: Predictions, max_detections: int | None = None) -> NDArray[np.float64]:
    """The AP of `tied` of all areas."""
    return tied(truth, predictions, max_detections or default_limit(truth)).ap["all"]


def equal_scores(predictions: Predictions) -> int:
    """How many predictions have the class and score of another one."""
    order = np.lexsort((predictions.scores, predictions.category_index))
    same = (np.diff(predictions.category_index[order]) == 0) & (np.diff(predictions.scores[order]) == 0)
    return int((np.append(same, False) | np.insert(same, 0, False)).sum()) if len(order) else 0


def objects_of_classes(truth: Truth, objects: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(K,) how many of these objects (G,) each class has."""
    return np.bincount(truth.category_index[objects], minlength=len(truth.category_ids))


def recall_of_classes(truth: Truth, counted: Predictions, found: Matches, area: int = 0) -> NDArray[np.float64]:
    """(T, K) recall by threshold and class, NaN where the class has no object."""
    wanted = objects_of_classes(truth, found.objects[area]).astype(np.float64)
    hits = np.array([np.bincount(counted.category_index[codes == IS_TP], minlength=len(wanted)) for codes in found.outcomes[area]])
    return np.divide(hits, wanted, out=np.full(hits.shape, np.nan), where=wanted > 0)
