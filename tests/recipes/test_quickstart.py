"""The quickstart as a new user runs it: real commands from another folder, tables and a report at the end."""

from __future__ import annotations

import json
import os

from recipe_runner import ROOT


def test_the_quickstart_ends_with_both_tables_and_a_report(runner, tmp_path):
    out = tmp_path / "out"
    printed = runner.ran("quickstart/run.sh", out)
    summary = json.loads((out / "summary.json").read_text())
    assert {"AP", "AP50", "AR100", "ARl"} <= set(summary["before"]) == set(summary["after"])
    assert summary["seconds"] > 0
    assert (out / "report.html").stat().st_size > 10_000
    assert printed.count("Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ]") == 3, (
        "before, after, after with log-probabilities"
    )
    scored = json.loads((out / "after-logprob" / "metrics.json").read_text())
    assert scored["protocol"]["score"] == "logprob"
    assert str(out / "report.html") in printed


def test_the_quickstart_of_ocr_ends_with_both_error_rates_and_a_report(runner, tmp_path):
    out = tmp_path / "out"
    printed = runner.ran("quickstart/ocr.sh", out)
    summary = json.loads((out / "summary.json").read_text())
    assert {"exact", "cer", "wer", "anls"} <= set(summary["before"]) == set(summary["after"])
    assert summary["after"]["cer"] is not None
    assert (out / "report.html").stat().st_size > 10_000
    assert printed.count("several references: the one with the lowest CER") == 2
    assert json.loads((out / "before" / "metrics.json").read_text())["counts"]["samples"] == 5


def test_the_pretraining_makes_a_small_model_in_16_bits(runner, tmp_path):
    out = tmp_path / "out"
    runner.ran("quickstart/pretrain.sh", out)
    model = tmp_path / "out-new"
    assert (model / "model.safetensors").stat().st_size <= 6_000_000
    assert json.loads((out / "test" / "metrics.json").read_text())["counts"]["images"] == 4


def test_a_failing_step_shows_the_end_of_its_log_and_stops(runner, tmp_path):
    done = runner.run_tiny("quickstart/run.sh", tmp_path / "out", MODEL=os.fspath(tmp_path / "nowhere"))
    assert done.returncode != 0
    assert "error: the command above ended with status" in done.stderr
    assert not (tmp_path / "out" / "summary.json").exists()


def test_the_quickstart_of_referring_ends_with_its_accuracy(runner, tmp_path):
    out = tmp_path / "out"
    printed = runner.ran("quickstart/referring.sh", out)
    summary = json.loads((out / "summary.json").read_text())
    assert {"acc_iou50", "mean_iou"} <= set(summary["before"]) == set(summary["after"])
    rows = [json.loads(line) for line in (out / "data" / "test.jsonl").read_text().splitlines()]
    found = json.loads((out / "after" / "metrics.json").read_text())
    assert (found["counts"]["samples"], list(found["per_class"])) == (len(rows), ["toys/unc/test"])
    assert printed.count("accuracy at IoU 0.5") == 3, "before, after, side by side"


COCO = {
    "categories": [{"id": 1, "name": "star"}, {"id": 2, "name": "ring"}],
    "annotations": [
        {"id": n, "image_id": 1, "category_id": category, "bbox": bbox, "iscrowd": crowd}
        for n, (category, bbox, crowd) in enumerate(
            [(1, [50, 0, 10, 10], 0), (1, [0, 9, 10, 10], 0), (2, [0, 0, 90, 90], 0), (1, [30, 5, 10, 10], 0), (1, [0, 0, 90, 90], 1)]
        )
    ],
}


def test_each_object_has_the_words_that_mean_it_alone(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "quickstart"))
    from refer import refs_of

    found = {ref["ann_id"]: ref["sentences"][0]["sent"] for ref in refs_of(COCO, "val")}
    assert found == {0: "the right star", 1: "the left star", 2: "the ring", 3: "the middle star"}
    apart = {**COCO, "annotations": [{**COCO["annotations"][0], "id": n, "bbox": [n, 50 - 40 * n, 9, 9]} for n in range(2)]}
    assert [ref["sentences"][0]["sent"] for ref in refs_of(apart, "val")] == ["the upper star", "the lower star"]
