"""Rows whose answers are text -> questions, each with its true answers and the answer of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from groundswift.errors import GroundswiftError, Tally, error_at
from groundswift.grammars.base import THINKING, without_thinking
from groundswift.records import TAGS

from ..count_ids import tally_lines
from ..ground_truth import OnError
from .first_token import Alternatives, first_alternatives
from .swift_results import KEEPS_COLUMNS, NO_ANSWER, RESPONSE_MISSING, Problem, drop, usable_rows
from .text_columns import Columns, TextRow, texts_of, true_value

NO_TRUTH = "messages that end with the assistant's turn, or a column references, answers or solution (--column names another)"
IDS_MISSING = "{} of {} rows have no sample_id: a row that an interrupted run wrote twice counts twice"
Key = tuple[str, str | int]


@dataclass
class Question:
    """A question, its true answers, the groups that it is in, what a report shows, and `more` columns by name.

    `asked`: its text with its line breaks, by which the options that it lists are read.
    """

    sample_id: int | str | None
    text: str
    references: list[str]
    groups: tuple[str, ...] = ()
    media: str = ""
    size_wh: tuple[int, int] = (0, 0)
    more: dict[str, Any] = field(default_factory=dict)
    asked: str = ""

    def __post_init__(self) -> None:
        self.asked = self.asked or self.text


@dataclass
class Questions:
    """Questions by key. `dropped` counts rows by reason, of questions and of answers. `own`: they came from the result itself."""

    found: dict[Key, Question] = field(default_factory=dict)
    dropped: Tally = field(default_factory=Tally)
    own: bool = False
    by_id: dict[str, list[Key]] = field(default_factory=dict)

    def add(self, key: Key, question: Question) -> None:
        """Add a question; of one that is there already, the true answers that it does not have, in an order that no row decides."""
        known = self.found.get(key)
        if known is None:
            self.found[key] = question
            self.by_id.setdefault(key[0], []).append(key)
        elif new := [text for text in question.references if text not in known.references]:
            known.references = sorted(known.references + new)

    def key_of(self, row: TextRow, number: int) -> Key | Problem:
        """The key of an answer's question: id and question or, for a row that holds no question, the id if it has one question only."""
        if row.sample_id is None:
            return ("", number) if self.own else Problem("sample-id-missing", "the row has no sample_id", KEEPS_COLUMNS)
        key, same = (str(row.sample_id), row.question()), self.by_id.get(str(row.sample_id), [])
        if key not in self.found and not key[1] and len(same) == 1:
            return same[0]
        return key

    def digest(self) -> str:
        """SHA-256 of the questions and their true answers, whatever their order."""
        lines = sorted(msgspec.json.encode([str(each.sample_id), each.text, each.references]) for each in self.found.values())
        return hashlib.sha256(b"\n".join(lines)).hexdigest()


class TextSample(NamedTuple):
    """A question and the answer to it, thinking removed; None without one. `status` is ok, empty, truncated or missing.

    `alternatives`: for its first token, where they were asked for and the answer has no thinking.
    """

    question: Question
    answer: str | None
    status: str
    alternatives: Alternatives = ()

    @property
    def text(self) -> str:
        """The answer; an empty text where there is none."""
        return self.answer or ""


@dataclass
class TextAnswers:
    """Samples in the order of their ids and questions, and what was counted."""

    samples: list[TextSample]
    rows: int
    dropped: Tally
    changed: Tally
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def statuses(self) -> dict[str, int]:
        """How many samples have each status."""
        found = [sample.status for sample in self.samples]
        return {status: found.count(status) for status in ("ok", "empty", "truncated", "missing")}

    def counts_document(self) -> dict[str, Any]:
        """The part of `counts` in `metrics.json` that is about answers."""
        return {
            "samples": len(self.samples),
            "rows": self.rows,
            "references": sum(len(sample.question.references) for sample in self.samples),
            **{f"answers_{status}": number for status, number in self.statuses().items()},
            "rows_left_out": dict(self.dropped.counts),
            "changed": dict(self.changed.counts),
        }

    def lines(self) -> list[str]:
        """What was read and dropped, for the terminal."""
        statuses = ", ".join(f"{number} {status}" for status, number in self.statuses().items() if number)
        return [
            f"rows: {self.rows}; samples: {len(self.samples)}; answers: {statuses}",
            *tally_lines("rows skipped", self.dropped),
            *tally_lines("changed", self.changed),
        ]


def read_questions(path: str | Path, columns: Columns, own: bool = False, on_error: OnError = "stop") -> Questions:
    """The questions of a file of rows; `own`: the file is the result.

    Rows with the same id and question are one question with the true answers of all.
    Raises GroundswiftError at the first row that cannot be used; with `on_error` `skip` it is counted instead.
    """
    questions = Questions(own=own)
    for number, row, found in usable_rows(path, columns.row_type(), partial(question_of, columns=columns), questions.dropped, on_error):
        if row.sample_id is None and not own:
            drop(questions.key_of(row, number), f"{path}:{number}", questions.dropped, on_error)
        else:
            questions.add(("", number) if row.sample_id is None else (str(row.sample_id), found.text), found)
    if not questions.found:
        raise error_at(path, "no row has a true answer", NO_TRUTH)
    for place, name in enumerate(columns.groups):
        if all(question.groups[place] == f"{name}: None" for question in questions.found.values()):
            raise error_at(path, f"no row has the column {name!r}", "a column of these rows (--group-by)")
    return questions


