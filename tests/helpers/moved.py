"""Which weights a training has moved: the model that it began with against its checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Every weight of a model folder by name; `model.` in front, which some classes write and others do not, is removed."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found |= {name.removeprefix("model."): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    return found


def moved(base: Path, checkpoint: Path) -> dict[str, bool]:
    """Name of each weight that both have -> whether it differs, in the checkpoint's type."""
    before, after = tensors(base), tensors(checkpoint)
    return {name: not torch.equal(before[name].to(value.dtype), value) for name, value in after.items() if name in before}


def of_vit(name: str) -> bool:
    """Whether a weight is of the vision tower itself, not of what joins it to the language model."""
    return any(part in name for part in ("visual.", "vision_tower.", "vision_model.")) and "merger" not in name
