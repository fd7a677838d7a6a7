"""Memory plans of tiny models in tests, and the real models that they are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn
from zoo import KINDS, Zoo

from groundswift.swift_plugins.tools.plan.memory_plan import MemoryPlan, plan_memory
from groundswift.swift_plugins.tools.plan.recipe import Training
from groundswift.swift_plugins.tools.plan.row_length import RowLength
from groundswift.swift_plugins.tools.plan.settings import read_settings

LENGTH = RowLength(128, 64, 32, "")


def memory_of(folder: Path, model_type: str, *words: str, gpus: int = 1) -> MemoryPlan:
    """The plan's memory for a model folder, from its config.json alone."""
    options = ["--model", "nobody/nothing", "--model_type", model_type, "--dataset", "a", *words]
    return plan_memory(read_settings(Training("sft", options), {}, gpus), LENGTH, folder / "config.json")


def memory_of_kind(zoo: Zoo, kind: str, *words: str) -> MemoryPlan:
    """The same for a tiny model of the zoo with weights."""
    return memory_of(zoo.folder(kind, weights=True), KINDS[kind].model_type, *words)


def sizes(made: MemoryPlan) -> dict[str, int]:
    """Bytes on the GPU by part."""
    return {item.name: item.gpu for item in made.items}


def tensor_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def trained_model(zoo: Zoo, kind: str, *words: str) -> nn.Module:
    """A tiny model as `swift sft` makes it ready to be trained, with real weights."""
    from swift.pipelines.train.sft import SwiftSft

    options = ["--model", str(zoo.folder(kind, weights=True)), "--model_type", KINDS[kind].model_type, "--template", KINDS[kind].stock]
    rows = zoo.base / "rows.jsonl"
    rows.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n')
    options += ["--dataset", str(rows), "--check_model", "false", "--report_to", "none", "--add_version", "false", "--use_cpu", "true"]
    made = SwiftSft([*options, "--output_dir", str(zoo.base / "out"), *words])
    return made.prepare_model(made.args, made.model, template=made.template, train_dataset=None)
