"""What a model on the meta device holds: numbers by part, bytes as loaded, layers, and the cache of generation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from .activations import Compute, is_linear, is_norm, layer_bytes

WRAPPERS = re.compile(r"^base_model\.model\.|(?<=\.)(?:base_layer|original_module|modules_to_save\.default)\.")
ADAPTER = re.compile(r"\.(lora_|ia3_|vera_|boft_|modules_to_save\.)")
LANGUAGE, VISION, ALIGNER, ADAPTERS, OTHER = "language model", "vision tower", "aligner", "adapters", "other"


@dataclass(frozen=True)
class Stack:
    """Layers of one tower. Bytes a token, kept for the backward pass: `kept` by all layers together, `largest` by the largest one.

    `inputs`: bytes a token of all layers' inputs, which are all that checkpointing keeps.
    """

    layers: int = 0
    kept: float = 0.0
    largest: float = 0.0
    inputs: float = 0.0
    trainable: bool = False

    def bytes(self, checkpointing: bool) -> float:
        """Bytes a token, with or without checkpointing."""
        return self.inputs + self.largest if checkpointing else self.kept


@dataclass(frozen=True)
class Census:
    """A model as a training loads it.

    `parameters`: part -> (numbers, trainable numbers); a tied weight counts once. `frozen_bytes`, `quantised_bytes`: of frozen weights, and
    the quantised ones among them. `trained`: (bytes a number, numbers) of each trainable tensor. `largest_layer`: its numbers.
    `cache_token_bytes`: KV cache a token and row. `linear_attention`: layers that keep another state, which is not counted. `merge`:
    patches a side that make one image token.
    """

    parameters: dict[str, tuple[int, int]]
    frozen_bytes: int
    quantised_bytes: int
    trained: list[tuple[int, int]]
    text: Stack
    vision: Stack
    largest_layer: int
    vocabulary: int
    cache_token_bytes: int
    linear_attention: int
    merge: int
    experts: bool

    @property
    def trainable(self) -> int:
        """Trainable numbers."""
        return sum(trained for _, trained in self.parameters.values())

    @property
    def trained_bytes(self) -> int:
        """Bytes of what is trained, as loaded."""
        return sum(itemsize * numbers for itemsize, numbers in self.trained)


def part_names(meta: Any) -> list[tuple[str, str]]:
    """(prefix of a parameter's name, part), the aligner first, as it is often inside the vision tower."""
    arch = getattr(meta, "model_arch", None)
    groups = [(ALIGNER, "aligner"), (VISION, "vision_tower"), (OTHER, "generator"), (LANGUAGE, "language_model")]
    return [(prefix, part) for part, name in groups for prefix in (getattr(arch, name, None) or [])] if arch else []


def part_of(name: str, prefixes: list[tuple[str, str]]) -> str:
    """The part of a parameter; a model that swift has no parts for is all language model."""
    if ADAPTER.search(f".{name}"):
        return ADAPTERS
    plain = WRAPPERS.sub("", WRAPPERS.sub("", name))
    for prefix, part in prefixes:
        if plain == prefix or plain.startswith(f"{prefix}."):
            return part
    return OTHER if prefixes else LANGUAGE


def take_census(model: nn.Module, meta: Any, quantised: Mapping[int, int], how: Compute, compute_cache: int) -> Census:
    """Count a model. `quantised`: id of a weight -> its bytes as loaded. `compute_cache`: bytes a number in the KV cache."""
    prefixes, parameters, trained = part_names(meta), {}, []
    frozen = packed = 0
    for name, tensor in model.named_parameters():
        part = part_of(name, prefixes)
        numbers, moving = parameters.get(part, (0, 0))
        parameters[part] = (numbers + tensor.numel(), moving + (tensor.numel() if tensor.requires_grad else 0))
        if tensor.requires_grad:
            trained.append((tensor.element_size(), tensor.numel()))
        else:
            size = quantised.get(id(tensor), tensor.numel() * tensor.element_size())
            packed += size if id(tensor) in quantised else 0
            frozen += size
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    text, vision = [], []
    for name, layers in layer_lists(base):
        part = part_of(f"{name}.0", prefixes)
        (vision if part in (VISION, ALIGNER) else text).extend(layers if part != ALIGNER else [])
    stacks = stack_of(text, how), stack_of(vision, how)
    largest = max((sum(tensor.numel() for tensor in layer.parameters()) for layer in (*text, *vision)), default=0)
    vocabulary = getattr(base.config.get_text_config(), "vocab_size", 0) or 0
    merge = getattr(getattr(base.config, "vision_config", None), "spatial_merge_size", 1) or 1
    experts = any("experts" in name for name, _ in base.named_modules())
    cache = cache_bytes(base.config, compute_cache)
    return Census(parameters, frozen, packed, trained, *stacks, largest, vocabulary, *cache, merge, experts)


def layer_lists(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.ModuleList]]:
    """(name, layers) of the outermost lists of layers with linears in them."""
    for child_name, child in module.named_children():
        full = f"{name}.{child_name}".strip(".")
        if isinstance(child, nn.ModuleList):
            if any(is_linear(each) for each in child.modules()):
                yield full, child
        else:
            yield from layer_lists(child, full)


def stack_of(layers: list[nn.Module], how: Compute) -> Stack:
    """What the layers of a tower keep."""
    kept = [layer_bytes(layer, how) for layer in layers]
    trainable = any(tensor.requires_grad for layer in layers for tensor in layer.parameters())
    inputs = sum(how.itemsize * width_of(layer) for layer in layers)
    return Stack(len(layers), sum(kept), max(kept, default=0.0), inputs, trainable)


def width_of(layer: nn.Module) -> int:
    """The width of a layer's input: that of its own norms (those inside its attention are of heads), else of its first linear."""
    norms = (module.weight.numel() for module in layer.children() if is_norm(module))
    return next(norms, None) or next((module.in_features for module in layer.modules() if isinstance(module, nn.Linear)), 0)


def cache_bytes(config: Any, itemsize: int) -> tuple[int, int]:
    """(bytes of the KV cache a token and row, layers that keep another state instead).

    Keys and values of each layer with attention: 2 * key heads * head width numbers; grouped queries share them, and so do the last
    `num_kv_shared_layers` layers, which keep none of their own.
    """
    text = config.get_text_config(decoder=True)
    layers = getattr(text, "num_hidden_layers", None) or getattr(text, "decoder_layers", None) or 0
    kinds = list(getattr(text, "layer_types", None) or ["full_attention"] * layers)
    attending = ["attention" in kind and not kind.startswith("linear") for kind in kinds]
    own = len(kinds) - (getattr(text, "num_kv_shared_layers", None) or 0)
    each = getattr(text, "per_layer_config", None) or [text] * len(kinds)
    numbers = sum(cached_numbers(layer) for layer, keeps in zip(each, attending[:own], strict=False) if keeps)
    return numbers * itemsize, attending.count(False)


def cached_numbers(text: Any) -> int:
    """Numbers that one layer caches a token; a latent attention is cached as the keys and values that are made of it."""
    heads = getattr(text, "num_attention_heads", None) or getattr(text, "decoder_attention_heads", None) or 0
    if getattr(text, "kv_lora_rank", None):
        return heads * (text.qk_nope_head_dim + text.qk_rope_head_dim + text.v_head_dim)
    width = getattr(text, "head_dim", None) or (text.hidden_size // heads if heads else 0)
    return 2 * (getattr(text, "num_key_value_heads", None) or heads) * width
