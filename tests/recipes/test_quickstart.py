"""The quickstart as a new user runs it: real commands from another folder, tables and a report at the end."""

from __future__ import annotations

import json
import os


def test_the_quickstart_ends_with_both_tables_and_a_report(runner, tmp_path):
    out = tmp_path / "out"
    printed = runner.ran("quickstart/run.sh", out)
    summary = json.loads((out / "summary.json").read_text())
    assert {"AP", "AP50", "AR100", "ARl"} <= set(summary["before"]) == set(summary["after"])
    assert summary["seconds"] > 0
    assert (out / "report.html").stat().st_size > 10_000
    assert printed.count("Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ]") == 2
    assert str(out / "report.html") in printed


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
