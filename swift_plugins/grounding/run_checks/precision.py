"""Precision without an accelerator: swift turns fp16 on for 32-bit weights, and transformers refuses bf16 without `use_cpu`.

Observed with ms-swift 4.6.0 and transformers 5.19.0: `--torch_dtype float32` sets `fp16`, which on a CPU means 16-bit arithmetic without a
loss scale; `--torch_dtype bfloat16` ends in `Your setup doesn't support bf16/gpu. You need to assign use_cpu`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from swift.arguments.base_args.model_args import ModelArguments
from swift.utils import get_logger

from ..patches.wrap_once import wrap_once
from .findings import Finding, report


def fit_precision_to_device() -> None:
    """On a CPU, train 32-bit weights in 32 bits and let bf16 run; warn of fp16."""

    def with_what_a_cpu_can(init: Callable[..., None], self: Any) -> None:
        chosen = self.fp16
        init(self)
        accelerator = torch.accelerator.is_available()
        if not accelerator:
            set_for_cpu(self, chosen)
        report(half_precision(self, chosen, accelerator))

    wrap_once(ModelArguments, "_init_mixed_precision", with_what_a_cpu_can)


def set_for_cpu(args: Any, chosen_fp16: bool | None) -> None:
    """Change what swift derived from the type of the weights alone; what was typed stays."""
    if chosen_fp16 is None and args.fp16 and args.torch_dtype == torch.float32:
        args.fp16 = False
        get_logger().info("--torch_dtype float32 on a CPU: fp16 false, so that 32-bit weights are trained in 32 bits")
    if args.bf16 and not args.use_cpu:
        args.use_cpu = True
        get_logger().info("--torch_dtype bfloat16 on a CPU: use_cpu true")


def half_precision(args: Any, chosen_fp16: bool | None, accelerator: bool) -> Iterator[Finding]:
    """Precision that swift derives from the weights' type without logging it.

    fp16-on-cpu: fp16 on a CPU has no loss scale, so gradients may vanish.
    fp16-of-float32: with `--torch_dtype float32` swift trains in fp16 arithmetic.
    """
    if args.fp16 and not accelerator:
        asked = "--fp16 true" if chosen_fp16 else f"--torch_dtype {str(args.torch_dtype).removeprefix('torch.')}"
        yield Finding(
            "fp16-on-cpu",
            f"{asked} on a CPU: 16-bit arithmetic without a loss scale, whose gradients may vanish. Use --torch_dtype bfloat16, or float32 "
            "with --fp16 false",
        )
    elif args.fp16 and chosen_fp16 is None and args.torch_dtype == torch.float32:
        yield Finding(
            "fp16-of-float32",
            "--torch_dtype float32: swift sets fp16 arithmetic for 32-bit weights. Add --fp16 false for 32 bits throughout, or "
            "--fp16 false --bf16 true for bf16 arithmetic",
        )
