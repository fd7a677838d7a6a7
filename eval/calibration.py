"""Whether confidences are what they say: of the boxes with a score around 0.8, are 80 % right?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .box_matching import IS_FP, IS_TP
from .evaluated_run import Line, Plot

BINS = 10
TERM = f"mean over boxes of |precision - mean score| in {BINS} bins of equal width, at IoU 0.5; scores from 0 to 1, at least two"


class Bin(NamedTuple):
    """Boxes with scores of one range: how many, their mean score, the share that is right."""

    count: int
    score: float
    precision: float


def reliability(scores: NDArray[np.float64], outcomes: NDArray[np.uint8]) -> list[Bin]:
    """The bins that hold boxes, by score; [] where calibration is undefined. `outcomes` (N,); a box that does not count is in none."""
    counted = (outcomes == IS_TP) | (outcomes == IS_FP)
    scores, right = scores[counted], outcomes[counted] == IS_TP
    if len(np.unique(scores)) < 2 or scores.min() < 0 or scores.max() > 1:
        return []
    numbers = np.clip((scores * BINS).astype(np.int64), 0, BINS - 1)
    return [
        Bin(len(own), math.fsum(own.tolist()) / len(own), float(right[numbers == number].sum() / len(own)))
        for number in range(BINS)
        if len(own := scores[numbers == number])
    ]


def calibration_error(bins: list[Bin]) -> float | None:
    """Expected calibration error (ECE); None without bins."""
    every = sum(each.count for each in bins)
    return math.fsum(each.count * abs(each.precision - each.score) for each in bins) / every if bins else None


def reliability_plot(bins: list[Bin]) -> list[Plot]:
    """The plot of the report; [] without bins."""
    if not bins:
        return []
    line = Line("boxes", [each.score for each in bins], [each.precision for each in bins])
    counts = ", ".join(str(each.count) for each in bins)
    note = f"Below the diagonal the scores are too high. ECE {calibration_error(bins):.3f}. Boxes of each point: {counts}."
    return [Plot("reliability", "Reliability of the scores", "mean score", "precision at IoU 0.5", [line], diagonal=True, note=note)]
