"""pycocotools' order (equal scores by image id, then as listed): matches, and precision and recall as it accumulates them, bit by bit.

Precision is highest at a true positive, so only those are looked at: the n-th of a class reaches n of its objects, and the precision at a
recall is the highest of those from the first one that reaches it. Source: pycocotools `COCOeval.accumulate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .box_matching import IOU_THRESHOLDS, IS_CROWD, IS_FN, IS_FP, IS_NOT_COUNTED, IS_TP, exhaustive, looked_for, within_limit
from .close_pairs import Pairs, close_pairs, groups_of, members_of
from .ground_truth import Truth
from .precision_recall import RECALLS, points_of
from .tied_matching import AREAS_PX2, Found, chosen, false_does_not_count, find_matches, outside_of

AREA_RANGES = tuple(AREAS_PX2)  # borders at 32 x 32 and 96 x 96 px
Codes = NDArray[np.uint8]
LEVELS = len(IOU_THRESHOLDS)
EPSILON = np.spacing(1)  # pycocotools adds it to what it divides by: the first true positive has a precision a little under 1
Flags = NDArray[np.bool_]


class Listed(NamedTuple):
    """Matches at COCO's thresholds of the predictions that count, `kept` (N,) by index.

    `ignored` (A, G): objects that do not count. `no_false` (A, N): predictions that are not false without a match.
    """

    kept: NDArray[np.int64]
    found: Found
    ignored: NDArray[np.bool_]
    no_false: NDArray[np.bool_]


def near_pairs(truth: Truth, predictions: Predictions) -> Pairs:
    """The pairs that can match at any of COCO's thresholds."""
    return close_pairs(truth, predictions, IOU_THRESHOLDS[0])


def match_listed(
    truth: Truth, predictions: Predictions, limit: int, near: Pairs | None = None, areas: Sequence[str] = AREA_RANGES
) -> Listed:
    """Match the best scored predictions of each image and class (LVIS: image), at most `limit`. `near`: `near_pairs` of all."""
    near = near_pairs(truth, predictions) if near is None else near
    kept = np.flatnonzero(looked_for(truth, predictions) & within_limit(truth, predictions, limit))
    counted = chosen(predictions, kept)
    ignored, no_false = outside_of(truth.areas_px2, areas) | truth.is_crowd, false_does_not_count(truth, counted, areas)
    found = find_matches(truth, counted, IOU_THRESHOLDS, ignored, True, near.among(kept, len(predictions.scores)))
    return Listed(kept, found, ignored, no_false)


def listed_outcomes(truth: Truth, predictions: Predictions, limit: int, near: Pairs | None = None) -> tuple[Codes, Codes]:
    """`box_matching.outcomes` at IoU 0.5, several times as fast: of the ground truth's boxes, and of the predictions."""
    kept, found, ignored, _ = match_listed(truth, predictions, limit, near, ("all",))
    hits = np.flatnonzero(found.matched[0, 0] >= 0)
    hit = kept[np.concatenate([found.pairs.prediction, found.others[hits]])]
    matched = np.concatenate([found.pairs.object, found.matched[0, 0][hits]])
    true = ~ignored[0][matched]
    of_truth = np.where(truth.is_crowd, np.uint8(IS_CROWD), np.uint8(IS_FN))
    of_truth[matched[true]] = IS_TP
    known = looked_for(truth, predictions) & exhaustive(truth, predictions)
    of_predictions = np.where(known, np.uint8(IS_FP), np.uint8(IS_NOT_COUNTED))
    of_predictions[hit] = np.where(true, np.uint8(IS_TP), np.uint8(IS_CROWD))
    return of_truth, of_predictions


class _Line(NamedTuple):
    """Predictions one behind the other, by class and then by score, equal scores as they come.

    `order` (N,) sorts them; `ranks` (N,): the place of each in its image and class; `ends` (K,): where each class ends.
    """

    order: NDArray[np.int64]
    ranks: NDArray[np.int32]
    ends: NDArray[np.int64]


