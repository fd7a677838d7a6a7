"""A model folder of any size with random weights, to measure memory and speed without a download.

    python -m groundswift.swift_plugins.tools.random_model Qwen/Qwen2.5-VL-7B-Instruct --like TINY_MODEL_FOLDER --out /tmp/random

Sizes are the published ones of a hub id, or those of a folder's config.json. Tokenizer and processor are those of `--like`, a model of the
same class; its ids of special tokens replace those of the configuration.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from groundswift.errors import GroundswiftError

from .plan.model import configuration

SHARD_BYTES = 4_000_000_000
SCALE = 0.02  # standard deviation of a weight, as transformers initialises most
BLOCK = 1 << 24  # numbers that are drawn once and repeated: speed does not depend on their values


def with_token_ids(config: Any, like: Any) -> Any:
    """The configuration with the ids of special tokens of another one, in each of its parts."""
    for part, other in ((config, like), (config.get_text_config(), like.get_text_config())):
        for name, value in other.to_dict().items():
            if name.endswith(("_token_id", "_token_index")) and hasattr(part, name):
                setattr(part, name, value)
    return config


def random_tensors(config: Any, dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and random values of each weight of a model, one at a time; a tied weight once. Norms are ones, biases zeros."""
    import transformers

    with torch.device("meta"):
        model = getattr(transformers, config.architectures[0])._from_config(config)
    shared = dict(model.named_parameters(remove_duplicate=False)).keys() - dict(model.named_parameters()).keys()
    block = torch.randn(BLOCK, generator=torch.Generator().manual_seed(0)).mul_(SCALE).to(dtype)
    for name, value in model.state_dict().items():
        if name in shared:
            continue
        if value.dim() == 1:
            yield name, torch.full(value.shape, 0.0 if name.endswith("bias") else 1.0, dtype=dtype)
        else:
            repeats = -(-value.numel() // BLOCK)
            yield name, block.repeat(repeats)[: value.numel()].reshape(value.shape)


def save_shards(tensors: Iterator[tuple[str, torch.Tensor]], out: Path) -> int:
    """Write tensors in files of at most SHARD_BYTES, with their index. Returns the number of parameters."""
    weight_map: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    count = number = size = 0

    def flush() -> None:
        nonlocal number, size
        number += 1
        name = f"model-{number:05d}.safetensors"
        save_file(shard, out / name, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(shard, name))
        shard.clear()
        size = 0

    for name, value in tensors:
        if shard and size + value.nbytes > SHARD_BYTES:
            flush()
        shard[name] = value.contiguous()
        size += value.nbytes
        count += value.numel()
    flush()
    index = {"metadata": {"total_parameters": count}, "weight_map": weight_map}
    (out / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return count


def make(model: str, like: Path, out: Path, dtype: torch.dtype = torch.bfloat16) -> int:
    """Write the folder; an existing one is an error. Returns the number of parameters. Raises GroundswiftError and FileExistsError."""
    from transformers import AutoConfig

    _, config = configuration(model, None)
    config = with_token_ids(config, AutoConfig.from_pretrained(like))
    out.mkdir(parents=True)
    for path in like.iterdir():
        if path.suffix != ".safetensors" and path.name not in ("config.json", "model.safetensors.index.json"):
            shutil.copy(path, out / path.name)
    config.dtype = dtype
    config.save_pretrained(out)
    return save_shards(random_tensors(config, dtype), out)


def main() -> None:
    """Read the command line and make the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="hub id of a known model, or a folder with its config.json")
    parser.add_argument("--like", type=Path, required=True, help="folder of a model of the same class, for tokenizer and processor")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    args = parser.parse_args()
    try:
        count = make(args.model, args.like, args.out)
    except (GroundswiftError, FileExistsError) as error:
        sys.exit(f"error: {error}")
    print(f"{count:,} parameters -> {args.out}")


if __name__ == "__main__":
    main()
