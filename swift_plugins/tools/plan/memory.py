"""Memory of a training by part, per GPU. Weights, gradients, optimizer and cache are sums of tensors; activations are an estimate.

With P trainable and F frozen bytes, N trainable numbers and W processes (Rajbhandari et al. 2020, arXiv 1910.02054, section 3, and the
code of deepspeed 0.19.8, stage_1_and_2.py and stage3.py; PyTorch's documentation of DistributedDataParallel and of AdamW):

| | weights | gradients | optimizer (AdamW) |
| --- | --- | --- | --- |
| one process | F + P | P | 2P |
| several processes (DDP) | F + P | 2P, as each gradient has a copy in a bucket | 2P |
| ZeRO 0, 1, 2, 3, 16 bits | F + 2N, at stage 3 over W | 2N, from stage 2 on over W | 12N, from stage 1 on over W |

DeepSpeed keeps a float32 copy of what it trains and two float32 states, 12 bytes a number, and casts adapters to 16 bits. At stage 3 the
largest layer is gathered in addition. Offload moves optimizer states, or weights too, to the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .census import Census

STATES = {"adamw": 2, "adam": 2, "stable_adamw": 2, "ademamix": 3, "lion": 1, "rmsprop": 1, "adagrad": 1, "sgd": 0}


@dataclass(frozen=True)
class Layout:
    """How a training is laid out on a GPU, and how long its rows are.

    `stage`: ZeRO stage, None without DeepSpeed. `tokens`: of the longest row, `image_tokens` of them of images. `loss_tokens`: that have
    logits. `cache_rows`, `cache_tokens`: of a generation, 0 without one. `copies`: frozen copies of the model, a reference model.
    """

    processes: int
    stage: int | None
    offload_optimizer: bool
    offload_weights: bool
    bucket: int
    optimizer: str
    batch: int
    tokens: int
    image_tokens: int
    loss_tokens: int
    compute: int
    checkpointing: bool
    vision_checkpointing: bool
    autocast_copies: bool
    cache_rows: int
    cache_tokens: int
    copies: int = 0
    sequences: int = 1

    def share(self, size: int, from_stage: int) -> int:
        """Bytes of `size` that one process holds: divided by ZeRO from a stage on."""
        return math.ceil(size / self.processes) if self.stage is not None and self.stage >= from_stage else size


@dataclass(frozen=True)
class Item:
    """One part of the memory: bytes on the GPU and on the host, and what it is."""

    name: str
    gpu: int
    host: int = 0
    detail: str = ""


def items_of(census: Census, how: Layout) -> list[Item]:
    """All parts, in the order of the table."""
    every = (weights, reference, gradients, optimizer, activations, cache)
    return [item for part in every if (item := part(census, how))]


def total_of(items: Iterable[Item]) -> int:
    """Bytes at the peak: the KV cache is there while no activations are, so the larger of the two counts."""
    sizes = {item.name: item.gpu for item in items}
    return sum(sizes.values()) - min(sizes["activations"], sizes["KV cache"])


def weights(census: Census, how: Layout) -> Item:
    """Frozen weights as they are loaded, and trained ones."""
    trained = 2 * census.trainable if how.stage is not None and how.compute == 2 else census.trained_bytes
    detail = ", ".join(f"{part} {numbers / 1e6:,.1f} M" for part, (numbers, _) in census.parameters.items())
    if how.stage != 3:
        return Item("weights", census.frozen_bytes + trained, 0, detail)
    share = how.share(census.frozen_bytes - census.quantised_bytes + trained, 3)
    whole = census.quantised_bytes + census.largest_layer * how.compute
    detail += f", over {how.processes} process{'' if how.processes == 1 else 'es'}, and one layer gathered"
    return Item("weights", whole, share, f"{detail}; on the host") if how.offload_weights else Item("weights", whole + share, 0, detail)


def reference(census: Census, how: Layout) -> Item | None:
    """The frozen copy that reinforcement of a whole model compares with; an adapter is switched off instead."""
    size = (census.frozen_bytes + census.trained_bytes) * how.copies
    return Item("reference model", how.share(size, 3), 0, "frozen copy of the model") if how.copies else None


def gradients(census: Census, how: Layout) -> Item:
    """One gradient for each trainable number, and the buckets in which processes exchange them."""
    detail = f"{census.trainable / 1e6:,.1f} M trainable"
    if how.stage is None:
        several = how.processes > 1
        return Item("gradients", census.trained_bytes * (1 + several), 0, detail + (", and DDP's buckets" if several else ""))
    bucket = how.compute * how.bucket if how.stage >= 1 else 0
    detail += f", ZeRO-{how.stage}" + (", and its bucket" if bucket else "")
    return Item("gradients", how.share(how.compute * census.trainable, 2) + bucket, 0, detail)


def optimizer(census: Census, how: Layout) -> Item:
    """States of the optimizer; with DeepSpeed also the float32 copy of what is trained."""
    states = states_of(how.optimizer)
    if states is None:
        return Item("optimizer", 0, 0, f"not counted for --optim {how.optimizer}")
    if how.stage is not None:
        size = how.share((4 + 4 * states) * census.trainable, 1)
        detail = f"{how.optimizer}, float32 copy and {states} states, ZeRO-{how.stage}"
        return Item("optimizer", 0, size, f"{detail}; on the host") if how.offload_optimizer else Item("optimizer", size, 0, detail)
    size = sum(state_bytes(itemsize, numbers, how.optimizer, states) for itemsize, numbers in census.trained)
    return Item("optimizer", size, 0, how.optimizer)


def states_of(name: str) -> int | None:
    """States that an optimizer of transformers keeps for each number; None for one that is not known."""
    plain = name.removeprefix("paged_")
    return next((states for kind, states in STATES.items() if plain == kind or plain.startswith(f"{kind}_")), None)


def state_bytes(itemsize: int, numbers: int, name: str, states: int) -> int:
    """Bytes of an optimizer's states for one tensor: in the type of the tensor, with a float32 step counter for Adam.

    8-bit optimizers of bitsandbytes: one byte a number and a float32 for each 256 of them, from 4,096 numbers on; float32 below.
    """
    if "8bit" in name:
        return states * (numbers + 4 * math.ceil(numbers / 256)) if numbers >= 4096 else 4 * states * numbers
    if "bnb" in name or name.startswith("paged_"):
        return 4 * states * numbers
    return states * itemsize * numbers + (4 if name.startswith(("adamw_torch", "adagrad")) else 0)


def activations(census: Census, how: Layout) -> Item:
    """What the backward pass needs: layers, or their inputs and one layer where they are checkpointed; logits; copies under autocast."""
    rows = how.batch * how.sequences
    size = census.text.bytes(how.checkpointing) * how.tokens * rows if census.trainable else 0.0
    if census.vision.trainable:
        size += census.vision.bytes(how.vision_checkpointing) * how.image_tokens * census.merge**2 * rows
    logits = census.vocabulary * (2 * how.compute + 8) * how.loss_tokens * rows  # with their gradient, in float32 too, log-probabilities
    copies = sum(2 * numbers for itemsize, numbers in census.trained if itemsize == 4) if how.autocast_copies else 0
    kept = "layer inputs and one layer" if how.checkpointing else "all layers"
    detail = f"estimate: batch {rows} x {how.tokens:,} tokens, {kept}; logits {gib(logits)}"
    return Item("activations", round(size + logits + copies), 0, detail)


def cache(census: Census, how: Layout) -> Item:
    """Keys and values of a generation in evaluation or rollouts; a training step keeps none."""
    token = f"{census.cache_token_bytes / 1024:,.1f} KiB per token"
    if not how.cache_rows:
        return Item("KV cache", 0, 0, f"none while training; {token}")
    size = census.cache_token_bytes * how.cache_rows * how.cache_tokens
    return Item("KV cache", size, 0, f"generation: {how.cache_rows} rows x {how.cache_tokens:,} tokens, {token}")


def gib(size: float) -> str:
    """Bytes for people."""
    return f"{size / 2**30:,.2f} GiB" if size >= 2**27 else f"{size / 2**20:,.1f} MiB"
