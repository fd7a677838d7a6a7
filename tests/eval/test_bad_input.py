"""Bad input of every metric: rows without an id, truth without a class, huge answers, answers in Chinese, broken log-probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import run
from evaluated import call, coco_of, metrics_of, write_json, write_rows
from test_parity import CAT, answer
from test_permutations import OF_ROWS, answer_rows

from groundswift import Located, format_answer
from groundswift.eval.answers.confidence import Tokens
from groundswift.swift_plugins.tools.infer.outputs import tokens_of

SIZE = (1000, 500)
BY_CLASS = {"coco-map": ("--no-report",), "detection": ("--no-report",), "detection-f1": ("--no-report",), "protocols": ()}
VALUES = ["NaN", "Infinity", "-Infinity", "null", '"low"', "0.5", "1e400"]


def said(*labels: str) -> str:
    return format_answer([Located(label, (10, 20, 110, 220)) for label in labels], "qwen2_vl")


def by_class(
    folder: Path, metric: str, texts: list[str], *words: str, names=("cat", "dog"), change=lambda coco: None, code=0, ids=(1, 2)
) -> Any:
    """Score two answers about two images, with a box of each class."""
    coco = coco_of(SIZE, [(1, 1, [10, 10, 100, 100]), (2, 2, [20, 20, 100, 50])], [1, 2], names)
    change(coco)
    rows = [{"sample_id": number, "size_wh": SIZE, "response": text} for number, text in zip(ids, texts, strict=True)]
    files = write_rows(folder / "r.jsonl", rows), "--gt", write_json(folder / "gt.json", coco)
    done = call(metric, *files, "--family", "qwen2_vl", "--out", folder / "out", *BY_CLASS[metric], *words, code=code)
    return metrics_of(folder / "out")["counts"] if code == 0 else done.stderr


@pytest.mark.parametrize("metric", BY_CLASS)
def test_a_row_without_an_id(tmp_path, metric):
    assert "r.jsonl:1: the row has no sample_id" in by_class(tmp_path, metric, [said("cat"), "None"], ids=(None, 2), code=1)
    counts = by_class(tmp_path, metric, [said("cat"), "None"], "--on-error", "skip", ids=(None, 2))
    assert (counts["rows_left_out"], counts["missing"]) == ({"sample-id-missing": 1}, 1)


def without_class(coco: dict) -> None:
    coco["annotations"][1]["category_id"] = 9


@pytest.mark.parametrize("metric", BY_CLASS)
def test_truth_without_a_class(tmp_path, metric):
    assert "gt.json: annotation 2: category-unknown" in by_class(tmp_path, metric, [said("cat"), "None"], change=without_class, code=1)
    counts = by_class(tmp_path, metric, [said("cat"), "None"], "--on-error", "skip", change=without_class)
    assert (counts["truths"], counts["annotations_left_out"]) == (1, {"category-unknown": 1})


@pytest.mark.parametrize("metric", BY_CLASS)
def test_labels_and_answers_in_chinese(tmp_path, metric):
    counts = by_class(
        tmp_path, metric, [said("\u732b", "\u8001\u864e"), "\u56fe\u91cc\u6ca1\u6709\u72d7\u3002"], names=("\u732b", "\u72d7")
    )
    assert (counts["unknown_labels"], counts["dropped"]) == ({"\u8001\u864e": 1}, {"label-unknown": 1})
    assert counts["statuses"]["unreadable"] == 1


@pytest.mark.parametrize("metric", BY_CLASS)
@pytest.mark.parametrize("text", ["dog " * 500_000, said("cat") * 20_000], ids=["words", "boxes"])
def test_a_huge_answer(tmp_path, metric, text):
    counts = by_class(tmp_path, metric, [text, "None"])
    assert counts["statuses"]["unreadable"] + counts["dropped"].get("box-duplicate", 0) in (1, 19_999)


@pytest.mark.parametrize("metric", OF_ROWS)
def test_rows(tmp_path, metric):
    rows = answer_rows(metric)
    lost = [
        {key: value for key, value in rows[0].items() if key not in ("labels", "objects")} | {"messages": rows[0]["messages"][:1]},
        *rows[1:],
    ]
    words = (metric, tmp_path / "r.jsonl", *OF_ROWS[metric], "--json")
    write_rows(tmp_path / "r.jsonl", lost)
    assert f"{tmp_path / 'r.jsonl'}:1: the " in call(*words, code=1).stderr
    left_out = json.loads(call(*words, "--on-error", "skip").stdout)["counts"]["rows_left_out"]
    assert sum(left_out.values()) == 1
    chinese = [row | {"response": "\u56fe\u91cc\u6709\u4e00\u53ea\u732b"} for row in rows]
    write_rows(tmp_path / "r.jsonl", [rows[0] | {"response": "a dog " * 500_000}, *chinese[1:]])
    found = json.loads(call(*words).stdout)
    assert found["counts"]["rows"] == len(rows)
    assert "NaN" not in json.dumps(found)


def broken(row: dict, value: str, key: str = "logprob") -> str:
    """A line whose third token has another value."""
    line = json.loads(json.dumps(row))
    line["logprobs"]["content"][2][key] = "@"
    return json.dumps(line).replace('"@"', value)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("command", ["parity", "phrase-grounding"])
def test_log_probabilities_that_are_none(tmp_path, command, value):
    row = answer("a/1", CAT)
    row |= {"labels": "<ref-object><bbox>", "objects": {"ref": ["cat"], "bbox": [[100, 100, 300, 300]], "bbox_type": "real"}}
    good, bad = write_rows(tmp_path / "a.jsonl", [row]), tmp_path / "b.jsonl"
    bad.write_text(json.dumps(row) + "\n" + broken(row | {"sample_id": "a/2"}, value) + "\n")
    words = ["parity", "--result", f"a={good}", "--result", f"b={bad}"]
    if command != "parity":  # coco-map: in test_score_policies.py
        words = ["eval", command, bad, "--score", "logprob"]
    stopped = run(*words, "--family", "qwen2_vl", "--out", tmp_path / "out")
    assert (stopped.exit_code, f"{bad}:2: " in stopped.output) == (1, True)
    assert (f"{value.strip('-')} (byte " in stopped.output) == (value.strip("-") in ("NaN", "Infinity"))
    assert not (tmp_path / "out").exists()
    skipped = run(*words, "--family", "qwen2_vl", "--out", tmp_path / "out", "--on-error", "skip")
    assert skipped.exit_code == 0, skipped.output
    assert "NaN" not in next((tmp_path / "out").glob("[mp]*.json")).read_text()


@pytest.mark.parametrize("values", [[-0.1, None], [-0.1, float("nan")], [0.5], ["low"]])
def test_boxes_of_infer_have_no_scores_where_log_probabilities_are_none(values):
    content = [{"token": "a", "logprob": value} for value in values]
    assert tokens_of({"logprobs": {"content": content}}) is None
    assert tokens_of({"logprobs": {"content": [{"token": "a", "logprob": -0.5}]}}) == Tokens(["a"], [-0.5])


def without_objects(coco: dict) -> None:
    coco["annotations"] = []


@pytest.mark.parametrize("metric", BY_CLASS)
def test_truth_without_any_object(tmp_path, metric):
    counts = by_class(tmp_path, metric, [said("cat", "dog"), "None"], change=without_objects)
    assert counts["statuses"] == {"ok": 1, "empty": 1, "truncated": 0, "unreadable": 0}


@pytest.mark.parametrize("metric", ["referring", "phrase-grounding", "pointing"])
def test_boxes_of_an_unknown_bbox_type(tmp_path, metric):
    row = {"messages": [{"role": "user", "content": "<image>Find the cat."}], "labels": "<ref-object><bbox>", "response": said("cat")}
    row |= {"sample_id": "a", "size_wh": SIZE, "objects": {"ref": ["cat"], "bbox": [[10, 20, 110, 220]], "bbox_type": "norm1000"}}
    call_of = (metric, write_rows(tmp_path / "r.jsonl", [row]), "--family", "qwen2_vl", "--out", tmp_path / "out")
    said_of = call(*call_of, code=1).stderr
    assert "r.jsonl:1: objects.bbox_type is 'norm1000'; expected real (pixels) or norm1 (0 to 1)" in said_of
