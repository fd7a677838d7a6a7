"""Receiver operating characteristic of scores: the curve and the area under it. Equal scores are one point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def curve_of(scores: Sequence[float], positive: Sequence[bool]) -> tuple[list[float], list[float]] | None:
    """(false positive rates, true positive rates) from (0, 0) to (1, 1), one point for each distinct score; None without both kinds."""
    values, right = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    wanted, others = int(right.sum()), int((~right).sum())
    if not wanted or not others:
        return None
    order = np.argsort(-values, kind="stable")
    last = np.flatnonzero(np.diff(values[order], append=np.nan) != 0)
    found = np.cumsum(right[order])[last]
    return [0.0, *((last + 1 - found) / others).tolist()], [0.0, *(found / wanted).tolist()]


def area(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """The area: the probability that a positive has a higher score than a negative, half of it where they are equal."""
    found = curve_of(scores, positive)
    if found is None:
        return None
    across, up = map(np.asarray, found)
    return float(np.sum(np.diff(across) * (up[1:] + up[:-1])) / 2)
