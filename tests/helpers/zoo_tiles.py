"""Tiny models of the families that see an image in tiles of one size: LLaVA, InternVL, PaliGemma, Gemma, Idefics.

The real tiles have 224 to 448 px a side; these have 56, and the rest of each processor is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers as hf
from transformers.models.gemma3 import Gemma3Processor
from transformers.models.idefics3 import Idefics3Processor
from transformers.models.internvl import InternVLProcessor
from transformers.models.llava_onevision import LlavaOnevisionProcessor
from transformers.models.smolvlm import processing_smolvlm
from zoo_parts import GEMMA_MARKS, IDEFICS_MARKS, LLAMA_MARKS, QWEN_MARKS, TEXT, Parts, ids, parts, tokenizer

SIDE, PATCH = 56, 14  # of a tile and its patches, px
TILE_VISION = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "patch_size": PATCH}
PINPOINTS = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE], [3 * SIDE, SIDE], [SIDE, 3 * SIDE]]  # (height, width)
SPLIT = {"size": {"longest_edge": 4 * SIDE}, "max_image_size": {"longest_edge": SIDE}}


def llava(text_type: str, name: str, images: str, **pinpoints: Any) -> Parts:
    """LLaVA over CLIP; `images`: its image processor, `pinpoints`: the grid of the version that has one."""
    tokens = tokenizer(LLAMA_MARKS, "</s>", "<pad>", "<s>")
    vision = {**TILE_VISION, "model_type": "clip_vision_model", "image_size": SIDE, "projection_dim": 64}
    text = {**TEXT, "model_type": text_type, "vocab_size": len(tokens)}
    ends = ids(tokens, image_token_index="<image>")
    config = getattr(hf, f"{name}Config")(vision_config=vision, text_config=text, **pinpoints, **ends)
    seen = getattr(hf, images)(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, **pinpoints)
    own = {"patch_size": PATCH, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return parts(name, config, getattr(hf, f"{name}Processor")(seen, tokens, **own))


llava1_5 = partial(llava, "llama", "Llava", "CLIPImageProcessor")
llava1_6 = partial(llava, "mistral", "LlavaNext", "LlavaNextImageProcessor", image_grid_pinpoints=PINPOINTS)


def llava_onevision() -> Parts:
    tokens = tokenizer((*QWEN_MARKS, "<image>", "<video>"), "<|im_end|>", "<|endoftext|>")
    vision = {**TILE_VISION, "model_type": "siglip_vision_model", "image_size": SIDE, "vision_use_head": False}
    pinpoints = [[SIDE * rows, SIDE * columns] for rows in range(1, 4) for columns in range(1, 4)]
    config = hf.LlavaOnevisionConfig(
        vision_config=vision,
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokens)},
        image_grid_pinpoints=pinpoints,
        **ids(tokens, image_token_index="<image>", video_token_index="<video>"),
    )
    processor = LlavaOnevisionProcessor(
        hf.LlavaOnevisionImageProcessor(size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=pinpoints),
        tokens,
        hf.LlavaOnevisionVideoProcessor(),
        num_image_tokens=(SIDE // PATCH) ** 2,
        vision_feature_select_strategy="full",
    )
    return parts("LlavaOnevision", config, processor)


def internvl() -> Parts:
    names = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}
    marks = (*QWEN_MARKS, *names.values(), "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>")
    tokens = tokenizer(marks, "<|im_end|>", "<|endoftext|>", **names)
    length = (SIDE // PATCH // 2) ** 2
    config = hf.InternVLConfig(
        vision_config={**TILE_VISION, "image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokens)},
        image_seq_length=length,
        **ids(tokens, image_token_id="<IMG_CONTEXT>"),
    )
    images = hf.GotOcr2ImageProcessor(size={"height": SIDE, "width": SIDE}, crop_to_patches=True)
    videos = hf.InternVLVideoProcessor()
    return parts("InternVL", config, InternVLProcessor(images, tokens, videos, image_seq_length=length, chat_template=""))


def paligemma(text_type: str = "gemma") -> Parts:
    tokens = tokenizer((*GEMMA_MARKS, "<image>"), "<eos>", "<pad>", "<bos>", image_token="<image>")
    images = hf.SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
    images.image_seq_length = (SIDE // PATCH) ** 2
    processor = hf.PaliGemmaProcessor(images, tokens)  # adds <loc0000> to <loc1023> and <seg000> to <seg127>
    text = {**TEXT, "model_type": text_type, "vocab_size": len(tokens)}
    vision = {**TILE_VISION, "model_type": "siglip_vision_model", "image_size": SIDE, "vision_use_head": False}
    config = hf.PaliGemmaConfig(
        vision_config=vision, text_config=text, projection_dim=64, hidden_size=64, **ids(tokens, image_token_index="<image>")
    )
    return parts("PaliGemma", config, processor)


paligemma2 = partial(paligemma, "gemma2")


def gemma3() -> Parts:
    names = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokens = tokenizer((*GEMMA_MARKS, *names.values()), "<eos>", "<pad>", "<bos>", **names)
    length = (SIDE // PATCH // 2) ** 2
    config = hf.Gemma3Config(
        text_config={**TEXT, "vocab_size": len(tokens), "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]},
        vision_config={**TILE_VISION, "image_size": SIDE, "vision_use_head": False},
        mm_tokens_per_image=length,
        **ids(tokens, image_token_index="<image_soft_token>", boi_token_index="<start_of_image>", eoi_token_index="<end_of_image>"),
    )

    def see(model: Any) -> None:
        """The projection of the image is zero in an untrained model, which would not see it."""
        torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.1)

    images = hf.Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE})
    processor = Gemma3Processor(images, tokens, image_seq_length=length, chat_template="")
    return parts("Gemma3", config, processor, see)


def idefics(name: str, make_processor: Callable[..., Any]) -> Parts:
    tokens = tokenizer(IDEFICS_MARKS, "<end_of_utterance>", "<|end_of_text|>", "<|begin_of_text|>")
    config = getattr(hf, f"{name}Config")(
        vision_config={**TILE_VISION, "image_size": SIDE},
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokens)},
        pad_token_id=tokens.pad_token_id,
        **ids(tokens, image_token_id="<image>"),
    )
    return parts(name, config, make_processor(tokens, image_seq_len=(SIDE // PATCH // 2) ** 2))


def idefics3() -> Parts:
    return idefics("Idefics3", partial(Idefics3Processor, hf.Idefics3ImageProcessor(**SPLIT), chat_template=""))


def smolvlm() -> Parts:
    processing_smolvlm.num2words = processing_smolvlm.num2words or str  # a package that spells the numbers of video frames
    images, videos = hf.SmolVLMImageProcessor(**SPLIT), hf.SmolVLMVideoProcessor()
    return idefics("SmolVLM", partial(hf.SmolVLMProcessor, images, video_processor=videos, chat_template=""))
