"""Rows of a result, one answer each, for metrics that join them to a ground truth of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from groundswift.boxes import Boxes
from groundswift.errors import GroundswiftError, Tally, error_at
from groundswift.records import read_jsonl

from ..ground_truth import OnError
from .counts import Counts
from .protocol import Rules
from .swift_results import NO_ANSWER, SKIP_ROWS, Problem, ResultRow, response_missing, size_missing
from .unlabelled_boxes import boxes_of_answers

OF_JOIN = ("missing", "doubled", "unknown")  # counts of a metric that joins rows to its truth


class SampleAnswer(NamedTuple):
    """One answer: the row's `sample_id`, its text and parse status, its labels ("" without one) and (n, 4) boxes, xyxy in original px."""

    sample_id: int | str | None
    text: str
    status: str
    labels: list[str]
    boxes_xyxy_px: Boxes


@dataclass(frozen=True)
class SampleAnswers:
    """The answers in the order of their rows, and what was counted."""

    samples: list[SampleAnswer]
    counts: Counts
    warnings: tuple[dict[str, Any], ...] = ()

    def counts_document(self) -> dict[str, Any]:
        """The part of `counts` in `metrics.json` that is about answers; what a join to the ground truth would count is not in it."""
        return {key: value for key, value in self.counts.document().items() if key not in OF_JOIN}

    def lines(self) -> list[str]:
        """What was read and dropped, for the terminal."""
        return [f"rows: {self.counts.read}; answers: {self.counts.status_line()}", *self.counts.lines()]


def read_samples(path: str | Path, rules: Rules, on_error: OnError = "stop") -> SampleAnswers:
    """The answers of a result file; rows without one are counted.

    Raises GroundswiftError at the first row that cannot be used; with `on_error` `skip` it is counted instead.
    """
    lines, kept, skipped = [], [], Tally()
    for number, row in read_jsonl(path, ResultRow):
        problem = _problem(row, f"{path}:{number}")
        if problem is None:
            lines.append(f"line {number}")
            kept.append(row)
        elif on_error == "stop" and problem[0] != NO_ANSWER:
            raise GroundswiftError(f"{problem[1]}\n{SKIP_ROWS}")
        else:
            skipped.add(problem[0], f"line {number}")
    found = boxes_of_answers(
        [row.response for row in kept], [row.size_wh for row in kept], rules, lines, [row.was_truncated() for row in kept]
    )
    found.counts.rows = skipped
    columns = zip(kept, found.statuses, found.labels, found.boxes_xyxy_px, strict=True)
    return SampleAnswers([SampleAnswer(row.sample_id, row.response, *more) for row, *more in columns], found.counts)


def _problem(row: ResultRow | GroundswiftError, where: str) -> Problem | None:
    """Why a row has no answer to score; one that the run itself did not answer stops nothing."""
    if isinstance(row, GroundswiftError):
        return "row-invalid", row
    if row.error:
        return NO_ANSWER, error_at(where, str(row.error))
    return response_missing(where) if row.response is None else size_missing(row.size_wh, where)
