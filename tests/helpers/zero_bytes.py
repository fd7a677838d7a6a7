"""Run by torchrun: what ZeRO holds on a rank after one step, as JSON lines. The first layer of a small model is frozen."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import deepspeed
import torch
from torch import nn

SHAPES = [(256, 512), (512, 256), (256, 64)]


def total(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def held(stage: int) -> dict[str, int]:
    """Bytes of weights and of the optimizer, its float32 copy of the weights included."""
    config = {"train_micro_batch_size_per_gpu": 1, "bf16": {"enabled": True}, "zero_allow_untested_optimizer": True}
    config["zero_optimization"] = {"stage": stage, "reduce_bucket_size": 1000, "stage3_param_persistence_threshold": 0}
    with deepspeed.zero.Init(config_dict_or_path=config, enabled=stage == 3):
        model = nn.Sequential(*[nn.Linear(*shape, bias=False) for shape in SHAPES])
    model[0].requires_grad_(False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    engine, optimizer, _, _ = deepspeed.initialize(model=model, optimizer=torch.optim.AdamW(trained, fused=False), config=config)
    engine.backward(engine(torch.ones(1, 256, dtype=torch.bfloat16)).float().sum())
    engine.step()
    states = [value for state in optimizer.optimizer.state.values() for value in state.values() if value.dim() > 0]
    copies = optimizer.fp32_partitioned_groups_flat if stage == 3 else [p for group in optimizer.param_groups for p in group["params"]]
    weights = (getattr(parameter, "ds_tensor", parameter) for parameter in model.parameters())
    return {"stage": stage, "weights": total(weights), "optimizer": total(states) + total(copies)}


if __name__ == "__main__":
    deepspeed.init_distributed("gloo", auto_mpi_discovery=False)
    for stage in map(int, sys.argv[1:]):
        sys.stdout.write(f"HELD {json.dumps(held(stage))}\n")  # one write, so that two ranks do not mix their texts
        sys.stdout.flush()
