"""Predictions and objects of one image and class that overlap: the pairs that matching looks at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .ground_truth import Truth

PAIRS_AT_ONCE = 1 << 20
SPARSE = 16  # numbers of groups that are so many times the members are sorted in place of counted


class Pairs(NamedTuple):
    """Predictions and objects of one image and class, by index, and their IoU."""

    prediction: NDArray[np.int64]
    object: NDArray[np.int64]
    iou: NDArray[np.float64]

    def take(self, chosen: NDArray) -> Pairs:
        return Pairs(*(column[chosen] for column in self))

    def among(self, kept: NDArray[np.int64], count: int) -> Pairs:
        """Those of some of `count` predictions, which are then numbered by their place in `kept`."""
        if len(kept) == count:
            return self
        places = np.full(count, -1)
        places[kept] = np.arange(len(kept))
        found = self._replace(prediction=places[self.prediction])
        return found.take(np.flatnonzero(found.prediction >= 0))


def groups_of(truth: Truth, boxes: Truth | Predictions) -> NDArray[np.int64]:
    """(N,) one number for each image and class."""
    return boxes.image_index * max(len(truth.category_ids), 1) + boxes.category_index


def members_of(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) how many members the group of each has."""
    if len(groups) == 0 or groups.max() >= SPARSE * len(groups):
        _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
        return counts[inverse]
    return np.bincount(groups)[groups]


def places_in(wanted: NDArray[np.int64], groups: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) where the group of each starts among the sorted groups `wanted`, and how many of these there are. Groups are below `most`."""
    if most > SPARSE * (len(wanted) + len(groups)):
        starts, stops = (np.searchsorted(np.sort(wanted), groups, side=side) for side in ("left", "right"))
        return starts, stops - starts
    counts = np.bincount(wanted, minlength=most)
    return (np.cumsum(counts) - counts)[groups], counts[groups]


def close_pairs(truth: Truth, predictions: Predictions, least_iou: float) -> Pairs:
    """All pairs of at least this IoU within an image and class; of a crowd box IoU is over the prediction's area, as in COCO."""
    wanted = groups_of(truth, truth)
    order = np.argsort(wanted, kind="stable")
    groups = groups_of(truth, predictions)
    starts, counts = places_in(wanted, groups, len(truth.image_ids) * max(len(truth.category_ids), 1))
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
