"""Validation rows of a training and the answers to them, in memory -> samples of text, as from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from groundswift.errors import Tally, error_at

from .swift_results import Problem
from .text_columns import Columns, TextRow
from .text_rows import Key, Questions, TextSample, answer_of, in_order, question_of


def samples_in_memory(rows: Sequence[Mapping[str, Any]], texts: Sequence[str | None], columns: Columns) -> tuple[list[TextSample], Tally]:
    """Questions of rows with their answers, None for no answer, and what was dropped. Joined and ordered as rows of files.

    Raises GroundswiftError for a row that is not one of swift.
    """
    kind, questions, answers = columns.row_type(), Questions(own=True), {}
    names = {field.encode_name for field in msgspec.structs.fields(kind)} - {"response", "labels"}
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        where = f"validation row {number}"
        try:
            read = msgspec.convert({name: value for name, value in row.items() if name in names and value is not None}, kind, strict=False)
        except msgspec.ValidationError as error:
            raise error_at(where, str(error), "a row of swift") from None
        question = question_of(read, columns)
        if isinstance(question, Problem):
            questions.dropped.add(question.id, where)
            continue
        key: Key = ("", number) if read.sample_id is None else (str(read.sample_id), question.text)
        questions.add(key, question)
        if text is not None:
            answers.setdefault(key, answer_of(with_response(read, text), where, Tally()))
    return [TextSample(question, *answers.get(key, (None, "missing"))) for key, question in in_order(questions)], questions.dropped


def with_response(row: TextRow, text: str) -> TextRow:
    """A row of a result: the row with an answer."""
    return msgspec.structs.replace(row, response=text)
