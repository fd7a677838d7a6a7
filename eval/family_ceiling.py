"""The AP that perfect answers reach: the ground truth in the numbers of a family, rounded as the family writes them, scored as any answer.

No text is made: tests/eval/test_family_ceiling.py compares with the text that the family writes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, clipped, exact_repeats, xywh_to_xyxy, xyxy_to_xywh
from groundswift.errors import GroundswiftError
from groundswift.family import family_row
from groundswift.spaces import space_row, written

from .answers.placement import place_boxes, resized_wh_of_boxes
from .answers.protocol import Rules
from .answers.to_boxes import Predictions
from .box_matching import IOU_THRESHOLDS, IS_FP, IS_TP
from .ground_truth import Truth
from .precision_recall import average_precision, exact_mean, points_of
from .tied_matching import chosen, counting, match


class Perfect(NamedTuple):
    """Perfect predictions, and for each the index of its object in the ground truth."""

    predictions: Predictions
    truth_index: NDArray[np.int64]


def perfect_answers(truth: Truth, rules: Rules) -> Perfect:
    """Every object but the crowds, as the family writes it and as it is then placed.

    What rounds to no area, and exact duplicates, are dropped as in any answer. Raises GroundswiftError for an image that cannot be resized
    as the rules say.
    """
    objects = np.flatnonzero(~truth.is_crowd)
    objects = objects[np.argsort(truth.image_index[objects], kind="stable")]
    images, categories = truth.image_index[objects], truth.category_index[objects]
    sizes = truth.sizes_wh[images]
    boxes = clipped(xywh_to_xyxy(truth.boxes_xywh_px[objects]), sizes)

    def name(index: int) -> str:
        return f"image {truth.image_ids[index]}"

    resized = resized_wh_of_boxes(images, truth.sizes_wh, rules, name)
    numbers = written(boxes, space_row(rules.space_name), sizes, resized)
    placed = place_boxes(numbers, images, truth.sizes_wh, rules, name)
    kept = placed.has_area & ~exact_repeats((images, categories), placed.boxes_xyxy_px)
    found = Predictions(images[kept], categories[kept], xyxy_to_xywh(placed.boxes_xyxy_px[kept]), np.ones(int(kept.sum())))
    return Perfect(found, objects[kept])


def ceiling(truth: Truth, rules: Rules, max_detections: int | None = None) -> float | None:
    """AP of perfect answers in any order, `AP_ties`, several times as fast; None where it is undefined or cannot be computed."""
    if not family_row(rules.family).boxes:
        return None
    try:
        perfect = perfect_answers(truth, rules)
    except GroundswiftError:  # an image that the family cannot take: no row of the result has needed it
        return None
    counted = counting(truth, perfect.predictions, max_detections)
    perfect = Perfect(chosen(perfect.predictions, counted), perfect.truth_index[counted])
    points, codes = points_of(perfect.predictions.category_index, perfect.predictions.scores), _outcomes(truth, perfect)
    wanted = np.bincount(truth.category_index[~truth.is_crowd], minlength=len(truth.category_ids))
    return exact_mean(average_precision(points, codes == IS_TP, codes == IS_FP, wanted))


def ceiling_line(ap: float | None, most: float, rules: Rules) -> str:
    """AP next to its ceiling, for the terminal."""
    reached = "-" if ap is None else f"{ap:.3f}"
    return f" AP {reached} of at most {most:.3f}, which perfect answers reach in the numbers of {rules.family} ({rules.space_name})"


def _outcomes(truth: Truth, perfect: Perfect) -> NDArray[np.uint8]:
    """(thresholds, N) outcomes of perfect predictions.

    Where every prediction of an image and class overlaps its own object the most, it matches that or none. Only other groups are matched.
    """
    found, classes = perfect.predictions, max(len(truth.category_ids), 1)
    own = _iou(found.boxes_xywh_px, truth.boxes_xywh_px[perfect.truth_index])
    codes = np.where(own >= IOU_THRESHOLDS[:, None], np.uint8(IS_TP), np.uint8(IS_FP))
    groups, true_groups = found.image_index * classes + found.category_index, truth.image_index * classes + truth.category_index
    mixed = [_mixed_groups(truth, perfect, own, groups, true_groups), true_groups[truth.is_crowd]]
    if truth.federated is not None:  # what is false does not always count
        mixed.append(groups[own < IOU_THRESHOLDS[-1]])
    mixed_groups = np.concatenate(mixed)
    mixed_up = np.flatnonzero(np.isin(groups, mixed_groups))
    if len(mixed_up):
        part = _with_boxes(truth, np.isin(true_groups, mixed_groups))
        codes[:, mixed_up] = match(part, chosen(found, mixed_up)).outcomes[0]
    return codes


def _iou(boxes_xywh: Boxes, others_xywh: Boxes) -> NDArray[np.float64]:
    """IoU of (N, 4) boxes with (N, 4) others, one to one, to the last bit as COCO computes it: some are at a threshold."""
    low, high = (np.maximum, np.minimum)
    ends, other_ends = boxes_xywh[:, :2] + boxes_xywh[:, 2:], others_xywh[:, :2] + others_xywh[:, 2:]
    sides = np.clip(high(ends, other_ends) - low(boxes_xywh[:, :2], others_xywh[:, :2]), 0, None)
    shared = sides[:, 0] * sides[:, 1]
    return shared / (boxes_xywh[:, 2] * boxes_xywh[:, 3] + others_xywh[:, 2] * others_xywh[:, 3] - shared)


def _with_boxes(truth: Truth, kept: NDArray[np.bool_]) -> Truth:
    """The ground truth with a part of its boxes and all of its images and classes."""
    columns = ("image_index", "category_index", "boxes_xywh_px", "areas_px2", "is_crowd")
    return replace(truth, **{name: getattr(truth, name)[kept] for name in columns})


def _mixed_groups(
    truth: Truth, perfect: Perfect, own: NDArray[np.float64], groups: NDArray[np.int64], true_groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The groups where a prediction overlaps another object at least as much as its own."""
    order = np.argsort(true_groups, kind="stable")
    first, end = (np.searchsorted(true_groups[order], groups, side=side) for side in ("left", "right"))
    counts = end - first
    several = np.flatnonzero(counts > 1)
    counts, first = counts[several], first[several]
    mine = np.repeat(several, counts)
    other = order[np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)]
    differs = other != perfect.truth_index[mine]
    mine, other = mine[differs], other[differs]
    theirs = _iou(perfect.predictions.boxes_xywh_px[mine], truth.boxes_xywh_px[other])
    return groups[mine[(theirs >= own[mine]) & (theirs >= IOU_THRESHOLDS[0])]]
