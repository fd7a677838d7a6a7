"""COCO's greedy matching within a class, whose result depends on no order: not of images, rows, boxes, annotations or ids.

Predictions match from the highest score down. Of equal scores in an image and class the one with the higher best IoU matches first, then by
coordinates; objects of equal IoU are taken by coordinates. Without equal scores and equal IoUs the result is that of pycocotools.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.coco_columns import LARGEST_AREA_PX2

from .answers.to_boxes import Predictions
from .box_matching import (
    IOU_THRESHOLD,
    IOU_THRESHOLDS,
    IS_CROWD,
    IS_FN,
    IS_FP,
    IS_NOT_COUNTED,
    IS_TP,
    default_limit,
    exhaustive,
    looked_for,
    within_limit,
)
from .ground_truth import Truth

AREAS_PX2 = {"all": (0.0, LARGEST_AREA_PX2), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, LARGEST_AREA_PX2)}
PAIRS_AT_ONCE = 1 << 20


class Matches(NamedTuple):
    """Outcomes (A, T, N) of predictions by area range and threshold: IS_FP, IS_TP or IS_NOT_COUNTED.

    `truth` (A, T, N): the index of the matched object, -1 without. `objects` (A, G): whether an object counts, which a crowd box and one of
    another size do not.
    """

    outcomes: NDArray[np.uint8]
    truth: NDArray[np.int32]
    objects: NDArray[np.bool_]


class Pairs(NamedTuple):
    """Predictions and objects of one image and class, by index, and their IoU."""

    prediction: NDArray[np.int64]
    object: NDArray[np.int64]
    iou: NDArray[np.float64]

    def take(self, chosen: NDArray) -> Pairs:
        return Pairs(*(column[chosen] for column in self))


def counting(truth: Truth, predictions: Predictions, max_detections: int | None = None) -> NDArray[np.int64]:
    """The indices of the predictions that count: of classes that were looked for, and in the limit of an image and class (LVIS: image).

    Of equal scores at the limit those that fit worst count: the lowest best IoU, then by coordinates.
    """
    known = np.flatnonzero(looked_for(truth, predictions)) if truth.federated is not None else np.arange(len(predictions.scores))
    limit = max_detections or default_limit(truth)
    groups = predictions.image_index if truth.federated is not None else groups_of(truth, predictions)
    if len(groups) == 0 or np.unique(groups, return_counts=True)[1].max() <= limit:
        return known
    x, y, width, height = predictions.boxes_xywh_px.T
    names = name_ranks(truth)[predictions.category_index]
    order = np.lexsort((height, width, y, x, names, _best_iou(truth, predictions), -predictions.scores, groups))
    rank = np.arange(len(order)) - np.searchsorted(groups[order], groups[order], side="left")
    kept = np.zeros(len(order), dtype=bool)
    kept[order[rank < limit]] = True
    return known[kept[known]]


def _best_iou(truth: Truth, predictions: Predictions) -> NDArray[np.float64]:
    """(N,) the highest IoU with an object of the image and class other than crowds; 0 below 0.5, where nothing matches."""
    pairs = close_pairs(truth, predictions, IOU_THRESHOLD)
    pairs = pairs.take(np.flatnonzero(~truth.is_crowd[pairs.object]))
    best = np.zeros(len(predictions.scores))
    np.maximum.at(best, pairs.prediction, pairs.iou)
    return best


def name_ranks(truth: Truth) -> NDArray[np.int64]:
    """(K,) the place of each class by name, which does not depend on ids."""
    return np.argsort(np.argsort(np.array(truth.category_names, dtype=object), kind="stable"), kind="stable")


def chosen(predictions: Predictions, indices: NDArray) -> Predictions:
    """Some of the predictions."""
    columns = predictions.image_index, predictions.category_index, predictions.boxes_xywh_px, predictions.scores
    return Predictions(*(column[indices] for column in columns))


def of_one_class(truth: Truth, predictions: Predictions) -> tuple[Truth, Predictions]:
    """The same boxes, all of one class."""
    one = replace(truth, category_ids=[1], category_names=["object"], category_index=np.zeros_like(truth.category_index), federated=None)
    return one, replace(predictions, category_index=np.zeros_like(predictions.category_index))


def groups_of(truth: Truth, boxes: Truth | Predictions) -> NDArray[np.int64]:
    """(N,) one number for each image and class."""
    return boxes.image_index * max(len(truth.category_ids), 1) + boxes.category_index


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
    ranges = np.array([AREAS_PX2[area] for area in areas])
    matched = np.full(shape, -1, dtype=np.int32)
    pairs, ends = ranked_pairs(truth, predictions, min(thresholds, default=1.0), as_listed)
    outside = (truth.areas_px2 < ranges[:, :1]) | (truth.areas_px2 > ranges[:, 1:])
    ignored = outside | truth.is_crowd
    least = np.minimum(np.array(thresholds), 1 - 1e-10)[:, None]
    for number in range(len(areas)):
        _match_by_rank(pairs, ends, least, ignored[number], truth.is_crowd, matched[number])
    areas_px2 = predictions.boxes_xywh_px[:, 2] * predictions.boxes_xywh_px[:, 3]
    no_false = (areas_px2 < ranges[:, :1]) | (areas_px2 > ranges[:, 1:]) | ~exhaustive(truth, predictions)
    unmatched = np.where(no_false, np.uint8(IS_NOT_COUNTED), np.uint8(IS_FP))[:, None, :]
    of_objects = np.where(ignored, np.uint8(IS_NOT_COUNTED), np.uint8(IS_TP))
    outcomes = np.empty(shape, dtype=np.uint8)
    for number in range(len(areas)):
        found = of_objects[number][matched[number]] if len(truth.is_crowd) else unmatched[number]
        outcomes[number] = np.where(matched[number] >= 0, found, unmatched[number])
    return Matches(outcomes, matched, ~ignored)


def listed_outcomes(truth: Truth, predictions: Predictions, limit: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`box_matching.outcomes` at IoU 0.5, several times as fast: of the ground truth's boxes, and of the predictions."""
    known, within = looked_for(truth, predictions), within_limit(truth, predictions, limit)
    kept = np.flatnonzero(known & within)
    found = match(truth, chosen(predictions, kept), [IOU_THRESHOLD], as_listed=True)
    codes, matched = found.outcomes[0, 0], found.truth[0, 0]
    of_truth = np.where(truth.is_crowd, np.uint8(IS_CROWD), np.uint8(IS_FN))
    of_truth[matched[codes == IS_TP]] = IS_TP
    of_predictions = np.where(known & exhaustive(truth, predictions), np.uint8(IS_FP), np.uint8(IS_NOT_COUNTED))
    hit = np.flatnonzero(matched >= 0)
    of_predictions[kept[hit]] = np.where(codes[hit] == IS_TP, np.uint8(IS_TP), np.uint8(IS_CROWD))
    return of_truth, of_predictions


