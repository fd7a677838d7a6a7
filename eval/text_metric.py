"""The base of metrics whose answers are text: one answer a question, each number a mean or a ratio of sums over samples."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import fsum
from pathlib import Path
from typing import Any

import click

from .answers.cli_options import FILE, check_there
from .answers.protocol import Rules
from .answers.rows_in_memory import samples_in_memory
from .answers.text_columns import Columns
from .answers.text_rows import Questions, TextAnswers, TextSample, read_questions, read_text_answers
from .bootstrap import Interval, ratio_interval, term
from .evaluated_run import ImageResult, NumberTable, Table
from .metric import Evaluation, Metric

SHOWN = 20_000  # characters of an answer that run.json and the report have
ROWS = (
    "The rows that swift infer read: a row without an answer in RESULT counts as an empty answer.  [default: the rows of RESULT, whose "
    "`labels` swift infer keeps]"
)
COLUMN = (
    "Column of the true answers: text, a number, or a list of these.  [default: `references`, `answers` or `solution`, else the "
    "assistant's last turn]"
)
TEXT_OPTIONS = (
    click.option("--column", help=COLUMN),
    click.option("--group-by", "groups", multiple=True, metavar="COLUMN", help="Numbers for each value of this column too; repeatable."),
)
PROTOCOL = {
    "join": "by sample_id as text, and by question",
    "missing_answer": "counts as an empty answer",
    "duplicate_answer": "the first row of a question counts",
    "thinking": "text up to the end of the thinking block does not count",
}


@dataclass(frozen=True)
class Column:
    """A number of each sample as a ratio `sums` / `weights`; None where it is undefined. Their number is the ratio of the totals."""

    sums: Sequence[float | None]
    weights: Sequence[float] | None = None
    per_sample: bool = True  # whether the report shows it with each sample

    def weight(self, index: int) -> float:
        return 1.0 if self.weights is None else self.weights[index]

    def number(self, chosen: Sequence[int] | None = None) -> float | None:
        """The number of some samples, or of all; the same whatever their order."""
        known = [index for index in (range(len(self.sums)) if chosen is None else chosen) if self.sums[index] is not None]
        total = fsum(self.weight(index) for index in known)
        return fsum(self.sums[index] for index in known) / total if total else None

    def interval(self, units: Sequence[Hashable]) -> Interval | None:
        """The bootstrap interval of the number; all samples of a unit are drawn together. None where it is undefined."""
        known = [index for index, value in enumerate(self.sums) if value is not None]
        columns = ([self.sums[index] for index in known], [self.weight(index) for index in known])
        return ratio_interval(*columns, [units[index] for index in known])

    def value(self, index: int) -> float | None:
        """The number of one sample."""
        return self.number([index])


@dataclass(frozen=True)
class Scored:
    """What a metric makes of samples: a column for each number that is defined, by key; what else each sample shows, by title."""

    columns: dict[str, Any]  # Column, or what has its methods
    shown: Sequence[dict[str, float | str | None]] = ()
    counts: dict[str, Any] | None = None
    tables: tuple[Table, ...] = ()


class TextMetric(Metric):
    """Base of the metrics of text. A subclass has `score_samples`, and `terms` of the protocol."""

    reads_boxes = False
    needs_out = False
    truth_option = click.option("--rows", "truth_path", type=FILE, help=ROWS)
    truth_name = "true answers of the rows of {}"
    options = TEXT_OPTIONS
    comparable_terms = {"metric": None, "truth_sha256": None, "normalize": None}
    empty_truth = False  # whether an empty text is a true answer
    interval_units = "images or videos, or samples without one"

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        check_there(result, "the rows that swift infer wrote")
        return result, None

    def columns(self) -> Columns:
        """Which columns of the rows to read."""
        return Columns(self.options.get("column"), tuple(self.options.get("groups", ())), self.empty_truth)

    def read_truth(self, path: Path) -> Questions:
        return read_questions(path, self.columns(), self.options["truth_path"] is None, self.options["on_error"])

    def read_answers(self, source: Path, truth: Questions, rules: Rules | None) -> TextAnswers:
        found = read_text_answers(truth, source, self.options["on_error"], self.columns().alternatives)
        found.samples = self.to_score(found.samples)
        return found

    def to_score(self, samples: list[TextSample]) -> list[TextSample]:
        """The samples that have an answer in text."""
        return samples

    def score(self, answers: TextAnswers, truth: Questions) -> Evaluation:
        scored = self.score_samples(answers.samples)
        groups = self.group_numbers(answers.samples, scored)
        return Evaluation(
            {number.key: self.number_of(scored, number.key) for number in self.numbers},
            per_group=groups,
            per_sample=self.sample_results(answers.samples, scored),
            counts={**answers.counts_document(), **(scored.counts or {})},
            protocol={**PROTOCOL, **self.terms(), "intervals": term(self.interval_units), "truth_sha256": truth.digest()},
            intervals=self.intervals(answers.samples, scored),
            tables=[*scored.tables, *self.group_tables(groups)],
        )

    def score_rows(self, texts: Sequence[str | None], rows: Sequence[Any], rules: Rules) -> Evaluation:
        found, dropped = samples_in_memory([row.row for row in rows], texts, self.columns())
        samples = self.to_score(found)
        if not samples:
            return Evaluation({number.key: None for number in self.numbers}, counts={"rows_left_out": dict(dropped.counts)})
        scored = self.score_samples(samples)
        numbers = {number.key: self.number_of(scored, number.key) for number in self.numbers}
        return Evaluation(numbers, self.group_numbers(samples, scored), counts={"rows_left_out": dict(dropped.counts)})

    def score_samples(self, samples: Sequence[TextSample]) -> Scored:
        """The numbers of each sample."""
        raise NotImplementedError

    def terms(self) -> dict[str, Any]:
        """Further terms of the protocol: options and rules that the numbers depend on."""
        return {}

    def number_of(self, scored: Scored, key: str, chosen: Sequence[int] | None = None) -> float | None:
        """A number of some samples, or of all; None where the metric has none for these rows."""
        return scored.columns[key].number(chosen) if key in scored.columns else None

    def unit_of(self, sample: TextSample, place: int) -> Hashable:
        """What the sample has in common with others that depend on it: they are drawn together."""
        return sample.question.media or place

    def intervals(self, samples: Sequence[TextSample], scored: Scored) -> dict[str, Interval]:
        """The intervals of the numbers; several questions about one image or video are one unit."""
        units = [self.unit_of(sample, index) for index, sample in enumerate(samples)]
        found = {key: column.interval(units) for key, column in scored.columns.items()}
        return {key: interval for key, interval in found.items() if interval is not None}

    def group_numbers(self, samples: Sequence[TextSample], scored: Scored) -> dict[str, dict[str, float | int | None]]:
        """The numbers of each group, and how many samples it has."""
        places: dict[str, list[int]] = {}
        for index, sample in enumerate(samples):
            for group in sample.question.groups:
                places.setdefault(group, []).append(index)
        keys = dict.fromkeys((*(number.key for number in self.numbers), *scored.columns))  # in the order of the metric's numbers
        known = [key for key in keys if places and key in scored.columns and scored.columns[key].number() is not None]
        return {
            group: {**{key: self.number_of(scored, key, chosen) for key in known}, "samples": len(chosen)}
            for group, chosen in sorted(places.items())
        }

    def group_tables(self, groups: dict[str, dict[str, float | int | None]]) -> list[Table]:
        """The groups as a table of the report."""
        if not groups:
            return []
        titles = {number.key: number.title for number in self.numbers}
        keys = list(next(iter(groups.values())))
        heads = ["group", *(titles.get(key, key) for key in keys)]
        return [Table("groups", "Groups", heads, [[group, *(numbers[key] for key in keys)] for group, numbers in groups.items()])]

    def sample_results(self, samples: Sequence[TextSample], scored: Scored) -> list[ImageResult]:
        """Each sample for the report."""
        titles = {number.key: number.title for number in self.numbers}
        shown = {key: column for key, column in scored.columns.items() if column.per_sample and column.number() is not None}
        return [
            ImageResult(
                index,
                sample.question.media,
                sample.question.size_wh,
                sample.status,
                [],
                [],
                response=shortened(sample.text),
                sample_id=sample.question.sample_id,
                question=shortened(sample.question.text),
                references=[shortened(text) for text in sample.question.references],
                values={
                    **{titles.get(key, key): column.value(index) for key, column in shown.items()},
                    **(scored.shown[index] if scored.shown else {}),
                },
            )
            for index, sample in enumerate(samples)
        ]

    def lines(self, evaluation: Evaluation) -> list[str]:
        """The numbers; those that were not asked for are undefined and not shown."""
        shown = {key: value for key, value in evaluation.summary.items() if value is not None or key in self.shown_numbers()}
        return super().lines(replace(evaluation, summary=shown))

    def table(self, documents: Sequence[dict[str, Any]]) -> NumberTable:
        """The numbers that a run has; those that were not asked for, or that its rows do not have, are not shown."""
        found = super().table(documents)
        return found._replace(numbers=[each for each in found.numbers if any(run.get(each.key, 0) is not None for run in documents)])

    def protocol_lines(self, protocol: dict[str, Any]) -> list[str]:
        """The protocol: the rules of the metric, one a line."""
        return [*super().protocol_lines(protocol), *(f"{'':10}{name.replace('_', ' ')}: {protocol[name]}" for name in self.terms())]

    def shown_numbers(self) -> set[str]:
        """The numbers that the terminal shows even where they are undefined."""
        return {number.key for number in self.numbers}


def shortened(text: str) -> str:
    """A text as a report holds it."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ... ({len(text):,} characters)"
