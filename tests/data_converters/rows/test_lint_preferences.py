"""Preference rows: the lint names those that swift drops and those whose rejected answer the grounding template refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from converted import run, write_lines
from test_lint_swift import preprocessed

CASE = Path(__file__).resolve().parents[2] / "cases" / "dpo_lint"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.jpg").write_bytes((CASE / "a.jpg").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def errors(path: Path) -> dict[int, set[str]]:
    """Line -> the rules of severity error that it breaks."""
    found: dict[int, set[str]] = {}
    for name, rule in json.loads(run("lint", path, "--json", "--examples", 99).stdout)["rules"].items():
        for each in rule["examples"] if rule["severity"] == "error" else ():
            found.setdefault(each["line"], set()).add(name)
    return found


@pytest.mark.swift
def test_the_case(folder):
    assert errors(CASE / "dpo.jsonl") == {1: {"rejected-same"}, 2: {"bbox-count"}, 3: {"box-outside"}}
    first, *others = [json.loads(line) for line in (CASE / "dpo.jsonl").read_text().splitlines()]
    assert preprocessed(first) == []
    assert all(preprocessed(each) for each in others)


@pytest.mark.parametrize(
    ("rejected", "rules"),
    [
        ({"rejected_response": "No. <bbox>"}, set()),
        ({"rejected_response": "There is none."}, set()),
        ({"rejected_response": "<bbox> <bbox>", "rejected_objects": {"bbox": [[1, 2, 3, 4], [2, 3, 9, 9]]}}, set()),
        ({"rejected_response": [{"role": "assistant", "content": "<bbox><bbox>"}]}, {"bbox-count"}),
        ({"rejected_response": "The <ref-object>: <bbox>", "rejected_objects": {"bbox": [[1, 2, 3, 4]]}}, {"ref-count"}),
        ({"rejected_response": "<bbox>.", "rejected_objects": {"bbox": [[1, 2, 9]]}}, {"box-length"}),
        ({"rejected_response": "<bbox>!", "rejected_objects": {"ref": [], "bbox": [[1, "2", 3, 4]]}}, {"box-not-number"}),
    ],
)
def test_rejected_answers(folder, rejected, rules):
    row = json.loads((CASE / "dpo.jsonl").read_text().splitlines()[3])
    assert errors(write_lines(folder / "rows.jsonl", row | rejected)) == ({1: rules} if rules else {})
