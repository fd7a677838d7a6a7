"""F1 of one answer to one image, as the report gives it for each image: the measure of a single sample, for rewards.

COCO's greedy matching within a class. Means over no images: an image without objects and a readable answer without boxes has 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groundswift.boxes import area, xyxy_to_xywh
from groundswift.grammars.registry import grammar_of
from groundswift.spaces import space_row

from ..answers.to_boxes import AnswerReader, Predictions, Rules
from ..answers.unlabelled_boxes import boxes_of_answers
from ..box_matching import IOU_THRESHOLD, f1_of, verdicts
from ..ground_truth import Truth, truth_from_rows

COCO_THRESHOLDS = tuple((np.arange(10) * 0.05 + 0.5).tolist())
ANY = "object"  # the class of boxes without a label


@dataclass(frozen=True)
class OneTruth:
    """The objects of one image: its (width, height) in px, labels, and boxes, xyxy in original px.

    `labelled`: whether boxes are matched within their class; without it, and where the image has no object, every box counts.
    """

    size_wh: tuple[int, int]
    labels: Sequence[str]
    boxes_xyxy_px: Sequence[Sequence[float]]
    labelled: bool = True


def sample_f1(text: str, truth: OneTruth, rules: Rules, iou_thresholds: Sequence[float] = (IOU_THRESHOLD,), cut: bool = False) -> float:
    """Mean over the thresholds of the F1 of an answer, 0 to 1. `cut`: generation stopped at its token limit.

    An unreadable answer has 0, and so has one that was cut before its first box, whatever the image holds. A box of a class that the image
    does not have is a false positive. Points do not count, nor do, where labels are asked for, boxes without one and exact repetitions.
    """
    found, predictions, status = _labelled(text, truth, rules, cut) if truth.labelled and truth.labels else _bare(text, truth, rules, cut)
    if status == "unreadable" or (status == "truncated" and not len(predictions.scores)):
        return 0.0
    scores = []
    for threshold in iou_thresholds:
        of_truth, of_predictions = verdicts(found, predictions, iou_threshold=threshold)
        scores.append(f1_of([*of_truth, *of_predictions]))
    return float(np.mean(scores))


def _labelled(text: str, truth: OneTruth, rules: Rules, cut: bool) -> tuple[Truth, Predictions, str]:
    """The classes are those of the truth and of the answer, so that a box of a class that is not there counts."""
    parse, limit = grammar_of(rules.family).parse, space_row(rules.space_name).largest
    named = {located.label for located in parse(text, limit).objects if located.label}
    known = truth_from_rows([(0, truth.size_wh, list(truth.labels), truth.boxes_xyxy_px)], sorted({*truth.labels, *named}))
    reader = AnswerReader(known, rules)
    reader.add(0, text, cut=cut)
    answers = reader.answers()
    return known, answers.predictions, answers.statuses[0]


def _bare(text: str, truth: OneTruth, rules: Rules, cut: bool) -> tuple[Truth, Predictions, str]:
    """Boxes whatever their labels."""
    known = truth_from_rows([(0, truth.size_wh, [ANY] * len(truth.boxes_xyxy_px), truth.boxes_xyxy_px)], [ANY])
    found = boxes_of_answers([text], [truth.size_wh], rules, ["the answer"], [cut])
    boxes = found.boxes_xyxy_px[0]
    boxes = xyxy_to_xywh(boxes[area(boxes) > 0])
    none = np.zeros(len(boxes), dtype=np.int64)
    return known, Predictions(none, none, boxes, np.ones(len(boxes))), found.statuses[0]
