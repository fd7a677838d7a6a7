"""Rewards of a single answer, each from 0 to 1 and by the evaluator's own reading and matching: `det_map`, `rec_iou`, `box_format`.

An unreadable answer has 0 in all of them, and so has one that was truncated before its first box.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import as_boxes, iou
from groundswift.grammars.registry import grammar_of
from groundswift.spaces import space_row

from ..answers.protocol import Rules
from ..answers.to_boxes import Predictions
from ..assignment import assigned
from ..box_matching import IOU_THRESHOLDS, IS_TP, outcomes
from ..ground_truth import Truth
from .one_answer import OneTruth, is_no_answer, read_one, truth_and_predictions

RECALLS = 101  # COCO's


def det_map(text: str, truth: OneTruth, rules: Rules, truncated: bool = False) -> float:
    """AP at IoU 0.50 to 0.95 of the answer's boxes as one set: the mean over the classes of the image and those of the answer.

    All boxes of a class have one confidence, so each class and threshold has one operating point: AP is its precision at each of COCO's 101
    recalls that it reaches, which is COCO's AP with the wrong boxes first. A class that is not in the image has 0. Without objects an
    answer without boxes has 1, any other 0.
    """
    found = truth_and_predictions(text, truth, rules, truncated)
    if found is None:
        return 0.0
    known, predictions = found
    if len(known.image_index) == 0:
        return float(len(predictions.scores) == 0)
    matched = outcomes(known, predictions, iou_thresholds=IOU_THRESHOLDS.tolist())
    return float(np.mean([_ap_of_classes(known, predictions, of_predictions == IS_TP) for _, of_predictions in matched]))


def _ap_of_classes(truth: Truth, predictions: Predictions, right: NDArray[np.bool_]) -> float:
    """The mean AP of the classes of truth and predictions at one threshold, at which the predictions in `right` match."""
    count = len(truth.category_ids)
    objects, boxes, matched = (
        np.bincount(numbers, minlength=count)
        for numbers in (truth.category_index, predictions.category_index, predictions.category_index[right])
    )
    present = objects + boxes > 0
    precision = np.divide(matched, boxes, out=np.zeros(count), where=boxes > 0)
    reached = np.divide(matched * (RECALLS - 1), objects, out=np.zeros(count), where=objects > 0)
    return float(np.mean((precision * (np.floor(reached) + 1) / RECALLS)[present]))


def rec_iou(text: str, truth: OneTruth, rules: Rules, truncated: bool = False) -> float:
    """IoU of the first box with the one of the truth, labels ignored, as `mean_iou` of `groundswift eval referring`.

    Of several true boxes: the greatest sum of IoU of an assignment, one to one, over the number of boxes of the truth or of the answer,
    whichever is greater. Without a true box an answer without boxes has 1, any other 0.
    """
    reader = read_one(text, truth.size_wh, rules, truncated)
    boxes, true_boxes = reader.bare_answers().boxes_xyxy_px[0], as_boxes(truth.boxes_xyxy_px)
    if is_no_answer(reader, boxes):
        return 0.0
    if not len(true_boxes) or not len(boxes):
        return float(len(true_boxes) == len(boxes))
    overlaps = iou(boxes[:1] if len(true_boxes) == 1 else boxes, true_boxes)
    return float(sum(overlaps[pair] for pair in assigned(overlaps)) / max(overlaps.shape))


def box_format(text: str, truth: OneTruth, rules: Rules, truncated: bool = False) -> float:
    """1 for an answer that has boxes, or says that there are none, in the family's own form, without any parse warning; else 0.

    Whether they are right does not matter. An answer of blanks has 0, and so has one truncated at its token limit, or with points.
    """
    answer = grammar_of(rules.family).parse(text, space_row(rules.space_name).largest)
    whole = answer.status in ("ok", "empty") and not truncated and text.strip()
    return float(bool(whole) and not answer.reasons and all(located.box is not None for located in answer.objects))
