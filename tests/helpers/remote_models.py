"""Tiny untrained models of families whose code comes with their weights, each with a stand-in for that code in its folder.

Real in a run with them: swift's loader, template, LoRA, merge and inference. Not real: the model's own code and its preprocessing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import transformers
from special_models import copy_code, with_weights, write_json
from stubs import DOTS, MIMO, MINICPM, MOLMO2, PHI, PHI3_IMAGE
from transformers import PreTrainedTokenizerFast
from zoo_parts import PADDLE_MARKS, TEXT, ids, tokenizer

SEEN = {"initializer_range": 0.2}  # of weights: with the usual 0.02 an image hardly changes an answer
DEEPSEEK = ("<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜▁pad▁｜>", "<image>", "<|User|>", "<|Assistant|>")
DEEPSEEK += ("<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>")


def make(
    folder: Path, code: str, tokens: PreTrainedTokenizerFast, model_type: str, classes: dict[str, str], images: str = "", **more: Any
) -> Path:
    """A model whose text part has the zoo's size. `code`: the folder of the stand-in; `classes`: what transformers asks for by name ->
    where the stand-in has it; `images`: transformers' own image processor, where it has none; `more`: into config.json."""
    copy_code("stand_in_code", folder)
    copy_code(code, folder)
    tokens.save_pretrained(folder)
    made = token_ids(tokens)
    config = {"auto_map": classes, **TEXT, "vocab_size": len(tokens), "tie_word_embeddings": False, **made, "model_type": model_type}
    model = next(auto for auto in classes if auto.startswith("AutoModel"))
    write_json(folder / "config.json", config | {"architectures": [classes[model].rpartition(".")[2]]} | more)
    write_json(folder / "generation_config.json", {"do_sample": False, **made})
    processor = {"image_processor_type": images or classes["AutoImageProcessor"].rpartition(".")[2]}
    processor |= {"patch_size": more["patch_size"]} if "patch_size" in more else {}
    write_json(folder / "preprocessor_config.json", {"auto_map": classes, **processor})
    return with_weights(folder, getattr(transformers, model))


def token_ids(tokens: PreTrainedTokenizerFast) -> dict[str, int | None]:
    return {name: getattr(tokens, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


def make_phi3_vision(folder: Path) -> Path:
    """Phi-3-vision: a fast tokenizer with <|image|> at the id that swift's template holds as a number, behind all that are embedded."""
    tokens = tokenizer(PHI, "<|endoftext|>", "<|endoftext|>", "<s>", {"<|image|>": PHI3_IMAGE})
    classes = {"AutoConfig": "configuration_phi3_v.Phi3VConfig", "AutoModelForCausalLM": "modeling_phi3_v.Phi3VForCausalLM"}
    classes["AutoProcessor"] = "processing_phi3_v.Phi3VProcessor"
    classes["AutoImageProcessor"] = "image_processing_phi3_v.Phi3VImageProcessor"
    return make(folder, "phi3_vision_code", tokens, "phi3_v", classes)


def make_minicpmv4_5(folder: Path) -> Path:
    """MiniCPM-V 4.5 over transformers' own Qwen3."""
    classes = {"AutoConfig": "configuration_minicpm.MiniCPMVConfig", "AutoModelForCausalLM": "modeling_minicpmv.MiniCPMV"}
    classes |= {f"Auto{kind}": f"processing_minicpmv.MiniCPMV{kind}" for kind in ("Processor", "ImageProcessor")}
    return make(folder, "minicpmv_code", tokenizer(MINICPM, "<|im_end|>", "<|endoftext|>"), "minicpmv", classes)


def make_dots_ocr(folder: Path) -> Path:
    """dots.ocr over transformers' own Qwen2 and its image processor of Qwen2-VL."""
    tokens = tokenizer(DOTS, "<|endofassistant|>", "<|endoftext|>")
    classes = {"AutoConfig": "configuration_dots.DotsOCRConfig", "AutoModelForCausalLM": "modeling_dots_ocr.DotsOCRForCausalLM"}
    classes["AutoProcessor"] = "configuration_dots.DotsVLProcessor"
    token = ids(tokens, image_token_id="<|imgpad|>")
    return make(folder, "dots_ocr_code", tokens, "dots_ocr", classes, "Qwen2VLImageProcessor", **token, **SEEN)


def make_mimo_v2(folder: Path) -> Path:
    """MiMo-V2.5 over transformers' own Qwen2 and Qwen's image processor with patches of 16 px."""
    tokens = tokenizer(MIMO, "<|im_end|>", "<|endoftext|>")
    classes = {"AutoConfig": "configuration_mimo_v2.MiMoV2Config", "AutoModelForCausalLM": "modeling_mimo_v2.MiMoV2ForCausalLM"}
    classes["AutoProcessor"] = "configuration_mimo_v2.MiMoV2Processor"
    token = ids(tokens, image_token_id="<|image_pad|>")
    return make(folder, "mimo_v2_code", tokens, "mimo_v2", classes, "Qwen2VLImageProcessor", patch_size=16, **token, **SEEN)


def make_paddle_ocr(folder: Path) -> Path:
    """PaddleOCR-VL 0.9B over transformers' own Qwen2 and the images of version 1.5."""
    tokens = tokenizer(PADDLE_MARKS, "</s>", "<unk>", "<s>")
    code = "modeling_paddleocr_vl.PaddleOCRVLForConditionalGeneration"
    classes = {"AutoConfig": "configuration_paddleocr_vl.PaddleOCRVLConfig", "AutoModelForCausalLM": code}
    classes["AutoProcessor"] = "configuration_paddleocr_vl.PaddleOCRVLProcessor"
    token = ids(tokens, image_token_id="<|IMAGE_PLACEHOLDER|>")
    return make(folder, "paddle_ocr_code", tokens, "paddleocr_vl", classes, "PaddleOCRVLImageProcessor", **token, **SEEN)


def make_molmo2(folder: Path) -> Path:
    """Molmo 2 over transformers' own Qwen3."""
    tokens = tokenizer(MOLMO2, "<|im_end|>", "<|endoftext|>")
    classes = {"AutoConfig": "configuration_molmo2.Molmo2Config"}
    classes["AutoModelForImageTextToText"] = "modeling_molmo2.Molmo2ForConditionalGeneration"
    classes |= {f"Auto{kind}": f"processing_molmo2.Molmo2{kind}" for kind in ("Processor", "ImageProcessor")}
    return make(folder, "molmo2_code", tokens, "molmo2", classes, **ids(tokens, image_patch_id="<im_patch>"), **SEEN)


def make_deepseek_vl2(folder: Path) -> Path:
    """DeepSeek-VL2, and in the same folder the repository that `--local_repo_path` is to name."""
    copy_code("deepseek_vl2_code", folder)
    tokens = tokenizer(DEEPSEEK, "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>", "<｜begin▁of▁sentence｜>")
    tokens.save_pretrained(folder)
    write_json(folder / "processor_config.json", {"processor_class": "DeepseekVLV2Processor"})
    made = token_ids(tokens)
    text = {**TEXT, "vocab_size": len(tokens), "tie_word_embeddings": False, **made}
    own = {"model_type": "deepseek_vl_v2", "architectures": ["DeepseekVLV2ForCausalLM"], "language_config": text, **made}
    write_json(folder / "config.json", own)
    with on_path(folder):
        import_module("deepseek_vl2.models")  # makes the type of its config known
        return with_weights(folder)


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """Import from a folder, as swift's loader does for the rest of its process."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
