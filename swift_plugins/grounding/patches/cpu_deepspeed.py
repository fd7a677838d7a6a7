"""DeepSpeed in several processes without an accelerator: set up before swift makes its arguments, or refused with a reason.

Two settings of accelerate exclude each other: ACCELERATE_USE_CPU, which joins the processes of ordinary training, makes it ignore
DeepSpeed. Observed with ms-swift 4.6.0, accelerate 1.15.0 and deepspeed 0.19.8.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from swift.arguments import SftArguments
from swift.trainers.mixin import SwiftMixin

from groundswift.errors import GroundswiftError

from .wrap_once import wrap_once


def use_deepspeed_on_cpu() -> None:
    """Make `--deepspeed` work on CPUs, and stop a training that would silently run without it."""

    def with_processes_joined(resolve: Callable[[Any], None], self: Any) -> None:
        if self.deepspeed and find_spec("deepspeed") is None:
            raise GroundswiftError("--deepspeed needs the package deepspeed: pip install 'groundswift[deepspeed]'")
        resolve(self)
        if self.deepspeed and not torch.accelerator.is_available():
            join_by_deepspeed(self)

    def with_deepspeed_or_not_at_all(train: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(self.args, "deepspeed", None) and not self.is_deepspeed_enabled:
            raise GroundswiftError(
                f"--deepspeed has no effect: accelerate runs {self.accelerator.distributed_type}. "
                "Unset ACCELERATE_USE_CPU, or remove --deepspeed"
            )
        return train(self, *args, **kwargs)

    wrap_once(SftArguments, "_init_deepspeed", with_processes_joined)
    wrap_once(SwiftMixin, "train", with_deepspeed_or_not_at_all)


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
