"""Rewards of a single answer, each from 0 to 1 and by the evaluator's own reading and matching: `det_map`, `rec_iou`, `box_format`.

An unreadable answer has 0 in all of them, and so has one that was truncated before its first box.
"""

from __future__ import annotations

import numpy as np

from groundswift.boxes import as_boxes, iou
from groundswift.grammars.registry import grammar_of
from groundswift.spaces import space_row

from ..answers.protocol import Rules
from ..assignment import assigned
from ..tied_ap import tied_ap
from .one_answer import OneTruth, is_no_answer, read_one, truth_and_predictions


def det_map(text: str, truth: OneTruth, rules: Rules, truncated: bool = False) -> float:
    """AP at IoU 0.50 to 0.95 of the answer's boxes as one set: the mean over the classes of the image and those of the answer.

    All boxes of a class have one confidence, so AP is `tied_ap`: no order of the boxes changes it. A class that is not in the image has 0.
    Without objects an answer without boxes has 1, any other 0.
    """
    found = truth_and_predictions(text, truth, rules, truncated)
    if found is None:
        return 0.0
    known, predictions = found
    if len(known.image_index) == 0:
        return float(len(predictions.scores) == 0)
    present = np.union1d(known.category_index, predictions.category_index)
    return float(np.nan_to_num(tied_ap(known, predictions)[:, present]).mean())


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
