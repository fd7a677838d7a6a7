"""Bootstrap intervals: how far a number would move on other samples from the same source.

`interval` is of a mean or weighted mean, `ratio_interval` of sum / sum (character error rate, precision), `resamples` for any other
number. Rows of one image are not independent samples: give `groups`, and all rows of a group are drawn together.

All results depend on the multiset of samples alone: any permutation of rows, and any renaming of groups, gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundswift.errors import GroundswiftError

RESAMPLES, LEVEL, SEED = 1000, 0.95, 0
DRAWN_AT_ONCE = 1 << 22  # indices in memory
Interval = tuple[float, float]
Groups = Sequence[Hashable]


def interval(
    values: ArrayLike,
    weights: ArrayLike | None = None,
    groups: Groups | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Interval | None:
    """Percentile bootstrap interval (low, high) of the mean of `values`, or of sum(weights * values) / sum(weights).

    `values` and `weights` are (N,), `groups` has for each the key of its image or cluster; without it each sample is its own. None where
    there are fewer than two groups. Raises GroundswiftError for lengths that differ, numbers that are not finite, negative weights.
    """
    numbers = _column("values", values)
    shares = np.ones(len(numbers)) if weights is None else _column("weights", weights, len(numbers))
    return ratio_interval(numbers * shares, shares, groups, resamples=resamples, level=level, seed=seed)


def ratio_interval(
    numerators: ArrayLike,
    denominators: ArrayLike,
    groups: Groups | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Interval | None:
    """The same of sum(numerators) / sum(denominators), such as edits over characters. A resample whose denominators sum to 0 is skipped."""
    above = _column("numerators", numerators)
    below = _column("denominators", denominators, len(above))
    if (below < 0).any():
        raise GroundswiftError(f"interval: a weight or denominator of {below.min()}; expected 0 or more")
    units = _units(np.column_stack([above, below]), groups)
    if len(units) < 2:
        return None
    sums = np.concatenate([units[drawn].sum(axis=1) for drawn in draws(len(units), resamples, seed)])
    defined = sums[:, 1] > 0
    return percentiles(sums[defined, 0] / sums[defined, 1], level)


def intervals(columns: Mapping[str, ArrayLike], groups: Groups | None = None) -> dict[str, Interval]:
    """`interval` of the mean of each column by its key, for `Evaluation.intervals`; those that are undefined are absent."""
    found = {key: interval(values, groups=groups) for key, values in columns.items()}
    return {key: value for key, value in found.items() if value is not None}


def term(unit: str = "samples") -> str:
    """What `protocol` says of the intervals; `unit` is what was drawn."""
    return f"percentile bootstrap over {unit}, {RESAMPLES} resamples, {LEVEL:.0%}, seed {SEED}"


def draws(units: int, resamples: int = RESAMPLES, seed: int = SEED) -> Iterator[NDArray[np.int64]]:
    """(n, units) indices of the units of each resample, drawn with replacement, in pieces that add up to `resamples`.

    For a number that is not a ratio: sort the units by what they hold, not by their place in a file, and the order of rows does not matter.
    """
    random = np.random.default_rng(seed)
    at_once = max(1, DRAWN_AT_ONCE // max(units, 1))
    for start in range(0, resamples, at_once):
        yield random.integers(units, size=(min(at_once, resamples - start), units))


def percentiles(numbers: ArrayLike, level: float = LEVEL) -> Interval | None:
    """The interval that holds `level` of the numbers of all resamples, half of the rest on each side; None without any."""
    found = np.asarray(numbers, dtype=np.float64)
    if not len(found):
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return low, high


def _column(name: str, values: ArrayLike, length: int | None = None) -> NDArray[np.float64]:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or (length is not None and len(column) != length):
        raise GroundswiftError(f"interval: {name} of shape {column.shape}; expected ({'N' if length is None else length},)")
    if not np.isfinite(column).all():
        raise GroundswiftError(f"interval: {name} hold a number that is not finite; expected only defined samples")
    return column


def _units(columns: NDArray[np.float64], groups: Groups | None) -> NDArray[np.float64]:
    """(units, 2) sums within each group, exact and so independent of order, sorted by what they hold."""
    if groups is not None:
        if len(groups) != len(columns):
            raise GroundswiftError(f"interval: {len(groups)} groups for {len(columns)} values; expected one each")
        members: dict[Hashable, list[list[float]]] = {}
        for group, row in zip(groups, columns.tolist(), strict=True):
            members.setdefault(group, []).append(row)
        columns = np.array([list(map(math.fsum, zip(*rows, strict=True))) for rows in members.values()]).reshape(-1, 2)
    return columns[np.lexsort(columns.T)]