def accumulate_listed(
    truth: Truth, predictions: Predictions, listed: Listed, limits: Sequence[int], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision (T, 101, K, A) with the limit `most`, and recall (T, K, A, M) with each limit; -1 where there is nothing to find."""
    classes = len(truth.category_ids)
    line = _line(truth, chosen(predictions, listed.kept), classes)
    precision = np.full((LEVELS, len(RECALLS), classes, len(AREA_RANGES)), -1.0)
    recall = np.full((LEVELS, classes, len(AREA_RANGES), len(limits)), -1.0)
    for at, (ignored, no_false) in enumerate(zip(listed.ignored, listed.no_false, strict=True)):
        wanted = np.bincount(truth.category_index[~ignored], minlength=classes)
        some, needed = np.flatnonzero(wanted), _needed(wanted)
        part = _counting(line, listed.found, at, ignored, no_false)
        for level, (true, false) in enumerate(_outcomes(part.order, listed.found, at, ignored, no_false)):
            ranks = part.ranks[true]
            for number, limit in enumerate(limits):
                found = true if limit > ranks.max(initial=0) else true[ranks < limit]
                recall[level, some, at, number] = (_by_class(found, part.ends) / np.maximum(wanted, 1))[some]
            if most <= part.ranks.max(initial=0):
                true, false = true[ranks < most], false & (part.ranks < most)
            precision[level, :, some, at] = _curves(true, false, part.ends, needed)[some]
    return precision, recall


def _line(truth: Truth, counted: Predictions, classes: int) -> _Line:
    """All predictions that count."""
    order, groups = points_of(counted.category_index, counted.scores).order, groups_of(truth, counted)
    ranks, several = np.zeros(len(order), np.int32), np.flatnonzero(members_of(groups) > 1)
    several = several[np.lexsort((-counted.scores[several], groups[several]))]
    ranks[several] = np.arange(len(several)) - np.searchsorted(groups[several], groups[several], side="left")
    return _Line(order, ranks[order], np.cumsum(np.bincount(counted.category_index, minlength=classes)))


def _counting(line: _Line, found: Found, at: int, ignored: Flags, no_false: Flags) -> _Line:
    """Those that are true or false at some threshold of an area range."""
    either = ~no_false
    either[found.pairs.prediction[~ignored[found.pairs.object]]] = True
    either[found.others] = True
    if either.all():
        return line
    chosen_ = either[line.order]
    return _Line(line.order[chosen_], line.ranks[chosen_], np.append(0, np.cumsum(chosen_))[line.ends])


def _outcomes(order: NDArray[np.int64], found: Found, at: int, ignored: Flags, no_false: Flags) -> Iterator[tuple[NDArray, Flags]]:
    """At each threshold: where in the line the true positives are, and (N,) which ones are false."""
    matched, counts = (np.zeros(len(no_false), np.uint8) for _ in range(2))  # at how many thresholds, and by an object that counts
    matched[found.pairs.prediction] = found.levels
    counts[found.pairs.prediction] = np.where(ignored[found.pairs.object], 0, found.levels)
    places = np.full(len(no_false), -1)
    places[order] = np.arange(len(order))
    others, may_be, matched, counts = places[found.others], ~no_false[order], matched[order], counts[order]
    for level, objects in enumerate(found.matched[at]):
        true, false = counts > level, may_be & (matched <= level)
        true[others] = (objects >= 0) & ~ignored[objects]
        false[others] &= objects < 0
        yield np.flatnonzero(true), false


def _by_class(places: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """(K,) how many of some places in the line, in order, each class has."""
    return np.diff(np.searchsorted(places, ends), prepend=0)


def _needed(wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """(K, 101) how many objects a class must find to reach each recall: at least 1."""
    objects = np.maximum(wanted, 1)[:, None]
    fewest = np.maximum((RECALLS * objects).astype(np.int64) - 1, 1)
    return fewest + sum((fewest + more) / objects < RECALLS for more in range(3))


def _curves(true: NDArray[np.int64], false: Flags, ends: NDArray[np.int64], needed: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, 101) precision at each recall, 0 where it is not reached. `true`: the places of the true positives in the line."""
    found = _by_class(true, ends)
    firsts, before = np.cumsum(found) - found, np.append(0, np.cumsum(false, dtype=np.int32))
    ranks = np.arange(1, len(true) + 1) - np.repeat(firsts, found)
    wrong = before[true] - np.repeat(before[np.append(0, ends[:-1])], found)
    precision = ranks / (wrong + ranks + EPSILON)
    reached = needed <= found[:, None]
    curves = np.zeros(needed.shape)
    if len(true):
        curves[reached] = np.maximum.reduceat(precision, (firsts[:, None] + needed - 1)[reached])
    return np.maximum.accumulate(curves[:, ::-1], axis=1)[:, ::-1]
