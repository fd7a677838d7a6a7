"""Referring expressions: a question about one object, several or none, and how well the boxes of the answer fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundswift.boxes import Boxes, as_boxes, iou
from groundswift.errors import GroundswiftError

from ..answers.protocol import Rules
from ..answers.referring_results import Asked, read_responses
from ..answers.referring_rows import AskedQuestion
from ..answers.space_check import explain_mismatch
from ..answers.to_boxes import BareAnswers, boxes_of_answers
from ..evaluated_run import FN, FP, NOT_COUNTED, TP, ImageResult, Line, Number, Plot
from ..metric import Evaluation
from ..row_metric import RowMetric, answer_counts, drawn, given, mean, shortened, yes
from ..several_boxes import RULE_OF_NONE, RULE_OF_SETS, RULES, SEVERAL, THRESHOLDS, Fits, Several, counted, fits_of, grec_right
from .answer_rewards import rec_iou

THRESHOLD = 0.5
OF_NONE = "acc_none"
OF_SETS = (OF_NONE, "grec_f1", "grec_nacc")  # undefined where every question has one true box
AT = {"acc_iou50": 0.5, "acc_iou75": 0.75, "acc_iou90": 0.9}
PROTOCOL = {
    "metric": "referring expressions",
    "iou_threshold": THRESHOLD,
    "iou_rule": "right at this IoU or more",
    "labels": "ignored",
    "parse_failure": "wrong, IoU 0",
    "missing_answer": "wrong, IoU 0",
    "several_true_boxes": RULE_OF_SETS,
    "no_true_box": RULE_OF_NONE,
    "grec": "as the code of gRefCOCO: greedy by generalised IoU of 0.5 or more; any answer without a box says that there is nothing",
}


class Referring(RowMetric):
    """Accuracy at IoU 0.5 to 0.9 and mean IoU of RESULT, where each row asks for one object (RefCOCO), several or none (gRefCOCO).

    The true boxes are the row's own, in `objects`; a row whose answer is None has none, and only an answer that says so is right. Several
    true boxes are matched one to one, and none may be over on either side. An answer without a readable box is wrong. Numbers by split
    (val, testA, testB) where the rows have one: in `split`, in sample_id, or in the name of the file.

    \b
    Example:
      groundswift eval referring result.jsonl --out scored/
      groundswift eval referring result.jsonl --rows val.jsonl --family qwen3_vl --several hungarian --json
    """

    name, title = "referring", "Referring expressions"
    numbers = (
        Number("acc_iou50", "accuracy at IoU 0.5", headline=True),
        Number("mean_iou", "mean IoU", headline=True),
        Number("acc_iou75", "accuracy at IoU 0.75"),
        Number("acc_iou90", "accuracy at IoU 0.9"),
        Number("acc_iou50_95", "accuracy 0.5 to 0.95"),
        Number("f1_iou50", "F1 at IoU 0.5"),
        Number(OF_NONE, "accuracy where none"),
        Number("grec_f1", "gRefCOCO F1 = 1"),
        Number("grec_nacc", "gRefCOCO N-acc"),
    )
    protocol_names = (PROTOCOL["metric"],)
    rewards = {"rec_iou": rec_iou}
    comparable_terms = {**RowMetric.comparable_terms, "several_boxes": RULES["first"]}
    options = (
        click.option(
            "--several",
            type=click.Choice(SEVERAL),
            default="first",
            show_default=True,
            help="Which box counts of an answer that has several to a question of one: the first; any that fits; all must fit; or "
            "hungarian: one only, as where several are true.",
        ),
    )

    @property
    def several(self) -> Several:
        """How an answer of several boxes is compared with one."""
        return self.options.get("several", "first")

    def read_answers(self, source: Path, truth: Asked, rules: Rules) -> BareAnswers:
        found = read_responses(truth, source, rules, self.asks_itself, self.options["on_error"])
        boxes = true_boxes(truth)
        groups = np.arange(len(boxes)).repeat([len(each) for each in boxes])
        return replace(found, mismatch=explain_mismatch(found.sample, np.concatenate(boxes), groups))

    def score(self, answers: BareAnswers, truth: Asked) -> Evaluation:
        wanted, questions = true_boxes(truth), list(truth.questions.values())
        says_none = [status == "empty" for status in answers.statuses]
        fits = fits_of(answers.boxes_xyxy_px, wanted, self.several, says_none)
        counts = {**counts_of(answers.boxes_xyxy_px, wanted, fits), **answer_counts(truth, answers.counts)}
        return self.evaluation(
            columns_of(fits, wanted, answers.boxes_xyxy_px),
            truth,
            {**PROTOCOL, "several_boxes": RULES[self.several]},
            counts,
            per_sample=[sample_result(number, question, fits, answers, self.several) for number, question in enumerate(questions)],
            plots=[accuracy_plot(fits, [question.split for question in questions])],
        )

    def score_rows(self, texts: Sequence[str | None], rows: Sequence[Any], rules: Rules) -> Evaluation:
        names = [f"row {number}" for number in range(len(rows))]
        found = boxes_of_answers(given(texts), [row.size_wh for row in rows], rules, names)
        return score_referring(found.boxes_xyxy_px, [as_boxes(row.boxes_xyxy_px) for row in rows], self.several, found.statuses)

    def protocol_lines(self, protocol: dict[str, Any]) -> list[str]:
        rule = f"          right at IoU {protocol['iou_threshold']} or more; {protocol['several_boxes']}"
        return [*super().protocol_lines(protocol), rule]

    def count_lines(self, answers: BareAnswers, truth: Asked, evaluation: Evaluation) -> list[str]:
        counts = evaluation.counts
        wanted = [f"{counts[key]} with {text}" for key, text in (("sets", "several true boxes"), ("none", "no true box")) if counts[key]]
        return [
            f"samples: {counts['samples']}, {counts['right']} right; answers: {answers.counts.status_line()}",
            f"         {counts['without_box']} without a box, {counts['with_several_boxes']} with several",
            *([f"         {', '.join(wanted)}"] if wanted else []),
            *answers.counts.lines(),
        ]


def true_boxes(asked: Asked) -> list[Boxes]:
    """(n, 4) true boxes of each question, xyxy in original px."""
    return [as_boxes(question.targets) for question in asked.questions.values()]


def columns_of(fits: Fits, true: Sequence[Boxes], predicted: Sequence[Boxes]) -> dict[str, list[float | None]]:
    """Each number of each question; None where a question has no part in it."""
    at = {key: fits.right[:, int(np.argmin(abs(THRESHOLDS - threshold)))].astype(float).tolist() for key, threshold in AT.items()}
    none = [right if not len(boxes) else None for boxes, right in zip(true, at["acc_iou50"], strict=True)]
    grec = grec_columns(true, predicted)
    means = {"acc_iou50_95": (fits.right.sum(axis=1) / len(THRESHOLDS)).tolist(), "f1_iou50": fits.f1.tolist(), OF_NONE: none, **grec}
    return {"acc_iou50": at.pop("acc_iou50"), "mean_iou": fits.overlaps.tolist(), **at, **means}


def grec_columns(true: Sequence[Boxes], predicted: Sequence[Boxes]) -> dict[str, list[float | None]]:
    """The two numbers of gRefCOCO's code; None of every question where each has one true box."""
    if all(len(boxes) == 1 for boxes in true):
        return {"grec_f1": [None] * len(true), "grec_nacc": [None] * len(true)}
    right = [float(grec_right(*pair)) for pair in zip(predicted, true, strict=True)]
    return {"grec_f1": right, "grec_nacc": [None if len(boxes) else each for boxes, each in zip(true, right, strict=True)]}


