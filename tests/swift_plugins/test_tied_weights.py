"""LoRA on a tied embedding or head: named before the first step, and merged into two weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_run import EMBEDDED, export, sft
from torch import nn


class BeforeTheFirstStep(Exception):
    """Raised where transformers' own training begins."""


@pytest.fixture
def at_the_start(plugin, toys, warned, monkeypatch, tmp_path) -> Callable[..., list[str]]:
    """What is warned of tied weights in a training by swift, until its first step."""
    from transformers import Trainer

    def stop(*_args, **_more):
        raise BeforeTheFirstStep

    monkeypatch.setattr(Trainer, "train", stop)

    def texts(*words: str) -> list[str]:
        with pytest.raises(BeforeTheFirstStep):
            sft(plugin, f"{toys / 'toys.jsonl'}#2", tmp_path, *words, save_strategy="no")
        return [text for text in warned if "embedding and head share one weight" in text]

    return texts


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--target_modules", "lm_head"], "head"),
        (["--target_modules", "q_proj", "embed_tokens"], "embedding"),
        (["--target_modules", "all-linear", "all-embedding"], "embedding"),
        (["--target_modules", "lm_head", "embed_tokens"], "embedding and the head"),
        (["--target_regex", ".*(lm_head|v_proj)$"], "head"),
        (["--target_modules", "lm_head", "--use_dora", "true"], "head"),
        (["--target_modules", "all-linear"], None),
        (["--target_modules", "q_proj", "--modules_to_save", "lm_head"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_lora_on_tied_weights_is_named_before_the_first_step(at_the_start, words, named):
    found = at_the_start(*words)
    assert len(found) == (named is not None)
    assert named is None or found[0].startswith(f"the adapter is on the {named} of a model") and "--modules_to_save lm_head" in found[0]


def loaded(folder: Path):
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(20, 60)[None]).logits


@pytest.mark.parametrize("targets", [["lm_head"], ["embed_tokens"], ["lm_head", "embed_tokens", "q_proj"]], ids=" ".join)
def test_a_merged_model_answers_as_with_the_adapter(plugin, toys, warned, tmp_path, targets):
    """The adapter has random weights and is merged by `swift export`."""
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(loaded(EMBEDDED), LoraConfig(r=4, target_modules=targets))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            nn.init.normal_(weight, std=0.1)
    model.save_pretrained(tmp_path / "adapter")
    model = {"model": EMBEDDED, "model_type": "qwen2_vl", "template": "qwen2_vl_grounding", "torch_dtype": "float32"}
    adapter = {"load_args": False, "custom_register_path": plugin, "adapters": tmp_path / "adapter", "merge_lora": True}
    merged = export(tmp_path / "merged", **model, **adapter)
    base = loaded(EMBEDDED)
    bare = logits(base)
    expected = logits(PeftModel.from_pretrained(base, tmp_path / "adapter"))
    found = logits(loaded(merged))
    assert (expected - bare).abs().max() > 0.1
    assert (found - expected).abs().max() < 1e-3
    assert [text for text in warned if "two weights are saved" in text]
