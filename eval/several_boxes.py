"""How the boxes of an answer are compared with those of its question, where labels play no part: one, several or none on either side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, area, iou, paired_iou

from .assignment import assigned

Several = Literal["first", "any", "all", "hungarian"]
SEVERAL: tuple[Several, ...] = get_args(Several)
RULES: dict[Several, str] = {  # for an answer of several boxes to a question of one
    "first": "the first box of an answer counts",
    "any": "the box of an answer that fits best counts, which only the ground truth knows",
    "all": "every box of an answer must be right; its IoU is that of the worst",
    "hungarian": "an answer is right if it has one box and that is right; its IoU is that of the best, over the number of its boxes",
}
RULE_OF_SETS = "several true boxes: right if each box has a true one of its own and none is over; IoU: sum of the best pairs / larger count"
RULE_OF_NONE = "no true box: right if the answer is readable and says that there is none; IoU 1 if right, else 0"
THRESHOLDS = np.arange(50, 100, 5) / 100  # COCO's
Right = NDArray[np.bool_]


class Fits(NamedTuple):
    """Of each answer: its IoU (N,), whether it is right at each of THRESHOLDS (N, 10), and the F1 of its boxes at IoU 0.5 (N,)."""

    overlaps: NDArray[np.float64]
    right: Right
    f1: NDArray[np.float64]


def fits_of(predicted: Sequence[Boxes], true: Sequence[Boxes], several: Several, says_none: Sequence[bool] | NDArray[np.bool_]) -> Fits:
    """Compare answers with questions, one each: (n, 4) and (m, 4) xyxy. `says_none`: the answer states that there is nothing."""
    wanted = np.array([len(boxes) for boxes in true], dtype=np.int64)
    found = Fits(np.zeros(len(true)), np.zeros((len(true), len(THRESHOLDS)), dtype=bool), np.zeros(len(true)))
    single = np.flatnonzero(wanted == 1)
    for part, of_single in zip(found, _of_one([predicted[n] for n in single], [true[n] for n in single], several), strict=True):
        part[single] = of_single
    for number in np.flatnonzero(wanted > 1).tolist():
        found.overlaps[number], found.right[number], found.f1[number] = _of_set(iou(predicted[number], true[number]))
    none = (wanted == 0) & np.asarray(says_none, dtype=bool)
    found.overlaps[none], found.right[none], found.f1[none] = 1, True, 1
    return found


def _of_one(predicted: Sequence[Boxes], true: Sequence[Boxes], several: Several) -> Fits:
    """The same where every question has one true box."""
    counts = np.array([len(boxes) for boxes in predicted], dtype=np.int64)
    answered = np.flatnonzero(counts)
    best = np.zeros(len(true))
    if len(answered):
        overlaps = paired_iou(np.concatenate([predicted[n] for n in answered]), np.concatenate(true).repeat(counts, axis=0))
        starts = np.cumsum(counts[answered]) - counts[answered]
        reduced = {"first": overlaps.take, "all": lambda places: np.minimum.reduceat(overlaps, places)}
        best[answered] = reduced.get(several, lambda places: np.maximum.reduceat(overlaps, places))(starts)
    right = best[:, None] >= THRESHOLDS
    if several == "hungarian":
        right &= (counts == 1)[:, None]
    if several in ("first", "any"):
        return Fits(best, right, right[:, 0].astype(np.float64))
    any_fits = np.zeros(len(true))
    if len(answered):
        any_fits[answered] = np.maximum.reduceat(overlaps, starts) >= THRESHOLDS[0]
    return Fits(best / np.maximum(counts, 1) if several == "hungarian" else best, right, 2 * any_fits / (counts + 1))


def _of_set(overlaps: NDArray[np.float64]) -> tuple[float, Right, float]:
    """IoU, right at each threshold, F1 of (n, m) overlaps with several true boxes."""
    if not len(overlaps):
        return 0.0, np.zeros(len(THRESHOLDS), dtype=bool), 0.0
    of_pairs = [float(overlaps[pair]) for pair in assigned(overlaps)]
    fit = math.fsum(of_pairs) / max(overlaps.shape)
    f1 = 2 * len(pairs_at(overlaps, THRESHOLDS[0])) / sum(overlaps.shape)
    square = overlaps.shape[0] == overlaps.shape[1]
    worst = min(of_pairs)  # pairs of another choice may all be right where one of the largest total is not
    right = [square and (worst >= each or len(pairs_at(overlaps, each)) == len(overlaps)) for each in THRESHOLDS]
    return fit, np.array(right, dtype=bool), f1


def pairs_at(overlaps: NDArray[np.float64], threshold: float) -> list[tuple[int, int]]:
    """The most pairs one to one that overlap by the threshold; of as many, those of the largest total."""
    fits = overlaps >= threshold
    return [pair for pair in assigned(fits * (min(overlaps.shape) + 1.0) + overlaps) if fits[pair]]


def giou(boxes_xyxy: Boxes, others_xyxy: Boxes) -> NDArray[np.float64]:
    """Generalised IoU of (n, 4) and (m, 4) boxes -> (n, m) in -1..1. Source: Rezatofighi et al., 2019."""
    low = np.minimum(boxes_xyxy[:, None, :2], others_xyxy[None, :, :2])
    high = np.maximum(boxes_xyxy[:, None, 2:], others_xyxy[None, :, 2:])
    hull, areas = (high - low).prod(axis=2), area(boxes_xyxy)[:, None] + area(others_xyxy)
    overlaps = iou(boxes_xyxy, others_xyxy)
    union = areas / (1 + overlaps)
    return overlaps - np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0)


def grec_right(boxes_xyxy: Boxes, true_xyxy: Boxes) -> bool:
    """Whether the F1 of an answer is 1 by the code of gRefCOCO: pairs are taken greedily by generalised IoU, from 0.5 on.

    Without true boxes an answer without boxes is right, whatever it says. Source: `grec_evaluate_f1_nacc` in GREC, SimVG and others.
    """
    if len(boxes_xyxy) != len(true_xyxy):
        return False
    fits = giou(boxes_xyxy, true_xyxy)
    for _ in range(len(fits)):
        row, column = np.unravel_index(np.argmax(fits), fits.shape)
        if fits[row, column] < THRESHOLDS[0]:
            return False
        fits[row], fits[:, column] = 0, 0
    return True


def counted(overlaps: NDArray[np.float64], several: Several) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of (n, m) overlaps of one answer: (n,) which boxes count, and which of them are true positives at IoU 0.5."""
    counts = np.ones(len(overlaps), dtype=bool)
    hits = np.zeros(len(overlaps), dtype=bool)
    if overlaps.shape[1] == 1 and len(overlaps):
        if several in ("first", "any"):
            counts[:] = False
            counts[0 if several == "first" else int(np.argmax(overlaps[:, 0]))] = True
        if several != "hungarian":
            return counts, counts & (overlaps[:, 0] >= THRESHOLDS[0])
    hits[[row for row, _ in pairs_at(overlaps, THRESHOLDS[0])]] = True
    return counts, hits


def fit_of_hits(hits: NDArray[np.bool_], several: Several, says_none: bool) -> tuple[bool, float]:
    """(right, F1) of one answer from (n, m): whether each of its n points is on each of the m targets. The rules are those of RULES."""
    count, wanted = hits.shape
    if not wanted:
        return says_none, float(says_none)
    if wanted == 1 and several in ("first", "any"):
        right = bool(hits[: 1 if several == "first" else None].any())
        return right, float(right)
    matched = sum(bool(hits[pair]) for pair in assigned(hits.astype(np.float64)))
    right = bool(count and hits.all()) if wanted == 1 and several == "all" else count == wanted == matched
    return right, 2 * matched / (count + wanted)
