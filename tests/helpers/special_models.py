"""Tiny untrained models of families that swift cannot load as they are: Florence-2 as transformers has it, GLM-4V-9B and Qwen-VL.

The code of the last two comes with their weights: a stand-in for it (chatglm4v_code, qwen_vl_code) is copied into the model's folder.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_model
from tokenizers import processors
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BartConfig,
    CLIPImageProcessor,
    Florence2Config,
    Florence2ForConditionalGeneration,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.models.florence2 import Florence2Processor
from zoo_parts import ids, tokenizer

LAYERS = {"layers": 2, "attention_heads": 2, "ffn_dim": 128}
SIDE = 64  # px of an image as the Florence stand-in sees it
FLORENCE_IMAGE_TOKENS = 5  # 2 x 2 cells of 32 px, and their mean
GLM_MARKS = ("<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
GLM_MARKS += ("<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_box|>", "<|end_of_box|>")
QWEN_VL_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<ref>", "</ref>", "<box>", "</box>", "<img>", "</img>", "<imgpad>")


def florence_processor() -> Florence2Processor:
    """The family's own processor over one token a byte, with <s>, <pad> and </s> at the ids that its template holds as numbers."""
    marks = ("<s>", "<pad>", "</s>", "<unk>", "<image>", *(f"<loc_{number}>" for number in range(1000)))
    tokens = tokenizer(marks, "</s>", "<pad>", "<s>", {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}, image_token="<image>")
    images = CLIPImageProcessor(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    images.image_seq_length = FLORENCE_IMAGE_TOKENS
    return Florence2Processor(images, tokens)


def make_florence(folder: Path) -> Path:
    """A model of the native class with its processor."""
    processor = florence_processor()
    tokens = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_bos_token_id": 0}
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in LAYERS.items()}
    text = BartConfig(vocab_size=len(processor.tokenizer), d_model=64, max_position_embeddings=1024, init_std=0.2, **sides, **tokens)
    vision = {"depths": (1, 1, 1, 1), "embed_dim": (16, 16, 32, 32), "num_heads": (2, 2, 2, 2), "num_groups": (2, 2, 2, 2)}
    vision |= {"window_size": 4, "projection_dim": 64, "initializer_range": 0.2, "drop_path_rate": 0.0}
    config = Florence2Config(text_config=text.to_dict(), vision_config=vision, image_token_id=processor.image_token_id)
    config.architectures = ["Florence2ForConditionalGeneration"]
    torch.manual_seed(0)
    model = Florence2ForConditionalGeneration(config)
    model.generation_config = GenerationConfig(do_sample=False, **tokens)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def copy_code(name: str, folder: Path) -> None:
    """Put a stand-in's Python files into a model's folder, as a hub has them for the real model."""
    shutil.copytree(Path(__file__).parent / name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def save_tokenizer(tokens: PreTrainedTokenizerFast, folder: Path, own: str) -> dict[str, int]:
    """A tokenizer under the name of a stand-in's class, `module.Class` -> what the configuration says of it."""
    tokens.save_pretrained(folder)
    about = json.loads((folder / "tokenizer_config.json").read_text())
    about |= {"tokenizer_class": own.partition(".")[2], "auto_map": {"AutoTokenizer": [own, None]}}
    write_json(folder / "tokenizer_config.json", about)
    return {"vocab_size": len(tokens), "pad_token_id": tokens.pad_token_id, "eos_token_id": tokens.eos_token_id}


def make_chatglm4v(folder: Path) -> Path:
    """A model of the stand-in code, with that code in its folder, as the hub has it for the real one."""
    copy_code("chatglm4v_code", folder)
    tokens = tokenizer(GLM_MARKS, "<|endoftext|>", "<|endoftext|>")
    start = [(mark, tokens.convert_tokens_to_ids(mark)) for mark in ("[gMASK]", "<sop>")]
    tokens.backend_tokenizer.post_processor = processors.TemplateProcessing(single="[gMASK] <sop> $A", special_tokens=start)
    code = {"AutoConfig": "configuration_chatglm.ChatGLMConfig", "AutoModelForCausalLM": "modeling_chatglm.ChatGLMForConditionalGeneration"}
    config = {
        "model_type": "chatglm",
        "architectures": ["ChatGLMForConditionalGeneration"],
        "auto_map": code,
        "hidden_size": 64,
        "seq_length": 1024,
        **save_tokenizer(tokens, folder, "tokenization_chatglm.ChatGLM4Tokenizer"),
        **ids(tokens, boi_token_id="<|begin_of_image|>", eoi_token_id="<|end_of_image|>"),
    }
    write_json(folder / "config.json", config)
    return with_weights(folder)


def with_weights(folder: Path, auto_class: Any = AutoModelForCausalLM) -> Path:
    """Untrained weights of seed 0 for a model whose code is in its folder."""
    torch.manual_seed(0)
    model = auto_class.from_config(AutoConfig.from_pretrained(folder, trust_remote_code=True), trust_remote_code=True)
    save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
    return folder


def make_qwen_vl(folder: Path, base: bool = False, **config: Any) -> Path:
    """A model of Qwen-VL's stand-in code with its tokenizer, whose first 256 ids are the bytes. `base`: the one that does not chat.
    `config`: values of the configuration other than the usual."""
    copy_code("qwen_vl_code", folder)
    bytes_first = {character: byte for byte, character in bytes_to_unicode().items()}
    tokens = tokenizer(QWEN_VL_MARKS, "<|endoftext|>", "<|endoftext|>", places=bytes_first)
    start = tokens.convert_tokens_to_ids("<img>")
    settings = {
        "model_type": "qwen",
        "architectures": ["QWenLMHeadModel"],
        "auto_map": {"AutoConfig": "configuration_qwen.QWenConfig", "AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel"},
        "visual": {"image_size": 56, "patch_size": 14, "width": 32, "n_queries": 256, "image_start_id": start},
        **save_tokenizer(tokens, folder, "tokenization_qwen.QWenTokenizer"),
    }
    write_json(folder / "config.json", settings | config)
    write_json(folder / "generation_config.json", {"chat_format": "raw" if base else "chatml", "do_sample": False})
    return with_weights(folder)


def special_template(folder: Path, stock: str, suffix: str = "_grounding", **options: Any) -> Any:
    """A template over the processor that swift's loader makes of a folder, in training mode; `suffix` "" for swift's own."""
    from swift.model import get_processor
    from swift.template import get_template

    template = get_template(get_processor(str(folder), model_type=stock), template_type=stock + suffix, **options)
    template.set_mode("train")
    return template
