"""Every recipe on disk is listed here and run, on tiny data; every listed one exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECIPES = {  # script -> the variables that make it small
    "quickstart/run.sh": {"TRAIN": "6", "VAL": "4", "TEST": "5", "STEPS": "2", "EVERY": "2"},
    "quickstart/pretrain.sh": {"TRAIN": "6", "TEST": "4", "STEPS_1": "1", "STEPS_2": "1"},
}
HEADER = ("Task", "Model", "Hardware", "Memory", "Score")


def on_disk() -> list[str]:
    return sorted(str(path.relative_to(ROOT / "recipes")) for path in (ROOT / "recipes").glob("*/*.sh"))


def test_the_list_is_what_is_on_disk():
    assert on_disk() == sorted(RECIPES)


@pytest.mark.parametrize("name", on_disk())
def test_a_recipe_opens_with_what_it_takes_and_has_strict_mode(name):
    lines = (ROOT / "recipes" / name).read_text(encoding="utf-8").splitlines()
    head = "\n".join(lines[:12])
    for word in HEADER:
        assert re.search(rf"^# {word}\s+\S", head, re.MULTILINE), f"{name}: no line '# {word}'"
    assert any(line.startswith("source") and "_run.sh" in line for line in lines)
    assert "set -euo pipefail" in (ROOT / "recipes" / "_run.sh").read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(ROOT / "recipes" / name)], check=True)


def run(name: str, out: Path, cwd: Path, **more: str) -> subprocess.CompletedProcess:
    """Run a recipe from another working directory, with this interpreter's commands first on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **RECIPES[name], **more, "OUT": str(out), "PATH": path}
    return subprocess.run(["bash", str(ROOT / "recipes" / name)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=900)


def test_the_quickstart_ends_with_both_tables_and_a_report(tmp_path):
    done = run("quickstart/run.sh", tmp_path / "out", tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {"AP", "AP50", "AR100", "ARl"} <= set(summary["before"]) == set(summary["after"])
    assert summary["seconds"] > 0
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert done.stdout.count("Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ]") == 2
    assert str(tmp_path / "out" / "report.html") in done.stdout


def test_the_pretraining_makes_a_small_model_in_16_bits(tmp_path):
    done = run("quickstart/pretrain.sh", tmp_path / "out", tmp_path, MODEL=str(tmp_path / "model"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "model" / "model.safetensors").stat().st_size <= 6_000_000
    assert json.loads((tmp_path / "out" / "test" / "metrics.json").read_text())["counts"]["images"] == 4


def test_a_failing_step_shows_the_end_of_its_log_and_stops(tmp_path):
    done = run("quickstart/run.sh", tmp_path / "out", tmp_path, MODEL=str(tmp_path / "nowhere"))
    assert done.returncode != 0
    assert "error: the command above ended with status" in done.stderr
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    done = run("quickstart/run.sh", tmp_path, tmp_path)
    assert done.returncode == 1
    assert "no earlier run" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "kept"
