"""What single templates need beyond box text: base models, Florence-2, Idefics3, and templates that take one image or one turn.

Each class goes between the grounding mixin and swift's own template, and overrides only what swift offers for it.
Observed with ms-swift 4.6.0; tests lean on each, so that an upgrade which changes them fails loudly.
"""

from __future__ import annotations

import re
from copy import copy
from pathlib import Path
from typing import Any

import torch
from swift.template import Template, TemplateMeta
from swift.template.register import TEMPLATE_MAPPING
from swift.template.utils import findall
from swift.utils import get_logger

from groundswift.errors import GroundswiftError, error_at
from groundswift.model_folder import read_settings

IMAGE = "<image>"
BASE_OF_QWEN_VL = (
    "this Qwen-VL is the base model, which was not trained on <|im_start|> and <|im_end|>. Use --template qwen_vl_base_grounding, "
    "or train the embedding and output layer too: --modules_to_save wte lm_head"
)


class SingleImage:
    """swift uses the first image of a row and fails on the others, or gives them to other rows."""

    def _preprocess_inputs(self, inputs: Any) -> None:
        if len(inputs.images or []) > 1:
            name = self.template_meta.template_type
            raise GroundswiftError(f"{len(inputs.images)} images; template {name} takes one image per row, as its model does")
        super()._preprocess_inputs(inputs)


class AdjacentImages:
    """swift replaces all from the first image to the last by one run of image tokens: text between them would be lost silently."""

    def _preprocess_inputs(self, inputs: Any) -> None:
        pieces = "\n".join(message["content"] or "" for message in inputs.messages).split(IMAGE)
        if len(inputs.images or []) > 1 and any(piece.strip() for piece in pieces[1:-1]):
            name = self.template_meta.template_type
            raise GroundswiftError(f"text between the images of a row; template {name} takes them next to each other: {IMAGE}{IMAGE}")
        super()._preprocess_inputs(inputs)


class WarnsOfBaseModel:
    """Qwen-VL's chat template over its base model uses tokens that were never trained: warns of it, with the remedy."""

    def set_mode(self, mode: str) -> None:
        super().set_mode(mode)
        if mode == "train" and is_base_qwen_vl(self.model_info.model_dir, getattr(self.model_info, "model_name", "")):
            get_logger().warning_once(BASE_OF_QWEN_VL)


class Florence(SingleImage):
    """Florence-2 with the answer as the model wrote it, instead of swift's JSON in rounded pixels."""

    def _encode(self, inputs: Any) -> dict[str, Any]:
        for message in inputs.messages:
            if message["role"] == "user":  # a task such as <OD> must be alone; the image has a fixed place
                message["content"] = message["content"].replace(IMAGE, "").strip()
        return super()._encode(inputs)

    def get_generate_ids(self, generate_ids: Any, num_prompt_tokens: int) -> Any:
        """Without the token that starts the decoder, which swift would give the first token's probability; <s> becomes padding."""
        generated = torch.as_tensor(generate_ids)[..., 1:].clone()
        first = generated[..., :1]
        first[first == self.tokenizer.bos_token_id] = self.tokenizer.pad_token_id
        return generated

    def decode_generate_ids(self, generate_ids: list[int], **kwargs: Any) -> str:
        return Template.decode_generate_ids(self, generate_ids, **kwargs)


