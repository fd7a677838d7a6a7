"""Real runs of swift on the embedded model, or on the one that a test gives: in this process, or in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from evaluated import call, metrics_of
from rows import detection, noise, read_rows
from web_site import free_port

EMBEDDED = Path(__file__).resolve().parents[2] / "recipes" / "quickstart" / "model"
TEMPLATE = ["--model_type", "qwen2_vl", "--template", "qwen2_vl_grounding", "--attn_impl", "sdpa"]
MODEL = ["--model", str(EMBEDDED), *TEMPLATE]
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


def options(**named: object) -> list[str]:
    """Options of a command by name: True is `true`, and a list or tuple has several words."""
    words = []
    for name, value in named.items():
        values = value if isinstance(value, list | tuple) else [value]
        words += [f"--{name}", *(str(each).lower() if isinstance(each, bool) else str(each) for each in values)]
    return words


def sft(plugin: Path, data: Path | str, out: Path, *more: str, base: list[str] = IN_32_BITS, **named: object) -> list[dict[str, Any]]:
    """One LoRA step, whatever `more` and `named` change -> what was logged."""
    from swift import sft_main

    sft_main(sft_options(plugin, data, out, *more, base=base, **named))
    return read_rows(out / "logging.jsonl")


def rlhf(plugin: Path, kind: str, data: Path | str, out: Path, **named: object) -> list[dict[str, Any]]:
    """The same by `swift rlhf`."""
    from swift import rlhf_main

    rlhf_main(sft_options(plugin, data, out, rlhf_type=kind, **named))
    return read_rows(out / "logging.jsonl")


def sample(plugin: Path, data: Path, out: Path, **named: object) -> list[dict[str, Any]]:
    """`swift sample` by the embedded model -> the rows that it keeps."""
    from swift import sampling_main

    given = options(custom_register_path=plugin, dataset=data, output_dir=out, output_file="kept.jsonl", sampler_engine="transformers")
    sampling_main([*MODEL, "--torch_dtype", "float32", *given, *options(**named)])
    return read_rows(out / "kept.jsonl")


def sft_process(plugin: Path, data: Path | str, out: Path, *more: str, processes: int | None = None, code: int = 0, **named: object) -> str:
    """The same in a process of its own, for what forks: a fork of pytest can wait for ever for a thread of torch -> its output."""
    return swift_process("sft", *sft_options(plugin, data, out, *more, **named), cwd=out.parent, processes=processes, code=code)


def sft_options(plugin: Path, data: Path | str, out: Path, *more: str, base: list[str] = IN_32_BITS, **named: object) -> list[str]:
    """The options of `sft`."""
    files = options(custom_register_path=plugin, dataset=data, output_dir=out, split_dataset_ratio=0, tuner_type="lora")
    return [*MODEL, *SMALL, *QUIET, *base, *files, *more, *options(**named)]


def swift_process(command: str, *words: object, cwd: Path, processes: int | None = None, code: int = 0, **variables: str) -> str:
    """`swift COMMAND` as a process of its own, or as several, that ends with `code` -> its output."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **variables}
    if processes:  # two such tests at once would meet at torch's default port
        environment |= {"NPROC_PER_NODE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    called = [sys.executable, "-m", "swift.cli.main", command, *map(str, words)]
    done = subprocess.run(called, cwd=cwd, env=environment, capture_output=True, text=True, timeout=580)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def infer(plugin: Path | None, data: Path | str, result: Path, *more: str, **named: object) -> list[dict[str, Any]]:
    """Answers of the embedded model, or of what `more` and `named` name -> result rows. Without `plugin`, that of the checkpoint."""
    from swift import infer_main

    given = [*more, *options(**named)]
    model = [] if "--adapters" in given or "--model" in given else [*MODEL, "--torch_dtype", "float32"]
    model += options(custom_register_path=plugin) if plugin else []
    infer_main([*model, *options(val_dataset=data, result_path=result, temperature=0, max_new_tokens=8), *given])
    return read_rows(result)


def export(out: Path, **named: object) -> Path:
    """`swift export` into a folder -> the folder."""
    from swift import export_main

    export_main(options(output_dir=out, **named))
    return out


def limit_tokens(patch: pytest.MonkeyPatch, least: int, most: int) -> None:
    """Set how many tokens an image may have, as the environment of a new process does."""
    from qwen_vl_utils import vision_process

    patch.setattr(vision_process, "IMAGE_MIN_TOKEN_NUM", least)
    patch.setattr(vision_process, "IMAGE_MAX_TOKEN_NUM", most)


def unreadable(folder: Path) -> list[Path]:
    """A missing image, a file that ends too early, and an image that is larger than 400 tokens."""
    cut = noise(folder / "cut.png", (112, 84))
    cut.write_bytes(cut.read_bytes()[:900])
    return [folder / "missing.png", cut, noise(folder / "long.png", (840, 840))]


def evaluation_of(checkpoint: Path, name: str = "eval_AP") -> dict[str, Any]:
    """What the first evaluation of a training that logged `name` logged, with `best_metric`."""
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    return next(entry for entry in state["log_history"] if name in entry) | {"best_metric": state["best_metric"]}


def scored(result: Path, truth: Path, out: Path, *words: object) -> dict[str, Any]:
    """metrics.json of `groundswift eval coco-map`."""
    call("coco-map", result, "--gt", truth, "--out", out, *words)
    return metrics_of(out)
