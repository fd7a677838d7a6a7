"""The main way of a small run, in this process: two LoRA steps by swift, then inference with the merged adapter, and without merging."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ON_CPU = ("--torch_dtype", "float32", "--fp16", "false", "--check_model", "false", "--report_to", "none", "--dataloader_num_workers", "0")


@dataclass(frozen=True)
class LoraRun:
    """What a run left: the checkpoint's folder, and the rows that inference wrote with the merged model and with the adapter."""

    checkpoint: Path
    merged: list[dict[str, Any]]
    adapter: list[dict[str, Any]]

    @property
    def losses(self) -> list[float]:
        logged = json.loads((self.checkpoint / "trainer_state.json").read_text())["log_history"]
        return [entry["loss"] for entry in logged if "loss" in entry]


def lora_run(model: Path, model_type: str, template: str, rows: Path, out: Path, plugin: Path, more: Sequence[str] = ()) -> LoraRun:
    """Train on `rows` in batches of 2 and answer them. `more`: options of both commands."""
    from swift import infer_main, sft_main

    sft_main(
        ["--model", str(model), "--model_type", model_type, "--template", template, "--external_plugins", str(plugin)]
        + ["--dataset", str(rows), "--split_dataset_ratio", "0", "--tuner_type", "lora", "--learning_rate", "3e-3", *ON_CPU, *more]
        + ["--max_steps", "2", "--save_steps", "2", "--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "1"]
        + ["--add_version", "false", "--logging_steps", "1", "--output_dir", str(out)]
    )
    checkpoint = out / "checkpoint-2"

    def answers(name: str, *options: str) -> list[dict[str, Any]]:
        result = out / f"{name}.jsonl"
        infer_main(
            ["--adapters", str(checkpoint), "--val_dataset", str(rows), "--result_path", str(result), *options, *more]
            + ["--temperature", "0", "--max_new_tokens", "8", "--max_batch_size", "2"]
        )
        return [json.loads(line) for line in result.read_text(encoding="utf-8").splitlines()]

    adapter = answers("adapter")
    return LoraRun(checkpoint, answers("merged", "--merge_lora", "true"), adapter)
