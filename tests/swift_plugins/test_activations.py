"""Activations of a plan against the tensors that autograd really saves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from memory_cases import sizes, trained_model
from torch import nn
from zoo import KINDS

from groundswift.swift_plugins.tools.plan.activations import Compute, layer_bytes
from groundswift.swift_plugins.tools.plan.census import layer_lists
from groundswift.swift_plugins.tools.plan.memory_plan import plan_memory
from groundswift.swift_plugins.tools.plan.recipe import Training
from groundswift.swift_plugins.tools.plan.row_length import RowLength
from groundswift.swift_plugins.tools.plan.settings import read_settings


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


def first_layers(model: nn.Module, template, image: Path) -> list[tuple[nn.Module, tuple, dict]]:
    """The first layer of each tower with what it is called with for one row with an image."""
    row = {"messages": [{"role": "user", "content": "<image>find"}, {"role": "assistant", "content": "none"}], "images": [str(image)]}
    template.model = model
    batch = template.data_collator([template.encode(row)])
    batch = {name: value for name, value in batch.items() if name not in ("labels", "loss_scale", "channel")}
    calls, hooks = {}, []
    for name, layers in layer_lists(model):

        def note(layer: nn.Module, args: tuple, kwargs: dict, _: object, name: str = name) -> None:
            calls[name] = (layer, args, kwargs)

        hooks.append(layers[0].register_forward_hook(note, with_kwargs=True))
    model(**{name: value for name, value in template._post_encode(model, batch).items() if value is not None}, use_cache=False)
    for hook in hooks:
        hook.remove()
    return [call for name, call in calls.items() if "merger" not in name]


def with_gradient(value):
    trains = isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() > 1
    return value.detach().requires_grad_(True) if trains else value


@pytest.mark.parametrize("tuner", ["full", "lora"])
@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v", "internvl", "llava1_5", "paligemma", "gemma3", "idefics3"])
def test_activations_of_a_layer_are_within_a_quarter_of_what_autograd_saves(zoo, image_of_size, kind, tuner):
    from peft import LoraConfig, get_peft_model
    from swift.model import get_model_processor

    folder = zoo.folder(kind, weights=True)
    model = get_model_processor(str(folder), model_type=KINDS[kind].model_type, torch_dtype=torch.float32, attn_impl="sdpa")[0].train()
    calls = first_layers(model, zoo.make_template(kind), image_of_size((112, 112)))
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
def test_activations_of_a_whole_step_are_within_a_fifth_of_what_autograd_saves(zoo, image_of_size, kind):
    """A full training of every part, without checkpointing; the loss is swift's own."""
    words = ["--tuner_type", "full", "--torch_dtype", "float32", "--fp16", "false", "--freeze_vit", "false", "--freeze_aligner", "false"]
    words += ["--gradient_checkpointing", "false", "--attn_impl", "sdpa"]
    model, template = trained_model(zoo, kind, *words), zoo.make_template(kind)
    template.model = model
    row = {"messages": [{"role": "user", "content": "<image>find"}, {"role": "assistant", "content": "none " * 9}]}
    batch = template.data_collator([template.encode(row | {"images": [str(image_of_size((112, 112)))]})])
    labels = batch["labels"]
    inputs = {name: value for name, value in batch.items() if name not in ("loss_scale", "channel")}
    losses = []

    def step() -> None:
        encoded = {name: value for name, value in template._post_encode(model, inputs).items() if value is not None}
        losses.append(model(**(encoded | {"labels": labels}), use_cache=False).loss)

    real, tokens = saved_bytes(step, model), labels.shape[1]
    assert losses[0].requires_grad
    images = 49 if kind == "internvl" else 16
    length = RowLength(tokens, images, tokens, "")
    settings = read_settings(Training("sft", ["--model_type", KINDS[kind].model_type, "--dataset", "a", *words]), {})
    assert sizes(plan_memory(settings, length, zoo.folder(kind)))["activations"] == pytest.approx(real, rel=0.2)
