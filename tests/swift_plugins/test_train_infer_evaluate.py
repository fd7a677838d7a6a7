"""The whole way in miniature through swift's own entry points: COCO in, LoRA with coco_map, merge, results, mAP out."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from rows import read_rows
from tiny_run import EMBEDDED

from groundswift.cli import main

COMMON = ["--torch_dtype", "float32", "--attn_impl", "sdpa"]
MODEL = ["--model_type", "qwen2_vl", "--template", "qwen2_vl_grounding"]


@pytest.fixture(scope="module")
def trained(plugin, models, night, tmp_path_factory) -> Path:
    """The checkpoint of two LoRA steps, with an evaluation after each."""
    from swift import sft_main

    out = tmp_path_factory.mktemp("lora")
    sft_main(
        ["--model", str(models["qwen2_vl"]), *MODEL, *COMMON, "--custom_register_path", str(plugin)]
        + ["--dataset", str(night / "night.jsonl"), "--val_dataset", str(night / "night.jsonl"), "--output_dir", str(out)]
        + ["--tuner_type", "lora", "--max_steps", "2", "--eval_steps", "1", "--save_steps", "1", "--logging_steps", "1"]
        + ["--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "1", "--per_device_eval_batch_size", "12"]
        + ["--predict_with_generate", "true", "--eval_metric", "coco_map", "--metric_for_best_model", "AP", "--add_version", "false"]
        + ["--load_best_model_at_end", "true", "--check_model", "false", "--fp16", "false", "--report_to", "tensorboard"]
    )
    return out / "checkpoint-2"


@pytest.fixture(scope="module")
def result(trained, night, tmp_path_factory) -> Path:
    """What `swift infer` wrote with the adapter merged; the plugin comes back from the checkpoint by itself."""
    from swift import infer_main

    out = tmp_path_factory.mktemp("infer") / "result.jsonl"
    infer_main(
        ["--adapters", str(trained), "--merge_lora", "true", "--val_dataset", str(night / "night.jsonl"), "--result_path", str(out)]
        + ["--temperature", "0", "--max_new_tokens", "40", "--max_batch_size", "12", "--logprobs", "true"]
    )
    return out


def test_training_logs_the_coco_numbers(trained):
    state = json.loads((trained / "trainer_state.json").read_text())
    evaluations = [entry for entry in state["log_history"] if "eval_AP" in entry]
    assert len(evaluations) == 2
    assert {"eval_AP50", "eval_AP75", "eval_AR100", "eval_unreadable"} <= set(evaluations[0])
    assert all(0 <= entry["eval_AP"] <= 1 for entry in evaluations)
    assert state["best_metric"] == max(entry["eval_AP"] for entry in evaluations)


def test_the_metric_of_training_is_the_one_of_the_evaluator(plugin, toys, tmp_path):
    """The embedded model on pictures that it knows, with a step that changes nothing: both ways to the mAP agree, and it is not 0."""
    from swift import sft_main

    rows = str(toys / "toys.jsonl")
    sft_main(
        ["--model", str(EMBEDDED), *MODEL, *COMMON, "--custom_register_path", str(plugin), "--dataset", rows, "--val_dataset", rows]
        + ["--tuner_type", "lora", "--learning_rate", "1e-12", "--max_steps", "1", "--eval_steps", "1", "--save_steps", "1"]
        + ["--predict_with_generate", "true", "--eval_metric", "coco_map", "--per_device_eval_batch_size", "5", "--check_model", "false"]
        + ["--fp16", "false", "--report_to", "none", "--add_version", "false", "--output_dir", str(tmp_path / "out")]
    )
    checkpoint = tmp_path / "out" / "checkpoint-1"
    logged = next(e for e in json.loads((checkpoint / "trainer_state.json").read_text())["log_history"] if "eval_AP" in e)
    command = ["eval", "coco-map", str(checkpoint / "predict.jsonl"), "--gt", str(toys / "annotations.json"), "--family", "qwen2_vl"]
    done = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "scored"), "--no-report"])
    assert done.exit_code == 0, done.output
    metrics = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    for name in ("AP", "AP50", "APs", "AR100"):
        assert logged[f"eval_{name}"] == pytest.approx(metrics[name], abs=1e-9)
    assert metrics["AP"] > 0.4


def test_tensorboard_draws_them(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained.parent / "runs"))
    events.Reload()
    assert "eval/AP" in events.Tags()["scalars"]


def test_the_whole_validation_set_was_answered_at_length(trained, night):
    """swift's own limit of 64 tokens would cut three boxes: the metric has raised it."""
    predicted = [row for path in trained.parent.glob("checkpoint-*/predict.jsonl") for row in read_rows(path)]
    assert {row["sample_id"] for row in predicted} == {row["sample_id"] for row in read_rows(night / "night.jsonl")}
    assert max(len(row["response"]) for row in predicted) > 64


