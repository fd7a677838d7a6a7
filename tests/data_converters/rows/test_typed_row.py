"""Rows of the converters' form: which lines are such rows, and what their messages say, read once for many."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lint_rows import row

from groundswift.data_converters.rows import typed_row
from groundswift.data_converters.rows.typed_row import Messages, runs_of, typed_rows
from groundswift.row_view import RowView


def line(made: dict[str, Any]) -> bytes:
    return json.dumps(made).encode() + b"\n"


GOOD = line(row())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(line(row(images=[" "])), id="blank image"),
        pytest.param(line(row(images="a.png")), id="one image"),
        pytest.param(line(row(videos=["a.mp4"])), id="video"),
        pytest.param(line(row(size_wh=[64, 0])), id="no height"),
        pytest.param(line(row(size_wh=[64.0, 48])), id="a float as a side"),
        pytest.param(line(row(size_wh=[1 << 31, 48])), id="a side too long"),
        pytest.param(line(row(objects={"ref": [], "bbox": [[1, 2]]})), id="point"),
        pytest.param(line(row(objects={"ref": [], "bbox": [[1, 2, 3, 4]], "bbox_type": "norm1"})), id="norm1"),
        pytest.param(b"{\n", id="not JSON"),
        pytest.param(b"\n", id="blank line"),
    ],
)
def test_a_line_of_another_form_is_no_typed_row(other):
    rows = typed_rows([GOOD, other, GOOD])
    assert [each is not None for each in rows] == [True, False, True]
    assert rows[0].size_wh == (64, 48)


def said(messages: Messages[Any], *rows: dict[str, Any]) -> list[Any]:
    lines = list(map(line, rows))
    return messages.of(typed_rows(lines), lines)


def test_messages_are_read_once(monkeypatch):
    monkeypatch.setattr(typed_row, "MOST_MESSAGES", 2)
    seen: list[RowView] = []

    def read(view: RowView) -> int:
        seen.append(view)
        return len(seen)

    messages = Messages(read)
    assert said(messages, row(sample_id=1), row(sample_id=2), row("None", objects={"ref": [], "bbox": []}), row(sample_id=3)) == [
        1,
        1,
        2,
        1,
    ]
    assert said(messages, row(prompt="phrase_grounding.en.1"), row(prompt="detect.en.1")) == [3, 1]
    assert said(messages, row(question="<image>Another one."), row()) == [4, 5], "no more than MOST_MESSAGES are kept"


def test_rows_that_have_to_be_read_as_a_whole():
    messages = Messages(lambda view: None if "whole" in view.contents[0] else view.contents[0])
    latin, odd = GOOD.replace(b"Find", b"F\xeend"), row(question=[{"type": "image", "image": "b.png"}, {"type": "text", "text": "?"}])
    lines = [GOOD, latin, line(odd), line(row(question="<image>whole")), line(row(answer=None)), GOOD, b"[]\n"]
    assert messages.of(typed_rows(lines), lines) == ["<image>Find all.", None, None, None, None, "<image>Find all.", None]


@pytest.mark.parametrize(
    ("values", "expected"), [("", ["0:0"]), ("ab", ["0:2"]), (".a..b", ["0:0", "1:2", "3:3", "4:5"]), ("a.", ["0:1", "2:2"])]
)
def test_runs(values, expected):
    assert [f"{run.start}:{run.stop}" for run in runs_of([None if each == "." else each for each in values])] == expected
