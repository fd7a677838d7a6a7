"""QLoRA runs: merged without `--quant_method` they are full weights, loaded as such; wherever they are quantised again, swift says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_run import export, sft

from groundswift.swift_plugins.grounding.patches.merged_adapters import export_full_weights, load_as_saved, options_of, quantised_again

FOUR_BITS = {"quant_method": "bnb", "quant_bits": 4}


@pytest.fixture(scope="module")
def checkpoint(plugin, toys, tmp_path_factory) -> Path:
    """One LoRA step on the embedded model in 4 bits."""
    out = tmp_path_factory.mktemp("qlora")
    sft(plugin, f"{toys / 'toys.jsonl'}#2", out, save_steps=1, **FOUR_BITS)
    return out / "checkpoint-1"


def test_a_qlora_run_is_merged_into_the_folder_asked_for(checkpoint, toys, warned, tmp_path):
    """Full weights that `swift infer` loads in full; and in 4 bits only where that is said."""
    from swift.arguments import InferArguments

    asked, full = export(tmp_path / "asked", adapters=checkpoint, merge_lora=True), Path(f"{checkpoint}-merged")
    assert f"{checkpoint}: trained with --quant_method bnb; merging into full weights in {asked}. To quantise them add " in "\n".join(
        warned
    )
    assert "quantization_config" not in json.loads((asked / "config.json").read_text())
    assert not full.exists()
    args = InferArguments(model=str(asked), attn_impl="sdpa")
    assert (args.quant_method, args.quant_bits, args.template) == (None, None, "qwen2_vl_grounding")
    warned.clear()
    model, _ = args.get_model_processor()
    assert {type(module).__name__ for module in model.modules() if "Linear" in type(module).__name__} == {"Linear"}
    assert not [text for text in warned if "full weights" in text]
    four = export(tmp_path / "four", adapters=checkpoint, merge_lora=True, **FOUR_BITS)
    assert json.loads((four / "config.json").read_text())["quantization_config"]["load_in_4bit"]


@pytest.fixture
def folder(plugin, tmp_path) -> Path:
    """Settings of a merged folder as swift writes them."""
    (tmp_path / "args.json").write_text(json.dumps({"quant_method": "bnb", "quant_bits": 8, "tuner_type": "lora", "seed": 1}))
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 128}))
    return tmp_path


def loaded(folder: Path, **given) -> str | None:
    args = {"adapters": [], "quant_method": "bnb", "load_args": True, "ckpt_dir": str(folder), "model": str(folder)}
    return quantised_again(SimpleNamespace(**args | given))


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({}, "set quant_method and quant_bits to null there, or give --load_args false"),
        ({"merge_lora": True}, "instead of --adapters and --merge_lora"),
        ({"load_args": False}, None),
        ({"quant_method": None}, None),
        ({"quant_method": "hqq"}, None),
        ({"adapters": ["a"]}, None),
        ({"ckpt_dir": None}, None),
    ],
    ids=str,
)
def test_full_weights_that_are_quantised_again_are_named(folder, given, remedy):
    text = loaded(folder, **given)
    assert text is None if remedy is None else text.startswith(f"{folder}: full weights, loaded with --quant_method bnb") and remedy in text


def test_a_quantised_folder_is_loaded_as_it_is(folder):
    (folder / "config.json").write_text(json.dumps({"quantization_config": {"load_in_8bit": True}}))
    before = (folder / "args.json").read_bytes()
    load_as_saved(folder)
    assert (folder / "args.json").read_bytes() == before
    assert loaded(folder) is None


@pytest.mark.parametrize("method", ["bnb", "hqq", "eetq", "quanto"])
def test_full_weights_are_loaded_in_full(folder, method):
    (folder / "args.json").write_text(json.dumps({"quant_method": method, "quant_bits": 8, "seed": 1}))
    load_as_saved(folder)
    assert json.loads((folder / "args.json").read_text()) == {"quant_method": None, "quant_bits": None, "seed": 1}


def exported(folder: Path, options: list[str] | None, **given) -> tuple:
    args = {"adapters": ["CKPT"], "quant_method": "bnb", "quant_bits": 8, "load_args": True, "ckpt_dir": str(folder), "merge_lora": True}
    export_full_weights(made := SimpleNamespace(**args | {"output_dir": "out"} | given), options)
    return made.quant_method, made.quant_bits, made.output_dir


@pytest.mark.parametrize(
    ("options", "given", "expected"),
    [
        (["--output_dir", "out"], {}, (None, None, "out")),
        (["--output-dir=out"], {}, (None, None, "out")),
        ([], {}, (None, None, "CKPT-merged")),
        (["--quant_method", "bnb"], {}, ("bnb", 8, "out")),
        (["--quant-method=bnb"], {}, ("bnb", 8, "out")),
        ([], {"merge_lora": False}, ("bnb", 8, "out")),
        ([], {"load_args": False}, ("bnb", 8, "out")),
        ([], {"quant_method": "awq"}, ("awq", 8, "out")),
        (None, {}, ("bnb", 8, "out")),
    ],
    ids=str,
)
def test_only_a_quantisation_that_was_typed_is_done(folder, warned, options, given, expected):
    assert exported(folder, options, **given) == expected
    if options is None:
        assert warned == ["CKPT: trained with --quant_method bnb, so this export quantises out too; the full weights are in CKPT-merged"]


def test_the_options_of_the_command_are_those_of_its_process(plugin, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/swift/cli/export.py", "--merge_lora", "true"])
    assert options_of(SimpleNamespace()) == ["--merge_lora", "true"]
    monkeypatch.setattr(sys, "argv", ["script.py", "--merge_lora", "true"])
    assert options_of(SimpleNamespace()) is None
