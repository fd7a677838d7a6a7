"""The case of `iscrowd: false`: it is read as 0 by the converter and by the evaluator."""

from __future__ import annotations

import json
from pathlib import Path

from converted import converted, run, short

from groundswift.data_converters.formats.coco.source import CocoOptions

CASE = Path(__file__).parents[2] / "cases" / "coco_bool_iscrowd"


def test_false_is_0_for_the_converter_and_the_evaluator(tmp_path):
    rows, counts = converted(CocoOptions(annotations=str(CASE / "ca.json"), images=str(CASE)), tmp_path / "out.jsonl")
    assert [len(short(row)[3]) for row in rows] == [1]
    assert "crowd-skipped" not in counts
    words = ["--predictions", CASE / "cap1.json", "--gt", CASE / "ca.json", "--out", tmp_path / "scored", "--no-report", "--json"]
    done = run("eval", "coco-map", *words)
    assert done.exit_code == 0, done.output
    assert round(json.loads(done.stdout)["AP"], 6) == 1
