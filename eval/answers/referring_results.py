"""A result of referring expressions -> questions, each with its ground-truth box and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from groundswift.errors import Tally

from ..ground_truth import OnError
from .protocol import Rules
from .referring_rows import Key, Referred, ReferringRow, referred
from .swift_results import NO_ANSWER, RESPONSE_MISSING, drop, usable_rows
from .to_boxes import BareAnswers, boxes_of_answers


@dataclass
class Asked:
    """Questions by key. `dropped` counts rows by reason, of questions and of answers; `rows` are those of answers."""

    questions: dict[Key, Referred] = field(default_factory=dict)
    dropped: Tally = field(default_factory=Tally)
    rows: int = 0


def read_questions(path: str | Path, resized: bool, on_error: OnError = "stop") -> Asked:
    """The questions of a file of rows. `resized`: answers are in pixels of the resized image.

    Raises GroundswiftError at the first row that cannot be used; with `on_error` `skip` it is counted instead.
    """
    asked = Asked()
    for _, _, question in usable_rows(path, ReferringRow, partial(referred, resized=resized), asked.dropped, on_error):
        asked.questions.setdefault(question.key, question)
    return asked


def read_responses(asked: Asked, result: str | Path, rules: Rules, own_questions: bool, on_error: OnError = "stop") -> BareAnswers:
    """The boxes of the answers in a result, one list per question, in their order; `own_questions`: the questions came from it, so that
    its broken rows are counted already.

    The first answer to a question counts: swift appends to an existing file. Raises GroundswiftError as `read_questions`. Duplicate answers
    and those to unknown questions are counted either way.
    """
    answers: dict[Key, tuple[str | None, bool]] = {}
    dropped, mode = (Tally(), "skip") if own_questions else (asked.dropped, on_error)
    for number, row, _ in usable_rows(result, ReferringRow, lambda _: None, dropped, mode):
        where = f"{result}:{number}"
        asked.rows += 1
        if row.error:
            asked.dropped.add(NO_ANSWER, f"{where}: {row.error}")
        elif row.response is None:
            drop(RESPONSE_MISSING, where, asked.dropped, on_error)
        elif row.key() not in asked.questions:
            if not own_questions:
                asked.dropped.add("question-unknown", where)
        elif row.key() in answers:
            asked.dropped.add("row-duplicate", where)
        else:
            answers[row.key()] = row.response, row.was_truncated()
    questions = asked.questions.values()
    texts, truncated = zip(*(answers.get(question.key, (None, False)) for question in questions), strict=True) if questions else ((), ())
    found = boxes_of_answers(texts, [each.size_wh for each in questions], rules, [each.name for each in questions], truncated)
    found.counts.rows = asked.dropped
    return found
