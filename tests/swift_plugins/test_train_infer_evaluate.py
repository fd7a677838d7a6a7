"""The whole way in miniature through swift's own entry points: COCO in, LoRA with coco_map, merge, results, mAP out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from converted import run
from rows import read_rows
from tiny_run import evaluation_of, export, infer, options, scored, sft, sft_process, swift_process
from web_site import free_port

GREEDY = {"max_new_tokens": 40, "max_batch_size": 12}
SHORT = {"max_new_tokens": 4}
WAIT = Path(__file__).resolve().parents[2] / "recipes" / "export" / "wait_for_server.py"


@pytest.fixture(scope="module")
def trained(plugin, models, night, tmp_path_factory) -> Path:
    """The checkpoint of two LoRA steps, with an evaluation after each."""
    out = tmp_path_factory.mktemp("lora")
    rows = night / "night.jsonl"
    steps = {"max_steps": 2, "eval_steps": 1, "save_steps": 1, "per_device_eval_batch_size": 12, "report_to": "tensorboard"}
    metric = {"predict_with_generate": True, "eval_metric": "coco_map", "metric_for_best_model": "AP", "load_best_model_at_end": True}
    sft(plugin, rows, out, model=models["qwen2_vl"], val_dataset=rows, **steps, **metric)
    return out / "checkpoint-2"


@pytest.fixture(scope="module")
def result(trained, night, tmp_path_factory) -> Path:
    """What `swift infer` wrote with the adapter merged; the plugin comes back from the checkpoint by itself."""
    out = tmp_path_factory.mktemp("infer") / "result.jsonl"
    infer(None, night / "night.jsonl", out, adapters=trained, merge_lora=True, logprobs=True, **GREEDY)
    return out


def test_training_logs_the_coco_numbers(trained):
    state = json.loads((trained / "trainer_state.json").read_text())
    evaluations = [entry for entry in state["log_history"] if "eval_AP" in entry]
    assert len(evaluations) == 2
    assert {"eval_AP50", "eval_AP75", "eval_AR100", "eval_unreadable"} <= set(evaluations[0])
    assert all(0 <= entry["eval_AP"] <= 1 for entry in evaluations)
    assert state["best_metric"] == max(entry["eval_AP"] for entry in evaluations)


def test_the_metric_of_training_is_the_one_of_the_evaluator(plugin, toys, tmp_path):
    """The embedded model on images that it knows, with a step that changes nothing: both ways to the mAP agree, and it is not 0."""
    metric = {"predict_with_generate": True, "eval_metric": "coco_map", "eval_steps": 1, "save_steps": 1, "per_device_eval_batch_size": 5}
    sft(plugin, toys / "toys.jsonl", tmp_path / "out", val_dataset=toys / "toys.jsonl", learning_rate="1e-12", **metric)
    checkpoint = tmp_path / "out" / "checkpoint-1"
    logged = evaluation_of(checkpoint)
    words = ("--family", "qwen2_vl", "--no-report")
    metrics = scored(checkpoint / "predict.jsonl", toys / "annotations.json", tmp_path / "scored", *words)
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
    sizes = [{row["sample_id"]: row["size_wh"] for row in read_rows(path)} for path in (result, night / "night.jsonl")]
    assert sizes[0] == sizes[1]


def test_the_result_is_scored_with_a_report(result, night, tmp_path):
    metrics = scored(result, night / "annotations.json", tmp_path, "--images", night / "images", "--family", "qwen2_vl")
    assert metrics["counts"]["images"] == 12
    assert metrics["protocol"]["family"] == "qwen2_vl"
    assert {path.name for path in tmp_path.iterdir()} >= {"metrics.json", "test_pred.json", "report.html"}


def test_an_export_started_elsewhere_is_the_same_model(trained, result, night, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    merged = export(tmp_path / "merged", adapters=trained, merge_lora=True)
    rows = infer(None, night / "night.jsonl", Path("again.jsonl"), model=merged, torch_dtype="float32", attn_impl="sdpa", **GREEDY)
    again = {row["sample_id"]: row["response"] for row in rows}
    assert again == {row["sample_id"]: row["response"] for row in read_rows(result)}


def test_a_plugin_that_moved_is_named_and_can_be_replaced(trained, night, plugin, tmp_path):
    """swift reads the old path from the checkpoint: `--external_plugins` replaces it, `--custom_register_path` would be added to it."""
    moved = tmp_path / "checkpoint"
    shutil.copytree(trained, moved)
    args = json.loads((moved / "args.json").read_text()) | {"external_plugins": [str(tmp_path / "old" / "register.py")]}
    (moved / "args.json").write_text(json.dumps(args))
    done = run("plugin", "--check", moved)
    assert done.exit_code == 1
    assert "old/register.py" in done.output
    assert "--external_plugins" in done.output
    assert run("plugin", "--check", trained).exit_code == 0
    answers = infer(None, f"{night / 'night.jsonl'}#2", tmp_path / "moved.jsonl", adapters=moved, external_plugins=plugin, **SHORT)
    assert len(answers) == 2


def test_what_was_typed_from_here_is_found_from_elsewhere(plugin, models, night, tmp_path, monkeypatch):
    """Relative paths of plugin and model at training; inference starts in another folder and names neither."""
    monkeypatch.chdir(models["qwen2_vl"].parent)
    sft(Path(os.path.relpath(plugin)), f"{night / 'night.jsonl'}#2", tmp_path / "out", model="qwen2_vl")
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / "out" / "checkpoint-1"
    assert len(infer(None, f"{night / 'night.jsonl'}#2", Path("from_elsewhere.jsonl"), adapters=checkpoint, **SHORT)) == 2


@pytest.fixture(scope="module")
def from_a_copy(plugin, models, night, tmp_path_factory) -> Path:
    """A checkpoint of a run whose plugin file is gone since."""
    folder = tmp_path_factory.mktemp("copy")
    copied = Path(shutil.copy(plugin, folder / "register.py"))
    sft_process(copied, f"{night / 'night.jsonl'}#2", folder / "out", model=models["qwen2_vl"])
    copied.unlink()
    return folder / "out" / "checkpoint-1"


def infer_with(checkpoint: Path, night: Path, out: Path, code: int = 0, **variables: str) -> str:
    words = options(adapters=checkpoint, val_dataset=f"{night / 'night.jsonl'}#2", result_path=out, temperature=0, **SHORT)
    return swift_process("infer", *words, cwd=out.parent, code=code, **variables)


@pytest.mark.long
def test_a_plugin_file_that_is_gone_does_not_matter_while_groundswift_is_installed(from_a_copy, night, tmp_path):
    infer_with(from_a_copy, night, tmp_path / "answers.jsonl")
    assert len(read_rows(tmp_path / "answers.jsonl")) == 2


@pytest.mark.long
def test_without_groundswift_the_checkpoint_says_what_is_missing(from_a_copy, night, tmp_path):
    """A finder that knows no groundswift acts as an environment that has none."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'groundswift':\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    said = infer_with(from_a_copy, night, tmp_path / "answers.jsonl", code=1, PYTHONPATH=str(tmp_path))
    assert "error: this checkpoint was trained with groundswift" in said
    assert "Traceback" not in said


def test_a_deployed_model_answers_as_the_result_says(trained, result, night, tmp_path):
    from openai import OpenAI

    port = free_port()
    command = [sys.executable, "-m", "swift.cli.deploy", *options(adapters=trained, infer_backend="transformers", host="127.0.0.1")]
    command += options(port=port, temperature=0, max_new_tokens=40, served_model_name="tiny")
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        waiting = [sys.executable, str(WAIT), f"http://127.0.0.1:{port}/v1/models", "--process", str(server.pid), "--seconds", "180"]
        assert subprocess.run(waiting).returncode == 0, (tmp_path / "log").read_text()[-2000:]
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