def test_ids_and_sizes_reach_the_result(result, night):
    told = {row["sample_id"]: row["size_wh"] for row in read_rows(night / "night.jsonl")}
    assert {row["sample_id"]: row["size_wh"] for row in read_rows(result)} == told


def test_the_result_is_scored_with_a_report(result, night, tmp_path):
    command = ["eval", "coco-map", str(result), "--gt", str(night / "annotations.json"), "--images", str(night / "images")]
    done = CliRunner().invoke(main, [*command, "--family", "qwen2_vl", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["counts"]["images"] == 12
    assert metrics["protocol"]["family"] == "qwen2_vl"
    assert {path.name for path in tmp_path.iterdir()} >= {"metrics.json", "test_pred.json", "report.html"}


def test_an_export_started_elsewhere_is_the_same_model(trained, result, night, tmp_path, monkeypatch):
    from swift import export_main, infer_main

    monkeypatch.chdir(tmp_path)
    export_main(["--adapters", str(trained), "--merge_lora", "true", "--output_dir", str(tmp_path / "merged")])
    infer_main(
        ["--model", str(tmp_path / "merged"), *COMMON, "--val_dataset", str(night / "night.jsonl"), "--result_path", "again.jsonl"]
        + ["--temperature", "0", "--max_new_tokens", "40", "--max_batch_size", "12"]
    )
    again = {row["sample_id"]: row["response"] for row in read_rows(tmp_path / "again.jsonl")}
    assert again == {row["sample_id"]: row["response"] for row in read_rows(result)}


def test_a_plugin_that_moved_is_told_and_can_be_named_anew(trained, night, plugin, tmp_path, monkeypatch):
    """swift reads the old path from the checkpoint: `--external_plugins` replaces it, `--custom_register_path` would be added to it."""
    from swift import infer_main

    moved = tmp_path / "checkpoint"
    shutil.copytree(trained, moved)
    told = json.loads((moved / "args.json").read_text())
    told["external_plugins"] = [str(tmp_path / "old" / "register.py")]
    (moved / "args.json").write_text(json.dumps(told))
    done = CliRunner().invoke(main, ["plugin", "--check", str(moved)])
    assert done.exit_code == 1
    assert "old/register.py" in done.output
    assert "--external_plugins" in done.output
    assert CliRunner().invoke(main, ["plugin", "--check", str(trained)]).exit_code == 0
    infer_main(
        ["--adapters", str(moved), "--external_plugins", str(plugin), "--val_dataset", f"{night / 'night.jsonl'}#2"]
        + ["--result_path", str(tmp_path / "moved.jsonl"), "--temperature", "0", "--max_new_tokens", "4"]
    )
    assert len(read_rows(tmp_path / "moved.jsonl")) == 2


def test_what_was_typed_from_here_is_found_from_elsewhere(plugin, models, night, tmp_path, monkeypatch):
    """Relative paths of plugin and model at training; inference starts in another folder and names neither."""
    from swift import infer_main, sft_main

    monkeypatch.chdir(models["qwen2_vl"].parent)
    sft_main(
        ["--model", "qwen2_vl", *MODEL, *COMMON, "--custom_register_path", os.path.relpath(plugin), "--tuner_type", "lora"]
        + ["--dataset", f"{night / 'night.jsonl'}#2", "--split_dataset_ratio", "0", "--max_steps", "1", "--check_model", "false"]
        + ["--fp16", "false", "--report_to", "none", "--add_version", "false", "--output_dir", str(tmp_path / "out")]
    )
    monkeypatch.chdir(tmp_path)
    infer_main(
        ["--adapters", str(tmp_path / "out" / "checkpoint-1"), "--val_dataset", f"{night / 'night.jsonl'}#2"]
        + ["--result_path", "from_elsewhere.jsonl", "--temperature", "0", "--max_new_tokens", "4"]
    )
    assert len(read_rows(tmp_path / "from_elsewhere.jsonl")) == 2


@pytest.fixture(scope="module")
def from_a_copy(plugin, models, night, tmp_path_factory) -> Path:
    """A checkpoint of a run whose plugin file is gone since."""
    folder = tmp_path_factory.mktemp("copy")
    copied = Path(shutil.copy(plugin, folder / "register.py"))
    command = [sys.executable, "-m", "swift.cli.sft", "--model", str(models["qwen2_vl"]), *MODEL, *COMMON, "--tuner_type", "lora"]
    command += ["--custom_register_path", str(copied), "--dataset", f"{night / 'night.jsonl'}#2", "--split_dataset_ratio", "0"]
    command += ["--max_steps", "1", "--check_model", "false", "--fp16", "false", "--report_to", "none", "--add_version", "false"]
    command += ["--output_dir", str(folder / "out")]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    copied.unlink()
    return folder / "out" / "checkpoint-1"


def infer_with(checkpoint: Path, night: Path, out: Path, **env: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "swift.cli.infer", "--adapters", str(checkpoint), "--val_dataset", f"{night / 'night.jsonl'}#2"]
    command += ["--result_path", str(out), "--temperature", "0", "--max_new_tokens", "4"]
    return subprocess.run(command, cwd=out.parent, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def test_a_plugin_file_that_is_gone_does_not_matter_while_groundswift_is_installed(from_a_copy, night, tmp_path):
    done = infer_with(from_a_copy, night, tmp_path / "answers.jsonl")
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(read_rows(tmp_path / "answers.jsonl")) == 2


def test_without_groundswift_the_checkpoint_says_what_is_missing(from_a_copy, night, tmp_path):
    """A finder that knows no groundswift stands for an environment that has none."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'groundswift':\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    done = infer_with(from_a_copy, night, tmp_path / "answers.jsonl", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "error: this checkpoint was trained with groundswift" in done.stderr
    assert "Traceback" not in done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_deployed_model_answers_as_the_result_says(trained, result, night, tmp_path):
    from openai import OpenAI

    port = free_port()
    command = [sys.executable, "-m", "swift.cli.deploy", "--adapters", str(trained), "--infer_backend", "transformers"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--temperature", "0", "--max_new_tokens", "40", "--served_model_name", "tiny"]
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", server, tmp_path / "log")
        row = read_rows(result)[1]
        client = OpenAI(api_key="none", base_url=f"http://127.0.0.1:{port}/v1")
        reply = client.chat.completions.create(
            model="tiny",
            messages=row["messages"][:1],
            temperature=0,
            max_tokens=40,
            extra_body={"images": [row["images"][0]["path"]]},
        )
        assert reply.choices[0].message.content == row["response"]
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url: str, server: subprocess.Popen, log: Path, seconds: int = 180) -> None:
    for _ in range(seconds):
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            time.sleep(1)
    raise AssertionError(f"no answer from {url}: {log.read_text()[-2000:]}")
