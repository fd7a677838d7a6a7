"""`groundswift infer --ray`: a real local Ray, killed and resumed, gives each row exactly one answer, the one of a run without Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from converted import run
from rows import read_rows
from tiny_run import EMBEDDED

from groundswift.swift_plugins.tools.infer.journal import RAY_ANSWERS, RAY_IDS, folder_of

pytestmark = [pytest.mark.process, pytest.mark.long]
MODEL = ["--model", str(EMBEDDED), "--template", "qwen2_vl_grounding", "--max-new-tokens", "160", "--batch-size", "2"]
SWIFT = ["--", "--torch_dtype", "float32", "--attn_impl", "sdpa"]
PATIENCE_S = 300


def started(data: Path, out: Path, *words: str) -> subprocess.Popen:
    """The command as a process of its own: Ray's threads would outlive the test."""
    called = [sys.executable, "-m", "groundswift.cli", "infer", str(data), "--out", str(out), *MODEL, "--ray", "--json", *words, *SWIFT]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "RAY_worker_niceness": "0"}  # Ray's default is 15, which starves on a busy machine
    return subprocess.Popen(called, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def committed(out: Path) -> list[Path]:
    """The ids that Ray has committed, a file for each batch."""
    return sorted(path for path in (folder_of(out) / RAY_IDS).glob("*.parquet") if not path.stem.endswith(".pending"))


def test_a_killed_run_goes_on_and_every_row_has_one_answer(plugin, toys, tmp_path):
    pytest.importorskip("ray")
    data, out = toys / "toys.jsonl", tmp_path / "r.jsonl"
    process = started(data, out)
    deadline = time.monotonic() + PATIENCE_S
    while len(committed(out)) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not out.exists()

    undone = committed(out)[0]  # as if the kill had come between the answers and their id: Ray removes them
    undone.rename(undone.with_suffix(".pending.parquet"))
    (lost,) = (folder_of(out) / RAY_ANSWERS).glob(f"{undone.stem}*")
    kept = len(committed(out))
    assert kept >= 1

    said, errors = started(data, out).communicate(timeout=PATIENCE_S)
    summary = json.loads(said)
    assert "Traceback" not in errors
    assert kept * 2 <= summary["answered_before"] < 12
    assert summary["answered_before"] + summary["answered"] == 12
    assert not lost.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.jsonl", "r.jsonl.job.json", "r.jsonl.run.json"]

    done = run("infer", data, "--out", tmp_path / "once.jsonl", *MODEL, *SWIFT)
    assert done.exit_code == 0, done.output
    rows, once = read_rows(out), read_rows(tmp_path / "once.jsonl")
    assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in read_rows(data)]
    assert [row["response"] for row in rows] == [row["response"] for row in once]
    names = ("key", "fingerprint", "completion_tokens", "boxes")
    assert [[row["inference"][name] for name in names] for row in rows] == [[row["inference"][name] for name in names] for row in once]
    assert json.loads((tmp_path / "r.jsonl.job.json").read_text()) == json.loads((tmp_path / "once.jsonl.job.json").read_text())


def test_what_an_actor_cannot_load_is_one_line(toys, tmp_path):
    pytest.importorskip("ray")
    model = tmp_path / "broken"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen2_vl"}')
    process = started(toys / "toys.jsonl", tmp_path / "r.jsonl", "--limit", "1", "--model", str(model))
    said, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (1, "")
    (line,) = [
        each for each in errors.splitlines() if "core_worker.cc" not in each and "kernels" not in each
    ]  # Ray's own, of an actor that may be restarted
    assert line.startswith(f"error: {model}")
