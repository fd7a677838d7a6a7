"""AP of resampled images: predictions keep their matches, and each counts as often as its image was drawn.

With every weight 1 it is the AP itself. Source of the percentile bootstrap: Efron, 1979.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from . import bootstrap
from .answers.to_boxes import Predictions
from .box_matching import IS_FP, IS_TP, default_limit, looked_for, within_limit
from .ground_truth import Truth
from .precision_recall import RECALLS, Points, exact_mean, points_in_order, points_of, summed_precision, sums_at
from .tied_matching import chosen, counting, match, name_ranks

RESAMPLES = 200  # of AP over all thresholds; those of one threshold take `bootstrap.RESAMPLES`
MOST_DRAWN = 0.7  # of the predictions: from here on all are summed, those not drawn with weight 0
NUMBERS = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
Interval = tuple[float, float]


@dataclass(frozen=True)
class Resampled:
    """Predictions with their outcomes (T, N), and the objects that count by image and class. `units` (N,): of what each is a part."""

    units: NDArray[np.int64]
    category_index: NDArray[np.int64]
    scores: NDArray[np.float64]
    outcomes: NDArray[np.uint8]
    object_units: NDArray[np.int64]
    object_classes: NDArray[np.int64]
    classes: int

    @cached_property
    def points(self) -> Points:
        return points_of(self.category_index, self.scores)

    @cached_property
    def flags(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """TP and FP in the order of the points, (T, N) of 0 and 1."""
        codes = self.outcomes[:, self.points.order]
        return (codes == IS_TP).astype(np.int32), (codes == IS_FP).astype(np.int32)

    def ap(self, weights: NDArray[np.int64], object_weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """(T, K) AP where each unit counts as often as its weight says, NaN where a class has no object."""
        of_objects = weights if object_weights is None else object_weights
        wanted = np.bincount(self.object_classes, of_objects[self.object_units], minlength=self.classes).astype(np.int64)
        of_predictions = weights.astype(np.int32)[self.units[self.points.order]]
        drawn = np.flatnonzero(of_predictions)
        if len(drawn) > MOST_DRAWN * len(of_predictions):
            points, (true, false) = self.points, self.flags
        else:
            order = self.points.order[drawn]
            points, of_predictions = points_in_order(order, self.category_index[order], self.scores[order]), of_predictions[drawn]
            true, false = (flags[:, drawn] for flags in self.flags)
        sums = (sums_at(points, flags * of_predictions) for flags in (true, false))
        return summed_precision(points, *sums, wanted) / len(RECALLS)


def in_any_order(truth: Truth, predictions: Predictions, max_detections: int | None = None) -> Resampled:
    """Predictions whose AP is `AP_ties`."""
    found = chosen(predictions, counting(truth, predictions, max_detections))
    matches = match(truth, found)
    return _resampled(truth, found, found.scores, matches.outcomes[0], matches.objects[0])


def in_order_of_ids(truth: Truth, predictions: Predictions, max_detections: int | None = None) -> Resampled:
    """Predictions whose AP is COCO's: equal scores by image id, then in the order of the answer."""
    limit = max_detections or default_limit(truth)
    found = chosen(predictions, np.flatnonzero(looked_for(truth, predictions) & within_limit(truth, predictions, limit)))
    matches = match(truth, found, as_listed=True)
    ranks = np.empty(len(found.scores))
    ranks[np.argsort(-found.scores, kind="stable")] = -np.arange(len(found.scores))
    return _resampled(truth, found, ranks, matches.outcomes[0], matches.objects[0])


def same_in_any_order(tied: Resampled, listed: Resampled) -> bool:
    """Whether no scores of a class are equal and no matches differ, so that both have the same numbers."""
    return len(tied.points.last) == len(tied.scores) and np.array_equal(tied.outcomes, listed.outcomes)


def _resampled(truth: Truth, found: Predictions, scores: NDArray, codes: NDArray[np.uint8], objects: NDArray[np.bool_]) -> Resampled:
    of_objects = truth.image_index[objects], truth.category_index[objects]
    return Resampled(found.image_index, found.category_index, scores, codes, *of_objects, len(truth.category_ids))


def ap_intervals(
    truth: Truth, predictions: Predictions, max_detections: int | None = None, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Intervals over images of AP, AP50 and AP75, and of those that do not depend on the order of equal scores."""
    if len(truth.image_ids) < 2:
        return {}
    tied = in_any_order(truth, predictions, max_detections)
    order = content_order(truth, tied)
    found: dict[str, Interval] = {}
    listed = in_order_of_ids(truth, predictions, max_detections)
    drawn: list[NDArray[np.float64]] = []
    for ending, one in (("", listed), ("_ties", tied)):
        if not (drawn and same_in_any_order(tied, listed)):
            drawn = [one.ap(weights) for weights in image_weights(order, resamples)]
        for name, part in NUMBERS.items():
            numbers = [value for each in drawn if (value := exact_mean(each[part])) is not None]
            if (between := bootstrap.percentiles(numbers)) is not None:
                found[name + ending] = between
    return found


def image_weights(order: NDArray[np.int64], resamples: int, seed: int = bootstrap.SEED) -> Iterator[NDArray[np.int64]]:
    """For each resample (I,) how often each image is drawn; `order` sorts the images by what they hold."""
    for drawn in bootstrap.draws(len(order), resamples, seed):
        for row in drawn:
            weights = np.zeros(len(order), dtype=np.int64)
            weights[order] = np.bincount(row, minlength=len(order))
            yield weights


def content_order(truth: Truth, found: Resampled) -> NDArray[np.int64]:
    """(I,) the images sorted by what they hold, so that their ids and those of classes do not matter."""
    names = name_ranks(truth)
    of_predictions = np.column_stack([names[found.category_index], found.scores.view(np.int64), found.outcomes.T.astype(np.int64)])
    of_objects = names[found.object_classes][:, None]
    digests = [blake2b(digest_size=16) for _ in truth.image_ids]
    for units, columns in ((found.units, of_predictions), (found.object_units, of_objects)):
        order = np.lexsort((*columns.T, units))
        ends = np.searchsorted(units[order], np.arange(len(digests) + 1)).tolist()
        columns = np.ascontiguousarray(columns[order])
        for number, digest in enumerate(digests):
            digest.update(columns[ends[number] : ends[number + 1]].tobytes() + b"|")
    keys = [digest.digest() for digest in digests]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
