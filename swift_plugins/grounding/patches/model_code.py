"""Models and stock templates whose code does not fit the installed swift, transformers or tokenizer. Observed with ms-swift 4.6.0.

* Some remote code writes image features in place into the token embeddings, as that of Qwen-VL and Qwen-VL-Chat. With gradient
  checkpointing or LoRA, transformers makes the embeddings a leaf that requires a gradient, and torch then refuses to write into a view of
  them: `a view of a leaf Variable that requires grad is being used in an in-place operation`. swift copies the output of
  `transformer.drop` for its model type qwen_vl where its probability is 0; any other model and any other loader has the error.
* Code from before transformers 4.50 has models that no longer inherit generation. MiniCPM-V generates with the language model inside it:
  without these patches peft refuses it, and a merged folder of it cannot infer.
* Encoder-decoder models under `use_logits_to_keep`: swift shifts labels by one, as a decoder alone needs it, and a batch of one row fails.
* Gemma 4 with images under transformers 5.19: swift replaces the model's forward by one written for transformers 5.6, which takes the
  features of all images as one tensor. transformers now returns a tensor for each image, and training ends with `'tuple' object has no
  attribute 'to'`. Videos have another difference (`num_frames_per_video`) and are not covered.
* dots.ocr and MiMo-V2.5 are resized by qwen-vl-utils as Qwen is, but swift sets its limits from the environment (MIN_PIXELS, MAX_PIXELS,
  IMAGE_MIN_TOKEN_NUM, IMAGE_MAX_TOKEN_NUM) for Qwen alone: for these the environment would have no effect.
* Stock templates hold ids of media tokens as numbers, those of the official tokenizer. The names are the same in every tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from swift.model.models.gemma import Gemma4Loader, Gemma4UnifiedLoader
from swift.model.models.mllm import DotsOCRLoader, MimoV2Loader
from swift.model.models.qwen import compat_qwen_vl_utils, patch_qwen_vl_utils
from swift.model.register import ModelLoader
from swift.template.templates.baidu import PaddleOCRTemplate
from swift.template.templates.dots import DotsOCRTemplate
from swift.template.templates.gemma import Gemma3VisionTemplate
from swift.template.templates.glm import GLM4VTemplate
from swift.template.templates.mimo import MiMoV2Template
from swift.template.templates.qwen import Qwen2VLTemplate, Qwen3_5Template
from swift.template.templates.tencent import HunYuanVLTemplate
from swift.trainers.mixin import SwiftMixin
from swift.utils import get_logger
from torch import nn
from transformers import PreTrainedModel

from .wrap_once import on_load, patch

QWEN_TOKENS = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
MEDIA_TOKENS = {  # template -> {attribute that holds an id: the token with that id in the official tokenizer}
    Qwen2VLTemplate: QWEN_TOKENS,
    Qwen3_5Template: QWEN_TOKENS,
    GLM4VTemplate: {f"{edge}_of_{medium}_token": f"<|{edge}_of_{medium}|>" for edge in ("begin", "end") for medium in ("image", "video")},
    Gemma3VisionTemplate: {"boi_token_id": "<start_of_image>"},
    PaddleOCRTemplate: {"image_token_id": "<|IMAGE_PLACEHOLDER|>"},
    HunYuanVLTemplate: {"image_token_id": "<｜hy_place▁holder▁no▁102｜>"},
    DotsOCRTemplate: {"image_token_id": "<|imgpad|>"},
    MiMoV2Template: QWEN_TOKENS | {"audio_token_id": "<|audio_pad|>"},
}
HOOKS = "groundswift_writable_embeddings"  # attribute of a model: the handles of its hooks


@patch("enable_input_require_grads", PreTrainedModel)
def copy_leaf_embeddings(enable: Callable[..., None], self: PreTrainedModel) -> None:
    """Give remote code a copy of the embeddings that it may write into. Gradients pass through the copy."""
    enable(self)
    for earlier in getattr(self, HOOKS, ()):
        earlier.remove()  # hooks run in the order of their registration, and these have to be the last
    has_own_code = type(self).__module__.partition(".")[0] != "transformers"
    embeddings = embeddings_of(self) if has_own_code else []
    setattr(self, HOOKS, [module.register_forward_hook(copy_of_leaf) for module in embeddings])


def embeddings_of(model: PreTrainedModel) -> list[nn.Module]:
    """The input embeddings of a model and of the models in it, each once: those whose output transformers makes a leaf."""
    found: dict[int, nn.Module] = {}
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            try:
                embeddings = module.get_input_embeddings()
            except NotImplementedError:
                continue
            if isinstance(embeddings, nn.Module):
                found[id(embeddings)] = embeddings
    return list(found.values())


def copy_of_leaf(module: nn.Module, given: Any, output: Any) -> Any:
    """A forward hook: a copy of an output that torch refuses to be written into; any other output unchanged."""
    return output.clone() if isinstance(output, torch.Tensor) and output.is_leaf and output.requires_grad else output


@patch("_postprocess_model", ModelLoader)
def add_generation_attributes(postprocess: Callable[..., None], self: Any, model_dir: str, model: Any) -> None:
    """Give each loaded model the two attributes that peft and swift's engine read of any model."""
    postprocess(self, model_dir, model)
    copy_leaf_embeddings()  # swift's loaders of InternVL and Intern-S1 put a method of their own in its place, for every later model
    if not hasattr(model, "prepare_inputs_for_generation"):
        model.prepare_inputs_for_generation = None  # peft keeps it and never calls it: generation is that of the model inside
    if getattr(model, "generation_config", None) is None:
        model.generation_config = inner_generation_config(model)


