"""Phrase grounding (Flickr30k Entities): whether the boxes that an answer gives a phrase hold one that is right, among the first k."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from groundswift.boxes import Boxes, as_boxes, iou

from ..answers.phrase_rows import Found, Phrase, PhraseQuestion, PhraseRow, boxes_of_phrases, phrases_asked, phrases_of_boxes
from ..answers.protocol import Rules
from ..answers.referring_results import Asked, read_responses
from ..answers.space_check import explain_mismatch
from ..answers.to_boxes import BareAnswers, boxes_of_answers
from ..artifacts import SCORES
from ..evaluated_run import FN, FP, NOT_COUNTED, TP, ImageResult, Number
from ..metric import Evaluation
from ..row_metric import RowMetric, answer_counts, drawn, given, mean, shortened

THRESHOLD = 0.5
RANKS = {"R1": 1, "R5": 5, "R10": 10, "R_all": None}
PROTOCOL = {
    "iou_threshold": THRESHOLD,
    "iou_rule": "right at this IoU or more",
    "phrase_boxes": "boxes whose label is the phrase, without regard to case and white space; those of a label that n phrases share are "
    "dealt to them evenly, in order",
    "any_box": "R1, R5, R10: one of the first k boxes fits any true box of the phrase",
    "merged_box": "merged_R1, merged_R5, merged_R10: one of the first k boxes fits the box around all true boxes of the phrase",
    "merged_both": "the box around all boxes of the answer fits the box around all true boxes",
    "parse_failure": "no box for any phrase",
    "missing_answer": "no box for any phrase",
}


@dataclass(frozen=True)
class Grounded:
    """What was found of all phrases, one after the other: of each its question (index) and the highest IoU of each of its ranked boxes."""

    questions: list[int]
    phrases: list[Phrase]
    found: list[Found]
    any_box: list[np.ndarray]
    merged_box: list[np.ndarray]
    merged_both: list[float]

    def columns(self) -> dict[str, list[float | None]]:
        """Each number of each phrase: 1 where it is right, else 0."""
        any_box = {key: hits_at(self.any_box, most) for key, most in RANKS.items()}
        merged = {f"merged_{key}": hits_at(self.merged_box, most) for key, most in RANKS.items() if most is not None}
        return {**any_box, **merged, "merged_both": [float(overlap >= THRESHOLD) for overlap in self.merged_both]}


class PhraseGrounding(RowMetric):
    """Recall at 1, 5 and 10 of the phrases in RESULT (Flickr30k Entities), at IoU 0.5, by the any-box and the merged-box protocol.

    A row has a sentence and the boxes of its phrases, as `groundswift convert flickr30k --task phrase_grounding` writes it. The boxes of
    a phrase are those that the answer labels with its words. They rank as written, or by --score logprob. Numbers by type of phrase
    where the rows have `phrase_types`.

    \b
    Example:
      groundswift eval phrase-grounding result.jsonl --rows test.jsonl --out scored/
    """

    name, title = "phrase_grounding", "Phrase grounding"
    numbers = (
        Number("R1", "recall at 1", headline=True),
        Number("R5", "recall at 5"),
        Number("R10", "recall at 10"),
        Number("R_all", "recall of all boxes"),
        Number("merged_R1", "merged, at 1", headline=True),
        Number("merged_R5", "merged, at 5"),
        Number("merged_R10", "merged, at 10"),
        Number("merged_both", "both merged"),
    )
    ignored_terms = ("label_match", "unknown_label", "duplicates", "score_is")
    comparable_terms = {**RowMetric.comparable_terms, "rank": None}
    question_of, row_type = staticmethod(phrases_asked), PhraseRow
    nothing_to_score = "no row has phrases with boxes"
    options = (
        click.option(
            "--score",
            type=click.Choice(["constant", "order", "logprob"]),
            default="constant",
            show_default=True,
            help="How the boxes of a phrase rank: as written (constant and order), or by token log-probabilities.",
        ),
    )

    def read_answers(self, source: Path, truth: Asked, rules: Rules) -> BareAnswers:
        found = read_responses(truth, source, rules, self.asks_itself, self.options["on_error"])
        questions = list(truth.questions.values())
        boxes = [as_boxes([box for phrase in each.phrases for box in phrase.boxes_xyxy_px]) for each in questions]
        groups = np.arange(len(boxes)).repeat([len(each) for each in boxes])
        return replace(found, mismatch=explain_mismatch(found.sample, np.concatenate(boxes), groups))

    def score(self, answers: BareAnswers, truth: Asked) -> Evaluation:
        questions = list(truth.questions.values())
        grounded = grounded_phrases([question.phrases for question in questions], answers)
        columns = grounded.columns()
        counts = {**counts_of(grounded, questions), **answer_counts(truth, answers.counts)}
        unknown = Counter(label for found in grounded.found for label in found.unknown)
        counts["unknown_labels"] = dict(sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:50])
        rank = SCORES["logprob"] if self.options.get("score") == "logprob" else "as written"
        types = [phrase.types for phrase in grounded.phrases]
        return self.evaluation(
            columns,
            truth,
            {**PROTOCOL, "rank": rank},
            counts,
            questions=[questions[number] for number in grounded.questions],
            kinds=types,
            per_sample=sample_results(questions, answers, grounded),
        )

    def score_rows(self, texts: Sequence[str], rows: Sequence[Any], rules: Rules) -> Evaluation:
        answers = boxes_of_answers(given(texts), [row.size_wh for row in rows], rules, [f"row {number}" for number in range(len(rows))])
        phrases = [phrases_of_boxes(row.labels, row.boxes_xyxy_px) if all(row.labels) else [] for row in rows]
        return Evaluation({key: mean(values) for key, values in grounded_phrases(phrases, answers).columns().items()})

    def protocol_lines(self, protocol: dict[str, Any]) -> list[str]:
        rules = (f"right at IoU {protocol['iou_threshold']} or more; boxes rank {protocol['rank']}", protocol["phrase_boxes"])
        return [*super().protocol_lines(protocol), *(f"{'':10}{rule}" for rule in rules)]

    def count_lines(self, answers: BareAnswers, truth: Asked, evaluation: Evaluation) -> list[str]:
        counts = evaluation.counts
        unknown = ", ".join(f"{label!r} {count}" for label, count in list(counts["unknown_labels"].items())[:5])
        return [
            f"samples: {counts['samples']}; phrases: {counts['phrases']}, {counts['phrases_without_box']} without a box in the answer",
            f"answers: {answers.counts.status_line()}; boxes: {counts['predictions']}",
            *([f"labels that are not a phrase: {unknown}"] if unknown else []),
            *answers.counts.lines(),
        ]


def hits_at(overlaps: Sequence[np.ndarray], most: int | None) -> list[float | None]:
    """1 for each phrase of whose first `most` boxes one is right, else 0."""
    return [float((each[:most] >= THRESHOLD).any()) for each in overlaps]


def merged(boxes: Boxes) -> Boxes:
    """(1, 4) the box around some; (0, 4) of none."""
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None] if len(boxes) else boxes


def grounded_phrases(phrases: Sequence[Sequence[Phrase]], answers: BareAnswers) -> Grounded:
    """Find the boxes of the phrases of each question in its answer; what has no phrase is counted in `answers.counts.dropped`."""
    grounded = Grounded([], [], [], [], [], [])
    dropped = answers.counts.dropped
    for number, wanted in enumerate(phrases):
        labels, boxes = answers.labels[number], answers.boxes_xyxy_px[number]
        found = boxes_of_phrases(wanted, labels, boxes, answers.scores[number])
        for reason, count in (("label-missing", found.unlabelled), ("label-unknown", len(found.unknown))):
            if count:
                dropped.add(reason, repr(found.unknown[0]) if reason == "label-unknown" else "", count)
        grounded.found.append(found)
        for phrase, of_phrase in zip(wanted, found.boxes_xyxy_px, strict=True):
            true = as_boxes(phrase.boxes_xyxy_px)
            grounded.questions.append(number)
            grounded.phrases.append(phrase)
            grounded.any_box.append(iou(of_phrase, true).max(axis=1))
            grounded.merged_box.append(iou(of_phrase, merged(true))[:, 0])
            grounded.merged_both.append(float(iou(merged(of_phrase), merged(true)).max(initial=0)))
    return grounded


def counts_of(grounded: Grounded, questions: Sequence[PhraseQuestion]) -> dict[str, int]:
    """How many questions, phrases and boxes there are."""
    return {
        "samples": len(questions),
        "phrases": len(grounded.phrases),
        "phrases_without_box": sum(len(overlaps) == 0 for overlaps in grounded.any_box),
        "truths": sum(len(phrase.boxes_xyxy_px) for phrase in grounded.phrases),
        "predictions": sum(len(overlaps) for overlaps in grounded.any_box),
    }


def sample_results(questions: Sequence[PhraseQuestion], answers: BareAnswers, grounded: Grounded) -> list[ImageResult]:
    """The questions for the report, numbered from 0 in the order of their keys. The F1 is that of the phrases at rank 1."""
    of_question: list[list[int]] = [[] for _ in questions]
    for place, number in enumerate(grounded.questions):
        of_question[number].append(place)
    return [sample_result(number, questions[number], answers, grounded, places) for number, places in enumerate(of_question)]


def sample_result(number: int, question: PhraseQuestion, answers: BareAnswers, grounded: Grounded, places: list[int]) -> ImageResult:
    """One question for the report: a box is TP where it fits a true box of its phrase."""
    boxes, outcomes = answers.boxes_xyxy_px[number], [NOT_COUNTED] * len(answers.boxes_xyxy_px[number])
    truth: list[Any] = []
    for place, own in zip(places, grounded.found[number].places, strict=True):
        phrase = grounded.phrases[place]
        fits = iou(boxes[own], phrase.boxes_xyxy_px) >= THRESHOLD
        for box, right in zip(own.tolist(), fits.any(axis=1), strict=True):
            outcomes[box] = TP if right else FP
        labels = [phrase.text] * len(phrase.boxes_xyxy_px)
        truth += drawn(labels, as_boxes(phrase.boxes_xyxy_px), np.where(fits.any(axis=0), TP, FN).tolist())
    right = [bool((grounded.any_box[place][:1] >= THRESHOLD).any()) for place in places]
    return ImageResult(
        number,
        question.image,
        question.size_wh,
        answers.statuses[number],
        truth,
        drawn(answers.labels[number], boxes, outcomes),
        sum(right) / len(right),
        shortened(answers.texts[number]),
        question.key[0],
        shortened(question.text),
        [phrase.text for phrase in question.phrases],
        {"phrases right at 1": f"{sum(right)} of {len(right)}"},
    )
