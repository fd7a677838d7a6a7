"""`groundswift infer --url` against a real `python -m swift.cli.deploy` on this machine: the answers of a local run, and its limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from converted import run
from rows import read_rows
from tiny_run import MODEL, options, written
from web_site import free_port

pytestmark = [pytest.mark.process, pytest.mark.swift]
WAIT = Path(__file__).resolve().parents[2] / "recipes" / "export" / "wait_for_server.py"
LIMITS = ("--min-pixels", "12544", "--max-pixels", "25088")
SHORT = ("--max-new-tokens", "60", "--logprobs")


@pytest.fixture(scope="module")
def url(plugin, tmp_path_factory) -> Iterator[str]:
    """The address of a server of the embedded model, with limits of its own."""
    folder, port = tmp_path_factory.mktemp("deploy"), free_port()
    command = [sys.executable, "-m", "swift.cli.deploy", *MODEL, "--torch_dtype", "float32"]
    command += options(custom_register_path=plugin, host="127.0.0.1", port=port, served_model_name="tiny", log_interval=-1)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "MIN_PIXELS": LIMITS[1], "MAX_PIXELS": LIMITS[3]}
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
    try:
        waiting = [sys.executable, str(WAIT), f"http://127.0.0.1:{port}/v1/models", "--process", str(server.pid), "--seconds", "300"]
        assert subprocess.run(waiting).returncode == 0, (folder / "log").read_text()[-2000:]
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture
def data(toys, tmp_path) -> Path:
    """Six rows, one with a placeholder that the server fills in, one whose image is missing."""
    rows = read_rows(toys / "toys.jsonl")[:6]
    rows[1]["messages"][0]["content"] = "<image>Find <ref-object>."
    rows[1]["messages"][1]["content"] = "<bbox>"
    rows[1]["objects"] = {"ref": ["star"], "bbox": [[1, 2, 30, 40]]}
    rows[2]["images"] = [str(tmp_path / "gone.png")]
    return written(tmp_path / "rows.jsonl", rows)


def asked(data: Path, out: Path, *words: str, code: int = 0) -> str:
    """The command's output."""
    done = run("infer", data, "--out", out, *SHORT, *words)
    assert done.exit_code == code, done.output
    return done.output


def test_a_served_model_answers_as_the_same_one_here(url, data, tmp_path):
    served, here = tmp_path / "served.jsonl", tmp_path / "here.jsonl"
    asked(data, served, "--url", url, "--family", "qwen2_vl", *LIMITS, code=3)
    local = ["groundswift", "infer", str(data), "--out", str(here), *SHORT, *LIMITS, *MODEL[:2], "--template", "qwen2_vl_grounding"]
    words = [sys.executable, "-m", "groundswift.cli", *local[1:], "--", "--torch_dtype", "float32", "--attn_impl", "sdpa"]
    assert subprocess.run(words, capture_output=True, text=True).returncode == 3  # of a process: limits are read once in each
    ours, theirs = read_rows(here), read_rows(served)
    assert [row["response"] for row in theirs] == [row["response"] for row in ours]
    assert [row["error"].rpartition("[")[2] for row in theirs if "error" in row] == ["image-missing]"]
    assert sum(bool(row["response"]) for row in ours) == 5
    for one, other in zip(ours, theirs, strict=True):
        numbers = [[token["logprob"] for token in (row["logprobs"] or {}).get("content", [])] for row in (one, other)]
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-4)
        assert [row["inference"].get("prompt_tokens") for row in (one, other)].count(None) in (0, 2)
        assert one["inference"].get("prompt_tokens") == other["inference"].get("prompt_tokens")
    records = [json.loads((tmp_path / f"{name}.jsonl.run.json").read_text())["limits"] for name in ("served", "here")]
    assert records[0]["min_pixels"] == records[1]["min_pixels"] == 12544
    assert records[0]["max_pixels"] == records[1]["max_pixels"] == 25088


def test_other_limits_than_the_server_has_are_refused_at_the_first_answer(url, data, tmp_path):
    words = ("--url", url, "--family", "qwen2_vl", "--min-pixels", "802816", "--max-pixels", "12845056")
    said = asked(data, tmp_path / "r.jsonl", *words, code=1)
    assert "its images 1" in said
    assert said.endswith("by the pixel limits given; expected --min-pixels and --max-pixels as the server has them\n")
    assert said.count("\n") == 1
    assert not (tmp_path / "r.jsonl").exists()
