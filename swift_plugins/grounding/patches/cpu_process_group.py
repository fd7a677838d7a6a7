"""Several processes without an accelerator: swift forms no process group, so training diverges and inference writes rank 0's rows only.

The group is made once the arguments are known: transformers gives `--ddp_timeout` to groups of accelerators only.
Observed with ms-swift 4.6.0.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

import torch
from accelerate import PartialState
from swift.arguments import BaseArguments
from torch.distributed import default_pg_timeout

from .wrap_once import wrap_once


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
