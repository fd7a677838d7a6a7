"""The recipes of export and serving run to their end on an adapter of the quickstart's model, and what they leave is looked at."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recipe_runner import ROOT, RecipeRunner, inventory

SCRIPTS = ROOT / "recipes" / "export"
RUN = {head.path for head in inventory.read_heads() if head.group == "export" and not head.only_parsed}


def rows(path: Path) -> list[dict]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ran(runner: RecipeRunner, out: Path, method: str, **variables: str) -> str:
    """Run `export/qwen2_5_vl_METHOD.sh` as its head says. What it printed."""
    done = runner.run_tiny(f"export/qwen2_5_vl_{method}.sh", out, **variables)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.recipes
def test_a_merged_model_has_all_files_and_the_same_answers(runner, tmp_path):
    printed = ran(runner, tmp_path / "out", "merge", MAX_NEW_TOKENS="64")
    assert "files of the base model that are missing: none" in printed
    assert "differs from the base model: nothing" in printed
    assert "6 of 6 answers are equal" in printed


@pytest.mark.recipes
def test_a_merged_model_without_a_file_or_with_other_tokens_is_refused(runner, tmp_path):
    from shutil import copytree

    base = ROOT / "recipes" / "quickstart" / "model"
    check = [sys.executable, str(SCRIPTS / "check_merged.py")]
    for name, what in (("tokenizer_config.json", "missing: tokenizer_config.json"), ("tokenizer.json", "tokens")):
        merged = tmp_path / name
        copytree(base, merged)
        if name == "tokenizer.json":
            found = json.loads((merged / name).read_text())
            found["added_tokens"] = [
                {**each, "content": each["content"].replace("box_start", "box_begin")} for each in found["added_tokens"]
            ]
            (merged / name).write_text(json.dumps(found))
        else:
            (merged / name).unlink()
        done = subprocess.run([*check, str(merged), "--adapters", str(runner.adapter())], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 1, done.stdout + done.stderr
        assert what in done.stdout
        assert "is not what the base model was" in done.stderr


@pytest.mark.recipes
def test_a_model_quantised_by_bnb_answers(runner, tmp_path):
    printed = ran(runner, tmp_path / "out", "bnb")
    assert "of 6 answers are equal" in printed
    config = json.loads((tmp_path / "out" / "bnb" / "config.json").read_text())
    assert config["quantization_config"]["load_in_8bit"]
    assert len(rows(tmp_path / "out" / "result.jsonl")) == 6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_closed(port: int, seconds: float = 20) -> bool:
    """Whether nothing listens on a port, or stops to in some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return True
        time.sleep(0.2)
    return False


@pytest.mark.recipes
def test_a_client_gets_boxes_in_original_pixels(runner, tmp_path):
    from groundswift.boxes import iou

    port = free_port()
    printed = ran(runner, tmp_path / "out", "deploy", PORT=str(port), MAX_NEW_TOKENS="160", MIN_PIXELS="", MAX_PIXELS="")
    assert "MAX_PIXELS=12544 MIN_PIXELS=3136 swift deploy" in printed
    found, truth = rows(tmp_path / "out" / "boxes.jsonl"), rows(Path(runner.resolved("@test", tmp_path)))
    assert [row["sample_id"] for row in found] == [row["sample_id"] for row in truth]
    hits = total = 0
    for row, true in zip(found, truth, strict=True):
        for box in true["objects"]["bbox"]:
            total += 1
            hits += any(iou([each["box_xyxy_px"]], [box])[0, 0] > 0.5 for each in row["objects"])
    assert hits > total / 2
    assert is_closed(port), "the server is left running"


@pytest.mark.recipes
def test_a_server_that_does_not_start_ends_the_recipe(runner, tmp_path):
    done = runner.run("export/qwen2_5_vl_deploy.sh", tmp_path / "out", "--no_such_flag", "1", ADAPTERS="@adapter", TEST="@test")
    assert done.returncode == 1
    assert "the server did not start" in done.stderr


def compared(tmp_path: Path, before: list[dict], after: list[dict], *words: str) -> subprocess.CompletedProcess:
    """same_answers.py over two files."""
    for name, content in (("before", before), ("after", after)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in content))
    command = [sys.executable, str(SCRIPTS / "same_answers.py"), str(tmp_path / "before"), str(tmp_path / "after"), *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("after", "least", "status", "said"),
    [
        ([{"sample_id": 2, "response": "b"}, {"sample_id": 1, "response": "a"}], "1.0", 0, "2 of 2 answers are equal"),
        ([{"sample_id": 1, "response": "a"}, {"sample_id": 2, "response": "x"}], "0.5", 0, "1 of 2 answers are equal"),
        ([{"sample_id": 1, "response": "a"}, {"sample_id": 2, "response": "x"}], "0.6", 1, "2: 'b' -> 'x'"),
        ([{"sample_id": 1, "response": "a"}], "0.0", 1, "expected the same rows"),
        ([], "0.0", 1, "expected the same rows"),
    ],
)
def test_answers_are_joined_by_id(tmp_path, after, least, status, said):
    done = compared(tmp_path, [{"sample_id": 1, "response": "a"}, {"sample_id": 2, "response": "b"}], after, "--least", least)
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stdout + done.stderr


def test_waiting_ends_with_the_process():
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.exit(3)"])
    url = f"http://127.0.0.1:{free_port()}/health"
    command = [sys.executable, str(SCRIPTS / "wait_for_server.py"), url, "--process", str(process.pid), "--seconds", "60"]
    assert subprocess.run(command, timeout=50, env=os.environ).returncode == 1


def test_every_recipe_of_the_group_is_run_here():
    here = Path(__file__).read_text(encoding="utf-8")
    methods = {path.removeprefix("export/qwen2_5_vl_").removesuffix(".sh") for path in RUN}
    assert [method for method in methods if f'"{method}"' not in here] == []
