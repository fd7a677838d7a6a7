"""Tiny models by name, as the recipes' tests ask for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open
from tiny_models import MAKERS, tiny_model


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
