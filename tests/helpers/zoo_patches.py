"""Tiny models of the families that see a whole image in patches, as large as it is: Qwen-VL from the second on, GLM-V and Gemma 4."""

from __future__ import annotations

from functools import partial
from typing import Any

import transformers as hf
from transformers.models.gemma4 import Gemma4AudioFeatureExtractor, Gemma4ImageProcessor, Gemma4Processor
from transformers.models.gemma4.video_processing_gemma4 import Gemma4VideoProcessor
from transformers.models.glm4v import Glm4vImageProcessor, Glm4vProcessor
from transformers.models.glm46v.video_processing_glm46v import Glm46VVideoProcessor
from transformers.models.qwen2_vl import Qwen2VLImageProcessor, Qwen2VLVideoProcessor
from transformers.models.qwen3_vl import Qwen3VLProcessor, Qwen3VLVideoProcessor
from zoo_parts import GEMMA4_MARKS, GLM_MARKS, TEXT, Parts, ids, parts, qwen_ids, qwen_tokenizer, tokenizer

MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}  # the sections add up to half of a head
HALF_MROPE = {**MROPE, "partial_rotary_factor": 0.5, "mrope_section": [2, 1, 1]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "rope_parameters": HALF_MROPE,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}


def qwen2(name: str, **vision: Any) -> Parts:
    """Qwen2-VL and Qwen2.5-VL: patches of 14."""
    tokens = qwen_tokenizer()
    text = {**TEXT, "rope_parameters": MROPE, "vocab_size": len(tokens)}
    vision = {"depth": 2, "hidden_size": 64, "num_heads": 2, **vision}
    config = getattr(hf, f"{name}Config")(text_config=text, vision_config=vision, **qwen_ids(tokens))
    processor = getattr(hf, f"{name}Processor")(Qwen2VLImageProcessor(), tokens, Qwen2VLVideoProcessor(), chat_template="")
    return parts(name, config, processor)


def qwen3(name: str, text: dict[str, Any], **vision: Any) -> Parts:
    """Qwen3-VL and what came after it: one processor, patches of 16, 8 by 8 positions."""
    tokens = qwen_tokenizer()
    vision = {"depth": 2, "hidden_size": 64, "out_hidden_size": 64, "num_heads": 2, "intermediate_size": 128, "patch_size": 16, **vision}
    config = getattr(hf, f"{name}Config")(
        text_config={**TEXT, "rope_parameters": MROPE, **text, "vocab_size": len(tokens)},
        vision_config={**vision, "num_position_embeddings": 64},
        **qwen_ids(tokens),
    )
    processor = Qwen3VLProcessor(Qwen2VLImageProcessor(patch_size=16), tokens, Qwen3VLVideoProcessor(), chat_template="")
    return parts(name, config, processor)


def glm(name: str, **text: Any) -> Parts:
    tokens = tokenizer(GLM_MARKS, "<|endoftext|>", "<|endoftext|>")
    vision = {"depth": 2, "hidden_size": 64, "out_hidden_size": 64, "num_heads": 2, "intermediate_size": 128, "image_size": 112}
    media = {"image_token_id": "<|image|>", "video_token_id": "<|video|>"}
    edges = {"start": "begin", "end": "end"}
    media |= {f"{medium}_{edge}_token_id": f"<|{mark}_of_{medium}|>" for medium in ("image", "video") for edge, mark in edges.items()}
    text = {**TEXT, "rope_parameters": HALF_MROPE, **text, "vocab_size": len(tokens)}
    config = getattr(hf, f"{name}Config")(text_config=text, vision_config=vision, **ids(tokens, **media))
    return parts(name, config, Glm4vProcessor(Glm4vImageProcessor(), tokens, Glm46VVideoProcessor(), chat_template=""))


GLM_EXPERTS = {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
qwen2_vl = partial(qwen2, "Qwen2VL", embed_dim=64, mlp_ratio=2, patch_size=14)
qwen2_5_vl = partial(qwen2, "Qwen2_5_VL", out_hidden_size=64, intermediate_size=128, fullatt_block_indexes=[1])
qwen3_vl = partial(qwen3, "Qwen3VL", {}, deepstack_visual_indexes=[0])
qwen3_vl_moe = partial(qwen3, "Qwen3VLMoe", EXPERTS, deepstack_visual_indexes=[0])
qwen3_5 = partial(qwen3, "Qwen3_5", LINEAR)
qwen3_5_moe = partial(qwen3, "Qwen3_5Moe", {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 32})
glm4v = partial(glm, "Glm4v")
glm4v_moe = partial(glm, "Glm4vMoe", **GLM_EXPERTS, first_k_dense_replace=1)


def gemma4() -> Parts:
    """Without its audio tower, as the larger ones are."""
    names = {f"{short}_token": f"<|{medium}>" for short, medium in (("boi", "image"), ("boa", "audio"))}
    names |= {f"{short}_token": f"<{medium}|>" for short, medium in (("eoi", "image"), ("eoa", "audio"))}
    names |= {"image_token": "<|image|>", "audio_token": "<|audio|>"}
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4}
    vision |= {"head_dim": 16, "position_embedding_size": 64}
    tokens = tokenizer((*GEMMA4_MARKS, "<|video|>", *names.values()), "<eos>", "<pad>", "<bos>", **names)
    config = hf.Gemma4Config(
        text_config={
            **TEXT,
            "vocab_size": len(tokens),
            "vocab_size_per_layer_input": len(tokens),
            "hidden_size_per_layer_input": 8,
            "global_head_dim": 16,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        vision_config=vision,
        audio_config=None,
        **ids(tokens, image_token_id="<|image|>", video_token_id="<|video|>", audio_token_id="<|audio|>"),
        **ids(tokens, boi_token_id="<|image>", eoi_token_id="<image|>", boa_token_id="<|audio>", eoa_token_index="<audio|>"),
    )
    processor = Gemma4Processor(Gemma4AudioFeatureExtractor(), Gemma4ImageProcessor(), tokens, Gemma4VideoProcessor(), chat_template="")
    return parts("Gemma4", config, processor)
