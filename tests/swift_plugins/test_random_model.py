"""A model with random weights loads as its class, with the sizes asked for and the tokenizer it was given."""

from __future__ import annotations

import sys

import pytest
import torch
from tiny_models import tiny_model

from groundswift.swift_plugins.tools import random_model


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl", "glm4v", "internvl"])
def test_it_loads_with_the_sizes_of_the_configuration(plugin, tmp_path, monkeypatch, name):
    from transformers import AutoModelForImageTextToText

    monkeypatch.setattr(random_model, "SHARD_BYTES", 30_000)  # several files, as a large model has
    like, out = tiny_model(name, tmp_path), tmp_path / "random"
    count = random_model.make(str(like), like, out)
    assert len(list(out.glob("model-*.safetensors"))) > 1
    loaded, info = AutoModelForImageTextToText.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert loaded.dtype == torch.bfloat16
    assert sum(value.numel() for value in loaded.parameters()) == count
    assert all(torch.isfinite(value).all() for value in loaded.parameters())
    assert (out / "tokenizer.json").read_bytes() == (like / "tokenizer.json").read_bytes()


def test_special_tokens_are_those_of_the_tokenizer(plugin, tmp_path):
    from transformers import AutoConfig

    from groundswift.swift_plugins.tools.plan.known_models import published_config

    like = AutoConfig.from_pretrained(tiny_model("qwen2_5_vl", tmp_path))
    config = random_model.with_token_ids(published_config("Qwen/Qwen2.5-VL-7B-Instruct"), like)
    assert config.image_token_id == like.image_token_id
    assert config.get_text_config().hidden_size == 3584


@pytest.mark.parametrize(("model", "error"), [("nobody/knows-7b", "config.json not found"), ("Qwen/Qwen2.5-VL-7B-Instruct", "File exists")])
def test_an_unknown_model_and_a_folder_that_exists_are_errors_in_words(plugin, tmp_path, monkeypatch, model, error):
    like = tiny_model("qwen2_5_vl", tmp_path)
    monkeypatch.setattr(sys, "argv", ["random_model", model, "--like", str(like), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=f"^error: .*{error}"):
        random_model.main()
