"""Answers to validation rows -> numbers, each from the rows that have it: AP of labelled boxes, accuracy and IoU of single bare boxes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from groundswift.boxes import xywh_to_xyxy
from groundswift.errors import GroundswiftError, Tally
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.space_check import explain_mismatch
from groundswift.eval.answers.to_boxes import BareAnswers, Predictions, boxes_of_answers, predictions_from_answers
from groundswift.eval.ground_truth import Truth, truth_from_rows
from groundswift.eval.metric import Evaluation, Metric
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.metrics.referring import OF_SETS, Referring, score_referring
from groundswift.family import FAMILIES
from groundswift.spaces import space_row

from ..patches.run_record import limits_now
from ..templates.grounding import family_of
from .unanswered import Unanswered, id_in
from .validation_rows import LABELLED, NOTHING, ONE_BOX, SEVERAL_BOXES, UNSCORED, Sample, unscored

DROPPED = ("point", "label-missing", "label-unknown", "box-empty", "box-duplicate")  # what the evaluator drops a box for
ANY = "object"  # the class of boxes without a label
COUNTS = ("unreadable", "truncated", "unanswered")
MOST_CLASSES = 100  # whose numbers are logged; those of more are in the file only
OF_A_CLASS = ("AP",)  # numbers that are logged for each class
Scored = tuple[dict[str, float | None], Counter[str], Tally, list[str]]  # numbers, statuses, dropped boxes, remarks
PerClass = dict[str, dict[str, float | int | None]]


class Scoring:
    """The rows of a validation set, sorted by what they hold.

    `numbers`: the names of what will be logged, the primary one first. `of_classes`: those of single classes (`AP/cat`). `counts`: the
    names of the counts logged with them. `per_class`: the numbers of each class in the last evaluation.
    Raises GroundswiftError where no number is defined.
    """

    def __init__(self, samples: list[Sample], rules: Rules) -> None:
        self.samples, self.rules = samples, rules
        self.per_class: PerClass = {}
        self.places = {kind: [i for i, sample in enumerate(samples) if sample.kind == kind] for kind in (LABELLED, ONE_BOX, SEVERAL_BOXES)}
        if self.places[LABELLED]:
            self.places[LABELLED] = sorted(self.places[LABELLED] + [i for i, sample in enumerate(samples) if sample.kind == NOTHING])
        self.truths = {kind: self._truth(kind) for kind in (LABELLED, SEVERAL_BOXES) if self.places[kind]}
        self.counts = (*COUNTS, *(logged(reason) for reason in DROPPED))
        self.numbers = self._defined()
        self.description = self._described()
        if not self.numbers:
            raise GroundswiftError(
                f"--eval_metric coco_map cannot score these validation rows ({self.description}); "
                "expected answers with boxes, all with a label or all without"
            )

    def _truth(self, kind: str) -> Truth:
        """Ground-truth boxes; those without a label are all of one class."""
        rows = [(place, self.samples[place]) for place in self.places[kind]]
        return truth_from_rows((place, row.size_wh, [label or ANY for label in row.labels], row.boxes_xyxy_px) for place, row in rows)

    def _defined(self) -> list[str]:
        """The numbers that do not depend on the answers to be defined: COCO has none for a size of object that no ground-truth box has."""
        defined: list[str] = []
        self.of_classes: list[str] = []
        for kind, truth in self.truths.items():
            none = np.zeros(0, dtype=np.int64)
            found = evaluate(truth, Predictions(none, none, np.zeros((0, 4)), np.zeros(0)))
            defined += [named(kind, name) for name, value in found.summary.items() if value is not None]
            self.of_classes += by_class(found.per_group, OF_A_CLASS) if kind == LABELLED else []
        single = [number.key for number in Referring.numbers if number.key not in OF_SETS] if self.places[ONE_BOX] else []
        return defined[: len(defined) if LABELLED in self.truths else 0] + single + (defined if LABELLED not in self.truths else [])

    def _described(self) -> str:
        kinds = Counter(sample.kind for sample in self.samples)
        held = ", ".join(f"{count} with {kind}" for kind, count in kinds.most_common())
        skipped = sum(unscored(self.samples).values()) + (0 if LABELLED in self.truths else kinds[NOTHING])
        return f"{len(self.samples)} validation rows: {held}" + (f"; {skipped} are not scored" if skipped else "")

    def score(self, texts: Sequence[str]) -> tuple[dict[str, float], list[str]]:
        """One text for each sample -> numbers and counts by name, and what else there is to say.

        Raises GroundswiftError where no row has an answer.
        """
        failed = failed_rows(texts)
        scorers = {LABELLED: self._labelled, ONE_BOX: self._single_boxes, SEVERAL_BOXES: self._several_boxes}
        parts = [scorer(texts) for kind, scorer in scorers.items() if self.places[kind]]
        numbers = {name: value for part, _, _, _ in parts for name, value in part.items() if value is not None}
        statuses, dropped = sum((part[1] for part in parts), Counter()), Tally()
        for part in parts:
            dropped.merge(part[2])
        numbers |= by_class(self.per_class, OF_A_CLASS)
        numbers |= {"unreadable": float(statuses["unreadable"]), "truncated": float(statuses["truncated"])}
        numbers |= unanswered_counts(failed) | dropped_counts(dropped)
        remarks = [f"{line.strip()} dropped" for line in dropped.lines()] + list(chain(*(part[3] for part in parts)))
        return numbers, remarks + unanswered_remarks(failed, "their boxes count as false negatives")

    def _labelled(self, texts: Sequence[str]) -> Scored:
        places, truth = self.places[LABELLED], self.truths[LABELLED]
        given = [(place, self.samples[place].size_wh, texts[place]) for place in places if not isinstance(texts[place], Unanswered)]
        answers = predictions_from_answers(given, truth, self.rules)
        found = evaluate(truth, answers.predictions)
        self.per_class = found.per_group
        return found.summary, answers.counts.statuses, answers.counts.dropped, [answers.mismatch.text()] if answers.mismatch else []

    def _bare(self, kind: str, texts: Sequence[str]) -> BareAnswers:
        places = self.places[kind]
        return boxes_of_answers(
            [None if isinstance(texts[place], Unanswered) else texts[place] for place in places],
            [self.samples[place].size_wh for place in places],
            self.rules,
            [f"row {place}" for place in places],
        )

    def _single_boxes(self, texts: Sequence[str]) -> Scored:
        found = self._bare(ONE_BOX, texts)
        truth = np.array([self.samples[place].boxes_xyxy_px[0] for place in self.places[ONE_BOX]])
        score = score_referring(found.boxes_xyxy_px, truth)
        mismatch = explain_mismatch(found.sample, truth, np.arange(len(truth)))
        return score.summary, found.counts.statuses, found.counts.dropped, [mismatch.text()] if mismatch else []

    def _several_boxes(self, texts: Sequence[str]) -> Scored:
        """COCO's numbers of boxes whatever their labels; image index = row number."""
        found, truth = self._bare(SEVERAL_BOXES, texts), self.truths[SEVERAL_BOXES]
        predictions = found.predictions()
        if empty := len(found.sample.groups) - len(predictions.scores):
            found.counts.dropped.add("box-empty", count=empty)
        numbers = evaluate(truth, predictions).summary
        mismatch = explain_mismatch(found.sample, xywh_to_xyxy(truth.boxes_xywh_px), truth.image_index)
        numbers = {named(SEVERAL_BOXES, name): value for name, value in numbers.items()}
        return numbers, found.counts.statuses, found.counts.dropped, [mismatch.text()] if mismatch else []


