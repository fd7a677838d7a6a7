"""The memory of a training in a plan: model counted, options read, what to lower, and the command."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from memory_cases import LENGTH, memory_of, memory_of_kind, sizes
from test_plan import RECIPES, config, plan, planned
from tiny_run import written
from torch import nn

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.tools.plan.activations import Compute
from groundswift.swift_plugins.tools.plan.census import take_census
from groundswift.swift_plugins.tools.plan.memory_plan import plan_memory
from groundswift.swift_plugins.tools.plan.recipe import Training
from groundswift.swift_plugins.tools.plan.settings import read_settings


@pytest.mark.parametrize(
    ("name", "architecture", "numbers"),
    [
        ("DeepseekV3Config", "DeepseekV3ForCausalLM", 61 * 128 * (128 + 64 + 128)),
        ("Gemma4Config", "Gemma4ForConditionalGeneration", None),
        ("Florence2Config", "Florence2ForConditionalGeneration", None),
        ("T5Config", "T5ForConditionalGeneration", None),
    ],
)
def test_models_of_other_shapes_are_counted_too(tmp_path, name, architecture, numbers):
    """Defaults of transformers: latent attention, a width for each layer, an encoder, a class that swift does not have."""
    import transformers

    config = getattr(transformers, name)()
    config.architectures = [architecture]
    config.save_pretrained(tmp_path)
    options = ["--model", "nobody/nothing", "--dataset", "a", "--tuner_type", "full", "--torch_dtype", "bfloat16"]
    census = plan_memory(read_settings(Training("sft", options), {}), LENGTH, tmp_path).census
    with torch.device("meta"):
        model = getattr(transformers, architecture)(config)
    assert sum(every for every, _ in census.parameters.values()) == sum(parameter.numel() for parameter in model.parameters())
    assert census.cache_token_bytes == (2 * numbers if numbers else census.cache_token_bytes) > 0


def test_a_tied_head_counts_once_and_every_expert_counts(zoo):
    tied = memory_of_kind(zoo, "qwen2_vl").census
    moe = memory_of_kind(zoo, "qwen3_vl_moe", "--lora_dropout", "0").census
    for kind, census in (("qwen2_vl", tied), ("qwen3_vl_moe", moe)):
        real = zoo.model(kind)
        counted = sum(numbers for part, (numbers, _) in census.parameters.items() if part != "adapters")
        assert counted == sum(parameter.numel() for parameter in real.parameters())
    assert moe.experts
    assert not tied.experts


def test_a_reference_model_and_a_second_sequence_are_counted(zoo):
    options = ["--model_type", "qwen2_vl", "--dataset", "a", "--tuner_type", "full", "--torch_dtype", "bfloat16"]
    made = {}
    for kind, words in (("sft", []), ("rlhf", ["--rlhf_type", "dpo"]), ("rlhf", ["--rlhf_type", "orpo"])):
        settings = read_settings(Training(kind, [*options, *words]), {})
        made[(words or ["", "sft"])[1]] = sizes(plan_memory(settings, LENGTH, zoo.folder("qwen2_vl")))
    assert made["dpo"]["reference model"] == made["sft"]["weights"]
    assert "reference model" not in made["orpo"]
    assert made["orpo"]["activations"] == pytest.approx(2 * made["sft"]["activations"], rel=0.01)


def test_checkpointing_keeps_less_and_what_to_lower_is_sorted(zoo):
    words = ["--per_device_train_batch_size", "4", "--tuner_type", "full", "--gradient_checkpointing"]
    off, on = (memory_of(zoo.folder("qwen2_vl"), "qwen2_vl", *words, value) for value in ("false", "true"))
    assert sizes(on)["activations"] < sizes(off)["activations"]
    assert {stack.inputs for stack in (on.census.text, on.census.vision)} == {2 * 64 * 2.0}
    assert {each.option for each in off.lower} >= {"--gradient_checkpointing true", "--per_device_train_batch_size 2"}
    assert "--gradient_checkpointing true" not in {each.option for each in on.lower}
    saved = [each.saves for each in off.lower]
    assert saved == sorted(saved, reverse=True)
    assert min(saved) > 0
    halved = memory_of(zoo.folder("qwen2_vl"), "qwen2_vl", *["--per_device_train_batch_size", "2", *words[2:], "false"])
    assert off.total - halved.total == next(each.saves for each in off.lower if each.option == "--per_device_train_batch_size 2")


def test_an_unknown_optimizer_is_named(zoo):
    made = memory_of(zoo.folder("qwen2_vl"), "qwen2_vl", "--optim", "apollo_adamw")
    assert {item.name: item.detail for item in made.items}["optimizer"] == "not counted for --optim apollo_adamw"


def test_a_model_without_parts_is_all_language_model():
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8)) for _ in range(3)])
            text = SimpleNamespace(vocab_size=10, num_hidden_layers=3, num_attention_heads=2, hidden_size=8)
            text.get_text_config = lambda decoder=False: text
            self.config = text

    census = take_census(Bare(), None, {}, Compute(4), 4)
    assert census.parameters == {"language model": (3 * (8 * 16 + 16 + 16 * 8 + 8),) * 2}
    assert (census.text.layers, census.cache_token_bytes) == (3, 2 * 2 * 4 * 4 * 3)


@pytest.fixture
def script(tmp_path) -> Path:
    (tmp_path / "train.sh").write_text("swift sft --model nobody/nothing --model_type qwen2_vl --template qwen2_vl_grounding --dataset a\n")
    return tmp_path / "train.sh"


def test_the_command_prints_memory_and_fails_where_it_does_not_fit(zoo, script):
    words = [script, "--rows", 10, "--config", zoo.folder("qwen2_vl"), "--tokens", 300]
    memory = planned(*words)["memory"]
    assert memory["estimate"] is True
    assert memory["biggest"] == max(memory["parts"], key=lambda part: part["gpu_bytes"])["name"]
    assert not memory["over_limit"]
    assert plan(*words, "--memory", 1).exit_code == 0
    done = plan(*words, "--memory", 0.001)
    assert done.exit_code == 3
    assert "more than --memory 0.001 GiB. Lower first:" in done.output
    assert "half the pixels per image (MAX_PIXELS)" in done.output


def test_a_model_that_is_not_here_is_named(script):
    done = plan(script, "--rows", 10)
    assert done.exit_code == 0
    assert "memory: not known, model nobody/nothing: config.json not found locally; add --config config.json" in done.output
    assert plan(script, "--rows", 10, "--memory", 80).exit_code == 1


@pytest.mark.parametrize("place", ["hub/models--nobody--nothing/snapshots/abc", "ms/models/nobody/nothing"])
def test_a_model_in_the_hubs_cache_is_found(zoo, script, tmp_path, monkeypatch, place):
    import huggingface_hub.constants

    folder = tmp_path / place
    folder.mkdir(parents=True)
    shutil.copy(zoo.folder("qwen2_vl") / "config.json", folder)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "ms"))
    assert planned(script, "--rows", 10, "--tokens", 100)["memory"]["config"] == str(folder / "config.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is not a JSON object"),
        ("{}", "names no model_type"),
        ('{"model_type": "no_such_model"}', "transformers cannot read it"),
        ('{"model_type": "qwen", "auto_map": {"AutoConfig": "c.C"}}', "remote code, which a plan does not run"),
        ('{"model_type": "qwen2_vl", "text_config": {"hidden_size": 65, "num_attention_heads": 4}}', "cannot build the model"),
    ],
)
def test_a_configuration_that_is_none_is_an_error(script, tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    done = plan(script, "--rows", 10, "--config", tmp_path / "config.json")
    assert done.exit_code == 1
    assert message in done.output
    assert "Traceback" not in done.output


def test_text_is_tokenised_where_the_tokenizer_is_here(zoo, tmp_path, image_of_size):
    from groundswift.swift_plugins.tools.encoding import encoded

    row = {"messages": [{"role": "user", "content": "<image>find"}, {"role": "assistant", "content": "n" * 90}]}
    row["images"] = [str(image_of_size((112, 112)))]
    given = {"model": str(zoo.folder("qwen2_vl")), "model_type": "qwen2_vl", "template": "qwen2_vl_grounding"}
    path = config(tmp_path, written(tmp_path / "rows.jsonl", [row]), **given)
    tokens = len(encoded(zoo.make_template("qwen2_vl"), row).input_ids)
    (note,) = [note for note in planned(path)["notes"] if "the text of the longest rows was tokenised" in note]
    assert f"rows of {tokens} tokens, 16 of them of images" in note


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--quant_method bnb", "needs --quant_bits"),
        ("--quant_method eetq --quant_bits 8", "its memory is not planned"),
        ("--tuner_type reft", "what it trains is not planned"),
    ],
)
def test_options_that_have_no_plan_are_refused(zoo, words, message):
    with pytest.raises(GroundswiftError, match=message):
        memory_of(zoo.folder("qwen2_vl"), "qwen2_vl", *words.split())


def test_published_sizes_have_the_published_number_of_parameters():
    from groundswift.swift_plugins.tools.plan.known_models import PUBLISHED, published_config
    from groundswift.swift_plugins.tools.plan.model import on_meta

    for name, published in PUBLISHED.items():
        model = on_meta(published_config(f"somebody/{name}"), torch.bfloat16, name)
        assert sum(parameter.numel() for parameter in model.parameters()) == published.parameters, name


def test_a_recipe_is_planned_from_published_sizes(tmp_path):
    """LoRA on Qwen2.5-VL-7B: 8,292,166,656 numbers of 2 bytes; the cache has 2 x 28 layers x 4 heads x 128 numbers of 2 bytes a token."""
    made = planned(RECIPES / "detection" / "qwen2_5_vl_lora.sh", "--rows", 100)["memory"]
    assert made["config"] == "published sizes of Qwen2.5-VL-7B-Instruct"
    assert sum(part["all"] for name, part in made["parameters"].items() if name != "adapters") == 8_292_166_656
    assert any("56.0 KiB per token" in part["detail"] for part in made["parts"])
    awq = planned(RECIPES / "detection" / "qwen2_5_vl_qlora_awq.sh", "--rows", 100)["memory"]
    weights = {part["name"]: part["gpu_bytes"] for part in awq["parts"]}["weights"]
    assert 6 * 2**30 < weights < 7 * 2**30
