"""Options that swift takes and that end a run later, or train something else: refused or warned of at parsing, by real commands."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from tiny_run import rows_of, sft, written

from groundswift.errors import GroundswiftError

FROZEN = ("--freeze_llm", "true", "--freeze_vit", "true", "--freeze_aligner", "true")
FULL = ("--tuner_type", "full")
ANSWERS = ("--predict_with_generate", "true", "--eval_strategy", "steps", "--eval_steps", "1", "--max_new_tokens", "8")
SCORED = (*ANSWERS, "--eval_metric", "coco_map", "--metric_for_best_model")


@pytest.fixture
def data(tmp_path):
    return written(tmp_path / "rows.jsonl", rows_of(tmp_path, 4))


REFUSED = {
    "a metric with a slip": (("--eval_metric", "coco_mpa"), r"did you mean coco_map\? .*\[metric-unknown\]"),
    "a metric that is nowhere": (("--eval_metric", "zzz"), r"expected one of acc, .*coco_map.*\[metric-unknown\]"),
    "a metric that needs answers": (("--eval_metric", "coco_map"), r"\[metric-needs-answers\]"),
    "swift's default metric": (ANSWERS, r"Add --eval_metric coco_map.*\[metric-missing\]"),
    "everything frozen, LoRA": (FROZEN, r"or name the layers in --target_modules \[nothing-trained\]"),
    "everything frozen, full": ((*FROZEN, *FULL), r"Set at least one of them to false \[nothing-trained\]$"),
    "every weight frozen by its name": ((*FULL, "--freeze_parameters", "model", "lm_head"), r"every weight.*\[nothing-trained\]"),
    "a best number that is not logged": ((*SCORED, "acc_iou50"), "acc_iou50 is not logged.*expected one of AP, "),
    "the most errors": ((*SCORED, "unreadable"), "unreadable is an error count.*expected --greater_is_better false"),
    "the lowest AP": ((*SCORED, "eval_AP", "--greater_is_better", "false"), "AP is better when it is greater; expected .* true"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_words_before_the_first_step(plugin, data, tmp_path, monkeypatch, words, message):
    monkeypatch.setattr("groundswift.swift_plugins.grounding.run_checks.training_options.find_spec", lambda name: None)
    with pytest.raises(GroundswiftError, match=message):
        sft(plugin, data, tmp_path / "out", "--val_dataset", str(data), *words)
    assert not list(tmp_path.rglob("checkpoint-*"))


def test_the_default_of_the_best_metric_is_refused_with_a_metric_that_does_not_log_it(plugin, data, tmp_path, monkeypatch):
    from swift.metrics import eval_metrics_map

    monkeypatch.setitem(eval_metrics_map, "mine", object)
    with pytest.raises(GroundswiftError, match=r"--eval_metric mine.*\[best-metric-unfit\]"):
        sft(plugin, data, tmp_path / "out", "--val_dataset", str(data), "--eval_metric", "mine", *ANSWERS)


def test_our_metric_chooses_the_best_checkpoint_by_itself(plugin, data, tmp_path):
    words = ("--eval_metric", "coco_map", *ANSWERS, "--save_steps", "1", "--load_best_model_at_end", "true")
    sft(plugin, data, tmp_path / "out", "--val_dataset", str(data), *words)
    saved = json.loads((tmp_path / "out" / "checkpoint-1" / "args.json").read_text())
    state = json.loads((tmp_path / "out" / "checkpoint-1" / "trainer_state.json").read_text())
    assert saved["metric_for_best_model"] == "rouge-l", "what was parsed"
    assert state["best_metric"] == next(entry["eval_AP"] for entry in state["log_history"] if "eval_AP" in entry)


WARNED = {
    "a tower without its merger": (("--freeze_vit", "false"), "keeps model.visual.merger frozen. Add --freeze_aligner false to train both"),
    "truncation": (("--truncation_strategy", "right", "--max_length", "1000"), "[boxes-truncated]"),
}


@pytest.mark.parametrize(("words", "message"), WARNED.values(), ids=WARNED)
def test_a_warning_is_logged_and_it_trains(plugin, data, tmp_path, warned, words, message):
    assert sft(plugin, data, tmp_path / "out", *words)[0]["loss"] > 0
    assert [line for line in warned if message in line], warned


@pytest.mark.parametrize(
    "words", [(), ("--freeze_vit", "false", "--freeze_aligner", "false"), ("--freeze_llm", "true", "--freeze_aligner", "false")]
)
def test_what_is_usual_is_not_warned_of(plugin, data, tmp_path, warned, words):
    sft(plugin, data, tmp_path / "out", *words)
    texts = ("merger-frozen", "nothing", "dropped", "could not be used")
    assert not [line for line in warned if any(text in line for text in texts)]


@pytest.mark.parametrize(("dtype", "expected"), [("float32", (False, False, False)), ("bfloat16", (False, True, True))])
def test_a_cpu_trains_32_bit_weights_in_32_bits_and_bf16_without_further_options(plugin, data, tmp_path, dtype, expected):
    assert sft(plugin, data, tmp_path / "out", "--save_steps", "1", base=["--torch_dtype", dtype])[0]["loss"] > 0
    saved = json.loads((tmp_path / "out" / "checkpoint-1" / "args.json").read_text())
    assert (saved["fp16"], saved["bf16"], saved["use_cpu"]) == expected


HALF = {
    ("float32", True, False): "[fp16-on-cpu]",
    ("float16", None, False): "--torch_dtype float16 on a CPU",
    ("float32", None, True): "[fp16-of-float32]",
    ("float16", None, True): None,
    ("bfloat16", None, True): None,
    ("float32", False, False): None,
}


@pytest.mark.parametrize(("dtype", "typed", "accelerator"), HALF)
def test_what_swift_makes_of_the_type_of_the_weights_is_said(plugin, monkeypatch, warned, dtype, typed, accelerator):
    """By swift's own method, on arguments of which it reads these alone; an accelerator is not at hand here."""
    from types import SimpleNamespace

    from swift.arguments.base_args.model_args import ModelArguments

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator)
    args = SimpleNamespace(torch_dtype=getattr(torch, dtype), fp16=typed, bf16=None, use_cpu=False)
    ModelArguments._init_mixed_precision(args)
    message = HALF[dtype, typed, accelerator]
    assert [message in line for line in warned] == ([True] if message else []), warned


@pytest.mark.parametrize(
    ("rewards", "template", "found"),
    [
        (["accuracy"], "qwen2_vl_grounding", ["reward-accuracy-boxes"]),
        (["detection_f1", "accuracy"], "qwen2_vl_grounding", ["reward-accuracy-boxes"]),
        (["detection_f1"], "qwen2_vl_grounding", []),
        (["accuracy"], "qwen2_vl", []),
        (None, "qwen2_vl_grounding", []),
    ],
)
def test_swifts_accuracy_reward_is_warned_of_where_answers_are_boxes(plugin, rewards, template, found):
    from groundswift.swift_plugins.grounding.run_checks.training_options import accuracy_of_boxes

    args = SimpleNamespace(reward_funcs=rewards, template=template)
    assert [each.id for each in accuracy_of_boxes(args)] == found
    del args.reward_funcs
    assert list(accuracy_of_boxes(args)) == []
