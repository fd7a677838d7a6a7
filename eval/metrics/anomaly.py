"""Anomaly detection: question answering, verdicts, choices and boxes of one result, by stage and by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from operator import attrgetter
from pathlib import Path
from typing import Any

import click

from groundswift.errors import GroundswiftError
from groundswift.records import tags_in
from groundswift.run_record import record_of_result

from ..answers.choices import LETTERS
from ..answers.cli_options import rules_of_command
from ..answers.csv_results import is_table
from ..answers.protocol import Rules
from ..answers.text_rows import Columns, Questions, TextAnswers, TextSample
from ..answers.verdicts import BUILT_IN, Verdict, VerdictRules
from ..count_ids import COUNTS
from ..evaluated_run import ImageResult, Number, Table
from ..located import Located, located, same_rows
from ..metric import Evaluation
from ..protocols import mmad
from ..text_metric import Column, Scored
from ..verdict_numbers import roc_plots, verdict_columns, word
from .question_answering import QuestionAnswering, options_of_command

STAGE, CLASS, OBJECTS, PROMPT = "stage", "class_name", "objects", "prompt"
SAID = ("verdict_unreadable", "verdict_truth_unclear", "choice_unreadable", "stage_unknown", "not_of_mmad")  # counts on the terminal
STAGES = ("1", "2", "3")
VERDICTS = (
    Number("anomaly_precision", "anomaly precision", headline=True),
    Number("anomaly_recall", "anomaly recall", headline=True),
    Number("anomaly_f1", "anomaly F1", headline=True),
    Number("anomaly_auroc", "anomaly AUROC", headline=True),
    Number("anomaly_accuracy", "verdict accuracy"),
    Number("anomaly_specificity", "verdict accuracy, normal"),
)
BOXES = (
    Number("box_f1", "box F1 at IoU 0.5", headline=True),
    Number("box_precision", "box precision at IoU 0.5"),
    Number("box_recall", "box recall at IoU 0.5"),
)
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
NO_SCORES = (
    "AUROC is undefined: {lacking} of {verdicts} verdicts have no log-probability of a declared answer; use groundswift infer "
    "--logprobs --top-logprobs 5"
)
IN_TABLE = "{} rows ask for boxes, which a table does not have: score the JSON lines for numbers of boxes"
NO_FAMILY = "{} rows ask for boxes, and how they are written is not known: give --family; box numbers are undefined"
RULE = {
    "verdict": "what an answer begins with, or the option that it chooses; without a verdict it is wrong, and raises no alarm",
    "verdict_undefined": "precision, F1 and AUROC need anomalous and normal images in their group",
    "roc_score": "probability of the anomalous answers among the declared ones, at the first token",
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
        more = dict.fromkeys((STAGE, CLASS, OBJECTS, PROMPT, *mmad.COLUMNS, *(name for name, _ in rules.asked_by if name != "question")))
        return super().columns()._replace(more=tuple(more), alternatives=bool(rules.anomalous))

    def read_answers(self, source: Path, truth: Questions, rules: Rules | None) -> TextAnswers:
        answers = super().read_answers(source, truth, rules)
        self.find_verdicts(answers.samples)
        lacking, verdicts = self.without_score()
        if lacking:
            answers.warnings.append({"id": "roc-undefined", "message": NO_SCORES.format(lacking=lacking, verdicts=verdicts)})
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
        for sample in kept:
            groups = [f"{name}: {value}" for name in (STAGE, CLASS) if (value := group_value(name, sample.question.more.get(name)))]
            sample.question.groups = tuple(dict.fromkeys([*sample.question.groups, *groups]))
        return kept

    def find_verdicts(self, samples: Sequence[TextSample]) -> None:
        """Read the verdicts. Raises GroundswiftError where answers are declared and no question asks for one."""
        rules = self.declared()
        self.asking = [bool(rules.anomalous) and rules.asks(texts_of(sample), sample.question.text) for sample in samples]
        if rules.anomalous and samples and not any(self.asking):
            patterns = ", ".join(f"{name}={pattern}" for name, pattern in rules.asked_by)
            expected = "a column and a pattern that fit"
            raise GroundswiftError(f"no question asks for a verdict by --verdict-where {patterns}; expected {expected}")
        self.verdicts_found = [rules.verdict(sample) if asks else None for sample, asks in zip(samples, self.asking, strict=True)]

    def without_score(self) -> tuple[int, int]:
        """(how many verdicts have no score, how many there are)."""
        verdicts = [verdict for verdict in self.verdicts_found if verdict]
        return sum(verdict.score is None for verdict in verdicts), len(verdicts)

    def score_samples(self, samples: Sequence[TextSample]) -> Scored:
        scored = super().score_samples(samples)
        self.find_verdicts(samples)
        found = self.verdicts_found
        columns = scored.columns | (verdict_columns(found) if self.declared().anomalous else {})
        shown = [
            {**each, **({"verdict": word(verdict.said)} if verdict else {})} for each, verdict in zip(scored.shown, found, strict=True)
        ]
        return Scored(columns, shown, {**(scored.counts or {}), **verdict_counts(samples, self.asking, found)}, scored.tables)

    def score(self, answers: TextAnswers, truth: Questions) -> Evaluation:
        evaluation = super().score(answers, truth)
        groups = [sample.question.groups for sample in answers.samples]
        chosen = {f"{STAGE}: {stage}": [f"{STAGE}: {stage}" in each for each in groups] for stage in STAGES}
        stages = {name: list(compress(self.verdicts_found, places)) for name, places in chosen.items()}
        evaluation.plots.extend(roc_plots({"all": self.verdicts_found, **stages}))
        evaluation.counts.update({"rows_of_boxes": self.asking_boxes})
        if self.options.get("mmad"):
            add_mmad(evaluation, answers.samples)
        if self.boxes is not None:
            add_boxes(evaluation, self.boxes, attrgetter(self.columns().attribute(STAGE)))
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


def group_value(name: str, value: Any) -> str:
    """The group of a question by its stage or class; empty where it has none that is known."""
    text = "" if value is None else str(value).strip()
    return text[:80] if name != STAGE or text in STAGES else ""


def question_kind(sample: TextSample) -> str:
    """Which kind of question of `groundswift anomaly` it is, by its column `prompt`: locate.where.en.2 -> locate.where; else empty."""
    prompt = sample.question.more.get(PROMPT)
    parts = prompt.split(".") if isinstance(prompt, str) else []
    return ".".join(parts[:2]) if len(parts) == 4 else ""


def texts_of(sample: TextSample) -> dict[str, str]:
    """The columns of a question as texts; a missing one is empty."""
    return {name: "" if value is None else str(value) for name, value in sample.question.more.items()}


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


def box_columns(boxes: Located) -> dict[str, Column]:
    """The numbers of boxes: sums over rows."""
    found, false, missed = ([float(value) for value in column] for column in (boxes.found, boxes.false, boxes.missed))
    said = [a + b for a, b in zip(found, false, strict=True)]
    wanted = [a + b for a, b in zip(found, missed, strict=True)]
    both = [a + b for a, b in zip(said, wanted, strict=True)]
    return {
        "box_f1": Column([2 * value for value in found], both),
        "box_precision": Column(found, said),
        "box_recall": Column(found, wanted),
    }


def add_boxes(evaluation: Evaluation, boxes: Located, stage_of: Callable[[Any], Any]) -> None:
    """Put the numbers of boxes, by stage and by class, and their images into an evaluation."""
    columns, units = box_columns(boxes), same_rows(boxes.targets)
    for key, column in columns.items():
        evaluation.summary[key] = column.number()
        if (found := column.interval(units)) is not None:
            evaluation.intervals[key] = found
    stages: dict[str, list[int]] = {}
    for place, target in enumerate(boxes.targets):
        if stage := group_value(STAGE, stage_of(target.row)):
            stages.setdefault(f"{STAGE}: {stage}", []).append(place)
    rows = [[name, *(columns[key].number(chosen) for key in columns), len(chosen)] for name, chosen in sorted(stages.items())]
    rows += [[f"{CLASS}: {name}", each.f1, each.precision, each.recall, each.found + each.missed] for name, each in boxes.by_class.items()]
    for name, f1, precision, recall, count in rows:
        group = evaluation.per_group.setdefault(name, {})
        group |= {"box_f1": f1, "box_precision": precision, "box_recall": recall, "boxes" if name.startswith(CLASS) else "rows": count}
    heads = ["group", *(number.title for number in BOXES), "objects or rows"]
    evaluation.tables.append(Table("boxes", "Boxes", heads, rows))
    first = len(evaluation.per_sample)
    evaluation.per_sample.extend(renumbered(image, first + number) for number, image in enumerate(boxes.images))
    evaluation.counts["boxes"] = boxes.counts


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


def renumbered(image: ImageResult, number: int) -> ImageResult:
    """The result on a row under a number that no sample of text has."""
    image.image_id = number
    return image
