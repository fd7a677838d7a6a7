"""Real runs of swift on the embedded model, in this process, for tests that look at what they say and do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rows import detection, noise

EMBEDDED = Path(__file__).resolve().parents[2] / "recipes" / "quickstart" / "model"
MODEL = ["--model", str(EMBEDDED), "--model_type", "qwen2_vl", "--template", "qwen2_vl_grounding", "--attn_impl", "sdpa"]
SMALL = ["--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "1", "--max_steps", "1", "--logging_steps", "1"]
QUIET = ["--report_to", "none", "--add_version", "false", "--gradient_checkpointing", "false", "--dataloader_num_workers", "0"]
IN_32_BITS = ["--torch_dtype", "float32", "--fp16", "false"]


def rows_of(folder: Path, count: int, size_wh: tuple[int, int] = (112, 84)) -> list[dict[str, Any]]:
    """Rows with one box each, ids from 0."""
    return [
        detection(noise(folder / f"{index}.png", size_wh, index), ["cat"], [[10, 7, 50, 63]]) | {"sample_id": index, "size_wh": [*size_wh]}
        for index in range(count)
    ]


def written(path: Path, rows: list[Any]) -> Path:
    """Rows as a JSONL file; a text goes in as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def sft(plugin: Path, data: Path | str, out: Path, *more: str, base: list[str] = IN_32_BITS) -> list[dict[str, Any]]:
    """One LoRA step, whatever `more` changes -> what was logged."""
    from swift import sft_main

    sft_main(_sft_options(plugin, data, out, *more, base=base))
    return [json.loads(line) for line in (out / "logging.jsonl").read_text(encoding="utf-8").splitlines()]


def sft_process(plugin: Path, data: Path | str, out: Path, *more: str) -> str:
    """The same in a process of its own, for what forks: a fork of pytest can wait for ever for a thread of torch -> its output."""
    command = [sys.executable, "-m", "swift.cli.sft", *_sft_options(plugin, data, out, *more)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout + ended.stderr


def _sft_options(plugin: Path, data: Path | str, out: Path, *more: str, base: list[str] = IN_32_BITS) -> list[str]:
    files = ["--custom_register_path", str(plugin), "--dataset", str(data), "--output_dir", str(out)]
    return [*MODEL, *SMALL, *QUIET, *base, *files, "--split_dataset_ratio", "0", "--tuner_type", "lora", *more]


def infer(plugin: Path, data: Path, result: Path, *more: str) -> list[dict[str, Any]]:
    """Answers of the embedded model, or of what `more` names -> result rows."""
    from swift import infer_main

    model = [] if "--adapters" in more or "--model" in more else [*MODEL, "--torch_dtype", "float32"]
    given = ["--custom_register_path", str(plugin), "--val_dataset", str(data), "--result_path", str(result), "--temperature", "0"]
    infer_main([*model, *given, *([] if "--max_new_tokens" in more else ["--max_new_tokens", "8"]), *more])
    return [json.loads(line) for line in result.read_text(encoding="utf-8").splitlines()]
