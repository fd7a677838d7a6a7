"""Seed 000's error of Qwen-VL's own code, over a stand-in for it: there without the patch, gone with it, same outputs and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from rows import detection, noise
from special_models import make_qwen_vl
from tiny_run import infer, sft, written
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from groundswift.swift_plugins.grounding.patches import model_code
from groundswift.swift_plugins.grounding.patches.model_code import copy_of_leaf

ERROR = "a view of a leaf Variable that requires grad is being used in an in-place operation"
IN_PLACE = """            for idx, (i, a, b) in enumerate(img_pos):
                hidden_states[i][a + 1 : b] = images[idx].to(hidden_states.dtype)
"""
OUT_OF_PLACE = """            rows = hidden_states
            parts = [torch.cat([rows[i][: a + 1], images[idx], rows[i][b:]]) for idx, (i, a, b) in enumerate(img_pos)]
            hidden_states = torch.stack(parts)
"""


@pytest.fixture(scope="module")
def folder(plugin, tmp_path_factory) -> Path:
    return make_qwen_vl(tmp_path_factory.mktemp("qwen") / "qwen_vl")


@pytest.fixture(scope="module")
def out_of_place(plugin, tmp_path_factory) -> Path:
    """The same model, whose code makes a new tensor as the seed advises."""
    folder = make_qwen_vl(tmp_path_factory.mktemp("qwen") / "out_of_place")
    code = folder / "modeling_qwen.py"
    assert IN_PLACE in code.read_text()
    code.write_text(code.read_text().replace(IN_PLACE, OUT_OF_PLACE))
    return folder


@pytest.fixture
def unpatched(plugin, monkeypatch) -> None:
    """transformers as it is, also once swift has loaded a model."""
    monkeypatch.setattr(PreTrainedModel, "enable_input_require_grads", PreTrainedModel.enable_input_require_grads.__wrapped__)
    monkeypatch.setattr(model_code, "copy_leaf_embeddings", lambda: None)


@pytest.fixture
def without_swifts_own_way(monkeypatch) -> None:
    """swift's copy behind `transformer.drop` of its model type qwen_vl."""
    monkeypatch.setattr("swift.model.models.qwen.fix_qwen_inplace_bug", lambda model: None)


def lora(folder: Path, checkpointing: bool = False) -> Any:
    """A LoRA model that trains the embedding's surroundings and the vision tower's end, as peft makes it of plain transformers."""
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).train()
    if checkpointing:
        model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    torch.manual_seed(0)
    return get_peft_model(model, LoraConfig(target_modules=["c_attn", "w1", "kv_proj"], init_lora_weights=False))


def batch(folder: Path, images: Path) -> dict[str, torch.Tensor]:
    """Two rows with an image each."""
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    texts = [f"Picture 1: <img>{noise(images / f'{seed}.png', (90, 70), seed)}</img>\nWhat is it?" for seed in (0, 1)]
    ids = torch.stack([torch.tensor(tokenizer(text)["input_ids"]) for text in texts])
    return {"input_ids": ids, "labels": ids}


def trained(model: Any, given: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(logits, gradient of each weight that has one)."""
    output = model(**given)
    output.loss.backward()
    return output.logits, {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_error_is_there_without_the_patch(folder, unpatched, tmp_path, checkpointing):
    with pytest.raises(RuntimeError, match=ERROR):
        trained(lora(folder, checkpointing), batch(folder, tmp_path))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_outputs_and_gradients_are_those_of_code_that_makes_a_new_tensor(folder, out_of_place, tmp_path, checkpointing):
    given = batch(folder, tmp_path)
    logits, gradients = trained(lora(folder, checkpointing), given)
    other_logits, other_gradients = trained(lora(out_of_place, checkpointing), given)
    assert torch.equal(logits, other_logits)
    assert gradients.keys() == other_gradients.keys()
    assert {name.split(".lora")[0].rsplit(".", 1)[1] for name in gradients} == {"c_attn", "w1", "kv_proj"}
    for name, gradient in gradients.items():
        assert gradient.abs().max() > 0, name
        assert torch.equal(gradient, other_gradients[name]), name


def test_it_holds_after_gradients_were_disabled_and_enabled_again(folder, tmp_path):
    model = lora(folder)
    model.disable_input_require_grads()
    model.enable_input_require_grads()
    assert trained(model, batch(folder, tmp_path))[1]
    hooks = list(model.get_input_embeddings()._forward_hooks.values())
    assert hooks.count(copy_of_leaf) == 1
    assert hooks[-1] is copy_of_leaf  # behind the one that makes the leaf


def test_it_holds_after_swift_has_loaded_an_internvl(folder, zoo, monkeypatch, tmp_path):
    """Its loader replaces the method of all models, once a process."""
    monkeypatch.setattr(PreTrainedModel, "enable_input_require_grads", PreTrainedModel.enable_input_require_grads.__wrapped__)
    monkeypatch.delattr(PreTrainedModel, "_old_enable_input_require_grads", raising=False)
    zoo.model("internvl")
    assert hasattr(PreTrainedModel, "_old_enable_input_require_grads")
    assert trained(lora(folder), batch(folder, tmp_path))[1]


def test_models_of_transformers_are_left_alone(zoo):
    model = zoo.model("qwen2_vl")
    model.enable_input_require_grads()
    assert copy_of_leaf not in model.get_input_embeddings()._forward_hooks.values()


def train(folder: Path, plugin: Path, work: Path) -> list[dict[str, Any]]:
    """Two LoRA steps with gradient checkpointing, swift's default -> what was logged."""
    rows = [detection(noise(work / f"{seed}.png", (90, 70), seed), ["cat"], [[10, 7, 50, 63]]) for seed in range(4)]
    model = {"model": folder, "model_type": "qwen_vl", "template": "qwen_vl_grounding", "gradient_checkpointing": True, "max_steps": 2}
    return sft(plugin, written(work / "rows.jsonl", rows), work / "out", **model)


def test_swift_trains_it_merges_and_answers(folder, plugin, without_swifts_own_way, tmp_path):
    logged = train(folder, plugin, tmp_path)
    assert [0 < step["loss"] < 100 and step["grad_norm"] > 0 for step in logged if "loss" in step] == [True, True]
    merged = {"adapters": tmp_path / "out" / "checkpoint-2", "merge_lora": True, "max_new_tokens": 4}
    answers = [row["response"] for row in infer(None, tmp_path / "rows.jsonl", tmp_path / "result.jsonl", **merged)]
    assert len(answers) == 4
    assert len(set(answers)) > 1


def test_swift_does_not_train_it_without_the_patch(folder, plugin, without_swifts_own_way, unpatched, tmp_path):
    with pytest.raises(RuntimeError, match=ERROR):
        train(folder, plugin, tmp_path)
