"""Each value of each row of each format of conversations replaced by what it cannot be: a fault that names the row, or a row that swift
trains on as it is; with faults skipped, every row is accounted for."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from talk_fixture import image_bytes, made

from groundswift.data_converters.base import Options
from groundswift.data_converters.engine.convert import rows_of
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.registry import FORMATS
from groundswift.data_converters.rows.lint.checks_rows import check_counts, check_roles
from groundswift.data_converters.rows.lint.rules import RULES
from groundswift.errors import GroundswiftError
from groundswift.row_view import RowView

HELD = base64.b64encode(image_bytes()).decode()
OBJECT = {"caption": "guy", "bbox": [1, 2, 7, 5], "bbox_type": "real", "image": 0}


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[index % 2], "value": text} for index, text in enumerate(texts)]


ROWS: dict[str, list[dict[str, Any]]] = {
    "llava": [
        {"id": "x", "image": "a.png", "conversations": turns("<image>\nQ", "A")},
        {"image": ["a.png"], "conversations": turns("Q", "A")},
    ],
    "phi3v": [
        {"id": "x", "image": "a.png", "conversations": turns("<|image_1|>\nQ", "A")},
        {"id": "c", "source": "u", "conversations": [{"images": ["a.png"], "user": "Q", "assistant": "A"}]},
        {"conversations": [{"from": "user", "value": "<img>a.png</img>Q"}, {"from": "assistant", "value": "A"}]},
    ],
    "glm4v": [{"messages": [{"role": "user", "content": "Q", "image": "a.png"}, {"role": "assistant", "content": "A"}]}],
    "swift2": [
        {"query": "<ref-object>", "response": "<bbox>", "history": [["q", "a"]], "system": "S", "images": ["a.png"], "objects": [OBJECT]},
        {"query": "<bbox>", "response": "A", "images": "a.png", "objects": [{**OBJECT, "bbox": [[0, 0, 1, 1]], "bbox_type": "norm_1"}]},
        {"conversations": turns("<video>Q", "A"), "videos": ["v.mp4"]},
    ],
    "image-text": [{"image": "a.png", "text": "A"}, {"image": {"bytes": HELD, "path": "q.png"}, "text": "B"}],
    "scienceqa": [
        {"question": "Q", "choices": ["a", "b"], "answer": 0, "hint": "h", "image": {"bytes": HELD, "path": None}, "solution": "s"}
    ],
    "video-chatgpt": [{"q": "Q", "a": "A", "video_id": "v"}, {"video_name": "v", "question": "Q", "question_1": "None", "answer": "A"}],
}
MORE = {"image-text": {"save_images": "kept"}, "scienceqa": {"save_images": "kept"}, "video-chatgpt": {"videos": ""}}
GONE = object()
VALUES = {
    "gone": GONE, "null": None, "true": True, "number": 5, "negative": -1, "fraction": 1.5, "gigantic": 10**40, "huge": 1e308,
    "NaN": float("nan"), "text": "5", "no text": "", "blank": " \n", "list": [], "object": {}, "list of null": [None], "nested": [[[]]],
    "zero": "a\0b", "half a character": "\ud800 x", "image tag": "<image>", "box tag": "<bbox>", "label tag": "<ref-object>",
    "video tag": "<video>", "upwards": "../a.png", "folder": ".", "no file": "none.png", "long": "x" * 5000,
}  # fmt: skip


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value stands in a row, the row itself first."""
    yield place
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*place, key))


def replaced(row: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The row with another value at a place."""
    if not place:
        return value
    row = inner = copy.deepcopy(row)
    for key in place[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return row


def error_of(options: Options) -> str | None:
    """What a source that is at fault is told; None for one that is not."""
    try:
        made(options)
    except GroundswiftError as error:
        return str(error)
    return None


def errors_of_lint(row: dict[str, Any]) -> list[str]:
    """What lint calls an error in the shape of a row."""
    view = RowView.of(row)
    found = [rule for rule, _ in (*view.findings, *check_roles(view), *check_counts(view))]
    return [rule for rule in found if RULES[rule].severity == "error"]


@pytest.mark.long
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", ROWS)
def test_any_value_anywhere(tmp_path: Path, name: str, value: Any):
    (tmp_path / "a.png").write_bytes(image_bytes())
    (tmp_path / "v.mp4").write_bytes(b"a video")
    source = tmp_path / "rows.jsonl"
    more = {key: str(tmp_path / folder) for key, folder in MORE.get(name, {}).items()}
    for row in ROWS[name]:
        for place in places(row):
            if value is GONE and not place:
                continue
            lines = [json.dumps(replaced(row, place, value)), json.dumps(row)]
            source.write_text("\n".join(lines) + "\n")
            options = FORMATS[name](annotations=str(source), **more)
            skipping, log = msgspec.structs.replace(options, on_error="skip"), IssueLog("skip")
            rows = list(rows_of(skipping, log))
            assert len(rows) + log.counted.counts.total() >= 2, (place, log.counted.counts)
            error = error_of(options)
            assert error is None or (f"{source}:1" in error and "; expected " in error), (place, error)
            assert [errors_of_lint(row) for row in made(skipping)] == [[]] * len(rows), place
