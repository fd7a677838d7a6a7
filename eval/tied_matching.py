"""COCO's greedy matching within a class, whose result depends on no order: not of images, rows, boxes, annotations or ids.

Predictions match from the highest score down. Of equal scores in an image and class the one with the higher best IoU matches first, then by
coordinates; objects of equal IoU are taken by coordinates. Without equal scores and equal IoUs the result is that of pycocotools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.coco_columns import LARGEST_AREA_PX2

from .answers.to_boxes import Predictions
from .box_matching import (
    IOU_THRESHOLD,
    IOU_THRESHOLDS,
    IS_FP,
    IS_NOT_COUNTED,
    IS_TP,
    default_limit,
    exhaustive,
    looked_for,
    most_members,
)
from .close_pairs import Pairs, close_pairs, groups_of, members_of
from .ground_truth import Truth

AREAS_PX2 = {"all": (0.0, LARGEST_AREA_PX2), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, LARGEST_AREA_PX2)}
NEARLY_ONE = 1 - 1e-10  # as COCO takes an IoU threshold of 1


class Matches(NamedTuple):
    """Outcomes (A, T, N) of predictions by area range and threshold: IS_FP, IS_TP or IS_NOT_COUNTED.

    `truth` (A, T, N): the index of the matched object, -1 without. `objects` (A, G): whether an object counts, which a crowd box and one of
    another size do not.
    """

    outcomes: NDArray[np.uint8]
    truth: NDArray[np.int32]
    objects: NDArray[np.bool_]


def counting(truth: Truth, predictions: Predictions, max_detections: int | None = None, near: Pairs | None = None) -> NDArray[np.int64]:
    """The indices of the predictions that count: of classes that were looked for, and in the limit of an image and class (LVIS: image).

    Of equal scores at the limit those that fit worst count: the lowest best IoU, then by coordinates. `near`: the pairs of at least
    IoU 0.5, where they are known.
    """
    known = np.flatnonzero(looked_for(truth, predictions)) if truth.federated is not None else np.arange(len(predictions.scores))
    limit = max_detections or default_limit(truth)
    groups = predictions.image_index if truth.federated is not None else groups_of(truth, predictions)
    if most_members(groups) <= limit:
        return known
    full = np.flatnonzero(members_of(groups) > limit)
    pairs = close_pairs(truth, chosen(predictions, full), IOU_THRESHOLD) if near is None else near.among(full, len(predictions.scores))
    part, groups = chosen(predictions, full), groups[full]
    x, y, width, height = part.boxes_xywh_px.T
    names = name_ranks(truth)[part.category_index]
    order = np.lexsort((height, width, y, x, names, _best_iou(truth, len(full), pairs), -part.scores, groups))
    rank = np.arange(len(order)) - np.searchsorted(groups[order], groups[order], side="left")
    kept = np.ones(len(predictions.scores), dtype=bool)
    kept[full[order[rank >= limit]]] = False
    return known[kept[known]]


def _best_iou(truth: Truth, count: int, pairs: Pairs) -> NDArray[np.float64]:
    """(N,) the highest IoU with an object of the image and class other than crowds; 0 below 0.5, where nothing matches."""
    pairs = pairs.take(np.flatnonzero(~truth.is_crowd[pairs.object]))
    best = np.zeros(count)
    np.maximum.at(best, pairs.prediction, pairs.iou)
    return best


def name_ranks(truth: Truth) -> NDArray[np.int64]:
    """(K,) the place of each class by name, which does not depend on ids."""
    return np.argsort(np.argsort(np.array(truth.category_names, dtype=object), kind="stable"), kind="stable")


def chosen(predictions: Predictions, indices: NDArray) -> Predictions:
    """Some of the predictions, by index and in order."""
    if len(indices) == len(predictions.scores):
        return predictions
    columns = predictions.image_index, predictions.category_index, predictions.boxes_xywh_px, predictions.scores
    return Predictions(*(column[indices] for column in columns))


def of_one_class(truth: Truth, predictions: Predictions) -> tuple[Truth, Predictions]:
    """The same boxes, all of one class."""
    one = replace(truth, category_ids=[1], category_names=["object"], category_index=np.zeros_like(truth.category_index), federated=None)
    return one, replace(predictions, category_index=np.zeros_like(predictions.category_index))


class Found(NamedTuple):
    """What each prediction near an object matches. All others match nothing.

    `pairs`: predictions and objects that are near to each other and to nothing else, which match at each threshold up to their IoU, in any
    order: `levels` (S,) says at how many of ascending thresholds. `others` (R,): the other predictions, `matched` (A, T, R): the index of
    the object of each, -1 without.
    """

    pairs: Pairs
    levels: NDArray[np.int64]
    others: NDArray[np.int64]
    matched: NDArray[np.int32]


def outside_of(areas_px2: NDArray[np.float64], areas: Sequence[str]) -> NDArray[np.bool_]:
    """(A, N) whether each area is outside each range of AREAS_PX2."""
    ranges = np.array([AREAS_PX2[area] for area in areas])
    return (areas_px2 < ranges[:, :1]) | (areas_px2 > ranges[:, 1:])


def false_does_not_count(truth: Truth, predictions: Predictions, areas: Sequence[str]) -> NDArray[np.bool_]:
    """(A, N) whether a prediction without a match is not false: of another size, or of a class that is not annotated exhaustively."""
    outside = outside_of(predictions.boxes_xywh_px[:, 2] * predictions.boxes_xywh_px[:, 3], areas)
    return outside if truth.federated is None else outside | ~exhaustive(truth, predictions)


def find_matches(
    truth: Truth,
    predictions: Predictions,
    thresholds: Sequence[float],
    ignored: NDArray[np.bool_],
    as_listed: bool = False,
    near: Pairs | None = None,
) -> Found:
    """Match predictions, all of which count, with the objects that are ignored (A, G) in each area range. `near`: their pairs from the
    lowest threshold on, where they are known."""
    least = np.minimum(np.array(thresholds), NEARLY_ONE)
    found = close_pairs(truth, predictions, min(least, default=NEARLY_ONE)) if near is None else near
    first = np.flatnonzero(np.diff(found.prediction, prepend=-1))
    single = np.repeat(np.diff(first, append=len(found.iou)) == 1, np.diff(first, append=len(found.iou)))
    single &= np.bincount(found.object, minlength=len(truth.is_crowd))[found.object] == 1
    pairs, rest = found.take(np.flatnonzero(single)), found.take(np.flatnonzero(~single))
    others, local = np.unique(rest.prediction, return_inverse=True)
    matched = np.full((len(ignored), len(least), len(others)), -1, dtype=np.int32)
    if len(others):
        ranked, ends = _ranked(truth, predictions, rest._replace(prediction=local), others, as_listed)
        for number, of_area in enumerate(ignored):
            _match_by_rank(ranked, ends, least[:, None], of_area, truth.is_crowd, matched[number])
    return Found(pairs, np.searchsorted(np.sort(least), pairs.iou, side="right"), others, matched)


def match(
    truth: Truth,
    predictions: Predictions,
    thresholds: Sequence[float] = tuple(IOU_THRESHOLDS),
    areas: Sequence[str] = ("all",),
    as_listed: bool = False,
) -> Matches:
    """Match predictions, all of which count, at each threshold and in each area range of AREAS_PX2.

    `as_listed`: equal scores and equal IoUs in the order of predictions and objects, as pycocotools takes them.
    """
    shape = len(areas), len(thresholds), len(predictions.scores)
    ignored = outside_of(truth.areas_px2, areas) | truth.is_crowd
    found = find_matches(truth, predictions, thresholds, ignored, as_listed)
    matched = np.full(shape, -1, dtype=np.int32)
    enough = found.pairs.iou >= np.minimum(np.array(thresholds), NEARLY_ONE)[:, None]
    matched[:, :, found.pairs.prediction] = np.where(enough, found.pairs.object, -1)
    matched[:, :, found.others] = found.matched
    unmatched = np.where(false_does_not_count(truth, predictions, areas), np.uint8(IS_NOT_COUNTED), np.uint8(IS_FP))[:, None, :]
    of_objects = np.where(ignored, np.uint8(IS_NOT_COUNTED), np.uint8(IS_TP))
    outcomes = np.empty(shape, dtype=np.uint8)
    for number in range(len(areas)):
        codes = of_objects[number][matched[number]] if len(truth.is_crowd) else unmatched[number]
        outcomes[number] = np.where(matched[number] >= 0, codes, unmatched[number])
    return Matches(outcomes, matched, ~ignored)


def _ranked(truth: Truth, predictions: Predictions, found: Pairs, having: NDArray[np.int64], as_listed: bool) -> tuple[Pairs, list[int]]:
    """(the pairs by rank, where each rank ends). The n-th predictions of all images and classes are of rank n.

    `found` counts predictions as `having` lists them. Pairs of a rank are grouped by prediction, those of one ordered by IoU
    upwards, then by coordinates of the object or, `as_listed`, by its place.
    """
    first = np.flatnonzero(np.diff(found.prediction, prepend=-1))
    ranks = _ranks(truth, predictions, having, None if as_listed else np.maximum.reduceat(found.iou, first))[found.prediction]
    x, y, width, height = truth.boxes_xywh_px[found.object].T
    own = (found.object,) if as_listed else (truth.is_crowd[found.object], height, width, y, x)
    return found.take(np.lexsort((*own, found.iou, found.prediction, ranks))), np.cumsum(np.bincount(ranks)).tolist()


def _ranks(truth: Truth, predictions: Predictions, having: NDArray[np.int64], best_iou: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """(N,) the place of each of these predictions among those of its image and class; as listed where `best_iou` is None."""
    groups = groups_of(truth, predictions)[having]
    order = np.argsort(groups, kind="stable")
    same = np.diff(groups[order]) == 0
    shared = np.sort(order[np.append(same, False) | np.insert(same, 0, False)])
    x, y, width, height = predictions.boxes_xywh_px[having[shared]].T
    own = (having[shared],) if best_iou is None else (height, width, y, x, -best_iou[shared])
    shared = shared[np.lexsort((*own, -predictions.scores[having[shared]], groups[shared]))]
    ranks = np.zeros(len(having), dtype=np.int64)
    ranks[shared] = np.arange(len(shared)) - np.searchsorted(groups[shared], groups[shared], side="left")
    return ranks


def _match_by_rank(
    pairs: Pairs, ends: list[int], least: NDArray[np.float64], ignored: NDArray[np.bool_], crowd: NDArray[np.bool_], out: NDArray[np.int32]
) -> None:
    """Write the matched object of each prediction into `out` (T, N): the best free one that counts, else the best ignored one."""
    taken = np.zeros((len(least), len(ignored)), dtype=bool)
    start = 0
    for end in ends:
        part = pairs.take(slice(start, end))
        start = end
        first = np.flatnonzero(np.diff(part.prediction, prepend=-1))
        place = np.arange(len(part.iou), dtype=np.int64)
        key = np.where(ignored[part.object], place, place + len(place))  # what counts is before what is ignored
        free = (part.iou >= least) & ~taken[:, part.object]
        best = np.maximum.reduceat(np.where(free, key, -1), first, axis=1)  # (T, predictions)
        level, column = np.nonzero(best >= 0)
        found = part.object[best[level, column] % len(place)]
        out[level, part.prediction[first][column]] = found
        single = ~crowd[found]
        taken[level[single], found[single]] = True