def question_of(row: TextRow, columns: Columns) -> Question | Problem:
    """The question of a row, or why it cannot be scored."""
    value = true_value(row, columns)
    references = texts_of(value)
    if references is None:
        return Problem("truth-invalid", f"a true answer is not text: {str(value)[:80]!r}", "text, a number, or a list of these")
    if not references:
        return Problem("truth-missing", "the row has no true answer", NO_TRUTH)
    if not columns.empty_truth:
        references = [text for text in references if text.strip()]
    if not references:
        return Problem("truth-empty", "the true answer is empty", "text")
    groups = tuple(f"{name}: {str(getattr(row, columns.attribute(name)))[:80]}" for name in columns.groups)
    more = {name: getattr(row, columns.attribute(name)) for name in columns.more}
    asked = TAGS.sub(" ", row.asked()).strip()
    return Question(row.sample_id, row.question(), references, groups, row.media(), row.size_wh or (0, 0), more, asked)


def read_text_answers(questions: Questions, result: str | Path, on_error: OnError = "stop", alternatives: bool = False) -> TextAnswers:
    """The answer to each question, with the `alternatives` for its first token. The first one counts: swift appends to an existing file.

    Raises GroundswiftError as `read_questions`, and where no answer belongs to a question. Duplicate answers and those to unknown
    questions are counted either way.
    """
    answers: dict[Key, tuple[Any, ...]] = {}
    dropped, mode = (Tally(), "skip") if questions.own else (questions.dropped, on_error)
    rows, without_id, changed = 0, 0, Tally()
    for number, row, _ in usable_rows(result, TextRow, lambda _: None, dropped, mode):
        where, key = f"{result}:{number}", questions.key_of(row, number)
        rows += 1
        without_id += row.sample_id is None
        if row.error:
            questions.dropped.add(NO_ANSWER, f"{where}: {row.error}")
        elif row.response is None or isinstance(key, Problem):
            drop(RESPONSE_MISSING if row.response is None else key, where, questions.dropped, on_error)
        elif key not in questions.found:
            if not questions.own:  # else it was counted as a row without a true answer
                questions.dropped.add("question-unknown", where)
        elif key in answers:
            questions.dropped.add("row-duplicate", where)
        else:
            answers[key] = (*answer_of(row, where, changed), first_alternatives_of(row) if alternatives else ())
    if not answers and questions.found and "question-unknown" in questions.dropped.counts:
        raise GroundswiftError(no_join(questions, result))
    samples = [TextSample(question, *answers.get(key, (None, "missing"))) for key, question in in_order(questions)]
    warnings = [{"id": "sample-id-missing", "message": IDS_MISSING.format(without_id, rows)}] if without_id else []
    return TextAnswers(samples, rows, questions.dropped, changed, warnings + missing_warning(samples))


def in_order(questions: Questions) -> Iterable[tuple[Key, Question]]:
    """Questions by id and text, whatever the order of their rows; those without an id in that of the file."""
    return sorted(questions.found.items(), key=lambda item: (item[0][0], str(item[0][1]) if item[0][0] else "", item[0][1:]))


def answer_of(row: TextRow, where: str, changed: Tally) -> tuple[str, str]:
    """The answer of a row without its thinking, and its status."""
    said = without_thinking(row.response)
    if said is None:
        changed.add("thinking-unclosed", where)
        return "", "truncated"
    if any(mark in row.response for mark in THINKING):
        changed.add("thinking-removed", where)
        said = said.strip()
    return said, "truncated" if row.was_truncated() else "ok" if said.strip() else "empty"


def first_alternatives_of(row: TextRow) -> Alternatives:
    """What could begin an answer; () where it begins with thinking."""
    return () if any(mark in row.response for mark in THINKING) else first_alternatives(row.logprobs)


def missing_warning(samples: list[TextSample]) -> list[dict[str, Any]]:
    """The warning of questions without an answer."""
    missing = sum(sample.answer is None for sample in samples)
    message = f"{missing} of {len(samples)} questions have no answer in the result; each counts as an empty one"
    return [{"id": "answers-missing", "message": message}] if missing else []


def no_join(questions: Questions, result: str | Path) -> str:
    """The message where no answer belongs to a question."""
    first = next(iter(questions.found.values()))
    return (
        f"{result}: no answer belongs to a question of the ground truth, whose first is sample_id {first.sample_id!r}, "
        f"{first.text[:80]!r}; expected rows with the same sample_id and question"
    )
