"""Precision, recall and F1 of predictions from their outcomes: counts summed over images and classes, then one division."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .box_matching import IS_FP, IS_TP
from .ground_truth import Truth


class Rates(NamedTuple):
    """P, R and F1, None where undefined, and the counts that they come from."""

    precision: float | None
    recall: float | None
    f1: float | None
    found: int
    false: int
    missed: int


class BestThreshold(NamedTuple):
    """The score from which on predictions count so that F1 is highest, and that F1; None without predictions or objects."""

    score: float | None
    f1: float | None


def rates(found: int, false: int, objects: int) -> Rates:
    """P = TP / (TP + FP), R = TP / objects, F1 = 2 TP / (2 TP + FP + FN)."""
    every = found + false + objects
    precision = found / (found + false) if found + false else None
    return Rates(precision, found / objects if objects else None, 2 * found / every if every else None, found, false, objects - found)


def rates_at(outcomes: NDArray[np.uint8], objects: int) -> list[Rates]:
    """The rates at each threshold; `outcomes` (T, N)."""
    counts = ((outcomes == code).sum(axis=1).tolist() for code in (IS_TP, IS_FP))
    return [rates(found, false, objects) for found, false in zip(*counts, strict=True)]


def rates_of_classes(truth: Truth, predictions: Predictions, outcomes: NDArray[np.uint8], objects: NDArray[np.bool_]) -> list[list[Rates]]:
    """For each class its rates at each threshold; `outcomes` (T, N), `objects` (G,) whether an object counts."""
    classes = len(truth.category_ids)
    wanted = np.bincount(truth.category_index[objects], minlength=classes).tolist()
    counts = [
        [np.bincount(predictions.category_index[row == code], minlength=classes).tolist() for row in outcomes] for code in (IS_TP, IS_FP)
    ]
    return [[rates(found[k], false[k], wanted[k]) for found, false in zip(*counts, strict=True)] for k in range(classes)]


def mean_rate(values: Sequence[float | None]) -> float | None:
    """The mean over what is defined, rounded once."""
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def best_threshold(scores: NDArray[np.float64], outcomes: NDArray[np.uint8], objects: int) -> BestThreshold:
    """Of all scores that occur the one with the highest F1, of equally good ones the highest; `outcomes` (N,)."""
    points, found, false = cumulative(scores, outcomes)
    if not len(points) or not objects:
        return BestThreshold(None, None)
    f1 = 2 * found / (found + false + objects)
    best = int(np.argmax(f1))
    return BestThreshold(float(points[best]), float(f1[best]))


def cumulative(
    scores: NDArray[np.float64], outcomes: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """(the distinct scores downwards, TP and FP of at least each)."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    found, false = (np.cumsum(outcomes[order] == code)[last] for code in (IS_TP, IS_FP))
    return scores[order][last], found, false
