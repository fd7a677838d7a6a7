"""A result of referring expressions -> questions, each with its true box and what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from groundswift.errors import GroundswiftError, Tally, fault
from groundswift.spaces import space_row

from ..ground_truth import OnError
from ..metrics.referring import score_referring
from .referring_rows import Key, Referred, ReferringRow, referred, rows_of
from .space_check import Explanation, explain_mismatch
from .swift_results import NO_ANSWER
from .to_boxes import Rules
from .unlabelled_boxes import BareAnswers, boxes_of_answers


@dataclass
class Asked:
    """Questions by key, and their answers. `left_out` counts rows by reason; a question without an answer counts as wrong."""

    questions: dict[Key, Referred] = field(default_factory=dict)
    responses: dict[Key, str] = field(default_factory=dict)
    cut: set[Key] = field(default_factory=set)  # generation of the answer stopped at its token limit
    left_out: Tally = field(default_factory=Tally)
    rows: int = 0


def read_asked(result: str | Path, rows: str | Path | None, rules: Rules, on_error: OnError = "stop") -> Asked:
    """The questions of `rows`, or where that is None of the result itself, and the answers of the result.

    The first answer to a question counts: swift appends to a file that exists. Raises GroundswiftError at the first row that cannot
    be used; with `on_error` `skip` it is left out and counted. Doubled answers and those to unknown questions are counted either way.
    """
    asked = Asked()
    resized = space_row(rules.space_name).side == "resized"
    for where, row in _usable(rows or result, asked, on_error):
        question = referred(row, where, resized)
        if isinstance(question, Referred):
            asked.questions.setdefault(question.key, question)
        else:
            _leave_out(asked, *question, where, on_error)
    for where, row in _usable(result, asked, on_error if rows else "pass"):
        asked.rows += 1
        if row.error:
            asked.left_out.add(NO_ANSWER, f"{where}: {row.error}")
        elif row.response is None:
            _leave_out(asked, "no response", fault(where, "the row has no response", "the text that the model wrote"), where, on_error)
        elif row.key() not in asked.questions:
            if rows:
                asked.left_out.add("unknown question", where)
        elif row.key() in asked.responses:
            asked.left_out.add("doubled", where)
        else:
            asked.responses[row.key()] = row.response
            if row.was_cut():
                asked.cut.add(row.key())
    if not asked.questions:
        raise fault(result if rows is None else rows, "no row has one true box to score", "rows of referring expressions")
    return asked


def _usable(path: str | Path, asked: Asked, on_error: str) -> Iterator[tuple[str, ReferringRow]]:
    """Rows that are rows; the others stop, or are counted, or, where they were counted before (`pass`), are passed over."""
    for where, row in rows_of(path):
        if isinstance(row, ReferringRow):
            yield where, row
        elif on_error != "pass":
            _leave_out(asked, "not a row", row, where, on_error)


def _leave_out(asked: Asked, reason: str, error: GroundswiftError, where: str, on_error: str) -> None:
    if on_error == "stop":
        raise GroundswiftError(f"{error}\nUse --on-error skip to drop and count such rows.")
    asked.left_out.add(reason, where)


def score_asked(asked: Asked, rules: Rules) -> tuple[dict[str, Any], BareAnswers, Explanation | None]:
    """(what `score_referring` gives, the answers as they were read, another space that would explain boxes which do not fit)."""
    questions = list(asked.questions.values())
    answers = boxes_of_answers(
        [asked.responses.get(question.key) for question in questions],
        [question.size_wh for question in questions],
        rules,
        [question.name for question in questions],
        [question.key in asked.cut for question in questions],
    )
    truth = np.array([question.box_xyxy_px for question in questions])
    score = score_referring(answers.boxes_xyxy_px, truth)
    return score, answers, explain_mismatch(answers.sample, truth, np.arange(len(truth)))
