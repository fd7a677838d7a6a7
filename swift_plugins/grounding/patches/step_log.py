"""The number of optimizer steps in swift's log before the first one, by the function that `groundswift plan` uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.distributed as dist
from swift.trainers.mixin import DataLoaderMixin
from swift.utils import get_logger, is_master
from transformers import Trainer

from groundswift.errors import GroundswiftError

from ..training_steps import Batching, count_steps
from .wrap_once import patch

ROLLOUT = "RolloutTrainerMixin"  # by name: its module loads trl, which other trainings do not need
PER_EPOCH, TOTAL = 1, 6  # places in what `set_initial_training_values` returns


@patch("set_initial_training_values", Trainer)
def log_steps_before_training(count: Callable[..., tuple[Any, ...]], self: Trainer, args: Any, *more: Any, **named: Any) -> tuple[Any, ...]:
    """Log the steps where the Trainer has counted them, and warn where it counts others."""
    values = count(self, args, *more, **named)
    if is_master():
        log_steps(self, args, values[PER_EPOCH], values[TOTAL])
    return values


def log_steps(trainer: Any, args: Any, per_epoch: int, total: int) -> None:
    """One line with the steps; a warning with the Trainer's own numbers where they differ from the formula's."""
    how = batching_of(trainer, args)
    if not hasattr(trainer.train_dataset, "__len__"):
        get_logger().info(f"optimizer steps: {total} in all (rows are streamed, batch {how.batch}, accumulation {how.accumulation})")
        return
    try:
        max_epochs = getattr(args, "max_epochs", None)  # packed rows count as one each
        steps = count_steps(len(trainer.train_dataset), how, args.num_train_epochs, args.max_steps, max_epochs)
    except GroundswiftError as error:
        get_logger().warning(f"optimizer steps: {error}")
        return
    get_logger().info(steps.sentence())
    limited = args.max_steps == 0 or max_epochs is not None  # what the Trainer stops at later
    if per_epoch != steps.per_epoch or (total != steps.total and not limited):
        get_logger().warning(
            f"optimizer steps: the Trainer counts {per_epoch} per epoch and {total} in all, unlike `groundswift plan`. Please report it"
        )


def batching_of(trainer: Any, args: Any) -> Batching:
    """How a trainer of swift makes batches of its rows."""
    parallel = trainer.template.sequence_parallel_size if hasattr(trainer, "template") else 1
    deepspeed = args.deepspeed if isinstance(args.deepspeed, dict) else {}
    rollout = ROLLOUT in {kind.__name__ for kind in type(trainer).__mro__}
    return Batching(
        batch=args.per_device_train_batch_size,
        accumulation=args.gradient_accumulation_steps,
        processes=dist.get_world_size() if dist.is_initialized() else 1,
        drop_last=args.dataloader_drop_last,
        sequence_parallel=parallel,
        tensor_parallel=deepspeed.get("tensor_parallel", {}).get("autotp_size", 1),
        loader="rollout" if rollout else "swift" if isinstance(trainer, DataLoaderMixin) else "accelerate",
        generations=getattr(args, "num_generations", 1) if rollout else 1,
        iterations=getattr(args, "num_iterations", 1) if rollout else 1,
        passes=getattr(args, "steps_per_generation", 1) if rollout else 1,
    )
