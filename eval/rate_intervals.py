"""Bootstrap intervals over images of precision, recall and F1: counts by image, summed over each resample, exact in any order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import bootstrap
from .answers.to_boxes import Predictions
from .box_matching import IS_FP, IS_TP
from .ground_truth import Truth

Interval = tuple[float, float]
NAMES = ("f1", "precision", "recall")


class ImageCounts(NamedTuple):
    """(I, T) TP and FP, (I,) objects that count."""

    found: NDArray[np.int64]
    false: NDArray[np.int64]
    objects: NDArray[np.int64]

    def matrix(self) -> NDArray[np.float64]:
        """(I, 2 T + 1) all of them, whole numbers that float64 sums exactly."""
        return np.column_stack([self.found, self.false, self.objects]).astype(np.float64)


def counts_by_image(truth: Truth, predictions: Predictions, outcomes: NDArray[np.uint8], objects: NDArray[np.bool_]) -> ImageCounts:
    """The counts of outcomes (T, N)."""
    images = len(truth.image_ids)
    found, false = (
        np.stack([np.bincount(predictions.image_index[row == code], minlength=images) for row in outcomes], axis=1)
        for code in (IS_TP, IS_FP)
    )
    return ImageCounts(found, false, np.bincount(truth.image_index[objects], minlength=images))


def rates_of_sums(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """F1, precision and recall (n, T) of sums (n, 2 T + 1) as `ImageCounts.matrix` has them; NaN where undefined."""
    levels = sums.shape[1] // 2
    found, false, objects = sums[:, :levels], sums[:, levels:-1], sums[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"f1": 2 * found / (found + false + objects), "precision": found / (found + false), "recall": found / objects}


def drawn_sums(matrix: NDArray[np.float64], resamples: int = bootstrap.RESAMPLES) -> NDArray[np.float64]:
    """(resamples, columns) sums over drawn images, which are sorted by what they hold."""
    units = matrix[np.lexsort(matrix.T)]
    parts = []
    for drawn in bootstrap.draws(len(units), resamples):
        weights = np.stack([np.bincount(row, minlength=len(units)) for row in drawn]).astype(np.float64)
        parts.append(weights @ units)
    return np.concatenate(parts)


def rate_intervals(counts: ImageCounts, shown: dict[str, int]) -> dict[str, Interval]:
    """Intervals of the means over all thresholds by name, and at the thresholds of `shown` by name and ending."""
    if len(counts.objects) < 2:
        return {}
    by_name = rates_of_sums(drawn_sums(counts.matrix()))
    columns = {name: rates.mean(axis=1) for name, rates in by_name.items()}
    columns |= {f"{name}_{ending}": by_name[name][:, at] for ending, at in shown.items() for name in NAMES}
    found = {key: bootstrap.percentiles(values[~np.isnan(values)]) for key, values in columns.items()}
    return {key: between for key, between in found.items() if between is not None}


def share_interval(pairs: Iterable[tuple[int, int, int]]) -> Interval | None:
    """Of a share: (image, how many have it, how many could) of each part."""
    rows = list(pairs)
    if not any(possible for _, _, possible in rows):
        return None
    images, having, possible = zip(*rows, strict=True)
    return bootstrap.ratio_interval(having, possible, images)
