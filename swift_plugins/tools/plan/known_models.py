"""Published sizes of models of our recipes, so that a plan needs no download. A test compares each with its published number of parameters.

Source: the config.json of each model on its hub; what is not here is the default of transformers' class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

QUANTISED = re.compile(r"-(awq|gptq)(?:-int([48]))?$")


@dataclass(frozen=True)
class Published:
    """A model's `model_type` and class in transformers, its sizes, and how many parameters it was published with."""

    model_type: str
    architecture: str
    parameters: int
    text: dict[str, Any]
    vision: dict[str, Any]
    tied: bool = False


def sizes(hidden: int, inner: int, layers: int, heads: int, keys: int, vocabulary: int, **more: Any) -> dict[str, Any]:
    """The sizes of a language model under the names of transformers."""
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size")
    return dict(zip(names, (hidden, inner, layers, heads, keys, vocabulary), strict=True)) | more


def qwen2(parameters: int, text: tuple[int, ...], tied: bool = False) -> Published:
    """Qwen2-VL."""
    tower = {"depth": 32, "num_heads": 16, "embed_dim": 1280, "mlp_ratio": 4, "hidden_size": text[0]}
    return Published("qwen2_vl", "Qwen2VLForConditionalGeneration", parameters, sizes(*text, rope_parameters={**ROPE}), tower, tied)


def qwen2_5(parameters: int, inner: int, text: tuple[int, ...], tied: bool = False) -> Published:
    """Qwen2.5-VL. `inner`: width of the MLP in its vision tower."""
    tower = {"depth": 32, "num_heads": 16, "hidden_size": 1280, "fullatt_block_indexes": [7, 15, 23, 31]}
    tower |= {"intermediate_size": inner, "out_hidden_size": text[0]}
    return Published("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", parameters, sizes(*text, rope_parameters={**ROPE}), tower, tied)


def qwen3(parameters: int, tower: dict[str, Any], text: tuple[int, ...], tied: bool = False) -> Published:
    """Qwen3-VL with one of its two vision towers."""
    tower = {"num_heads": 16, "patch_size": 16, "num_position_embeddings": 2304, "out_hidden_size": text[0]} | tower
    return Published("qwen3_vl", "Qwen3VLForConditionalGeneration", parameters, sizes(*text, head_dim=128), tower, tied)


ROPE = {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1000000.0}
SMALL_TOWER = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "deepstack_visual_indexes": [5, 11, 17]}
LARGE_TOWER = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "deepstack_visual_indexes": [8, 16, 24]}
CLIP = {"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
CLIP |= {"num_attention_heads": 16, "image_size": 336, "patch_size": 14, "projection_dim": 768, "vocab_size": 32000}
INTERN = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "attention_bias": True}
INTERN |= {"image_size": [448, 448], "patch_size": [14, 14]}
INTERN_TEXT = {"head_dim": 128, "model_type": "qwen3"}
PUBLISHED = {  # last part of a hub id, in lower case
    "qwen2-vl-2b-instruct": qwen2(2_208_985_600, (1536, 8960, 28, 12, 2, 151936), tied=True),
    "qwen2-vl-7b-instruct": qwen2(8_291_375_616, (3584, 18944, 28, 28, 4, 152064)),
    "qwen2.5-vl-3b-instruct": qwen2_5(3_754_622_976, 3420, (2048, 11008, 36, 16, 2, 151936), tied=True),
    "qwen2.5-vl-7b-instruct": qwen2_5(8_292_166_656, 3420, (3584, 18944, 28, 28, 4, 152064)),
    "qwen2.5-vl-32b-instruct": qwen2_5(33_452_718_336, 3456, (5120, 27648, 64, 40, 8, 152064)),
    "qwen2.5-vl-72b-instruct": qwen2_5(73_410_777_344, 3456, (8192, 29568, 80, 64, 8, 152064)),
    "qwen3-vl-2b-instruct": qwen3(2_127_532_032, SMALL_TOWER, (2048, 6144, 28, 16, 8, 151936), tied=True),
    "qwen3-vl-4b-instruct": qwen3(4_437_815_808, SMALL_TOWER, (2560, 9728, 36, 32, 8, 151936), tied=True),
    "qwen3-vl-8b-instruct": qwen3(8_767_123_696, LARGE_TOWER, (4096, 12288, 36, 32, 8, 151936)),
    "glm-4.1v-9b-thinking": Published("glm4v", "Glm4vForConditionalGeneration", 10_292_777_472, {}, {}),
    "internvl3_5-8b-hf": Published(
        "internvl", "InternVLForConditionalGeneration", 8_528_318_464, sizes(4096, 12288, 36, 32, 8, 151936, **INTERN_TEXT), INTERN
    ),
    "llava-1.5-7b-hf": Published(
        "llava", "LlavaForConditionalGeneration", 7_063_427_072, sizes(4096, 11008, 32, 32, 32, 32064, model_type="llama"), CLIP
    ),
}


def published_config(model: str) -> Any | None:
    """The configuration of a model by its hub id, also of its AWQ and GPTQ copies with groups of 128; None for one that is not here."""
    from transformers import AutoConfig

    name = model.rpartition("/")[2].lower()
    quantised = QUANTISED.search(name)
    found = PUBLISHED.get(QUANTISED.sub("", name)) or PUBLISHED.get(QUANTISED.sub("", name).replace("-thinking", "-instruct"))
    if found is None:
        return None
    text = found.text | {"tie_word_embeddings": found.tied}
    config = AutoConfig.for_model(found.model_type, text_config=text, vision_config=found.vision, tie_word_embeddings=found.tied)
    config.architectures = [found.architecture]
    if quantised:
        skip = ["visual"] if found.model_type.startswith("qwen") else []
        saved = {"quant_method": quantised[1], "bits": int(quantised[2] or 4), "group_size": 128, "modules_to_not_convert": skip}
        config.quantization_config = saved
    return config
