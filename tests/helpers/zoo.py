"""Tiny untrained models of every family that transformers has a class of its own for, with processors that swift loads as its own.

Two text layers of 64, two vision layers, weights of a seed, and a tokenizer of one token a byte and the family's own marks. Nothing
is downloaded, and nothing is made before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import torch
import zoo_patches as patches
import zoo_recent as recent
import zoo_tiles as tiles
from zoo_parts import Parts


@dataclass(frozen=True)
class Kind:
    """A family as swift names it. `literals`: token ids that swift's `_encode` holds as numbers, and the token that each stands for."""

    make: Callable[[], Parts]
    family: str
    model_type: str
    stock: str
    literals: dict[int, str] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    "qwen2_vl": Kind(patches.qwen2_vl, "qwen2_vl", "qwen2_vl", "qwen2_vl"),
    "qwen2_5_vl": Kind(patches.qwen2_5_vl, "qwen2_5_vl", "qwen2_5_vl", "qwen2_5_vl"),
    "mimo_vl": Kind(patches.qwen2_5_vl, "mimo_vl", "qwen2_5_vl", "mimo_vl"),
    "qwen3_vl": Kind(patches.qwen3_vl, "qwen3_vl", "qwen3_vl", "qwen3_vl"),
    "qwen3_vl_moe": Kind(patches.qwen3_vl_moe, "qwen3_vl", "qwen3_vl_moe", "qwen3_vl"),
    "qwen3_5": Kind(patches.qwen3_5, "qwen3_5", "qwen3_5", "qwen3_5"),
    "qwen3_8": Kind(patches.qwen3_5, "qwen3_8", "qwen3_5", "qwen3_8"),
    "qwen3_5_moe": Kind(patches.qwen3_5_moe, "qwen3_5", "qwen3_5_moe", "qwen3_5"),
    "glm4v": Kind(patches.glm4v, "glm4v", "glm4v", "glm4v"),
    "glm4v_moe": Kind(patches.glm4v_moe, "glm4v", "glm4v_moe", "glm4_5v"),
    "llava1_5": Kind(tiles.llava1_5, "llava", "llava1_5_hf", "llava1_5_hf"),
    "llava1_6": Kind(tiles.llava1_6, "llava", "llava1_6_mistral_hf", "llava1_6_mistral_hf"),
    "llava1_6_vicuna": Kind(tiles.llava1_6, "llava", "llava1_6_vicuna_hf", "llava1_6_vicuna_hf"),
    "llava_onevision": Kind(tiles.llava_onevision, "llava_onevision", "llava_onevision_hf", "llava_onevision_hf", {151646: "<image>"}),
    "internvl": Kind(tiles.internvl, "internvl", "internvl", "internvl_hf"),
    "paligemma": Kind(tiles.paligemma, "paligemma", "paligemma", "paligemma"),
    "paligemma2": Kind(tiles.paligemma2, "paligemma", "paligemma", "paligemma"),
    "gemma3": Kind(tiles.gemma3, "gemma3_vision", "gemma3_vision", "gemma3_vision"),
    "gemma4": Kind(patches.gemma4, "gemma4", "gemma4", "gemma4_nothinking"),
    "gemma4_thinking": Kind(patches.gemma4, "gemma4", "gemma4", "gemma4"),
    "qwen2_5_omni": Kind(recent.qwen2_5_omni, "qwen2_5_omni", "qwen2_5_omni", "qwen2_5_omni"),
    "qwen3_omni": Kind(recent.qwen3_omni, "qwen3_omni", "qwen3_omni_moe", "qwen3_omni"),
    "paddleocr_vl": Kind(recent.paddleocr_vl, "paddleocr_vl", "paddleocr_vl", "paddle_ocr_1_5"),
    "hunyuan_ocr": Kind(recent.hunyuan_ocr, "hunyuan_ocr", "hunyuan_ocr", "hunyuan_ocr"),
    "idefics3": Kind(tiles.idefics3, "idefics3", "idefics3", "idefics3", {128257: "<image>"}),
    "smolvlm": Kind(tiles.smolvlm, "idefics3", "idefics3", "idefics3", {128257: "<image>"}),
}


def renumbered(encode: FunctionType, literals: dict[int, str], tokens: Any) -> FunctionType:
    """swift's `_encode` with a tokenizer's own ids where swift wrote the official numbers into the code. Tests only."""
    missing = set(literals) - set(encode.__code__.co_consts)
    assert not missing, (
        f"swift's {encode.__qualname__} no longer holds the token ids {sorted(missing)} as numbers: if it finds them by name now, "
        "take them out of KINDS in tests/helpers/zoo.py"
    )
    own = {number: tokens.convert_tokens_to_ids(token) for number, token in literals.items()}
    constants = tuple(own.get(constant, constant) if type(constant) is int else constant for constant in encode.__code__.co_consts)
    code = encode.__code__.replace(co_consts=constants)
    return FunctionType(code, encode.__globals__, encode.__name__, encode.__defaults__, encode.__closure__)


class Zoo:
    """Families by name, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.base = folder
        self.parts: dict[str, Parts] = {}
        self.templates: dict[tuple[str, str], Any] = {}

    def part(self, name: str) -> Parts:
        """Configuration and processor of a family, before swift has touched them."""
        if name not in self.parts:
            self.parts[name] = KINDS[name].make()
        return self.parts[name]

    def folder(self, name: str, weights: bool = False) -> Path:
        """A model folder; `weights`: with the untrained weights of seed 0, without which swift still loads a processor from it."""
        folder, part = self.base / name, self.part(name)
        if not folder.exists():
            part.config.architectures = [part.model_cls.__name__]
            part.config.save_pretrained(folder)
            part.processor.save_pretrained(folder)
            part.add_files(folder)
        if weights and not (folder / "model.safetensors").exists():
            torch.manual_seed(0)
            model = part.model_cls(part.config)
            part.finish(model)
            model.save_pretrained(folder)
        return folder

    def make_template(self, name: str, suffix: str = "_grounding", **options: Any) -> Any:
        """A new template as swift makes it for training; `suffix` "" for swift's own."""
        from swift.model import get_processor
        from swift.template import get_template
        from swift.template.register import TEMPLATE_MAPPING

        kind = KINDS[name]
        template = get_template(
            get_processor(str(self.folder(name)), model_type=kind.model_type), template_type=kind.stock + suffix, **options
        )
        template.set_mode("train")
        if kind.literals and type(template)._encode is TEMPLATE_MAPPING[kind.stock].template_cls._encode:
            template._encode = MethodType(renumbered(type(template)._encode, kind.literals, template.tokenizer), template)
        return template

    def template(self, name: str, suffix: str = "_grounding") -> Any:
        """The template of a family, made once."""
        if (name, suffix) not in self.templates:
            self.templates[name, suffix] = self.make_template(name, suffix)
        return self.templates[name, suffix]

    def __getitem__(self, name: str) -> Any:
        return self.template(name)

    def model(self, name: str) -> Any:
        """The model of a family as swift loads it, in 32 bits, not training."""
        from swift.model import get_model_processor

        folder = self.folder(name, weights=True)
        return get_model_processor(str(folder), model_type=KINDS[name].model_type, torch_dtype=torch.float32, attn_impl="eager")[0].eval()
