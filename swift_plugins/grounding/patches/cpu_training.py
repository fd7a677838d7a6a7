"""Steps of training in 32 bits on a CPU in about two thirds of the time. Values differ by the order of sums alone.

Observed with torch 2.14.1 on one core of an AMD EPYC of family 26:

* torch multiplies 32-bit matrices by MKL, which reaches 110 GFLOP/s on this processor. oneDNN, which torch contains too, reaches 250, but
  is only taken where `torch.set_float32_matmul_precision("medium")` allows fewer bits. Without AMX it computes in 32 bits all the same,
  which is checked once: its error has to be as small as MKL's.
* torch's flash attention multiplies block by block, which oneDNN does slowly: short rows take the plain kernel.
* A convolution whose kernel is the whole patch (Conv3d, as in Qwen's towers) takes ten times as long as the matrix product that it is.

Generation while training multiplies a row at a time, at which MKL is faster, and is left as it is. With an accelerator nothing changes.
GROUNDSWIFT_STOCK_PRODUCTS=1 computes as torch does by itself, to the last bit.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from swift.utils import get_logger
from torch import nn
from torch.nn import functional
from transformers import Trainer

from .wrap_once import patch

STOCK = "GROUNDSWIFT_STOCK_PRODUCTS"
SHORT = 512 * 512  # queries times keys, below which flash attention is slower with oneDNN
LARGEST_ERROR = 1e-3  # of sums of 512 products of normal numbers: 5e-5 in 32 bits, 1e-1 in 16


@patch("training_step", Trainer)
def train_fast_on_cpu(step: Callable[..., Any], self: Trainer, *args: Any, **kwargs: Any) -> Any:
    """Make one forward and backward pass with the faster products, unless an accelerator makes it."""
    if torch.accelerator.is_available() or wants_stock_products():
        return step(self, *args, **kwargs)
    with fast_products():
        return step(self, *args, **kwargs)


def wants_stock_products() -> bool:
    """Whether training is to compute as torch does by itself."""
    return os.environ.get(STOCK, "").lower() in ("1", "true", "yes")


@contextmanager
def fast_products() -> Iterator[None]:
    """Use the faster products until the end of the block, and torch's own ones after it."""
    with ExitStack() as stack:
        stack.enter_context(replaced(nn.Conv3d, "forward", multiply_whole_patches))
        if onednn_is_better():
            stack.callback(torch.set_float32_matmul_precision, "highest")
            torch.set_float32_matmul_precision("medium")
            stack.callback(torch.backends.cuda.enable_flash_sdp, torch.backends.cuda.flash_sdp_enabled())  # the switch of the CPU, too
            stack.enter_context(replaced(functional, "scaled_dot_product_attention", attend_by_size))
        yield


@contextmanager
def replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Let `function(original, ...)` take the place of a function of a module or a method of a class until the end of the block."""
    original = getattr(owner, name)
    made = partial(function, original)
    setattr(owner, name, (lambda *args, **kwargs: made(*args, **kwargs)) if isinstance(owner, type) else made)  # a lambda is bound to self
    try:
        yield
    finally:
        setattr(owner, name, original)


def attend_by_size(attend: Callable[..., torch.Tensor], query: torch.Tensor, key: torch.Tensor, *more: Any, **named: Any) -> torch.Tensor:
    """Attention, by the plain kernel where rows of 32-bit values are short."""
    torch.backends.cuda.enable_flash_sdp(query.dtype != torch.float32 or query.shape[-2] * key.shape[-2] >= SHORT)
    return attend(query, key, *more, **named)


def multiply_whole_patches(convolve: Callable[..., torch.Tensor], layer: nn.Conv3d, patches: torch.Tensor) -> torch.Tensor:
    """A convolution, as one matrix product where its kernel is the whole patch: (patches, channels, *kernel) -> (patches, out, 1, 1, 1)."""
    plain = layer.padding == (0, 0, 0) and layer.dilation == (1, 1, 1) and layer.groups == 1
    if patches.ndim != 5 or patches.shape[2:] != layer.kernel_size or not plain:
        return convolve(layer, patches)
    return functional.linear(patches.flatten(1), layer.weight.flatten(1), layer.bias)[:, :, None, None, None]


@cache
def onednn_is_better() -> bool:
    """Whether oneDNN multiplies 32-bit matrices faster than MKL does here, and as exactly. Logs it."""
    if not (torch.backends.mkl.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512" and is_amd()):
        return False
    try:
        better = torch.get_float32_matmul_precision() == "highest" and onednn_error() < LARGEST_ERROR
    except RuntimeError:  # the precision was set in the newer of torch's two ways
        return False
    if better:
        get_logger().info("training multiplies 32-bit matrices by oneDNN, which is faster than MKL on this processor")
    return better


def is_amd() -> bool:
    """Whether the processor is one of AMD."""
    details = Path("/proc/cpuinfo")
    return "AuthenticAMD" in platform.processor() or (details.exists() and "AuthenticAMD" in details.read_text(encoding="utf-8"))


def onednn_error() -> float:
    """The largest error of oneDNN's products of 32-bit matrices of normal numbers: processors with AMX round them to 16 bits."""
    random = torch.Generator().manual_seed(0)
    one, other = torch.randn(64, 512, generator=random), torch.randn(512, 64, generator=random)
    torch.set_float32_matmul_precision("medium")
    try:
        return float((one @ other - one.double() @ other.double()).abs().max())
    finally:
        torch.set_float32_matmul_precision("highest")
