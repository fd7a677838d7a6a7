"""Scores of positives and negatives: ROC, precision over recall, the areas under both, the best F1. Equal scores are one point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

GRID = 1000  # steps of each axis that a line of a plot can have
Points = tuple[list[float], list[float]]


class Ranked(NamedTuple):
    """Scores in rising order: (P,) of positives; of negatives in parts, which several groups may share."""

    positives: NDArray[np.float64]
    negatives: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, scores: Sequence[float], positive: Sequence[bool]) -> Ranked:
        """The scores of samples that are positive or negative."""
        values, kinds = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
        return cls(np.sort(values[kinds]), (np.sort(values[~kinds]),))

    def negative_count(self) -> int:
        return sum(map(len, self.negatives))

    def has_both(self) -> bool:
        """Whether there are positives and negatives."""
        return bool(len(self.positives)) and self.negative_count() > 0

    def below(self, scores: NDArray[np.float64], side: str) -> NDArray[np.int64]:
        """(n,) how many negatives have a lower score (`side` left), or one that is not higher (right)."""
        return sum((np.searchsorted(part, scores, side) for part in self.negatives), np.zeros(len(scores), dtype=np.int64))

    def thresholds(self) -> tuple[NDArray, NDArray, NDArray]:
        """Each score of a positive once, highest first, and the true and false positives from there up."""
        values = np.unique(self.positives)[::-1]
        found = len(self.positives) - np.searchsorted(self.positives, values, "left")
        return values, found, self.negative_count() - self.below(values, "left")


def area(ranked: Ranked) -> float | None:
    """Area under the ROC: the probability that a positive has a higher score than a negative, half of it where they are equal."""
    if not ranked.has_both():
        return None
    twice = ranked.below(ranked.positives, "left") + ranked.below(ranked.positives, "right")
    return int(twice.sum()) / (2 * len(ranked.positives) * ranked.negative_count())


def average_precision(ranked: Ranked) -> float | None:
    """Sum over the thresholds of precision times the recall gained, without interpolation; scikit-learn's `average_precision_score`."""
    if not ranked.has_both():
        return None
    _, found, false = ranked.thresholds()
    gained = np.diff(found, prepend=0) / len(ranked.positives)
    return float(np.sum(gained * found / (found + false)))


def best_f1(ranked: Ranked) -> tuple[float, float] | None:
    """(the highest F1 of all thresholds, the score from which it counts), the highest such score. It is chosen by the truth."""
    if not ranked.has_both():
        return None
    values, found, false = ranked.thresholds()
    f1 = 2 * found / (len(ranked.positives) + found + false)
    best = int(np.argmax(f1))
    return float(f1[best]), float(values[best])


def highest_f1(ranked: Ranked) -> float | None:
    """The first number of `best_f1`."""
    return found[0] if (found := best_f1(ranked)) else None


def counts_of(scores: ArrayLike, positive: ArrayLike) -> tuple[NDArray, NDArray]:
    """True and false positives from each distinct score up, highest first."""
    values, kinds = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    order = np.argsort(-values, kind="stable")
    last = np.flatnonzero(np.diff(values[order], append=np.nan) != 0)
    found = np.cumsum(kinds[order])[last]
    return found, last + 1 - found


def curve_of(scores: Sequence[float], positive: Sequence[bool]) -> Points | None:
    """(false positive rates, true positive rates) from (0, 0) to (1, 1), one point for each distinct score; None without both kinds."""
    found, false = counts_of(scores, positive)
    if not len(found) or not found[-1] or not false[-1]:
        return None
    return [0.0, *(false / false[-1]).tolist()], [0.0, *(found / found[-1]).tolist()]


def precision_curve(scores: Sequence[float], positive: Sequence[bool]) -> Points | None:
    """(recalls, precisions) as steps, one for each distinct score of a positive: the area below them is the average precision."""
    found, false = counts_of(scores, positive)
    if not len(found) or not found[-1] or not false[-1]:
        return None
    gains = np.diff(found, prepend=0) > 0
    recall, precision = found[gains] / found[-1], (found / (found + false))[gains]
    return [0.0, *np.repeat(recall, 2)[:-1].tolist()], np.repeat(precision, 2).tolist()


def thinned(points: Points) -> Points:
    """The same line with at most one point in a row in each cell of a grid of 1,000 x 1,000; its ends stay."""
    x, y = map(np.asarray, points)
    cells = np.round(x * GRID) * (GRID + 1) + np.round(y * GRID)
    kept = np.diff(cells, prepend=np.nan) != 0
    kept[-1] = True
    return x[kept].tolist(), y[kept].tolist()
