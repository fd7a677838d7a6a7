"""A result of referring expressions -> questions, each with its ground-truth box and its answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from groundswift.errors import GroundswiftError, Tally
from groundswift.records import read_jsonl

from ..ground_truth import OnError
from .protocol import Rules
from .referring_rows import Key, Referred, ReferringRow, referred
from .swift_results import NO_ANSWER, SKIP_ROWS, response_missing
from .unlabelled_boxes import BareAnswers, boxes_of_answers


@dataclass
class Asked:
    """Questions by key, and their answers. `dropped` counts rows by reason; a question without an answer counts as wrong."""

    questions: dict[Key, Referred] = field(default_factory=dict)
    responses: dict[Key, str] = field(default_factory=dict)
    truncated: set[Key] = field(default_factory=set)  # generation of the answer stopped at its token limit
    dropped: Tally = field(default_factory=Tally)
    rows: int = 0


def read_questions(path: str | Path, resized: bool, on_error: OnError = "stop") -> Asked:
    """The questions of a file of rows. `resized`: answers are in pixels of the resized image.

    Raises GroundswiftError at the first row that cannot be used; with `on_error` `skip` it is counted instead.
    """
    asked = Asked()
    for where, row in _usable(path, asked, on_error):
        question = referred(row, where, resized)
        if isinstance(question, Referred):
            asked.questions.setdefault(question.key, question)
        else:
            _drop(asked, *question, where, on_error)
    return asked


def read_responses(asked: Asked, result: str | Path, own_questions: bool, on_error: OnError = "stop") -> None:
    """Add the answers of a result; `own_questions`: the questions came from it, so that its broken rows are counted already.

    The first answer to a question counts: swift appends to an existing file. Raises GroundswiftError as `read_questions`, and without any
    question. Duplicate answers and those to unknown questions are counted either way.
    """
    for where, row in _usable(result, asked, "pass" if own_questions else on_error):
        asked.rows += 1
        if row.error:
            asked.dropped.add(NO_ANSWER, f"{where}: {row.error}")
        elif row.response is None:
            _drop(asked, *response_missing(where), where, on_error)
        elif row.key() not in asked.questions:
            if not own_questions:
                asked.dropped.add("question-unknown", where)
        elif row.key() in asked.responses:
            asked.dropped.add("row-duplicate", where)
        else:
            asked.responses[row.key()] = row.response
            if row.was_truncated():
                asked.truncated.add(row.key())


def _usable(path: str | Path, asked: Asked, on_error: str) -> Iterator[tuple[str, ReferringRow]]:
    """Valid rows; the others stop, or are counted, or, where they were counted before (`pass`), are skipped."""
    for number, row in read_jsonl(path, ReferringRow):
        where = f"{path}:{number}"
        if isinstance(row, ReferringRow):
            yield where, row
        elif on_error != "pass":
            _drop(asked, "row-invalid", row, where, on_error)


def _drop(asked: Asked, reason: str, error: GroundswiftError, where: str, on_error: str) -> None:
    if on_error == "stop":
        raise GroundswiftError(f"{error}\n{SKIP_ROWS}")
    asked.dropped.add(reason, where)


def boxes_of_asked(asked: Asked, rules: Rules) -> BareAnswers:
    """The boxes of the answers, one list per question, in their order."""
    questions = list(asked.questions.values())
    return boxes_of_answers(
        [asked.responses.get(question.key) for question in questions],
        [question.size_wh for question in questions],
        rules,
        [question.name for question in questions],
        [question.key in asked.truncated for question in questions],
    )
