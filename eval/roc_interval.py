"""Interval of the area under a ROC: DeLong's variance for samples in clusters (Obuchowski 1997), such as several rows of one image."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from .bootstrap import LEVEL, Interval

Z = 1.959963984540054  # of LEVEL, on both sides
TERM = f"AUROC: DeLong's variance for rows in clusters (Obuchowski 1997), normal, {LEVEL:.0%}, clipped to 0 and 1"


def auroc_interval(scores: Sequence[float], positive: Sequence[bool], units: Sequence[Hashable]) -> Interval | None:
    """(low, high) of the area; samples with the same of `units` depend on each other.

    With a unit for each sample it is DeLong's interval of 1988. The same bits in any order of the samples. None where positives or
    negatives are in fewer than two units, and where the variance is 0, as of scores that separate both kinds.
    """
    values, kinds = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    wanted, others = int(kinds.sum()), int((~kinds).sum())
    if not wanted or not others:
        return None
    wins = np.empty(len(values), dtype=np.int64)  # twice how many of the other kind a sample is in the right order with
    ups, downs = np.sort(values[kinds]), np.sort(values[~kinds])
    wins[kinds] = np.searchsorted(downs, values[kinds], "left") + np.searchsorted(downs, values[kinds], "right")
    wins[~kinds] = 2 * wanted - np.searchsorted(ups, values[~kinds], "left") - np.searchsorted(ups, values[~kinds], "right")
    total = int(wins[kinds].sum())
    variance = variance_of(cluster_sums(wins, kinds, units), total, wanted, others)
    if variance is None:
        return None
    centre, half = total / (2 * wanted * others), Z * math.sqrt(variance)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def cluster_sums(wins: NDArray[np.int64], kinds: NDArray[np.bool_], units: Sequence[Hashable]) -> NDArray[np.int64]:
    """(I, 4) of each cluster: positives, negatives, and the sums of `wins` of both."""
    numbers: dict[Hashable, int] = {}
    places = np.array([numbers.setdefault(unit, len(numbers)) for unit in units])
    columns = (kinds, ~kinds, np.where(kinds, wins, 0), np.where(kinds, 0, wins))
    sums = np.zeros((len(numbers), 4), dtype=np.int64)
    for column, each in enumerate(columns):
        np.add.at(sums[:, column], places, each)
    return sums


def variance_of(sums: NDArray[np.int64], total: int, wanted: int, others: int) -> float | None:
    """Of the area, whose pairs in the right order are `total` / 2; None where it is undefined or 0."""
    (of_ups, of_downs) = (int((sums[:, column] > 0).sum()) for column in (0, 1))
    if of_ups < 2 or of_downs < 2:
        return None
    up = (sums[:, 2] - sums[:, 0] * (total / wanted)) / (2 * wanted * others)
    down = (sums[:, 3] - sums[:, 1] * (total / others)) / (2 * wanted * others)
    squares = (of_ups / (of_ups - 1) * math.fsum(up * up), of_downs / (of_downs - 1) * math.fsum(down * down))
    both = len(sums) / (len(sums) - 1) * math.fsum(up * down)
    variance = math.fsum([*squares, 2 * both])
    return variance if variance > 1e-18 else None
