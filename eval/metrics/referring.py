"""Referring expressions: one question, one ground-truth box, and how well the box of the answer fits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import ArrayLike

from groundswift.boxes import as_boxes, paired_iou
from groundswift.errors import GroundswiftError, error_at
from groundswift.spaces import space_row

from ..answers.cli_options import FILE, check_there
from ..answers.counts import STATUSES
from ..answers.protocol import Rules
from ..answers.referring_results import Asked, read_questions, read_responses
from ..answers.space_check import explain_mismatch
from ..answers.to_boxes import BareAnswers
from ..evaluated_run import Number
from ..metric import Evaluation, Metric
from .answer_rewards import rec_iou

THRESHOLD = 0.5
PROTOCOL = {
    "metric": "referring expressions",
    "iou_threshold": THRESHOLD,
    "iou_rule": "right at this IoU or more",
    "several_boxes": "the first box of an answer counts",
    "labels": "ignored",
    "parse_failure": "wrong, IoU 0",
    "missing_answer": "wrong, IoU 0",
}


class Referring(Metric):
    """Accuracy at IoU 0.5 and mean IoU of RESULT, where each row asks for one object and its answer is a box without a label.

    The ground-truth box is the row's own, in `objects`. The first box of an answer counts. An answer without a readable box is wrong.

    \b
    Example:
      groundswift eval referring result.jsonl --out scored/
      groundswift eval referring result.jsonl --rows val.jsonl --family qwen3_vl --json
    """

    name = "referring"
    numbers = (Number("acc_iou50", "accuracy at IoU 0.5", headline=True), Number("mean_iou", "mean IoU", headline=True))
    protocol_names = (PROTOCOL["metric"],)
    ignored_terms = ("score", "score_is", "label_match", "unknown_label", "duplicates")
    truth_name = "boxes of the rows of {}"
    writes_run = False
    rewards = {"rec_iou": rec_iou}
    truth_option = click.option(
        "--rows",
        "truth_path",
        type=FILE,
        help="The rows that swift infer read: a row without an answer in RESULT counts as wrong.  [default: the rows of RESULT]",
    )

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        check_there(result, "the rows that swift infer wrote")
        check_there(self.options["truth_path"], "the rows that were asked")
        source, rules = super().source(result)
        self.options["resized"] = space_row(rules.space_name).side == "resized"
        return source, rules

    def read_truth(self, path: Path) -> Asked:
        return read_questions(path, self.options["resized"], self.options["on_error"])

    def read_answers(self, source: Path, truth: Asked, rules: Rules) -> BareAnswers:
        rows = self.options["truth_path"]
        found, boxes = read_responses(truth, source, rules, rows is None, self.options["on_error"]), true_boxes(truth)
        if not truth.questions:
            raise error_at(rows or source, "no row has one ground-truth box to score", "rows of referring expressions")
        return replace(found, mismatch=explain_mismatch(found.sample, boxes, np.arange(len(boxes))))

    def score(self, answers: BareAnswers, truth: Asked) -> Evaluation:
        result, counts = score_referring(answers.boxes_xyxy_px, true_boxes(truth)), answers.counts
        more = {
            "rows": truth.rows,
            "statuses": {status: counts.statuses[status] for status in (*STATUSES, "missing")},
            "reasons": dict(counts.reasons.most_common()),
            "rows_left_out": dict(counts.rows.counts),
            "dropped": dict(counts.dropped.counts),
            "changed": dict(counts.changed.counts),
        }
        return Evaluation(result.summary, counts={**result.counts, **more}, protocol=PROTOCOL)

    def protocol_lines(self, protocol: dict[str, Any]) -> list[str]:
        rule = f"          right at IoU {protocol['iou_threshold']} or more; {protocol['several_boxes']}"
        return [*super().protocol_lines(protocol), rule]

    def count_lines(self, answers: BareAnswers, truth: Asked, evaluation: Evaluation) -> list[str]:
        counts = evaluation.counts
        return [
            f"samples: {counts['samples']}, {counts['right']} right; answers: {answers.counts.status_line()}",
            f"         {counts['without_box']} without a box, {counts['with_several_boxes']} with several",
            *answers.counts.lines(),
        ]


def true_boxes(asked: Asked) -> np.ndarray:
    """(questions, 4) ground-truth boxes, xyxy in original px."""
    return np.array([question.box_xyxy_px for question in asked.questions.values()])


def score_referring(predicted_xyxy_px: Sequence[ArrayLike], true_xyxy_px: ArrayLike) -> Evaluation:
    """`acc_iou50` and `mean_iou` over all samples, None without any; and `counts`.

    `predicted_xyxy_px` has the boxes of each answer, (n, 4) with n from 0; `true_xyxy_px` is (samples, 4), in the same order and unit.
    The first box of an answer counts; it is right at an IoU of 0.5 or more. An answer without a box has IoU 0.
    Raises GroundswiftError where the numbers of answers and ground-truth boxes differ.
    """
    truth = as_boxes(true_xyxy_px)
    found = [as_boxes(boxes) for boxes in predicted_xyxy_px]
    if len(found) != len(truth):
        raise GroundswiftError(f"{len(found)} answers for {len(truth)} ground-truth boxes; expected one each")
    lengths = np.array([len(boxes) for boxes in found], dtype=np.int64)
    answered = np.flatnonzero(lengths)
    overlaps = np.zeros(len(truth))
    if len(answered):
        overlaps[answered] = paired_iou(np.stack([found[index][0] for index in answered]), truth[answered])
    right = overlaps >= THRESHOLD
    counts = {
        "samples": len(truth),
        "right": int(right.sum()),
        "without_box": int((lengths == 0).sum()),
        "with_several_boxes": int((lengths > 1).sum()),
    }
    means = (float(right.mean()), float(overlaps.mean())) if len(truth) else (None, None)
    return Evaluation(dict(zip(("acc_iou50", "mean_iou"), means, strict=True)), counts=counts)
