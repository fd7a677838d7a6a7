"""Bytes of weights that are loaded quantised: bitsandbytes by `--quant_method bnb`, GPTQ and AWQ by the model's own configuration.

Per linear of out x in numbers (Dettmers et al. 2022, 2023; the file formats of GPTQ and AWQ):

* bnb 8-bit: out*in bytes and a float32 scale for each output
* bnb 4-bit: out*in/2 bytes, a scale for each 64 numbers (float32, or one byte and a float32 for each 256 of them when quantised twice),
  and the tables of 16 and, when quantised twice, 256 float32 numbers with one float32 offset
* GPTQ: bits*out*in/8 bytes, for each group of inputs a float16 scale and a zero of `bits` for each output, and an int32 for each input
* AWQ: the same without the list of groups
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from groundswift.errors import GroundswiftError

from .census import ALIGNER, VISION, part_names
from .settings import Settings

BLOCK, NESTED_BLOCK = 64, 256  # numbers of one scale, scales of one nested scale


@dataclass(frozen=True)
class Scheme:
    """How linears are quantised. `skip`: name patterns of those that are not, as transformers reads them. `group`: inputs of one scale."""

    method: str
    bits: int
    skip: tuple[str, ...]
    double: bool = True
    group: int = 128

    def linear_bytes(self, out: int, wide: int) -> int:
        """Bytes of one weight of out x wide numbers."""
        numbers = out * wide
        if self.method == "bnb" and self.bits == 8:
            return numbers + 4 * out
        if self.method == "bnb":
            scales = math.ceil(numbers / BLOCK)
            tables = 4 * 16 + (4 * 256 + 4 if self.double else 0)
            return math.ceil(numbers / 2) + tables + (scales + 4 * math.ceil(scales / NESTED_BLOCK) if self.double else 4 * scales)
        groups = math.ceil(wide / self.group) if self.group > 0 else 1
        packed = numbers * self.bits // 8 + groups * out * self.bits // 8 + 2 * groups * out
        return packed + (4 * wide if self.method == "gptq" else 0)


def scheme_of(settings: Settings, config: Any, meta: Any) -> Scheme | None:
    """The quantisation of a training; None where the weights are loaded as they are. Raises GroundswiftError for one without a plan."""
    options = settings.options
    saved = getattr(config, "quantization_config", None)
    saved = saved if isinstance(saved, dict) else saved.to_dict() if saved is not None else {}
    method = saved.get("quant_method") or options.quant_method
    if method is None:
        return None
    skip = skipped(meta) + tuple(saved.get("modules_to_not_convert") or saved.get("llm_int8_skip_modules") or ())
    if method == "bitsandbytes":
        return Scheme("bnb", 4 if saved.get("load_in_4bit") else 8, skip, bool(saved.get("bnb_4bit_use_double_quant")))
    if method == "bnb":
        if options.quant_bits not in (4, 8):
            raise GroundswiftError(f"--quant_method bnb needs --quant_bits 4 or 8, got {options.quant_bits}")
        return Scheme("bnb", int(options.quant_bits), skip, options.bnb_4bit_use_double_quant)
    if method in ("gptq", "awq"):
        return Scheme(method, int(saved.get("bits") or 4), skip, group=int(saved.get("group_size") or 128))
    raise GroundswiftError(f"quantisation {method}: its memory is not planned; bnb, gptq and awq are")


def skipped(meta: Any) -> tuple[str, ...]:
    """Names that swift keeps as they are: routers, vision tower, aligner and head (`QuantizeArguments.get_modules_to_not_convert`)."""
    parts = [prefix for prefix, part in part_names(meta) if part in (VISION, ALIGNER)]
    return ("mlp.gate", "mlp.shared_expert_gate", *parts, "lm_head")


def quantised_linears(model: nn.Module, scheme: Scheme) -> Iterator[tuple[nn.Parameter, int]]:
    """(weight, bytes when quantised) of each linear that a scheme converts, in a model without adapters."""
    from transformers.quantizers.quantizers_utils import should_convert_module

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and should_convert_module(name, list(scheme.skip)):
            yield module.weight, scheme.linear_bytes(module.out_features, module.in_features)
