"""Rows of a result, one answer each, for metrics that join them to a ground truth of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from groundswift.boxes import Boxes
from groundswift.errors import Tally

from ..ground_truth import OnError
from .counts import Counts
from .protocol import Rules
from .swift_results import NO_ANSWER, RESPONSE_MISSING, Problem, ResultRow, size_missing, usable_rows
from .to_boxes import boxes_of_answers

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
    dropped = Tally()
    rows = list(usable_rows(path, ResultRow, _answered, dropped, on_error))
    columns = [(row.response, row.size_wh, f"line {number}", row.was_truncated()) for number, row, _ in rows]
    texts, sizes_wh, names, truncated = zip(*columns, strict=True) if columns else [()] * 4
    found = boxes_of_answers(texts, sizes_wh, rules, names, truncated)
    found.counts.rows = dropped
    columns = zip(rows, found.statuses, found.labels, found.boxes_xyxy_px, strict=True)
    return SampleAnswers([SampleAnswer(row.sample_id, row.response, *more) for (_, row, _), *more in columns], found.counts)


def _answered(row: ResultRow) -> Problem | None:
    """Why a row has no answer to score."""
    if row.error:
        return Problem(NO_ANSWER, str(row.error))
    return RESPONSE_MISSING if row.response is None else size_missing(row.size_wh)
