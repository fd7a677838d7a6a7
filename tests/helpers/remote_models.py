"""Tiny untrained models of families whose code comes with their weights, each with a stand-in for that code in its folder.

Real in a run with them: swift's loader, template, LoRA, merge and inference. Not real: the model's own code and its preprocessing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from special_models import copy_code, with_weights, write_json
from stubs import MINICPM, PHI, PHI3_IMAGE
from transformers import PreTrainedTokenizerFast
from zoo_parts import TEXT, tokenizer

DEEPSEEK = ("<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜▁pad▁｜>", "<image>", "<|User|>", "<|Assistant|>")
DEEPSEEK += ("<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>")


def make(folder: Path, code: str, tokens: PreTrainedTokenizerFast, model_type: str, classes: dict[str, str]) -> Path:
    """A model whose text part has the zoo's size. `code`: the folder of the stand-in; `classes`: what transformers asks for by name ->
    where the stand-in has it."""
    copy_code(code, folder)
    tokens.save_pretrained(folder)
    made = token_ids(tokens)
    config = {"auto_map": classes, **TEXT, "vocab_size": len(tokens), "tie_word_embeddings": False, **made, "model_type": model_type}
    write_json(folder / "config.json", config | {"architectures": [classes["AutoModelForCausalLM"].rpartition(".")[2]]})
    write_json(folder / "generation_config.json", {"do_sample": False, **made})
    images = classes["AutoImageProcessor"].rpartition(".")[2]
    write_json(folder / "preprocessor_config.json", {"auto_map": classes, "image_processor_type": images})
    return with_weights(folder)


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
