"""Anomaly detection: question answering, verdicts, choices and boxes of one result, by stage and by class."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import click

from groundswift.errors import GroundswiftError
from groundswift.records import tags_in
from groundswift.run_record import record_of_result

from ..anomaly_groups import (
    CLASS,
    FRAME,
    OBJECTS,
    PROMPT,
    STAGE,
    STAGES,
    class_group,
    class_groups,
    frame_of,
    group_value,
    known_classes,
    places_of,
    question_kind,
    stage_group,
    texts_of,
)
from ..answers.choices import LETTERS
from ..answers.cli_options import rules_of_command
from ..answers.csv_results import is_table
from ..answers.protocol import Rules
from ..answers.text_columns import Columns
from ..answers.text_rows import Questions, TextAnswers, TextSample
from ..answers.verdicts import BUILT_IN, Verdict, VerdictRules
from ..count_ids import COUNTS
from ..evaluated_run import Number
from ..located import NUMBERS as BOXES
from ..located import Located, add_boxes, located
from ..metric import Evaluation
from ..protocols import mmad
from ..roc_interval import TERM
from ..text_metric import Scored
from ..verdict_numbers import NUMBERS as VERDICTS
from ..verdict_numbers import class_numbers, shown_verdict, undefined, verdict_columns
from ..verdict_plots import add_roc
from .question_answering import QuestionAnswering, options_of_command

SAID = ("verdict_unreadable", "verdict_truth_unclear", "choice_unreadable", "stage_unknown", "not_of_mmad")  # counts on the terminal
MMAD = (Number("mmad", "MMAD average", headline=True), Number("mmad_own", "MMAD average, its own reading"))
HELP = {
    "anomalous": "What an answer begins with that says anomalous: yes, or several as yes,abnormal; repeatable. Verdicts need it.",
    "normal": "What an answer begins with that says normal; repeatable.",
    "where": "Which questions ask for a verdict: a column and a pattern, such as stage=3 or question=*anomaly*; one of several is enough.",
}
OPTIONS = (
    click.option("--anomalous", multiple=True, metavar="TEXT", help=HELP["anomalous"]),
    click.option("--normal", multiple=True, metavar="TEXT", help=HELP["normal"]),
    click.option(
        "--verdict-where", "where", multiple=True, metavar="COLUMN=PATTERN", default=BUILT_IN, show_default=True, help=HELP["where"]
    ),
    click.option("--mmad", is_flag=True, help="Also score by the rules of MMAD: rows of groundswift convert mmad."),
)
IN_TABLE = "{} rows ask for boxes, which a table does not have: score the JSON lines for numbers of boxes"
NO_FAMILY = "{} rows ask for boxes, and how they are written is not known: give --family; box numbers are undefined"
RULE = {
    "verdict": "what an answer begins with, or the option that it chooses; without a verdict it is wrong, and raises no alarm",
    "verdict_undefined": "precision, F1, AUROC, AP and F1-max need anomalous and normal images in their group",
    "verdict_of_class": "anomalies of the class against normal images of its name, and normal images without a class",
    "roc_score": "probability of the anomalous answers among the declared ones, at the first token",
    "roc_interval": TERM,
    "average_precision": "sum over the thresholds of precision times the recall gained, not interpolated",
    "boxes": "COCO's matching at IoU 0.5 within a class; precision, recall and F1 of sums over the rows",
}


class Anomaly(QuestionAnswering):
    """Score RESULT of `groundswift anomaly` rows: verdicts (precision, recall, F1, ROC), choices, answers by rule and by judges, boxes.

    RESULT is rows or a CSV of `groundswift infer --csv`. Numbers by stage and by class, where the rows have them. Which answers say
    anomalous has to be declared: --anomalous and --normal. Boxes are scored where rows have objects; other questions as by
    `question-answering`.

    \b
    Example:
      groundswift eval anomaly result.jsonl --anomalous yes --normal no --out report/
      groundswift eval anomaly result.csv --anomalous yes --normal no --verdict-where "question=*anomal*" --out report/
      groundswift eval anomaly mmad_result.jsonl --mmad --out report/
      groundswift eval compare report/checkpoint-100 report/checkpoint-200 --out curves/
    """

    name, title = "anomaly", "Anomaly detection"
    numbers = (*VERDICTS, *BOXES, *MMAD, *QuestionAnswering.numbers)
    options = (*OPTIONS, *options_of_command(LETTERS))
    reads_boxes = True
    ignored_terms = ("score", "score_is")
    comparable_terms = {**QuestionAnswering.comparable_terms, "anomalous": None, "normal": None, "verdict_where": None}
    rules: Rules | None = None
    boxes: Located | None = None
    asking_boxes = 0
    samples_read: Sequence[TextSample] | None = None  # those of which the verdicts are known
    interval_units = "frames (source_image), or images or videos, or samples without one"

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        self.declared()
        source, _ = super().source(result)
        known = record_of_result(source) is not None or self.options.get("family")
        self.rules = rules_of_command(source, self.options) if known else None
        return source, self.rules

    def declared(self) -> VerdictRules:
        """What the options declare."""
        return VerdictRules.of(*(self.options.get(name, ()) for name in ("anomalous", "normal")), self.options.get("where", BUILT_IN))

    def columns(self) -> Columns:
        rules = self.declared()
        more = dict.fromkeys(
            (STAGE, CLASS, OBJECTS, PROMPT, FRAME, *mmad.COLUMNS, *(name for name, _ in rules.asked_by if name != "question"))
        )
        return super().columns()._replace(more=tuple(more), alternatives=bool(rules.anomalous))

    def read_answers(self, source: Path, truth: Questions, rules: Rules | None) -> TextAnswers:
        answers = super().read_answers(source, truth, rules)
        self.find_verdicts(answers.samples)
        answers.warnings.extend(undefined(self.verdicts_found))
        rows = self.options["truth_path"] or source
        if self.asking_boxes and (rules is None or is_table(rows)):
            text = IN_TABLE if is_table(rows) else NO_FAMILY
            answers.warnings.append({"id": "boxes-unread", "message": text.format(self.asking_boxes)})
        if not self.asking_boxes or rules is None:
            return answers
        self.boxes = located(rows, source, rules, self.columns().row_type(), self.options["on_error"])
        answers.warnings.extend(self.boxes.warnings if self.boxes else ())
        return answers

    def to_score(self, samples: list[TextSample]) -> list[TextSample]:
        of_boxes = {question_kind(each) for each in samples if any(tags_in(text) for text in each.question.references)} - {""}
        kept = [each for each in samples if each.question.more.get(OBJECTS) is None and question_kind(each) not in of_boxes]
        kept = [each for each in kept if not any(tags_in(text) for text in each.question.references)]
        self.asking_boxes = len(samples) - len(kept)
        known = known_classes(samples)
        for sample in kept:
            stage, classes = stage_group(sample.question.more.get(STAGE)), class_groups(sample.question.more.get(CLASS), known)
            sample.question.groups = tuple(dict.fromkeys([*sample.question.groups, *([stage] if stage else []), *classes]))
        return kept

    def find_verdicts(self, samples: Sequence[TextSample]) -> None:
        """Read the verdicts. Raises GroundswiftError where answers are declared and no question asks for one."""
        if samples is self.samples_read:
            return
        rules, self.samples_read = self.declared(), samples
        self.asking = [bool(rules.anomalous) and rules.asks(texts_of(sample), sample.question.text) for sample in samples]
        if rules.anomalous and samples and not any(self.asking):
            patterns = ", ".join(f"{name}={pattern}" for name, pattern in rules.asked_by)
            expected = "a column and a pattern that fit"
            raise GroundswiftError(f"no question asks for a verdict by --verdict-where {patterns}; expected {expected}")
        self.verdicts_found = [rules.verdict(sample) if asks else None for sample, asks in zip(samples, self.asking, strict=True)]

    def score_samples(self, samples: Sequence[TextSample]) -> Scored:
        scored = super().score_samples(samples)
        self.find_verdicts(samples)
        found = self.verdicts_found
        columns = scored.columns | (verdict_columns(found) if self.declared().anomalous else {})
        shown = [each | (shown_verdict(verdict) if verdict else {}) for each, verdict in zip(scored.shown, found, strict=True)]
        return Scored(columns, shown, {**(scored.counts or {}), **verdict_counts(samples, self.asking, found)}, scored.tables)

    def unit_of(self, sample: TextSample, place: int) -> Hashable:
        return frame_of(sample, place)

    def normal_without_class(self, samples: Sequence[TextSample]) -> list[int]:
        """The places of verdicts about normal images that belong to no class: each class is compared with them."""
        pairs = enumerate(zip(samples, self.verdicts_found, strict=True))
        return [
            place
            for place, (sample, verdict) in pairs
            if verdict and not verdict.is_anomaly and not group_value(CLASS, sample.question.more.get(CLASS))
        ]

    def group_numbers(self, samples: Sequence[TextSample], scored: Scored) -> dict[str, dict[str, float | int | None]]:
        found = super().group_numbers(samples, scored)
        numbers = class_numbers(self.verdicts_found, places_of(samples, CLASS), self.normal_without_class(samples))
        for name, of_class in numbers.items():
            found[name].update({key: value for key, value in of_class.items() if key in found[name]})
        return found

    def score(self, answers: TextAnswers, truth: Questions) -> Evaluation:
        evaluation = super().score(answers, truth)
        if self.declared().anomalous:
            units = [self.unit_of(sample, place) for place, sample in enumerate(answers.samples)]
            by_stage, by_class = (places_of(answers.samples, name) for name in (STAGE, CLASS))
            add_roc(evaluation, self.verdicts_found, units, by_stage, by_class, self.normal_without_class(answers.samples))
        evaluation.counts.update({"rows_of_boxes": self.asking_boxes})
        if self.options.get("mmad"):
            add_mmad(evaluation, answers.samples)
        if self.boxes is not None:
            stage = self.columns().attribute(STAGE)
            add_boxes(evaluation, self.boxes, lambda row: stage_group(getattr(row, stage)), class_group)
        return evaluation

    def count_lines(self, answers: TextAnswers, truth: Questions, evaluation: Evaluation) -> list[str]:
        counts = evaluation.counts
        lines = [f"verdicts: {counts['verdicts']}, of anomalies {counts['verdicts_of_anomalies']}"] if counts["verdicts"] else []
        lines += [f"rows that ask for boxes: {self.asking_boxes}"] if self.asking_boxes else []
        return [
            *super().count_lines(answers, truth, evaluation),
            *lines,
            *(f"{counts[id]} x {COUNTS[id]} [{id}]" for id in SAID if counts.get(id)),
        ]

    def terms(self) -> dict[str, Any]:
        rules, of_mmad = self.declared(), mmad.RULE if self.options.get("mmad") else {}
        declared = {"anomalous": ", ".join(rules.anomalous), "normal": ", ".join(rules.normal)}
        if not rules.anomalous:
            return {**super().terms(), **of_mmad, "verdict": "not declared"} | ({"boxes": RULE["boxes"]} if self.asking_boxes else {})
        where = {"verdict_where": ", ".join(f"{name}={pattern}" for name, pattern in rules.asked_by)}
        return {**super().terms(), **of_mmad, **declared, **where, **RULE}

    def shown_numbers(self) -> set[str]:
        verdicts = {number.key for number in VERDICTS} if self.options.get("anomalous") else set()
        verdicts |= {"mmad", "mmad_own"} if self.options.get("mmad") else set()
        return {*verdicts, *(["box_f1"] if self.asking_boxes else []), *super().shown_numbers()}


def verdict_counts(samples: Sequence[TextSample], asking: Sequence[bool], found: Sequence[Verdict | None]) -> dict[str, int]:
    """What was asked, and what could not be read."""
    stages = ["" if (value := sample.question.more.get(STAGE)) is None else str(value).strip() for sample in samples]
    return {
        "verdicts": sum(verdict is not None for verdict in found),
        "verdicts_of_anomalies": sum(verdict is not None and verdict.is_anomaly for verdict in found),
        "verdict_unreadable": sum(verdict is not None and verdict.said is None for verdict in found),
        "verdict_truth_unclear": sum(asks and verdict is None for asks, verdict in zip(asking, found, strict=True)),
        "stage_missing": sum(stage in ("", "0") for stage in stages),
        "stage_unknown": sum(stage not in ("", "0", *STAGES) for stage in stages),
        "class_missing": sum(not group_value(CLASS, sample.question.more.get(CLASS)) for sample in samples),
    }


def add_mmad(evaluation: Evaluation, samples: Sequence[TextSample]) -> None:
    """Put the numbers of MMAD into an evaluation. Raises GroundswiftError where no row is one of the benchmark."""
    found, without = mmad.judged(samples)
    if not found:
        expected = "rows of groundswift convert mmad, with the columns subtask, dataset and verdict"
        raise GroundswiftError(f"--mmad: no row states its subtask, dataset and verdict; expected {expected}")
    tables = mmad.table(found), mmad.table(found, own=True)
    evaluation.summary.update({number.key: mmad.average(table) for number, table in zip(MMAD, tables, strict=True)})
    evaluation.tables.extend(tables)
    evaluation.counts["not_of_mmad"] = without