def counts_of(predicted: Sequence[Boxes], true: Sequence[Boxes], fits: Fits) -> dict[str, int]:
    """How many questions there are of each kind, and answers."""
    lengths, wanted = (np.array([len(boxes) for boxes in each], dtype=np.int64) for each in (predicted, true))
    return {
        "samples": len(true),
        "right": int(fits.right[:, 0].sum()),
        "without_box": int((lengths == 0).sum()),
        "with_several_boxes": int((lengths > 1).sum()),
        "sets": int((wanted > 1).sum()),
        "none": int((wanted == 0).sum()),
    }


def score_referring(
    predicted_xyxy_px: Sequence[ArrayLike],
    true_xyxy_px: Sequence[ArrayLike] | NDArray[np.float64],
    several: Several = "first",
    statuses: Sequence[str] | None = None,
) -> Evaluation:
    """The numbers of `Referring` over all samples, None where undefined; and `counts`.

    `predicted_xyxy_px` has the boxes of each answer, (n, 4) with n from 0; `true_xyxy_px` those of its question, or one box (4,), in the
    same order and unit. `statuses` of the answers say which of them state that there is nothing; without it, those without a box do.
    Raises GroundswiftError where the numbers of answers and questions differ.
    """
    true = [as_boxes(boxes if np.ndim(boxes) == 2 or not len(boxes) else [boxes]) for boxes in true_xyxy_px]
    found = [as_boxes(boxes) for boxes in predicted_xyxy_px]
    if len(found) != len(true):
        raise GroundswiftError(f"{len(found)} answers for {len(true)} ground-truth boxes; expected one each")
    says_none = [len(boxes) == 0 for boxes in found] if statuses is None else [status == "empty" for status in statuses]
    fits = fits_of(found, true, several, says_none)
    return Evaluation({key: mean(values) for key, values in columns_of(fits, true, found).items()}, counts=counts_of(found, true, fits))


def sample_result(number: int, question: AskedQuestion, fits: Fits, answers: BareAnswers, several: Several) -> ImageResult:
    """One question for the report, which numbers them from 0 in the order of their keys."""
    boxes, wanted = answers.boxes_xyxy_px[number], as_boxes(question.targets)
    overlaps = iou(boxes, wanted)
    counts, hits = counted(overlaps, several)
    found = (overlaps[hits] >= THRESHOLD).any(axis=0)
    outcomes = np.where(counts, np.where(hits, TP, FP), NOT_COUNTED).tolist()
    return ImageResult(
        number,
        question.image,
        question.size_wh,
        answers.statuses[number],
        drawn([""] * len(wanted), wanted, np.where(found, TP, FN).tolist()),
        drawn(answers.labels[number], boxes, outcomes),
        float(fits.f1[number]),
        shortened(answers.texts[number]),
        question.key[0],
        shortened(question.text),
        values={"IoU": float(fits.overlaps[number]), "right at IoU 0.5": yes(fits.right[number, 0]), "split": question.split or None},
    )


def accuracy_plot(fits: Fits, splits: Sequence[str]) -> Plot:
    """Accuracy at each IoU, of all questions and of each split."""
    named = np.array(splits)
    chosen = {"all": np.ones(len(splits), dtype=bool), **{split: named == split for split in sorted(set(splits) - {""})}}
    x = THRESHOLDS.tolist()
    lines = [Line(name, x, [mean(right) for right in fits.right[rows].T]) for name, rows in chosen.items()]
    return Plot("accuracy_by_iou", "Accuracy by IoU", "IoU at which an answer is right", "accuracy", lines)
