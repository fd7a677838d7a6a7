"""Tiny models of families of 2025 and 2026: Qwen's omni models without their voices, PaddleOCR-VL, HunyuanOCR."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import transformers as hf
from transformers.models.hunyuan_vl import HunYuanVLImageProcessor, HunYuanVLProcessor
from transformers.models.paddleocr_vl import PaddleOCRVLImageProcessor, PaddleOCRVLProcessor
from transformers.models.qwen2_5_omni import Qwen2_5OmniProcessor
from transformers.models.qwen2_vl import Qwen2VLImageProcessor, Qwen2VLVideoProcessor
from transformers.models.qwen3_omni_moe import Qwen3OmniMoeProcessor
from zoo_parts import PADDLE_MARKS, QWEN_MARKS, TEXT, Parts, ids, parts, tokenizer
from zoo_patches import EXPERTS, MROPE

AUDIO = {"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "d_model": 32, "num_mel_bins": 128, "output_dim": 64}
HUNYUAN_MARKS = tuple(f"<｜hy_{name}｜>" for name in ("begin▁of▁sentence", "end▁of▁sentence", "▁pad▁", "User", "Assistant"))
HUNYUAN_MARKS += tuple(f"<｜hy_place▁holder▁no▁{number}｜>" for number in (3, 8, 100, 101, 102, 103))


def omni_names(image: str, video: str, audio: str, vision: tuple[str, str], sound: tuple[str, str]) -> dict[str, str]:
    """Marks that a processor of an omni model asks its tokenizer for."""
    names = {"image_token": image, "video_token": video, "audio_token": audio}
    names |= {"vision_bos_token": vision[0], "vision_eos_token": vision[1]}
    return names | {"audio_bos_token": sound[0], "audio_eos_token": sound[1]}


def qwen2_5_omni() -> Parts:
    """The thinker alone, as it is trained; patches of 14."""
    names = omni_names("<|IMAGE|>", "<|VIDEO|>", "<|AUDIO|>", ("<|vision_bos|>", "<|vision_eos|>"), ("<|audio_bos|>", "<|audio_eos|>"))
    tokens = tokenizer((*QWEN_MARKS, *names.values()), "<|im_end|>", "<|endoftext|>", **names)
    media = ids(tokens, audio_token_index="<|AUDIO|>", image_token_index="<|IMAGE|>", video_token_index="<|VIDEO|>")
    text = {name: value for name, value in TEXT.items() if name != "head_dim"}
    vision = {"depth": 2, "hidden_size": 64, "num_heads": 2, "out_hidden_size": 64, "intermediate_size": 128, "fullatt_block_indexes": [1]}
    thinker = {
        "text_config": {**text, "rope_parameters": MROPE, "vocab_size": len(tokens)},
        "vision_config": vision,
        "audio_config": AUDIO,
        **media,
        **ids(tokens, audio_start_token_id="<|audio_bos|>", audio_end_token_id="<|audio_eos|>", vision_start_token_id="<|vision_bos|>"),
    }
    config = hf.Qwen2_5OmniConfig(thinker_config=thinker, enable_audio_output=False)
    sound = hf.WhisperFeatureExtractor(feature_size=128)
    processor = Qwen2_5OmniProcessor(Qwen2VLImageProcessor(), Qwen2VLVideoProcessor(), sound, tokens, chat_template="")
    return replace(parts("Qwen2_5Omni", config, processor), add_files=lambda folder: torch.save({}, folder / "spk_dict.pt"))


def qwen3_omni() -> Parts:
    """The thinker of experts alone; patches of 16."""
    marks = ("<|audio_start|>", "<|audio_end|>", "<|audio_pad|>")
    names = omni_names(
        "<|image_pad|>", "<|video_pad|>", "<|audio_pad|>", ("<|vision_start|>", "<|vision_end|>"), ("<|audio_start|>", "<|audio_end|>")
    )
    tokens = tokenizer((*QWEN_MARKS, *marks), "<|im_end|>", "<|endoftext|>", **names)
    media = ids(tokens, audio_token_id="<|audio_pad|>", image_token_id="<|image_pad|>", video_token_id="<|video_pad|>")
    vision = {"depth": 2, "hidden_size": 64, "num_heads": 2, "out_hidden_size": 64, "intermediate_size": 128, "patch_size": 16}
    thinker = {
        "text_config": {**TEXT, **EXPERTS, "rope_parameters": MROPE, "vocab_size": len(tokens)},
        "vision_config": {**vision, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        "audio_config": {**AUDIO, "downsample_hidden_size": 16},
        **media,
        **ids(tokens, audio_start_token_id="<|audio_start|>", vision_start_token_id="<|vision_start|>"),
    }
    config = hf.Qwen3OmniMoeConfig(thinker_config=thinker, enable_audio_output=False, **ids(tokens, im_end_token_id="<|im_end|>"))
    sound = hf.WhisperFeatureExtractor(feature_size=128)
    images = Qwen2VLImageProcessor(patch_size=16)
    processor = Qwen3OmniMoeProcessor(images, Qwen2VLVideoProcessor(patch_size=16), sound, tokens, chat_template="")
    return parts("Qwen3OmniMoe", config, processor)


def paddleocr_vl() -> Parts:
    """With the tokens of its corners."""
    names = {"image_token": "<|IMAGE_PLACEHOLDER|>"}
    tokens = tokenizer(PADDLE_MARKS, "</s>", "<unk>", "<s>", **names)
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 112}
    config = hf.PaddleOCRVLConfig(
        text_config={**TEXT, "rope_parameters": MROPE, "vocab_size": len(tokens)},
        vision_config=vision,
        **ids(tokens, image_token_id="<|IMAGE_PLACEHOLDER|>", video_token_id="<|video_pad|>"),
        **ids(tokens, vision_start_token_id="<|IMAGE_START|>", vision_end_token_id="<|IMAGE_END|>"),
    )
    return parts("PaddleOCRVL", config, PaddleOCRVLProcessor(PaddleOCRVLImageProcessor(), tokens, chat_template=""))


def hunyuan_ocr() -> Parts:
    marks: dict[str, Any] = {"image_start_token": 100, "image_end_token": 101, "image_token": 102}
    names = {name: f"<｜hy_place▁holder▁no▁{number}｜>" for name, number in marks.items()}
    tokens = tokenizer(HUNYUAN_MARKS, "<｜hy_Assistant｜>", "<｜hy_▁pad▁｜>", "<｜hy_begin▁of▁sentence｜>", **names)
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2, 2]}
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "out_hidden_size": 64}
    config = hf.HunYuanVLConfig(
        text_config={**TEXT, "rope_parameters": rope, "vocab_size": len(tokens), "pad_token_id": tokens.pad_token_id},
        vision_config={**vision, "text_hidden_size": 64},
        **ids(tokens, image_token_id=names["image_token"], im_start_id=names["image_start_token"], im_end_id=names["image_end_token"]),
        **ids(tokens, im_newline_id="<｜hy_place▁holder▁no▁103｜>"),
    )
    return parts("HunYuanVL", config, HunYuanVLProcessor(HunYuanVLImageProcessor(), tokens, chat_template=""))
