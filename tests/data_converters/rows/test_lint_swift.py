"""What the table of rules says of swift, asked of swift itself: an upgrade that changes it fails here."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from test_lint_rules import CASES, CLEAN, row

from groundswift.data_converters.rows.lint.rules import DROPPED, RULES


def preprocessed(given: dict) -> list[dict]:
    """A row through swift's preprocessing -> the rows that are left of it."""
    from swift.dataset.preprocessor import MessagesPreprocessor, ResponsePreprocessor

    kind = MessagesPreprocessor if {"messages", "conversations"} & given.keys() else ResponsePreprocessor
    given = {{"conversations": "messages", "image": "images"}.get(key, key): value for key, value in deepcopy(given).items()}
    batch = kind(traceback_limit=0).batched_preprocess(
        {key: [value] for key, value in given.items()}, strict=False, ignore_max_length_error=True
    )
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)] if batch["messages"] else []


DROPPED_CASES = [name for name, (rule, *_) in CASES.items() if RULES[rule].effect == DROPPED and name != "no messages"]


@pytest.mark.parametrize("name", DROPPED_CASES)
def test_swift_drops(name):
    rule, rows, *_ = CASES[name]
    assert preprocessed(rows[-1]) == [], rule


@pytest.mark.parametrize("name", CLEAN)
def test_swift_keeps_what_is_clean(name):
    for each in CLEAN[name]:
        if isinstance(each, dict):
            (kept,) = preprocessed(each)
            assert kept["messages"]
            assert kept.get("objects") is None or {"bbox"} <= kept["objects"].keys()


@pytest.mark.parametrize(
    "name", ["inverted", "a line", "right of", "numbers as text", "nested", "norm1000", "one box too few", "image_id short"]
)
def test_swift_lets_pass_in_silence(name):
    (kept,) = preprocessed(CASES[name][1][-1])
    before = CASES[name][1][-1]["objects"]["bbox"]
    if name == "inverted":
        before = [[1, 2, 30, 40]]
    assert kept["objects"]["bbox"] == before


def test_a_row_is_as_this_file_takes_it():
    (kept,) = preprocessed(row())
    assert json.loads(json.dumps(kept["objects"])) == row()["objects"]
