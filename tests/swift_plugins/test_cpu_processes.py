"""Processes on a CPU: two form one group and lose nothing, and DeepSpeed trains, which `global_step*` shows, or says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rows import read_rows
from swift.arguments import SftArguments
from swift.trainers.mixin import SwiftMixin
from tiny_run import TEMPLATE, options, sft_process, swift_process, written

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.grounding.patches import cpu_processes


@pytest.mark.long
def test_inference_writes_every_row_once(plugin, models, night, tmp_path):
    rows = read_rows(night / "night.jsonl")
    rows[1]["images"] = [str(tmp_path / "missing.jpg")]
    words = options(model=models["qwen2_vl"], custom_register_path=plugin, temperature=0, max_new_tokens=8, max_batch_size=4)
    words += options(val_dataset=written(tmp_path / "rows.jsonl", rows), result_path="two.jsonl", torch_dtype="float32")
    swift_process("infer", *TEMPLATE, *words, cwd=tmp_path, processes=2)
    answered = read_rows(tmp_path / "two.jsonl")
    assert [number for number, row in enumerate(answered) if row.get("error")] == [1]
    assert [row["sample_id"] for row in answered] == [row["sample_id"] for row in rows]


def train(plugin: Path, toys: Path, out: Path, stage: str, processes: int | None = 2, code: int = 0) -> str:
    """One LoRA step of the embedded model by `swift sft --deepspeed`, in its own processes -> its output."""
    given = {"deepspeed": stage, "torch_dtype": "bfloat16", "fp16": False, "per_device_train_batch_size": 1, "save_steps": 1}
    return sft_process(plugin, f"{toys / 'toys.jsonl'}#8", out, processes=processes, code=code, **given)


@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_two_processes_train_with_deepspeed(plugin, toys, tmp_path, stage):
    train(plugin, toys, tmp_path / "out", stage)
    checkpoint = tmp_path / "out" / "checkpoint-1"
    states = sorted(path.name for path in checkpoint.glob("global_step1/*optim_states.pt"))
    assert len(states) == 2, sorted(path.name for path in checkpoint.iterdir())
    assert json.loads((checkpoint / "args.json").read_text())["global_world_size"] == 2
    assert (checkpoint / "adapter_model.safetensors").is_file()


def test_one_process_without_a_launcher_is_an_error_that_says_how(plugin, toys, tmp_path):
    said = train(plugin, toys, tmp_path / "out", "zero2", processes=None, code=1)
    assert "error: --deepspeed on a CPU needs a launcher, even for one process: export NPROC_PER_NODE=1" in said
    assert not list(tmp_path.rglob("checkpoint-*"))


@pytest.mark.parametrize(("fp16", "dtype"), [(True, torch.float32), (None, torch.float16)], ids=["--fp16", "float16"])
def test_half_precision_is_refused_in_words(plugin, monkeypatch, fp16, dtype):
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(GroundswiftError, match="does not support fp16: use --torch_dtype bfloat16"):
        cpu_processes.join_by_deepspeed(SimpleNamespace(fp16=fp16, torch_dtype=dtype))


def test_a_missing_package_is_named(plugin, monkeypatch):
    monkeypatch.setattr(cpu_processes, "find_spec", lambda name: None)
    with pytest.raises(GroundswiftError, match=r"--deepspeed needs the package deepspeed: pip install 'groundswift\[deepspeed\]'"):
        SftArguments._init_deepspeed(SimpleNamespace(deepspeed="zero2"))


def test_a_training_that_would_go_on_without_deepspeed_stops(plugin):
    """What accelerate does where ACCELERATE_USE_CPU is set, whoever set it."""
    trainer = SimpleNamespace(
        model=torch.nn.Linear(1, 1),
        template=SimpleNamespace(template_meta=SimpleNamespace(template_type="qwen2_vl")),
        train_dataset=None,
        args=SimpleNamespace(deepspeed={"zero_optimization": {}}),
        is_deepspeed_enabled=False,
        accelerator=SimpleNamespace(distributed_type="MULTI_CPU"),
    )
    with pytest.raises(GroundswiftError, match="--deepspeed has no effect: accelerate runs MULTI_CPU"):
        SwiftMixin.train(trainer)
