"""DeepSpeed in real processes on a CPU: it trains, which `global_step*` in the checkpoint shows, or the command says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shlex import split
from types import SimpleNamespace

import pytest
import torch
from tiny_run import EMBEDDED

from groundswift.errors import GroundswiftError

SWIFT = str(Path(sys.executable).with_name("swift"))


def train(plugin: Path, rows: Path, out: Path, stage: str, *words: str, processes: int | None = 2) -> subprocess.CompletedProcess:
    """One LoRA step of the embedded model by `swift sft --deepspeed`, in its own processes."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MASTER_ADDR": "127.0.0.1"}
    environment |= {"NPROC_PER_NODE": str(processes)} if processes else {}
    command = [SWIFT, "sft", "--model", str(EMBEDDED), *split("--model_type qwen2_vl --template qwen2_vl_grounding --attn_impl sdpa")]
    command += ["--custom_register_path", str(plugin), "--dataset", f"{rows}#8", "--split_dataset_ratio", "0", "--tuner_type", "lora"]
    command += ["--max_steps", "1", "--save_steps", "1", "--check_model", "false", "--report_to", "none", "--add_version", "false"]
    command += ["--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "1", "--output_dir", str(out), "--deepspeed", stage]
    return subprocess.run([*command, *words], cwd=out.parent, env=environment, capture_output=True, text=True, timeout=580)


@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_two_processes_train_with_deepspeed(plugin, toys, tmp_path, stage):
    done = train(plugin, toys / "toys.jsonl", tmp_path / "out", stage, "--torch_dtype", "bfloat16")
    assert done.returncode == 0, done.stderr[-3000:]
    checkpoint = tmp_path / "out" / "checkpoint-1"
    states = sorted(path.name for path in checkpoint.glob("global_step1/*optim_states.pt"))
    assert len(states) == 2, sorted(path.name for path in checkpoint.iterdir())
    assert json.loads((checkpoint / "args.json").read_text())["global_world_size"] == 2
    assert (checkpoint / "adapter_model.safetensors").is_file()


def test_one_process_without_a_launcher_is_an_error_that_says_how(plugin, toys, tmp_path):
    done = train(plugin, toys / "toys.jsonl", tmp_path / "out", "zero2", "--torch_dtype", "bfloat16", processes=None)
    assert done.returncode == 1
    assert "error: --deepspeed on a CPU needs a launcher, even for one process: export NPROC_PER_NODE=1" in done.stderr
    assert not list(tmp_path.rglob("checkpoint-*"))


@pytest.mark.parametrize(("fp16", "dtype"), [(True, torch.float32), (None, torch.float16)], ids=["--fp16", "float16"])
def test_half_precision_is_refused_in_words(plugin, monkeypatch, fp16, dtype):
    from groundswift.swift_plugins.grounding.patches.cpu_deepspeed import join_by_deepspeed

    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(GroundswiftError, match="does not support fp16: use --torch_dtype bfloat16"):
        join_by_deepspeed(SimpleNamespace(fp16=fp16, torch_dtype=dtype))


def test_a_missing_package_is_named(plugin, monkeypatch):
    from swift.arguments import SftArguments

    from groundswift.swift_plugins.grounding.patches import cpu_deepspeed

    monkeypatch.setattr(cpu_deepspeed, "find_spec", lambda name: None)
    with pytest.raises(GroundswiftError, match=r"--deepspeed needs the package deepspeed: pip install 'groundswift\[deepspeed\]'"):
        SftArguments._init_deepspeed(SimpleNamespace(deepspeed="zero2"))


def test_a_training_that_would_go_on_without_deepspeed_stops(plugin):
    """What accelerate does where ACCELERATE_USE_CPU is set, whoever set it."""
    from swift.trainers.mixin import SwiftMixin

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
