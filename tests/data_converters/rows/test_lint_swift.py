"""What the table of rules says of swift, asked of swift itself: an upgrade that changes it fails here."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from lint_rows import row
from test_lint_rules import CASES, CLEAN

from groundswift.data_converters.rows.lint.rules import RULES

pytestmark = pytest.mark.process
HERE = Path(__file__).resolve().parent
SILENT = ["inverted", "a line", "right of", "numbers as text", "nested", "norm1000", "one box too few", "image_id short"]


def preprocessed(given: dict) -> list[dict]:
    """A row through swift's preprocessing -> the rows that are left of it."""
    from swift.dataset.preprocessor import MessagesPreprocessor, ResponsePreprocessor

    kind = MessagesPreprocessor if {"messages", "conversations"} & given.keys() else ResponsePreprocessor
    given = {{"conversations": "messages", "image": "images"}.get(key, key): value for key, value in deepcopy(given).items()}
    batch = kind(traceback_limit=0).batched_preprocess(
        {key: [value] for key, value in given.items()}, strict=False, ignore_max_length_error=True
    )
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)] if batch["messages"] else []


DROPPED_CASES = [name for name, (rule, *_) in CASES.items() if RULES[rule].effect == "swift drops the row" and name != "no messages"]


@pytest.fixture(scope="module")
def kept() -> dict[str, list[list[dict]]]:
    """Case -> what swift keeps of each of its rows; in a process of its own, which no plugin has changed."""
    rows = {name: [CASES[name][1][-1]] for name in [*DROPPED_CASES, *SILENT]} | {"row": [row()]}
    rows |= {f"clean {name}": [each for each in CLEAN[name] if isinstance(each, dict)] for name in CLEAN}
    code = "import json, sys; from test_lint_swift import preprocessed\n"
    code += "kept = {name: [preprocessed(each) for each in rows] for name, rows in json.load(sys.stdin).items()}; print(json.dumps(kept))"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "PYTHONPATH": f"{HERE}:{HERE.parents[1] / 'helpers'}"}
    shown = subprocess.run([sys.executable, "-c", code], input=json.dumps(rows), capture_output=True, text=True, env=environment)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", DROPPED_CASES)
def test_swift_drops(name, kept):
    assert kept[name] == [[]], CASES[name][0]


@pytest.mark.parametrize("name", CLEAN)
def test_swift_keeps_what_is_clean(name, kept):
    for (each,) in kept[f"clean {name}"]:
        assert each["messages"]
        assert each.get("objects") is None or {"bbox"} <= each["objects"].keys()


@pytest.mark.parametrize("name", SILENT)
def test_swift_lets_pass_in_silence(name, kept):
    ((each,),) = kept[name]
    before = CASES[name][1][-1]["objects"]["bbox"]
    assert each["objects"]["bbox"] == ([[1, 2, 30, 40]] if name == "inverted" else before)


def test_a_row_is_as_this_file_takes_it(kept):
    ((each,),) = kept["row"]
    assert each["objects"] == row()["objects"]