class RowScoring:
    """The validation rows that a metric of the table scores: those with boxes, or none to find, or all rows of a metric of text.

    The same interface as `Scoring`. Raises GroundswiftError where none is one, or no number is defined.
    """

    counts = ("unanswered",)

    def __init__(self, metric: Metric, samples: list[Sample], rules: Rules) -> None:
        self.metric, self.samples, self.rules = metric, samples, rules
        self.per_class: PerClass = {}
        self.places = [place for place, sample in enumerate(samples) if sample.kind not in UNSCORED or not metric.reads_boxes]
        self.description = f"{len(samples)} validation rows, {len(self.places)} are scored by {metric.name}"
        if not self.places:
            raise GroundswiftError(f"--eval_metric {metric.name} cannot score these validation rows: no answer has boxes")
        found = self._evaluation([None] * len(self.places))
        self.numbers = [number.key for number in metric.numbers if found.summary.get(number.key) is not None]
        self.of_classes = list(self._of_classes(found.per_group))
        if not self.numbers:
            raise GroundswiftError(
                f"--eval_metric {metric.name} cannot score these validation rows ({self.description}): no number is defined"
            )

    def score(self, texts: Sequence[str]) -> tuple[dict[str, float], list[str]]:
        """As `Scoring.score`."""
        failed = failed_rows(texts)
        found = self._evaluation([None if isinstance(texts[place], Unanswered) else texts[place] for place in self.places])
        self.per_class = found.per_group
        numbers = {name: value for name, value in found.summary.items() if value is not None} | self._of_classes(self.per_class)
        return numbers | unanswered_counts(failed), unanswered_remarks(failed, "they count as wrong")

    def _of_classes(self, per_class: PerClass) -> dict[str, float]:
        return by_class(per_class, [number.key for number in self.metric.numbers if number.headline])

    def _evaluation(self, texts: Sequence[str | None]) -> Evaluation:
        return self.metric.score_rows(texts, [self.samples[place] for place in self.places], self.rules)