def inner_generation_config(model: Any) -> Any:
    """The generation config of the first module inside that has one; None without any (a model that does not generate)."""
    configs = (getattr(module, "generation_config", None) for module in getattr(model, "modules", list)())
    return next((config for config in configs if config is not None), None)


def save_generation_config(model: Any, folder: Path) -> None:
    """Write generation_config.json of a saved model where transformers did not, as the model itself does not generate."""
    config = getattr(model, "generation_config", None)
    if config is not None and not (folder / "generation_config.json").exists():
        config.save_pretrained(folder)


@patch("get_use_logits_to_keep", SwiftMixin)
def keep_all_logits_of_encoder_decoders(earlier: Callable[..., bool], self: Any, default_value: bool = True) -> bool:
    """Compute all logits of a model with an encoder."""
    if self.template.is_encoder_decoder:
        get_logger().info_once("use_logits_to_keep: False, as the model has an encoder")
        return False
    return earlier(self, default_value)


@patch("get_model", Gemma4Loader, Gemma4UnifiedLoader)
def join_gemma4_images(get_model: Callable[..., Any], self: Any, *given: Any, **more: Any) -> Any:
    """Let the model that swift loads return the features of all images as the one tensor that swift's forward takes."""
    model = get_model(self, *given, **more)
    features = model.model.get_image_features

    def get_image_features(_: Any, *given: Any, **more: Any) -> Any:
        output = features(*given, **more)
        if isinstance(output.pooler_output, tuple):
            output.pooler_output = torch.cat(output.pooler_output)
        return output

    model.model.get_image_features = MethodType(get_image_features, model.model)
    return model


@patch("get_processor", DotsOCRLoader, MimoV2Loader)
def heed_pixel_limits(get_processor: Callable[..., Any], self: Any, *given: Any, **more: Any) -> Any:
    """Set the limits of qwen-vl-utils from the environment, once a process, as swift's loaders of Qwen do."""
    from qwen_vl_utils import vision_process

    processor = get_processor(self, *given, **more)
    compat_qwen_vl_utils(processor.image_processor.patch_size)
    processor.global_vars = patch_qwen_vl_utils(vision_process)  # part of a template's fingerprint
    return processor


@on_load
def look_up_media_tokens() -> None:
    """Take the ids of media tokens from each template's own tokenizer."""
    for template_cls, names in MEDIA_TOKENS.items():
        for attribute, token in names.items():
            official = vars(template_cls).get(attribute)
            if isinstance(official, int):
                setattr(template_cls, attribute, by_name(token, official))


def by_name(token: str, official: int) -> property:
    """The id of a token in a template's own tokenizer; the official one where the tokenizer does not know the name."""

    def own_id(self: Any) -> int:
        found = self.tokenizer.convert_tokens_to_ids(token)
        return official if found is None or found == self.tokenizer.unk_token_id else found

    return property(own_id)
