"""F1 of the boxes of an image: the mean over images as a metric, and of a single answer as a reward.

COCO's greedy matching within a class. An image without objects and a readable answer without boxes have 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..answers.cli_options import COCO_TRUTH
from ..answers.protocol import Rules
from ..answers.swift_results import read_answers
from ..answers.to_boxes import Answers
from ..box_matching import IOU_THRESHOLD, outcomes
from ..evaluated_run import Number
from ..ground_truth import Truth, read_truth, truth_counts
from ..image_results import f1_by_image, image_results
from ..metric import Evaluation, Metric
from ..precision_recall import exact_mean
from .answer_rewards import box_format
from .one_answer import OneTruth, truth_and_predictions

COCO_THRESHOLDS = tuple((np.arange(10) * 0.05 + 0.5).tolist())


def sample_f1(
    text: str, truth: OneTruth, rules: Rules, iou_thresholds: Sequence[float] = (IOU_THRESHOLD,), truncated: bool = False
) -> float:
    """Mean over the thresholds of the F1 of an answer, 0 to 1. `truncated`: generation stopped at its token limit.

    An unreadable answer has 0, and so has one that was truncated before its first box, whatever the image holds. A box of a class that the
    image does not have is FP. Points do not count, nor do, where labels are required, boxes without one and exact duplicates.
    """
    found = truth_and_predictions(text, truth, rules, truncated)
    if found is None:
        return 0.0
    known, predictions = found
    matched = outcomes(known, predictions, iou_thresholds=iou_thresholds)
    return float(np.mean([f1_by_image(known, predictions, *each)[0] for each in matched]))


class DetectionF1(Metric):
    """Mean F1 at IoU 0.5 over the images of RESULT, the rows that `swift infer` wrote; the report shows the F1 of each image.

    \b
    Example:
      groundswift eval detection-f1 result.jsonl --gt annotations.json --out scored/
    """

    name = "detection_f1"
    title = "Detection F1"
    numbers = (Number("f1", "F1 at IoU 0.5", headline=True),)
    truth_option = COCO_TRUTH
    rewards = {"detection_f1": sample_f1, "detection_f1_mean": partial(sample_f1, iou_thresholds=COCO_THRESHOLDS), "box_format": box_format}

    def read_truth(self, path: Path) -> Truth:
        return read_truth(path, self.options["on_error"], one_id=True)

    def read_answers(self, source: Path, truth: Truth, rules: Rules) -> Answers:
        return read_answers(source, truth, rules, self.options["on_error"], progress=True)

    def score(self, answers: Answers, truth: Truth) -> Evaluation:
        images = image_results(truth, answers.predictions, answers.statuses, answers.texts)
        counts = {**truth_counts(truth), **answers.counts_document(), "predictions": len(answers.predictions.scores)}
        return Evaluation({"f1": exact_mean(np.array([image.f1 for image in images]))}, per_sample=images, counts=counts)

    def score_rows(self, texts: Sequence[str | None], rows: Sequence[Any], rules: Rules) -> Evaluation:
        truths = [OneTruth(row.size_wh, row.labels, row.boxes_xyxy_px, all(row.labels)) for row in rows]
        scores = [0.0 if text is None else sample_f1(text, truth, rules) for text, truth in zip(texts, truths, strict=True)]
        return Evaluation({"f1": exact_mean(np.array(scores))})
