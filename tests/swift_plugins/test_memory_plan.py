"""Memory of a plan: bytes of weights, gradients, optimizer and cache against real tensors, activations against autograd's saved ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_plan import plan, planned
from torch import nn

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.tools.plan.activations import Compute, layer_bytes
from groundswift.swift_plugins.tools.plan.census import Census, Stack, layer_lists, take_census
from groundswift.swift_plugins.tools.plan.memory import Layout, items_of, state_bytes, states_of
from groundswift.swift_plugins.tools.plan.memory_plan import plan_memory
from groundswift.swift_plugins.tools.plan.recipe import Training
from groundswift.swift_plugins.tools.plan.row_length import RowLength
from groundswift.swift_plugins.tools.plan.settings import read_settings

LENGTH = RowLength(128, 64, 32, False, "")


def memory_of(folder: Path, model_type: str, *words: str, gpus: int = 1):
    """The plan's memory for a model folder, from its config.json alone."""
    options = ["--model", "nobody/nothing", "--model_type", model_type, "--dataset", "a", *words]
    return plan_memory(read_settings(Training("sft", options), {}, gpus), LENGTH, folder / "config.json")


def sizes(made) -> dict[str, int]:
    return {item.name: item.gpu for item in made.items}


def tensor_bytes(tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def trained_model(zoo, kind: str, *words: str) -> nn.Module:
    """A tiny model as `swift sft` makes it ready to be trained, with real weights."""
    from swift.pipelines.train.sft import SwiftSft
    from zoo import KINDS

    options = ["--model", str(zoo.folder(kind, weights=True)), "--model_type", KINDS[kind].model_type, "--template", KINDS[kind].stock]
    rows = zoo.base / "rows.jsonl"
    rows.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n')
    options += ["--dataset", str(rows), "--check_model", "false", "--report_to", "none", "--add_version", "false", "--use_cpu", "true"]
    made = SwiftSft([*options, "--output_dir", str(zoo.base / "out"), *words])
    return made.prepare_model(made.args, made.model, template=made.template, train_dataset=None)


def quantised_bytes(model: nn.Module) -> int:
    """Parameters, and what bitsandbytes keeps beside the packed ones."""
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
    from zoo import KINDS

    made = memory_of(zoo.folder(kind, weights=True), KINDS[kind].model_type, *words.split())
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
    from zoo import KINDS

    options = ["--quant_method", "bnb", "--torch_dtype", "bfloat16", "--tuner_type", "lora", "--lora_dropout", "0", *words.split()]
    made = memory_of(zoo.folder(kind, weights=True), KINDS[kind].model_type, *options)
    model = trained_model(zoo, kind, *options)
    assert made.census.quantised_bytes > 0
    assert sizes(made)["weights"] == quantised_bytes(model)


def test_prequantised_models_are_counted_from_their_configuration(zoo, tmp_path):
    """GPTQ and AWQ of 4 bits, groups of 64: a linear of out x in has out*in/2 bytes, and for each group scales and zeros."""
    config = json.loads((zoo.folder("qwen2_vl") / "config.json").read_text())
    counted = {}
    for method in ("gptq", "awq"):
        (tmp_path / "config.json").write_text(
            json.dumps(config | {"quantization_config": {"quant_method": method, "bits": 4, "group_size": 64}})
        )
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
    from zoo import KINDS

    model = zoo.model(kind)
    rows, tokens = 2, 7
    cache = model(input_ids=torch.full((rows, tokens), 20), use_cache=True).past_key_values
    layers = [layer for layer in cache.layers if getattr(layer, "keys", None) is not None]
    real = tensor_bytes(tensor for layer in layers for tensor in (layer.keys, layer.values))
    census = memory_of(zoo.folder(kind), KINDS[kind].model_type, "--torch_dtype", "float32", "--lora_dropout", "0").census
    assert real > 0
    assert census.cache_token_bytes * rows * tokens == real
    assert len(layers) + census.linear_attention == len(cache.layers)


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


def saved_bytes(run, model: nn.Module) -> int:
    """Storages that autograd keeps for the backward pass of a call, weights aside."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held, kept = {}, []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(held.values())


def first_layers(model: nn.Module, template, picture: Path) -> list[tuple[nn.Module, tuple, dict]]:
    """The first layer of each tower with what it is called with for one row with an image."""
    row = {"messages": [{"role": "user", "content": "<image>find"}, {"role": "assistant", "content": "none"}], "images": [str(picture)]}
    template.model = model
    batch = template.data_collator([template.encode(row)])
    batch = {name: value for name, value in batch.items() if name not in ("labels", "loss_scale", "channel")}
    calls, hooks = {}, []
    for name, layers in layer_lists(model):
        hooks.append(
            layers[0].register_forward_hook(
                lambda layer, args, kwargs, out, n=name: calls.update({n: (layer, args, kwargs)}), with_kwargs=True
            )
        )
    model(**{name: value for name, value in template._post_encode(model, batch).items() if value is not None}, use_cache=False)
    for hook in hooks:
        hook.remove()
    return [call for name, call in calls.items() if "merger" not in name]


def with_gradient(value):
    return (
        value.detach().requires_grad_(True) if isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() > 1 else value
    )


@pytest.mark.parametrize("tuner", ["full", "lora"])
@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v", "internvl", "llava1_5", "paligemma", "gemma3", "idefics3"])
def test_activations_of_a_layer_are_within_a_quarter_of_what_autograd_saves(zoo, pictures, kind, tuner):
    from peft import LoraConfig, get_peft_model
    from swift.model import get_model_processor
    from zoo import KINDS

    folder = zoo.folder(kind, weights=True)
    model = get_model_processor(str(folder), model_type=KINDS[kind].model_type, torch_dtype=torch.float32, attn_impl="sdpa")[0].train()
    calls = first_layers(model, zoo.make_template(kind), pictures((112, 112)))
    assert len(calls) >= 2
    if tuner == "lora":
        get_peft_model(model, LoraConfig(r=8, target_modules="all-linear", lora_dropout=0.05))
    else:
        model.requires_grad_(True)
    for layer, args, kwargs in calls:
        args = tuple(map(with_gradient, args))
        kwargs = {name: with_gradient(value) if name == "hidden_states" else value for name, value in kwargs.items()}
        hidden = args[0] if args else kwargs["hidden_states"]
        real = saved_bytes(lambda layer=layer, args=args, kwargs=kwargs: layer(*args, **kwargs), model)
        tokens = hidden.numel() // hidden.shape[-1]
        assert layer_bytes(layer, Compute(4, "sdpa")) * tokens == pytest.approx(real, rel=0.25)


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen3_vl", "glm4v", "internvl"])
def test_activations_of_a_whole_step_are_within_a_fifth_of_what_autograd_saves(zoo, pictures, kind):
    """A full training of every part, without checkpointing; the loss is swift's own."""
    from zoo import KINDS

    words = ["--tuner_type", "full", "--torch_dtype", "float32", "--fp16", "false", "--freeze_vit", "false", "--freeze_aligner", "false"]
    words += ["--gradient_checkpointing", "false", "--attn_impl", "sdpa"]
    model, template = trained_model(zoo, kind, *words), zoo.make_template(kind)
    template.model = model
    row = {"messages": [{"role": "user", "content": "<image>find"}, {"role": "assistant", "content": "none " * 9}]}
    batch = template.data_collator([template.encode(row | {"images": [str(pictures((112, 112)))]})])
    labels = batch["labels"]
    inputs = {name: value for name, value in batch.items() if name not in ("loss_scale", "channel")}
    losses = []

    def step() -> None:
        encoded = {name: value for name, value in template._post_encode(model, inputs).items() if value is not None}
        losses.append(model(**(encoded | {"labels": labels}), use_cache=False).loss)

    real, tokens = saved_bytes(step, model), labels.shape[1]
    assert losses[0].requires_grad
    images = 49 if kind == "internvl" else 16
    length = RowLength(tokens, images, tokens, False, "")
    settings = read_settings(Training("sft", ["--model_type", KINDS[kind].model_type, "--dataset", "a", *words]), {})
    assert sizes(plan_memory(settings, length, zoo.folder(kind)))["activations"] == pytest.approx(real, rel=0.2)


def test_a_tied_head_counts_once_and_every_expert_counts(zoo):
    tied = memory_of(zoo.folder("qwen2_vl", weights=True), "qwen2_vl").census
    moe = memory_of(zoo.folder("qwen3_vl_moe", weights=True), "qwen3_vl_moe", "--lora_dropout", "0").census
    for kind, census in (("qwen2_vl", tied), ("qwen3_vl_moe", moe)):
        real = zoo.model(kind)
        counted = sum(numbers for part, (numbers, _) in census.parameters.items() if part != "adapters")
        assert counted == sum(parameter.numel() for parameter in real.parameters())
    assert moe.experts
    assert not tied.experts


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
    trained = [(2, shape) for shape in SHAPES[1:]]
    numbers = sum(wide * high for _, (wide, high) in trained)
    parts = {"language model": (numbers + 256 * 512, numbers)}
    census = Census(parts, 2 * 256 * 512, 0, trained, Stack(), Stack(), 0, 0, 0, 0, 1, False)
    for each in held:
        how = Layout(2, each["stage"], False, False, 1000, "adamw_torch", 1, 1, 0, 0, 2, True, True, False, 0, 0)
        planned_bytes = {item.name: item.gpu for item in items_of(census, how)}
        assert (planned_bytes["weights"], planned_bytes["optimizer"]) == (each["weights"], each["optimizer"])


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


@pytest.mark.parametrize(
    ("name", "states", "expected"),
    [("adamw_torch_fused", 2, 80_004), ("adamw_bnb_8bit", 2, 20_000 + 8 * 40), ("sgd", 0, 0), ("paged_adamw_32bit", 2, 80_000)],
)
def test_states_of_optimizers(name, states, expected):
    assert states_of(name) == states
    assert state_bytes(4, (100, 100), name, states) == expected


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
    config = zoo.folder("qwen2_vl") / "config.json"
    made = planned(script, "--rows", 10, "--config", config, "--tokens", 300)
    memory = made["memory"]
    assert memory["estimate"] is True
    assert memory["biggest"] == max(memory["parts"], key=lambda part: part["gpu_bytes"])["name"]
    assert not memory["over_limit"]
    assert plan(script, "--rows", 10, "--config", config, "--tokens", 300, "--memory", 1).exit_code == 0
    done = plan(script, "--rows", 10, "--config", config, "--tokens", 300, "--memory", 0.001)
    assert done.exit_code == 3
    assert "more than --memory 0.001 GiB. Lower first:" in done.output
    assert "half the pixels an image (MAX_PIXELS)" in done.output


def test_a_model_that_is_not_here_is_named(script):
    done = plan(script, "--rows", 10)
    assert done.exit_code == 0
    assert "memory: not known, model nobody/nothing: config.json not found locally; add --config config.json" in done.output
    assert plan(script, "--rows", 10, "--memory", 80).exit_code == 1


def test_a_model_in_the_hubs_cache_is_found(zoo, script, tmp_path, monkeypatch):
    import huggingface_hub.constants

    folder = tmp_path / "hub" / "models--nobody--nothing" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes((zoo.folder("qwen2_vl") / "config.json").read_bytes())
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert planned(script, "--rows", 10, "--tokens", 100)["memory"]["config"] == str(folder / "config.json")
    os.rename(tmp_path / "hub", tmp_path / "elsewhere")
    in_modelscope = tmp_path / "ms" / "models" / "nobody" / "nothing"
    in_modelscope.mkdir(parents=True)
    (in_modelscope / "config.json").write_bytes((zoo.folder("qwen2_vl") / "config.json").read_bytes())
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "ms"))
    assert planned(script, "--rows", 10, "--tokens", 100)["memory"]["config"] == str(in_modelscope / "config.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "names no model_type"),
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


def test_text_is_tokenised_where_the_tokenizer_is_here(zoo, tmp_path, pictures):
    picture = pictures((112, 112))
    row = {"messages": [{"role": "user", "content": "<image>find"}, {"role": "assistant", "content": "n" * 90}], "images": [str(picture)]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    given = {
        "model": str(zoo.folder("qwen2_vl")),
        "model_type": "qwen2_vl",
        "template": "qwen2_vl_grounding",
        "dataset": [str(tmp_path / "rows.jsonl")],
    }
    (tmp_path / "train.json").write_text(json.dumps(given))
    from groundswift.swift_plugins.tools.encoding import encoded

    tokens = len(encoded(zoo.make_template("qwen2_vl"), row).input_ids)
    (note,) = [note for note in planned(tmp_path / "train.json")["notes"] if "the text of the longest rows was tokenised" in note]
    assert f"rows of {tokens} tokens, 16 of them of images" in note


def test_options_that_have_no_plan_are_refused(zoo):
    for words in (["--quant_method", "bnb"], ["--quant_method", "eetq", "--quant_bits", "8"], ["--tuner_type", "reft"]):
        with pytest.raises(GroundswiftError, match="needs --quant_bits|its memory is not planned|what it trains is not planned"):
            memory_of(zoo.folder("qwen2_vl"), "qwen2_vl", *words)


def test_published_sizes_have_the_published_number_of_parameters():
    from groundswift.swift_plugins.tools.plan.known_models import PUBLISHED, published_config
    from groundswift.swift_plugins.tools.plan.model import on_meta

    for name, published in PUBLISHED.items():
        model = on_meta(published_config(f"somebody/{name}"), torch.bfloat16, name)
        assert sum(parameter.numel() for parameter in model.parameters()) == published.parameters, name


def test_a_recipe_is_planned_from_published_sizes(tmp_path):
    """LoRA on Qwen2.5-VL-7B: 8,292,166,656 numbers of 2 bytes; the cache has 2 x 28 layers x 4 heads x 128 numbers of 2 bytes a token."""
    from test_plan import RECIPES

    made = planned(RECIPES / "detection" / "qwen2_5_vl_lora.sh", "--rows", 100)["memory"]
    assert made["config"] == "published sizes of Qwen2.5-VL-7B-Instruct"
    assert sum(part["all"] for name, part in made["parameters"].items() if name != "adapters") == 8_292_166_656
    assert any("56.0 KiB a token" in part["detail"] for part in made["parts"])
    awq = planned(RECIPES / "detection" / "qwen2_5_vl_qlora_awq.sh", "--rows", 100)["memory"]
    weights = {part["name"]: part["gpu_bytes"] for part in awq["parts"]}["weights"]
    assert 6 * 2**30 < weights < 7 * 2**30
