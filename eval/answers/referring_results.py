"""A result whose rows hold their own truth -> questions by key, each with its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from groundswift.errors import Tally

from ..ground_truth import OnError
from .confidence import Tokens, compact_tokens
from .protocol import Rules
from .referring_rows import Key, ReferringRow, referred
from .swift_results import LOGPROBS_MISSING, NO_ANSWER, RESPONSE_MISSING, Problem, drop, logprob_range, usable_rows
from .to_boxes import BareAnswers, boxes_of_answers


@dataclass
class Asked:
    """Questions by key, in the order of keys, so that no number depends on that of rows.

    `dropped` counts rows by reason, of questions and of answers; `rows` are those of answers; `repeated` are questions that were asked
    before in the same file.
    """

    questions: dict[Key, Any] = field(default_factory=dict)
    dropped: Tally = field(default_factory=Tally)
    rows: int = 0
    repeated: int = 0

    def digest(self) -> str:
        """SHA-256 of the questions with their truth: numbers of two runs compare where it is the same."""
        found = hashlib.sha256()
        for question in self.questions.values():
            found.update(msgspec.json.encode(question.truth()))
        return found.hexdigest()


class Response(NamedTuple):
    """An answer: its text (None: there is none), whether it stopped at its token limit, its tokens with their log-probabilities."""

    text: str | None = None
    truncated: bool = False
    tokens: Tokens | None = None


def read_questions(
    path: str | Path, resized: bool, on_error: OnError = "stop", value_of: Callable[..., Any] = referred, kind: type = ReferringRow
) -> Asked:
    """The questions of a file of rows. `resized`: answers are in pixels of the resized image; `value_of` makes a question of a row.

    Raises GroundswiftError at the first row that cannot be used; with `on_error` `skip` it is counted instead.
    """
    asked = Asked()
    for _, _, question in usable_rows(path, kind, partial(value_of, resized=resized, file_name=Path(path).name), asked.dropped, on_error):
        asked.repeated += asked.questions.setdefault(question.key, question) is not question
    asked.questions = dict(sorted(asked.questions.items()))
    return asked


def read_texts(asked: Asked, result: str | Path, own_questions: bool, on_error: OnError = "stop", tokens: bool = False) -> list[Response]:
    """The answers in a result, one for each question in their order; `own_questions`: the questions came from it, so that its broken
    rows are counted already. `tokens`: whether log-probabilities are needed.

    The first answer to a question counts: swift appends to an existing file. A row without a question is joined by its sample_id alone.
    Raises GroundswiftError as `read_questions`. Duplicate answers and those to unknown questions are counted either way.
    """
    answers: dict[Key, Response] = {}
    by_id: dict[str, list[Key]] = {}
    for key in asked.questions:
        by_id.setdefault(key[0], []).append(key)
    dropped, mode = (Tally(), "skip") if own_questions else (asked.dropped, on_error)
    if asked.repeated and not own_questions:
        asked.dropped.add("question-duplicate", count=asked.repeated)
    for number, row, _ in usable_rows(result, ReferringRow, lambda _: None, dropped, mode):
        where, key = f"{result}:{number}", row.key()
        asked.rows += 1
        if not key[1] and len(known := by_id.get(key[0], [])) == 1:
            (key,) = known
        if row.error:
            asked.dropped.add(NO_ANSWER, f"{where}: {row.error}")
        elif row.response is None:
            drop(RESPONSE_MISSING, where, asked.dropped, on_error)
        elif key not in asked.questions:
            if not own_questions:
                asked.dropped.add("question-unknown", where)
        elif key in answers:
            asked.dropped.add("row-duplicate", where)
        elif tokens and (problem := logprobs_problem(row)):
            drop(problem, where, asked.dropped, on_error)
        else:
            answers[key] = Response(row.response, row.was_truncated(), tokens_of(row) if tokens else None)
    return [answers.get(key, Response()) for key in asked.questions]


def logprobs_problem(row: ReferringRow) -> Problem | None:
    """Why the tokens of an answer cannot rank its boxes."""
    logprobs = tokens_of(row).logprobs
    return LOGPROBS_MISSING if row.response and not logprobs else logprob_range(logprobs)


def tokens_of(row: ReferringRow) -> Tokens:
    """The tokens of an answer and their log-probabilities."""
    found = row.generated()
    return compact_tokens([token.token for token in found], [token.logprob for token in found])


def read_responses(asked: Asked, result: str | Path, rules: Rules, own_questions: bool, on_error: OnError = "stop") -> BareAnswers:
    """The boxes of the answers, one list for each question in their order. Raises as `read_texts`, which says more."""
    questions = asked.questions.values()
    texts = read_texts(asked, result, own_questions, on_error, rules.score == "logprob")
    columns = ([each.text for each in texts], [each.size_wh for each in questions], rules, [each.name for each in questions])
    found = boxes_of_answers(*columns, [each.truncated for each in texts], [each.tokens for each in texts])
    found.counts.rows = asked.dropped
    return found
