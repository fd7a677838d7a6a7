"""Memory of a plan: bytes of weights, gradients, optimizer and KV cache against those of real tensors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from memory_cases import memory_of, memory_of_kind, sizes, tensor_bytes, trained_model
from torch import nn
from zoo import KINDS

from groundswift.swift_plugins.tools.plan.census import Census, Stack
from groundswift.swift_plugins.tools.plan.memory import Layout, items_of, state_bytes, states_of


def quantised_bytes(model: nn.Module) -> int:
    """Parameters, and what bitsandbytes keeps with the packed ones."""
    total = tensor_bytes(model.parameters())
    for parameter in model.parameters():
        if (state := getattr(parameter, "quant_state", None)) is not None:
            total += tensor_bytes([state.absmax, state.code])
            total += tensor_bytes([state.state2.absmax, state.state2.code, state.offset]) if state.nested else 0
        if (scales := getattr(parameter, "SCB", None)) is not None:
            total += tensor_bytes([scales])
    return total


RUNS = [
    ("qwen2_vl", "--tuner_type lora --torch_dtype bfloat16"),
    ("qwen2_vl", "--tuner_type lora --torch_dtype float32 --fp16 false --freeze_vit false --freeze_aligner false --lora_rank 16"),
    ("qwen2_5_vl", "--tuner_type full --torch_dtype bfloat16"),
    ("qwen3_vl", "--tuner_type full --torch_dtype float32 --fp16 false --freeze_vit false --freeze_aligner false"),
    ("glm4v", "--tuner_type full --torch_dtype bfloat16 --freeze_aligner false"),
    ("qwen3_vl_moe", "--tuner_type full --torch_dtype bfloat16"),
    ("internvl", "--tuner_type lora --torch_dtype bfloat16 --modules_to_save lm_head"),
    ("paligemma", "--tuner_type lora --torch_dtype bfloat16 --target_modules q_proj v_proj --use_dora true"),
    ("gemma3", "--tuner_type lora_llm --torch_dtype bfloat16"),
]


@pytest.mark.parametrize(("kind", "words"), RUNS, ids=[f"{kind}-{words.split()[1]}" for kind, words in RUNS])
def test_weights_gradients_and_adamw_are_the_bytes_of_real_tensors(zoo, kind, words):
    made = memory_of_kind(zoo, kind, *words.split())
    model = trained_model(zoo, kind, *words.split())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert trained
    assert made.census.trainable == sum(parameter.numel() for parameter in trained)
    assert sizes(made)["weights"] == tensor_bytes(model.parameters())
    optimizer = torch.optim.AdamW(trained, fused=True)
    for parameter in trained:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert sizes(made)["gradients"] == tensor_bytes(parameter.grad for parameter in trained)
    assert sizes(made)["optimizer"] == tensor_bytes(value for state in optimizer.state.values() for value in state.values())


@pytest.mark.parametrize("words", ["--quant_bits 4", "--quant_bits 4 --bnb_4bit_use_double_quant false", "--quant_bits 8"])
@pytest.mark.parametrize("kind", ["qwen2_vl", "glm4v_moe"])
def test_quantised_weights_are_the_bytes_that_bitsandbytes_keeps(zoo, kind, words):
    options = ["--quant_method", "bnb", "--torch_dtype", "bfloat16", "--tuner_type", "lora", "--lora_dropout", "0", *words.split()]
    made = memory_of_kind(zoo, kind, *options)
    model = trained_model(zoo, kind, *options)
    assert made.census.quantised_bytes > 0
    assert sizes(made)["weights"] == quantised_bytes(model)


def test_prequantised_models_are_counted_from_their_configuration(zoo, tmp_path):
    """GPTQ and AWQ of 4 bits, groups of 64: a linear of out x in has out*in/2 bytes, and for each group scales and zeros."""
    config = json.loads((zoo.folder("qwen2_vl") / "config.json").read_text())
    counted = {}
    for method in ("gptq", "awq"):
        quantised = {"quant_method": method, "bits": 4, "group_size": 64}
        (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": quantised}))
        counted[method] = memory_of(tmp_path, "qwen2_vl", "--torch_dtype", "float16").census
    text = config["text_config"]
    hidden, inner, heads = text["hidden_size"], text["intermediate_size"], text["num_attention_heads"]
    keys = hidden // heads * text["num_key_value_heads"]
    shapes = [(hidden, hidden), (keys, hidden), (keys, hidden), (hidden, hidden), (inner, hidden), (inner, hidden), (hidden, inner)]
    groups = [(out, wide, wide // 64) for out, wide in shapes]
    awq = sum(out * wide // 2 + count * out // 2 + 2 * count * out for out, wide, count in groups) * text["num_hidden_layers"]
    assert counted["awq"].quantised_bytes == awq
    assert counted["gptq"].quantised_bytes == awq + 4 * sum(wide for _, wide, _ in groups) * text["num_hidden_layers"]


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen3_vl", "qwen3_vl_moe", "glm4v", "llava1_5", "internvl", "idefics3", "qwen3_5"])
def test_the_cache_is_as_large_as_a_real_one(zoo, kind):
    model = zoo.model(kind)
    rows, tokens = 2, 7
    cache = model(input_ids=torch.full((rows, tokens), 20), use_cache=True).past_key_values
    layers = [layer for layer in cache.layers if getattr(layer, "keys", None) is not None]
    real = tensor_bytes(tensor for layer in layers for tensor in (layer.keys, layer.values))
    census = memory_of(zoo.folder(kind), KINDS[kind].model_type, "--torch_dtype", "float32", "--lora_dropout", "0").census
    assert real > 0
    assert census.cache_token_bytes * rows * tokens == real
    assert len(layers) + census.linear_attention == len(cache.layers)


def test_zero_divides_what_it_should(zoo):
    folder = zoo.folder("qwen2_vl")
    full = ["--tuner_type", "full", "--torch_dtype", "bfloat16"]
    made = {name: sizes(memory_of(folder, "qwen2_vl", *full, "--deepspeed", name, gpus=4)) for name in ("zero0", "zero1", "zero2", "zero3")}
    trained = memory_of(folder, "qwen2_vl", *full).census.trainable
    assert made["zero0"]["optimizer"] == 12 * trained
    assert {made[name]["optimizer"] for name in ("zero1", "zero2", "zero3")} == {-(-12 * trained // 4)}
    assert made["zero3"]["weights"] < made["zero2"]["weights"] == made["zero1"]["weights"]
    plain = sizes(memory_of(folder, "qwen2_vl", *full))
    assert sizes(memory_of(folder, "qwen2_vl", *full, gpus=2))["gradients"] == 2 * plain["gradients"]
    offloaded = memory_of(folder, "qwen2_vl", *full, "--deepspeed", "zero3_offload", gpus=4)
    assert sizes(offloaded)["optimizer"] == 0
    assert {item.name: item.host for item in offloaded.items}["optimizer"] == -(-12 * trained // 4)


def test_zero_holds_what_deepspeed_holds_in_two_processes():
    """Weights, and the optimizer with its float32 copy, on each of two ranks at every stage."""
    from zero_bytes import SHAPES

    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29653"]
    environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    script = str(Path(__file__).resolve().parents[1] / "helpers" / "zero_bytes.py")
    done = subprocess.run([*launch, script, "0", "1", "2", "3"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    held = [json.loads(found) for found in re.findall(r"HELD (\{.*?\})", done.stdout)]  # two ranks may write into one line
    assert len(held) == 8
    trained = [(2, wide * high) for wide, high in SHAPES[1:]]
    numbers = sum(count for _, count in trained)
    parts = {"language model": (numbers + 256 * 512, numbers)}
    census = Census(parts, 2 * 256 * 512, 0, trained, Stack(), Stack(), 0, 0, 0, 0, 1, False)
    for each in held:
        how = Layout(2, each["stage"], False, False, 1000, "adamw_torch", 1, 1, 0, 0, 2, True, True, False, 0, 0)
        planned_bytes = {item.name: item.gpu for item in items_of(census, how)}
        assert (planned_bytes["weights"], planned_bytes["optimizer"]) == (each["weights"], each["optimizer"])


@pytest.mark.parametrize(
    ("name", "states", "expected"),
    [("adamw_torch_fused", 2, 80_004), ("adamw_bnb_8bit", 2, 20_000 + 8 * 40), ("sgd", 0, 0), ("paged_adamw_32bit", 2, 80_000)],
)
def test_states_of_optimizers(name, states, expected):
    assert states_of(name) == states
    assert state_bytes(4, 10_000, name, states) == expected