def ranked_pairs(truth: Truth, predictions: Predictions, least_iou: float, as_listed: bool = False) -> tuple[Pairs, list[int]]:
    """(the pairs of at least this IoU, where each rank ends). The n-th predictions of all images and classes are of rank n.

    Pairs of a rank are grouped by prediction, those of a prediction ordered by IoU upwards, then by coordinates of the object or,
    `as_listed`, by its place.
    """
    found = close_pairs(truth, predictions, min(least_iou, 1 - 1e-10))
    if not len(found.iou):
        return found, []
    first = np.flatnonzero(np.diff(found.prediction, prepend=-1))
    ranks = _ranks(truth, predictions, found.prediction[first], None if as_listed else np.maximum.reduceat(found.iou, first))
    counts = np.diff(first, append=len(found.iou))
    ordered = np.repeat((counts == 1) & (ranks == 0), counts)  # as nearly all are: not sorted, for speed
    ranks = np.repeat(ranks, counts)
    rest = np.flatnonzero(~ordered)
    objects = found.object[rest]
    x, y, width, height = truth.boxes_xywh_px[objects].T
    own = (objects,) if as_listed else (truth.is_crowd[objects], height, width, y, x)
    rest = rest[np.lexsort((*own, found.iou[rest], found.prediction[rest], ranks[rest]))]
    return found.take(np.concatenate([np.flatnonzero(ordered), rest])), np.cumsum(np.bincount(ranks)).tolist()


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


def close_pairs(truth: Truth, predictions: Predictions, least_iou: float) -> Pairs:
    """All pairs of at least this IoU within an image and class; of a crowd box IoU is over the prediction's area, as in COCO."""
    wanted = groups_of(truth, truth)
    order = np.argsort(wanted, kind="stable")
    groups = groups_of(truth, predictions)
    starts, stops = (np.searchsorted(wanted[order], groups, side=side) for side in ("left", "right"))
    counts = stops - starts
    found = [Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for part in _blocks(counts):
        prediction = np.repeat(np.arange(part.start, part.stop), counts[part])
        within = np.arange(len(prediction)) - np.repeat(np.cumsum(counts[part]) - counts[part], counts[part])
        pairs = Pairs(prediction, order[starts[prediction] + within], np.empty(0))
        iou = paired_iou(predictions.boxes_xywh_px[pairs.prediction], truth.boxes_xywh_px[pairs.object], truth.is_crowd[pairs.object])
        found.append(pairs._replace(iou=iou).take(np.flatnonzero(iou >= least_iou)))
    return Pairs(*map(np.concatenate, zip(*found, strict=True)))


def _blocks(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Slices of predictions with about PAIRS_AT_ONCE pairs."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, before + PAIRS_AT_ONCE, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def paired_iou(boxes_xywh: NDArray[np.float64], others_xywh: NDArray[np.float64], crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) IoU of boxes in pairs, computed as pycocotools does; of a crowd box over the area of the first box."""
    x, y, width, height = boxes_xywh.T
    other_x, other_y, other_width, other_height = others_xywh.T
    shared = np.maximum(np.minimum(x + width, other_x + other_width) - np.maximum(x, other_x), 0)
    shared *= np.maximum(np.minimum(y + height, other_y + other_height) - np.maximum(y, other_y), 0)
    own = width * height
    union = np.where(crowd, own, own + other_width * other_height - shared)
    return np.divide(shared, union, out=np.zeros(len(shared)), where=shared > 0)


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
