"""Tiny models by name, as the recipes' tests ask for them, and models of any size with random weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny_models import MAKERS, tiny_model

from groundswift.swift_plugins.tools import random_model


@pytest.mark.parametrize("name", MAKERS)
def test_every_name_makes_a_folder_with_weights_that_are_finite_and_small(plugin, tmp_path, name):
    folder = tiny_model(name, tmp_path)
    assert folder == tmp_path / name
    assert json.loads((folder / "config.json").read_text())["model_type"]
    assert (folder / "tokenizer_config.json").is_file()
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert all(weights.get_tensor(key).isfinite().all() for key in weights.keys())  # noqa: SIM118
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 8_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == [name], "nothing half made remains"


def test_a_model_that_exists_is_used_again_and_equal_seeds_make_equal_weights(plugin, tmp_path):
    first = tiny_model("qwen2_vl", tmp_path / "a")
    weights = (first / "model.safetensors").read_bytes()
    (first / "marked").touch()
    assert (tiny_model("qwen2_vl", tmp_path / "a") / "marked").exists()
    assert (tiny_model("qwen2_vl", tmp_path / "b") / "model.safetensors").read_bytes() == weights


def test_a_model_that_another_process_made_meanwhile_is_used(monkeypatch, tmp_path):
    def beaten(folder: Path) -> None:
        folder.mkdir()
        (tmp_path / "slow").mkdir()
        (tmp_path / "slow" / "config.json").write_text("{}")

    monkeypatch.setitem(MAKERS, "slow", beaten)
    assert (tiny_model("slow", tmp_path) / "config.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["slow"]


def test_an_unknown_name_lists_the_names(tmp_path):
    with pytest.raises(ValueError, match=r"unknown tiny model 'gpt'; expected one of .*chatglm4v.*qwen2_vl"):
        tiny_model("gpt", Path(tmp_path))


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
