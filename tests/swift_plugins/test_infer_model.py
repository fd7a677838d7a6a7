"""`groundswift infer` with the embedded model: the same answers as `swift infer`, kills, failures, the record of the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from converted import run
from evaluated import call, metrics_of
from rows import read_rows
from tiny_run import EMBEDDED, unreadable, written
from tiny_run import infer as swift_infer
from web_site import free_port

from groundswift.run_record import read_record
from groundswift.swift_plugins.tools.infer.journal import folder_of, stored

MODEL = ["--model", str(EMBEDDED), "--template", "qwen2_vl_grounding", "--max-new-tokens", "160"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SWIFT = ["--", "--torch_dtype", "float32", "--attn_impl", "sdpa"]


def infer(data: Path, out: Path, *words: object, swift: tuple[str, ...] = (), code: int = 0) -> str:
    """The command's output."""
    done = run("infer", data, "--out", out, *MODEL, *words, *SWIFT, *swift)
    assert done.exit_code == code, done.output
    return done.stdout


def start(data: Path, out: Path, *words: str) -> subprocess.Popen:
    """The command as a process of its own."""
    words = ["infer", str(data), "--out", str(out), *MODEL, *words, *SWIFT]
    return subprocess.Popen([sys.executable, "-m", "groundswift.cli", *words], env=ENVIRONMENT, stderr=subprocess.DEVNULL)


def wait_for_answers(out: Path) -> None:
    """Wait until the journal of a result holds something."""
    deadline = time.monotonic() + 200
    while not any(path.stat().st_size for path in folder_of(out).glob("part-*.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what a clock says."""
    return [row | {"inference": {k: v for k, v in row["inference"].items() if "second" not in k}} for row in rows]


def test_the_answers_are_those_of_swift_infer_and_score_alike(plugin, toys, tmp_path):
    infer(toys / "toys.jsonl", tmp_path / "r.jsonl", "--logprobs")
    ours, theirs = (
        read_rows(tmp_path / "r.jsonl"),
        swift_infer(plugin, toys / "toys.jsonl", tmp_path / "swift.jsonl", max_new_tokens=160, logprobs=True),
    )
    assert [row["response"] for row in ours] == [row["response"] for row in theirs]
    assert [row["labels"] for row in ours] == [row["labels"] for row in theirs]
    assert [row["messages"] for row in ours] == [row["messages"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        tokens = one["logprobs"]["content"], other["logprobs"]["content"]
        assert [token["token"] for token in tokens[0]] == [token["token"] for token in tokens[1]]
        assert [token["logprob"] for token in tokens[0]] == pytest.approx([token["logprob"] for token in tokens[1]], abs=1e-4)
        assert one["inference"]["completion_tokens"] == len(tokens[0])
        assert one["finish_reason"] == "stop"
    record, swifts = (read_record(tmp_path / f"{name}.jsonl.run.json") for name in ("r", "swift"))
    assert record == swifts
    for name in ("r", "swift"):
        words = ("--gt", toys / "annotations.json", "--score", "logprob", "--no-report")
        call("coco-map", tmp_path / f"{name}.jsonl", *words, "--out", tmp_path / name)
    assert metrics_of(tmp_path / "r")["AP"] == metrics_of(tmp_path / "swift")["AP"] > 0.3


def test_failures_are_set_aside_and_answers_cut_at_the_limit_are_counted(plugin, toys, tmp_path):
    rows = read_rows(toys / "toys.jsonl")[:6]
    for row, path in zip(rows, unreadable(tmp_path), strict=False):
        row["images"] = [str(path)]
        row.pop("size_wh")
    data = written(tmp_path / "rows.jsonl", rows)
    said = infer(data, tmp_path / "r.jsonl", "--max-new-tokens", "5", swift=("--max_length", "400"), code=3)
    found = read_rows(tmp_path / "r.jsonl")
    assert [row.get("error", "").rpartition("[")[2] for row in found[:4]] == ["image-missing]", "image-unreadable]", "row-too-long]", ""]
    assert "3 rows without an answer" in said
    cut = [row for row in found[3:] if row["finish_reason"] == "length"]
    assert f"{len(cut)} answer{'s' * (len(cut) > 1)} stopped at --max-new-tokens" in said
    assert len(cut) >= 1


def test_a_run_that_is_killed_goes_on_where_it_was(plugin, toys, tmp_path):
    out = tmp_path / "r.jsonl"
    process = start(toys / "toys.jsonl", out, "--batch-size", "2")
    wait_for_answers(out)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(stored(out).lines)
    assert 0 < kept < 12
    assert not out.exists()
    said = json.loads(infer(toys / "toys.jsonl", out, "--batch-size", "2", "--json").splitlines()[-1])
    assert (said["answered_before"], said["answered"]) == (kept, 12 - kept)
    infer(toys / "toys.jsonl", tmp_path / "once.jsonl", "--batch-size", "2")
    assert [row["response"] for row in read_rows(out)] == [row["response"] for row in read_rows(tmp_path / "once.jsonl")]
    assert [row["sample_id"] for row in read_rows(out)] == [row["sample_id"] for row in read_rows(toys / "toys.jsonl")]


def test_two_workers_give_the_file_of_one_process(plugin, toys, tmp_path):
    words = ("--batch-size", "3", "--temperature", "0.8", "--seed", "4")
    infer(toys / "toys.jsonl", tmp_path / "one.jsonl", *words)
    said = infer(toys / "toys.jsonl", tmp_path / "two.jsonl", *words, "--workers", "2")
    assert "12 rows, 12 answered" in said
    one, two = (untimed(read_rows(tmp_path / f"{name}.jsonl")) for name in ("one", "two"))
    assert one == two
    assert len({row["response"] for row in one}) > 3
    infer(toys / "toys.jsonl", tmp_path / "other.jsonl", *words[:-1], "5")
    assert [row["response"] for row in read_rows(tmp_path / "other.jsonl")] != [row["response"] for row in one]
    assert (tmp_path / "two.jsonl.run.json").read_text() == (tmp_path / "one.jsonl.run.json").read_text()


def test_the_workers_of_a_killed_command_end_and_the_next_goes_on(plugin, toys, tmp_path):
    out = tmp_path / "r.jsonl"
    process = start(toys / "toys.jsonl", out, "--batch-size", "1", "--workers", "2")
    wait_for_answers(out)
    workers = [int(pid) for pid in subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()]
    assert len(workers) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() and "(" in Path(f"/proc/{pid}/stat").read_text() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kept = len(stored(out).lines)
    assert 0 < kept < 12
    said = json.loads(infer(toys / "toys.jsonl", out, "--batch-size", "1", "--json").splitlines()[-1])
    assert (said["answered_before"], said["answered"]) == (kept, 12 - kept)
    assert [row["sample_id"] for row in read_rows(out)] == [row["sample_id"] for row in read_rows(toys / "toys.jsonl")]


def test_two_ranks_of_torchrun_give_the_file_of_one_process(plugin, toys, tmp_path):
    infer(toys / "toys.jsonl", tmp_path / "one.jsonl", "--batch-size", "3")
    words = ["infer", str(toys / "toys.jsonl"), "--out", str(tmp_path / "two.jsonl"), *MODEL, "--batch-size", "3", *SWIFT]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port())]
    done = subprocess.run([*torchrun, "-m", "groundswift.cli", *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("12 rows, 12 answered") == 1
    one, two = (untimed(read_rows(tmp_path / f"{name}.jsonl")) for name in ("one", "two"))
    assert one == two
    assert not folder_of(tmp_path / "two.jsonl").exists()
