"""The recipes of inference run to their end on an adapter of the quickstart's model, and what they print and write is looked at."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from recipe_runner import inventory
from rows import read_rows

METHOD = "inference/qwen2_5_vl_{}.sh"


def test_an_adapter_answers_each_row_with_log_probabilities_under_the_limits_of_its_training(runner, tmp_path):
    printed = runner.ran(METHOD.format("adapter"), tmp_path / "out", MIN_PIXELS="", MAX_PIXELS="", MAX_NEW_TOKENS="160")
    assert re.search(r"^\+ CUDA_VISIBLE_DEVICES=0 MAX_PIXELS=12544 MIN_PIXELS=3136 swift infer ", printed, re.MULTILINE)
    answers, asked = read_rows(tmp_path / "out" / "result.jsonl"), read_rows(runner.resolved("@test", tmp_path))
    assert [row["sample_id"] for row in answers] == [row["sample_id"] for row in asked]
    assert all(row["logprobs"]["content"] for row in answers)
    scored = json.loads((tmp_path / "out" / "scored" / "metrics.json").read_text())
    assert scored["AP"] > 0.3  # the quickstart's model knows these shapes
    assert "Average Precision" in printed


@pytest.mark.recipes
def test_limits_that_are_set_stay(runner, tmp_path):
    printed = runner.ran(METHOD.format("adapter"), tmp_path / "out", MIN_PIXELS="", MAX_PIXELS="50176")
    assert "MAX_PIXELS=50176 MIN_PIXELS=3136 swift infer" in printed


@pytest.mark.recipes
def test_the_validation_split_is_that_of_the_training(runner, tmp_path):
    printed = runner.ran(METHOD.format("merged_validation"), tmp_path / "out", OVERWRITE="1")
    answers = [row["sample_id"] for row in read_rows(tmp_path / "out" / "result.jsonl")]
    assert len(answers) == 2  # 34 % of 6
    assert set(answers) < {row["sample_id"] for row in read_rows(runner.resolved("@train", tmp_path))}
    merged = runner.adapter().with_name("checkpoint-1-merged")
    assert (merged / "model.safetensors").is_file()
    assert f"merged   {merged}" in printed


@pytest.mark.recipes
def test_an_earlier_merged_model_is_refused(runner, tmp_path):
    merged = runner.adapter().with_name("checkpoint-1-merged")
    merged.mkdir(exist_ok=True)
    (merged / "mine.txt").write_text("kept")
    done = runner.run_tiny(METHOD.format("merged_validation"), tmp_path / "out")
    assert done.returncode == 1
    assert f"error: {merged} exists, and swift would answer with it. Remove it with OVERWRITE=1" in done.stderr
    assert (merged / "mine.txt").read_text() == "kept"
    (merged / "mine.txt").unlink()


@pytest.mark.recipes
def test_two_processes_answer_all_rows_in_order_as_one_does(runner, tmp_path):
    runner.ran(METHOD.format("adapter"), tmp_path / "one")
    runner.ran(METHOD.format("adapter_4gpu"), tmp_path / "two", GPUS="2")
    one, two = ([(row["sample_id"], row["response"]) for row in read_rows(tmp_path / name / "result.jsonl")] for name in ("one", "two"))
    assert one == two


@pytest.mark.recipes
def test_a_streamed_answer_is_the_same(runner, tmp_path):
    printed = runner.ran(METHOD.format("stream"), tmp_path / "out")
    answers = [row["response"] for row in read_rows(tmp_path / "out" / "result.jsonl")]
    assert answers
    assert all(answer.split("<|")[0] in printed for answer in answers)
    assert all("logprobs" not in row or not row["logprobs"] for row in read_rows(tmp_path / "out" / "result.jsonl"))


@pytest.mark.recipes
def test_a_dialogue_gets_its_lines(runner, tmp_path):
    printed = runner.ran(METHOD.format("interactive"), tmp_path / "out")
    assert printed.count("Input an image path or URL <<<") == 2
    answers = re.findall(r"<<< (?!<<<|Input)(.*?)\n-{20,}", printed, re.DOTALL)
    assert len(answers) == 3
    assert answers[0] == answers[2]  # after `clear` the dialogue begins anew


@pytest.mark.recipes
def test_python_gives_the_boxes_that_the_evaluator_reads(runner, tmp_path):
    from groundswift.answer_px import answer_in_px, record_of_model

    printed = runner.ran(METHOD.format("python_one_sample"), tmp_path / "out", MAX_NEW_TOKENS="160")
    text = re.search(r"^answer: (.*)$", printed, re.MULTILINE)[1]
    boxes = [json.loads(line)["box_xyxy_px"] for line in printed.splitlines() if line.startswith('{"label"')]
    size = Image.open(runner.resolved("@image", tmp_path)).size
    expected = answer_in_px(text, record_of_model(runner.adapter()), size)
    assert boxes
    assert boxes == [list(each.box) for each in expected.objects]


@pytest.mark.recipes
def test_python_streams_two_turns(runner, tmp_path):
    printed = runner.ran(METHOD.format("python_stream"), tmp_path / "out")
    assert len(re.findall(r"^question: .*\nanswer: \S", printed, re.MULTILINE)) == 2


def test_sglang_says_that_it_returns_no_log_probabilities():
    head = inventory.read_head(Path(inventory.RECIPES) / "inference/qwen2_5_vl_sglang.sh")
    assert "returns no log-probabilities" in head.values["Method"]
