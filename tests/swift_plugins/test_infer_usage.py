"""`groundswift infer`: wrong use is one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from converted import run
from infer_runs import rows_file
from tiny_run import EMBEDDED


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rows.jsonl"], "no model given; expected --model, --adapters, or --url of a server"),
        (["rows.jsonl", "--model", "a/b/c"], "a/b/c: no such folder"),
        (["rows.jsonl", "--model", "m", "--url", "http://x"], "--model is for a local engine"),
        (["rows.jsonl", "--url", "somewhere"], "--url: 'somewhere'; expected http://HOST:PORT/v1"),
        (["rows.jsonl", "--url", "http://x", "--ray"], "--ray is for local engines; expected --batch-size N"),
        (["rows.jsonl", "--url", "http://x", "--num-beams", "3"], "--num-beams is for a local engine"),
        (["rows.jsonl", "--model", "m", "--num-beams", "3", "--logprobs"], "--logprobs with --num-beams"),
        (["rows.jsonl", "--model", "m", "--engine", "sglang", "--logprobs"], "swift's engine sglang gives none"),
        (["rows.jsonl", "--model", str(EMBEDDED), "--engine", "vllm"], "--engine vllm needs the package vllm"),
        (["rows.jsonl", "--url", "http://127.0.0.1:9", "--family", "qwen2_5_vl"], "qwen2_5_vl writes pixels of the resized image"),
        (["images"], "is a folder without a JSONL file; expected a JSONL file of rows"),
        (["rows.jsonl", "--classes", "a"], "rows.jsonl: is not a folder"),
        (["broken.jsonl", "--url", "http://x"], "broken.jsonl:2: not a row"),
        (["silent.jsonl", "--url", "http://x"], "silent.jsonl:1: no question before the answer"),
        (["none.jsonl", "--url", "http://x"], "none.jsonl: cannot be read"),
    ],
)
def test_wrong_use_is_one_line(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    rows_file(tmp_path, 1)
    Path("broken.jsonl").write_text(Path("rows.jsonl").read_text() + "{oops\n")
    Path("silent.jsonl").write_text('{"messages": [{"role": "assistant", "content": "yes"}]}\n')
    extra = ["--model", "m"] if words in (["images"], ["rows.jsonl", "--classes", "a"]) else []
    done = run("infer", *words, *extra, "--out", "r.jsonl")
    assert done.exit_code == 1, done.output
    assert said in done.output
    assert done.output.count("\n") == 1


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        (None, "--ray with torchrun: both share the work"),
        ("ray", "--ray needs the package ray: pip install 'groundswift[ray]'"),
        (
            "groundswift.swift_plugins.tools.infer.on_ray",
            "has no checkpoint (import of groundswift.swift_plugins.tools.infer.on_ray halted",
        ),
    ],
)
def test_where_ray_cannot_run_it_is_one_line(tmp_path, monkeypatch, hidden, said):
    if hidden is None:
        monkeypatch.setenv("WORLD_SIZE", "2")
    else:
        pytest.importorskip("ray")
        monkeypatch.setitem(sys.modules, hidden, None)
    done = run("infer", rows_file(tmp_path, 1), "--out", tmp_path / "r.jsonl", "--model", EMBEDDED, "--ray")
    assert done.exit_code == 1
    assert said in done.output
    assert done.output.count("\n") == 1
