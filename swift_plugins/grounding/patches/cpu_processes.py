"""Several processes without an accelerator, with and without DeepSpeed. Observed with ms-swift 4.6.0, accelerate 1.15.0, deepspeed 0.19.8.

* swift forms no process group, so training diverges and inference writes rank 0's rows only. The group is made once the arguments are
  known: transformers gives `--ddp_timeout` to groups of accelerators only.
* DeepSpeed is set up before swift makes its arguments, or refused with a reason. Two settings of accelerate exclude each other:
  ACCELERATE_USE_CPU, which joins the processes of ordinary training, makes it ignore DeepSpeed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

import torch
from accelerate import PartialState
from swift.arguments import BaseArguments, SftArguments
from swift.trainers.mixin import SwiftMixin
from torch.distributed import default_pg_timeout

from groundswift.errors import GroundswiftError

from .wrap_once import on_load, patch, wrap_once


@on_load
def join_cpu_processes() -> None:
    """Join the processes of a launcher by gloo. Nothing to do for one process, or with an accelerator."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.accelerator.is_available():
        os.environ["ACCELERATE_USE_CPU"] = "true"  # read by transformers' TrainingArguments
        wrap_once(BaseArguments, "_init_model_kwargs", with_cpu_group)


def with_cpu_group(init: Callable[..., None], self: BaseArguments) -> None:
    """Wait `--ddp_timeout` seconds for a process that hangs; 30 min for swift's default of 208 days."""
    bounded = self.ddp_timeout != BaseArguments.ddp_timeout
    PartialState(cpu=True, timeout=timedelta(seconds=self.ddp_timeout) if bounded else default_pg_timeout)
    init(self)


@patch("_init_deepspeed", SftArguments)
def use_deepspeed_on_cpu(resolve: Callable[[Any], None], self: Any) -> None:
    """Make `--deepspeed` work on CPUs."""
    if self.deepspeed and find_spec("deepspeed") is None:
        raise GroundswiftError("--deepspeed needs the package deepspeed: pip install 'groundswift[deepspeed]'")
    resolve(self)
    if self.deepspeed and not torch.accelerator.is_available():
        join_by_deepspeed(self)


@patch("train", SwiftMixin)
def refuse_ignored_deepspeed(train: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
    """Stop a training that would silently run without the `--deepspeed` it was given."""
    if getattr(self.args, "deepspeed", None) and not self.is_deepspeed_enabled:
        raise GroundswiftError(
            f"--deepspeed has no effect: accelerate runs {self.accelerator.distributed_type}. "
            "Unset ACCELERATE_USE_CPU, or remove --deepspeed"
        )
    return train(self, *args, **kwargs)


def join_by_deepspeed(args: Any) -> None:
    """Make DeepSpeed's own group of the processes, which it needs before the model is loaded. Raises GroundswiftError where it cannot."""
    if "LOCAL_RANK" not in os.environ:
        raise GroundswiftError("--deepspeed on a CPU needs a launcher, even for one process: export NPROC_PER_NODE=1")
    if args.fp16 or args.torch_dtype is torch.float16:
        raise GroundswiftError("--deepspeed on a CPU does not support fp16: use --torch_dtype bfloat16, or float32 with --fp16 false")
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    os.environ.pop("ACCELERATE_USE_CPU", None)
    args.use_cpu = True
    import deepspeed

    deepspeed.init_distributed(dist_backend="gloo", auto_mpi_discovery=False)
