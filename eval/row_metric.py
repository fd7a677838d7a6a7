"""The base of metrics about boxes and points whose truth is in the rows that were asked: referring, phrase grounding, pointing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from math import fsum
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes
from groundswift.errors import error_at
from groundswift.spaces import space_row

from .answers.cli_options import FILE, check_there
from .answers.counts import STATUSES, Counts
from .answers.protocol import Rules
from .answers.referring_results import Asked, read_questions
from .answers.referring_rows import ReferringRow, referred
from .bootstrap import Interval, interval, term
from .evaluated_run import DrawnBox, NumberTable, Table
from .metric import Evaluation, Metric

ROWS = click.option(
    "--rows",
    "truth_path",
    type=FILE,
    help="The rows that swift infer read: a row without an answer in RESULT counts as wrong.  [default: the rows of RESULT]",
)
SHOWN = 20_000  # characters of an answer that run.json and the report have
DRAWN = 1_000  # boxes of an answer that they have
Columns = Mapping[str, Sequence[float | None] | NDArray[Any]]


class RowMetric(Metric):
    """Base of the metrics whose truth is that of the rows. A subclass has `question_of`, `nothing_to_score`, `read_answers` and `score`."""

    truth_option = ROWS
    truth_name = "boxes of the rows of {}"
    needs_out = False
    ignored_terms = ("score", "score_is", "label_match", "unknown_label", "duplicates")
    comparable_terms = {"metric": None, "truth_sha256": None}
    question_of: Callable[..., Any] = staticmethod(referred)
    row_type: type = ReferringRow
    nothing_to_score = "no row has a ground-truth box to score"

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        check_there(result, "the rows that swift infer wrote")
        check_there(self.options["truth_path"], "the rows that were asked")
        source, rules = super().source(result)
        self.options["resized"] = space_row(rules.space_name).side == "resized"
        return source, rules

    def read_truth(self, path: Path) -> Asked:
        asked = read_questions(path, self.options["resized"], self.options["on_error"], type(self).question_of, self.row_type)
        if not asked.questions:
            raise error_at(path, self.nothing_to_score, "rows with objects, as groundswift convert writes them")
        return asked

    @property
    def asks_itself(self) -> bool:
        """Whether the questions are those of RESULT."""
        return self.options["truth_path"] is None

    def evaluation(
        self,
        columns: Columns,
        asked: Asked,
        protocol: dict[str, Any],
        counts: dict[str, Any],
        questions: Sequence[Any] | None = None,
        kinds: Sequence[Sequence[str]] | None = None,
        **more: Any,
    ) -> Evaluation:
        """The mean of each column over the entries that have a number in it, by split and kind too, with its interval over images.

        `questions`: that of each entry, where there is not one entry for each; `kinds`: further groups of each entry, such as its types.
        """
        owners = list(asked.questions.values() if questions is None else questions)
        titles = {number.key: number.title for number in self.numbers}
        groups = {"split": by_group(columns, [[owner.split] if owner.split else [] for owner in owners])}
        groups["type"] = by_group(columns, kinds or [[] for _ in owners])
        return Evaluation(
            {key: mean(values) for key, values in columns.items()},
            per_group={name: numbers for group in groups.values() for name, numbers in group.items()},
            counts=counts,
            protocol={**protocol, "intervals": term("images"), "truth_sha256": asked.digest()},
            intervals=intervals_of(columns, [owner.image_key for owner in owners]),
            tables=[group_table(name, numbers, titles) for name, numbers in groups.items() if numbers],
            **more,
        )

    def lines(self, evaluation: Evaluation) -> list[str]:
        """The numbers; those that no question has are not shown."""
        shown = {key: value for key, value in evaluation.summary.items() if value is not None or self.is_headline(key)}
        lines = super().lines(replace(evaluation, summary=shown))
        for name, numbers in evaluation.per_group.items():
            known = {key: value for key, value in numbers.items() if value is not None and (self.is_headline(key) or key == "samples")}
            texts = (f"{key} {value}" if isinstance(value, int) else f"{key} {value:.3f}" for key, value in known.items())
            lines.append(f"{name}: {', '.join(texts)}")
        return lines

    def is_headline(self, key: str) -> bool:
        """Whether a number is one of the first to look at."""
        return any(number.key == key and number.headline for number in self.numbers)

    def table(self, documents: Sequence[dict[str, Any]]) -> NumberTable:
        return super().table(documents)._replace(of_groups=("samples", *(number.key for number in self.numbers if number.headline)))


def mean(values: Sequence[float | None] | NDArray[Any]) -> float | None:
    """The mean of those that are defined, rounded once, whatever their order; None without any."""
    known = [float(value) for value in values if value is not None]
    return fsum(known) / len(known) if known else None


def intervals_of(columns: Columns, images: Sequence[Hashable]) -> dict[str, Interval]:
    """The interval of the mean of each column; questions about one image are drawn together."""
    found = {}
    for key, values in columns.items():
        known = [number for number, value in enumerate(values) if value is not None]
        found[key] = interval([values[number] for number in known], groups=[images[number] for number in known])
    return {key: each for key, each in found.items() if each is not None}


def by_group(columns: Columns, groups: Sequence[Sequence[str]]) -> dict[str, dict[str, float | int | None]]:
    """The numbers of each group by name, and how many samples it has; an entry may be in several groups, or in none."""
    places: dict[str, list[int]] = {}
    for number, names in enumerate(groups):
        for name in dict.fromkeys(names):
            places.setdefault(name, []).append(number)
    return {
        name: {"samples": len(chosen), **{key: mean([values[number] for number in chosen]) for key, values in columns.items()}}
        for name, chosen in sorted(places.items())
    }


def group_table(kind: str, groups: dict[str, dict[str, float | int | None]], titles: dict[str, str]) -> Table:
    """The groups of one kind as a table of the report."""
    columns = [kind, *(titles.get(key, key) for key in next(iter(groups.values())))]
    return Table(f"by_{kind}", f"By {kind}", columns, [[name, *row.values()] for name, row in groups.items()])


def answer_counts(asked: Asked, counts: Counts) -> dict[str, Any]:
    """What was counted while questions and answers were read, for `metrics.json`."""
    return {
        "rows": asked.rows,
        "statuses": {status: counts.statuses[status] for status in (*STATUSES, "missing")},
        "reasons": dict(counts.reasons.most_common()),
        "rows_left_out": dict(counts.rows.counts),
        "dropped": dict(counts.dropped.counts),
        "changed": dict(counts.changed.counts),
    }


def given(texts: Sequence[str]) -> list[str | None]:
    """The answers of a validation; None where a row could not be answered: then its text is empty and has a `reason`."""
    return [None if hasattr(text, "reason") else text for text in texts]


def shortened(text: str) -> str:
    """A text as a report holds it."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ... ({len(text):,} characters)"


def drawn(labels: Sequence[str], boxes_xyxy_px: Boxes, outcomes: Sequence[Any]) -> list[DrawnBox]:
    """Boxes for the report, rounded to 0.01 px; the first DRAWN of them."""
    return list(map(DrawnBox, labels[:DRAWN], map(tuple, np.round(boxes_xyxy_px[:DRAWN], 2).tolist()), outcomes[:DRAWN]))


def yes(value: bool) -> str:
    """A truth value as a report shows it."""
    return "yes" if value else "no"