class TransformersFlorence(Florence):
    """The same for the class in transformers: image tokens are in the question, and the model fills them."""

    def _encode(self, inputs: Any) -> dict[str, Any]:
        encoded = super()._encode(inputs)
        if encoded.get("pixel_values") is not None:
            encoded["input_ids"] = [self.processor.image_token_id] * self.processor.num_image_tokens + encoded["input_ids"]
        return encoded

    def _post_encode(self, model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs


class ImageMaskOfTokens:
    """DeepSeek-VL2's processor pads the mask of image tokens on the left, and swift pads a training batch on the right: in rows that are
    shorter than the longest, image features would be written over text. The mask of the batch follows its tokens instead."""

    def _data_collator(self, batch: list[dict[str, Any]], **kwargs: Any) -> dict[str, Any]:
        collated = super()._data_collator(batch, **kwargs)
        if "images_seq_mask" in collated:
            collated["images_seq_mask"] = collated["input_ids"] == self.processor.image_token_id
        return collated


class FinalChannel:
    """InternVL over GPT-OSS writes the name of a channel before its answer: no part of the answer, nor are its probabilities."""

    HEAD = "<|channel|>final<|message|>"

    def get_generate_ids(self, generate_ids: Any, num_prompt_tokens: int) -> Any:
        generated = torch.as_tensor(super().get_generate_ids(generate_ids, num_prompt_tokens)).clone()
        head = torch.tensor(self._tokenize(self.HEAD), device=generated.device)
        if generated.shape[-1] >= len(head):
            named = (generated[..., : len(head)] == head).all(-1)
            generated[..., : len(head)][named] = self.tokenizer.pad_token_id
        return generated

    def decode_generate_ids(self, generate_ids: list[int], **kwargs: Any) -> str:
        return super().decode_generate_ids(generate_ids, **kwargs).removeprefix(self.HEAD)


class AllImageTokens:
    """Idefics3 and SmolVLM: each image becomes all the tokens that the processor gives it.

    swift finds the end of an image by the token that follows it, which may also occur inside the image: before a line break it keeps the
    first row of tiles only, before a second image one token. It also searches for the image token by the id of one tokenizer.
    """

    def _encode(self, inputs: Any) -> dict[str, Any]:
        encoded = Template._encode(self, inputs)
        if not inputs.images:
            return encoded
        processor = self.processor
        end = processor.end_of_utterance_token  # not among the tokens of an image
        processed = processor(
            text=f"{processor.image_token}{end}" * len(inputs.images), images=inputs.images, return_tensors="pt", add_special_tokens=False
        )
        pieces = self._split_list(processed["input_ids"][0].tolist(), self.tokenizer.convert_tokens_to_ids(end))
        places = findall(encoded["input_ids"], processor.image_token_id)
        encoded["input_ids"], encoded["labels"], encoded["loss_scale"] = self._extend_tokens(
            encoded["input_ids"], encoded["labels"], encoded.get("loss_scale"), places, lambda index: pieces[index]
        )
        encoded["pixel_values"] = processed["pixel_values"]
        return encoded


class OmniMarks:
    """Qwen2.5-Omni has marks of its own, where swift's class keeps the id of an image token of Qwen2-VL."""

    @property
    def image_token_id(self) -> int:
        return self.tokenizer.convert_tokens_to_ids(self.processor.image_token)


class ImagesByModel:
    """The model itself puts images into the text and counts positions, as transformers 5.19 has it. swift does by code for an earlier
    version: PaddleOCR-VL ends with `'tuple' object has no attribute 'to'` in training, and lacks `mm_token_type_ids` at inference."""

    def _encode(self, inputs: Any) -> dict[str, Any]:
        encoded = super()._encode(inputs)
        encoded["mm_token_type_ids"] = torch.tensor([int(token == self.image_token_id) for token in encoded["input_ids"]])
        return encoded

    def _post_encode(self, model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs


class HunyuanImages:
    """HunyuanOCR as transformers has it. swift's own is for the model's code before that: it asks the processor for `pad_id` and the model
    for `vit`, and gives positions in another order of axes, all of which fail under transformers 5. It also leaves the marks around an
    image out, which the processor insists on."""

    def replace_tag(self, media_type: str, index: int, inputs: Any) -> list[Any]:
        if media_type == "image" and self.mode != "vllm":
            return [self.processor.image_start_token, [-100], self.processor.image_end_token]
        return super().replace_tag(media_type, index, inputs)

    def _encode(self, inputs: Any) -> dict[str, Any]:
        encoded = Template._encode(self, inputs)
        if not inputs.images:
            return encoded
        processed = self.processor.image_processor(images=inputs.images, return_tensors="pt")
        merge = self.processor.image_processor.merge_size
        grids = [(high // merge, wide // merge) for _, high, wide in processed["image_grid_thw"].tolist()]
        ids, labels, scales = self._extend_tokens(
            encoded["input_ids"],
            encoded["labels"],
            encoded.get("loss_scale"),
            findall(encoded["input_ids"], -100),
            lambda index: [self.image_token_id] * (grids[index][0] * (grids[index][1] + 1) + 2),  # a newline a row, and both ends
        )
        return encoded | {"input_ids": ids, "labels": labels, "loss_scale": scales, **processed}


class OneLimitOfRow:
    """A row's own `max_pixels` limits the model input alone, as with Qwen. swift's own would also apply it to the image before, by the
    rule of --max_pixels, and the model input would have another size."""

    def _get_max_pixels(self, inputs: Any = None) -> int | None:
        return self.max_pixels


class DotsImages(OneLimitOfRow):
    """dots.ocr with the limits of a row, with text alone, and under transformers 5. swift's own resizes every image by the limits of the
    process, and asks the image processor for `videos`, which that of transformers 5 refuses, and for images where a row has none."""

    def replace_tag(self, media_type: str, index: int, inputs: Any) -> list[Any]:
        from qwen_vl_utils import fetch_image

        inputs.images[index] = fetch_image({"image": inputs.images[index], **inputs.chat_template_kwargs})
        return ["<|img|>", [-100] if self.mode == "lmdeploy" else "<|imgpad|>", "<|endofimg|>"]

    def _encode(self, inputs: Any) -> dict[str, Any]:
        encoded = Template._encode(self, inputs)
        if not inputs.images:
            return encoded
        processor = self.processor.image_processor
        processed = processor(images=inputs.images, return_tensors="pt", do_resize=False)
        counts = (processed["image_grid_thw"].prod(-1) // processor.merge_size**2).tolist()
        ids, labels, scales = self._extend_tokens(
            encoded["input_ids"],
            encoded["labels"],
            encoded.get("loss_scale"),
            findall(encoded["input_ids"], self.image_token_id),
            lambda index: [self.image_token_id] * counts[index],
        )
        return encoded | {"input_ids": ids, "labels": labels, "loss_scale": scales, **processed}


SPECIAL: dict[str, tuple[type, ...]] = {  # swift's template, or one of BASE_OF -> classes before its own
    "qwen_vl": (WarnsOfBaseModel,),
    "chatglm4v": (SingleImage,),
    "deepseek_vl2": (ImageMaskOfTokens,),
    "cogvlm": (SingleImage,),
    "cogvlm2": (SingleImage,),
    "internvl": (AdjacentImages,),
    "internvl_phi3": (AdjacentImages,),
    "idefics3": (AllImageTokens,),
    "internvl3_5_gpt": (FinalChannel,),
    "qwen2_5_omni": (OmniMarks,),
    "dots_ocr": (DotsImages,),
    "mimo_v2": (OneLimitOfRow,),
    "hunyuan_ocr": (ImagesByModel, HunyuanImages),
    "paddle_ocr_1_5": (ImagesByModel,),
    "florence": (Florence,),
    "florence2": (TransformersFlorence,),
}
BASE_OF = {"qwen_vl_base": "qwen_vl", "florence2": "florence"}  # templates that swift does not have, and the one they are made from


def is_base_qwen_vl(model_dir: str, model_name: str) -> bool:
    """Whether a Qwen-VL is the base model: by `chat_format` in generation_config.json, without it by its name."""
    chat_format = (read_settings(Path(model_dir, "generation_config.json")) or {}).get("chat_format")
    if chat_format is None:
        return re.fullmatch(r"qwen[-_]vl(-base)?", model_name.lower()) is not None
    return chat_format != "chatml"


def stock_meta(stock: str, family: str) -> TemplateMeta:
    """A copy of swift's description of a template of a family, or one made for a template that swift does not have.

    Raises GroundswiftError where there is neither.
    """
    if stock in TEMPLATE_MAPPING:
        return copy(TEMPLATE_MAPPING[stock])
    if stock not in BASE_OF:
        raise error_at(f"family {family}", f"swift has no template {stock!r}", "names of swift's own templates in swift_templates")
    made = copy(TEMPLATE_MAPPING[BASE_OF[stock]])
    if stock == "qwen_vl_base":  # question and answer with nothing around them; what ends a text in pre-training ends the answer
        return TemplateMeta(
            stock, prefix=[], prompt=["{{QUERY}}\n"], chat_sep=["\n"], suffix=["<|endoftext|>"], template_cls=made.template_cls
        )
    return made
