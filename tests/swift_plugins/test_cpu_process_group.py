"""Two real processes on a CPU: they form one group, nothing is lost, and the metric is the one of a single process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from rows import read_rows

SWIFT = str(Path(sys.executable).with_name("swift"))
COMMON = ["--torch_dtype", "float32", "--attn_impl", "sdpa", "--model_type", "qwen2_vl", "--template", "qwen2_vl_grounding"]


def two_processes(arguments: list[str], cwd: Path) -> str:
    """Run a swift command as two processes and return what it printed."""
    environment = {**os.environ, "NPROC_PER_NODE": "2", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run([SWIFT, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def with_a_missing_image(night: Path, folder: Path) -> Path:
    """The rows, the second of them with an image that is not there."""
    rows = read_rows(night / "night.jsonl")
    rows[1]["images"] = [str(folder / "missing.jpg")]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "rows.jsonl"


def test_inference_writes_every_row_once(plugin, models, night, tmp_path):
    two_processes(
        ["infer", "--model", str(models["qwen2_vl"]), *COMMON, "--custom_register_path", str(plugin), "--temperature", "0"]
        + ["--val_dataset", str(with_a_missing_image(night, tmp_path)), "--result_path", "two.jsonl", "--max_new_tokens", "8"]
        + ["--max_batch_size", "4"],
        tmp_path,
    )
    answered = read_rows(tmp_path / "two.jsonl")
    ids = [row["sample_id"] for row in answered]
    assert [number for number, row in enumerate(answered) if row.get("error")] == [1]
    told = [json.loads(line)["sample_id"] for line in (night / "night.jsonl").read_text().splitlines()]
    assert ids == told


def test_training_is_one_training_and_the_padding_of_ranks_is_not_scored(plugin, models, night, tmp_path):
    """11 rows over two ranks of batch 4 are padded by swift; a doubled row would be an error of the metric."""
    rows = str(with_a_missing_image(night, tmp_path))
    two_processes(
        [
            "sft",
            "--model",
            str(models["qwen2_vl"]),
            *COMMON,
            "--custom_register_path",
            str(plugin),
            "--dataset",
            rows,
            "--val_dataset",
            rows,
        ]
        + ["--tuner_type", "lora", "--max_steps", "1", "--eval_steps", "1", "--save_steps", "1", "--per_device_train_batch_size", "1"]
        + ["--gradient_accumulation_steps", "1", "--per_device_eval_batch_size", "4", "--predict_with_generate", "true"]
        + ["--eval_metric", "coco_map", "--max_new_tokens", "8", "--check_model", "false", "--fp16", "false", "--report_to", "none"]
        + ["--output_dir", "out", "--add_version", "false"],
        tmp_path,
    )
    checkpoint = tmp_path / "out" / "checkpoint-1"
    told = json.loads((checkpoint / "args.json").read_text())
    assert told["global_world_size"] == 2
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    logged = next(entry for entry in state["log_history"] if "eval_AP" in entry)
    assert (logged["eval_unanswered"], logged["eval_unanswered_image_missing"]) == (1, 1)
    predicted = [json.loads(line)["sample_id"] for line in (checkpoint / "predict.jsonl").read_text().splitlines()]
    assert set(predicted) == {json.loads(line)["sample_id"] for line in Path(rows).read_text().splitlines()}