def failed_rows(texts: Sequence[str]) -> Counter[str]:
    """How many rows have no answer, by the id of the reason. Raises GroundswiftError where none has one."""
    failed = Counter(id_in(text.reason) for text in texts if isinstance(text, Unanswered))
    if failed.total() == len(texts):
        raise GroundswiftError(f"no validation row could be answered ({dict(failed)}); first error: {texts[0].reason}")
    return failed


def unanswered_counts(failed: Counter[str]) -> dict[str, float]:
    """How many rows have no answer, as it is logged: in all and by reason."""
    of_reasons = {f"unanswered_{kind.replace('-', '_')}": float(count) for kind, count in failed.items()}
    return {"unanswered": float(failed.total())} | of_reasons


def unanswered_remarks(failed: Counter[str], meaning: str) -> list[str]:
    """The warning of rows without an answer."""
    return [f"{failed.total()} rows have no answer: {meaning} ({dict(failed)})"] if failed else []


def by_class(per_class: PerClass, keys: Sequence[str]) -> dict[str, float]:
    """Numbers of each class as they are logged, `AP/cat`; none where there are more than MOST_CLASSES classes."""
    if len(per_class) > MOST_CLASSES:
        return {}
    found = {f"{key}/{label}": numbers.get(key) for key in keys for label, numbers in per_class.items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def rules_of(template: Any) -> Rules:
    """How answers are read as the family of a template writes them, under the pixel limits of this process. Raises as `family_of`."""
    row = FAMILIES[family_of(template)]
    return Rules(row.name, limits=limits_now(row, template.max_pixels))


def is_resized(rules: Rules) -> bool:
    """Whether answers are in pixels of the resized image."""
    return space_row(rules.space_name).side == "resized"


def named(kind: str, name: str) -> str:
    """The name under which a number of COCO is logged: its own for labelled boxes, `boxes_AP` where no box has a label."""
    return name if kind == LABELLED else f"boxes_{name}"


def logged(reason: str) -> str:
    """The name under which boxes dropped for a reason are logged: `dropped_label_unknown`."""
    return "dropped_" + re.sub(r"\W+", "_", reason)


def dropped_counts(dropped: Tally) -> dict[str, float]:
    """Dropped boxes by name; reasons that did not occur count 0."""
    return {logged(reason): 0.0 for reason in DROPPED} | {logged(reason): float(count) for reason, count in dropped.counts.items()}
