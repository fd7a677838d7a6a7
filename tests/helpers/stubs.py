"""Stand-ins for the processors of families whose code is with their weights, so that swift's real templates run over them.

A stub has what a template asks for and nothing else: prompt, marks, labels, box text and the image tokens that the template itself
inserts are swift's. The model, its weights and the pixels of its own preprocessing are not tested by it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import BatchFeature, PreTrainedTokenizerFast
from zoo_parts import QWEN_MARKS, tokenizer

from groundswift import resized_wh
from groundswift.family import FAMILIES
from groundswift.image_resize import fitted_wh

CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
PHI = ("<s>", "</s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|image|>")
PHI3_IMAGE = 32044  # the id of <|image|>, which swift's template of Phi-3-vision holds as a number
NEWLINE = 198  # the id at which swift's template of Phi-4-multimodal parts the processor's tokens
REF_BOX = ("<ref>", "</ref>", "<box>", "</box>")
MINICPM = (*CHATML, *REF_BOX, "<unk>", "<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>", "<think>", "</think>")
DOTS = ("<|endoftext|>", "<|user|>", "<|endofuser|>", "<|assistant|>", "<|endofassistant|>", "<|system|>", "<|endofsystem|>")
DOTS += ("<|img|>", "<|imgpad|>", "<|endofimg|>")
MIMO = (*QWEN_MARKS, "<|audio_pad|>")
MOLMO2 = (*CHATML, "<|image|>", "<|video|>", "<im_patch>", "<im_start>", "<im_end>", "<frame_start>", "<frame_end>")
IMAGE_TOKENS = 7  # of one image, where a stub decides how many


class StubProcessor:
    """A tokenizer with a processor's face: what is not its own it takes from the tokenizer, as swift lets real processors do."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, **own: Any) -> None:
        self.tokenizer = tokenizer
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "tokenizer":
            raise AttributeError(name)
        return getattr(self.tokenizer, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.called(self, *args, **kwargs)


INTERNVL = (*REF_BOX, "<img>", "</img>", "<IMG_CONTEXT>")
GPT_OSS = ("<|endoftext|>", "<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>")
qwen_vl = partial(tokenizer, (*CHATML, *REF_BOX, "<img>", "</img>"), "<|endoftext|>", "<|endoftext|>")
internvl = partial(tokenizer, (*CHATML, *INTERNVL), "<|im_end|>", "<|endoftext|>")
internvl_phi3 = partial(tokenizer, (*PHI, *INTERNVL), "<|end|>", "<|endoftext|>", "<s>")
internvl_gpt = partial(tokenizer, (*GPT_OSS, *INTERNVL), "<|return|>", "<|endoftext|>")
cogvlm = partial(tokenizer, ("<unk>", "<s>", "</s>", "<|reserved_special_token_0|>"), "</s>", "<unk>", "<s>")


def phi3_vision() -> Any:
    def image_processor(images: Sequence[Any], return_tensors: str) -> dict[str, Any]:
        return {"pixel_values": torch.zeros(len(images), 1, 3, 4, 4), "num_img_tokens": torch.tensor([IMAGE_TOKENS] * len(images))}

    tokens = tokenizer(PHI, "<|endoftext|>", "<|endoftext|>", "<s>", {"<|image|>": PHI3_IMAGE})
    return StubProcessor(tokens, image_processor=image_processor)


def phi4_multimodal() -> Any:
    marks = (*CHATML, "<|im_sep|>", "<|endoftext10|>", "<|endoftext11|>")

    def called(self: Any, text: str, images: Any = None, audios: Any = None, return_tensors: str = "pt") -> dict[str, Any]:
        image = [self.tokenizer.convert_tokens_to_ids("<|endoftext10|>")] * IMAGE_TOKENS
        ids = sum(([*image, NEWLINE] for _ in images or []), [])[:-1]
        return {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids)), "image_sizes": torch.tensor([[4, 4]])}

    return StubProcessor(tokenizer(marks, "<|endoftext|>", "<|endoftext|>", places={"\u010a": NEWLINE}), called=called)


def deepseek_vl2() -> Any:
    """Its template imports the output class from a repository that the loader would clone: the stand-in of that is found on the path."""
    sys.path.append(str(Path(__file__).parent / "deepseek_vl2_code"))
    marks = ("<|end_of_sentence|>", "<|begin_of_sentence|>", "<|pad|>", "<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>")
    tokens = tokenizer(marks, "<|end_of_sentence|>", "<|pad|>", "<|begin_of_sentence|>")

    def tokenize_with_images(text: str, images: Sequence[Any], cropping: bool) -> tuple[Any, ...]:
        tiles = [torch.zeros(3, 4, 4) for _ in images]
        return None, tiles, None, [[1, 1] for _ in images], [IMAGE_TOKENS] * len(images)

    return StubProcessor(tokens, image_token_id=tokens.convert_tokens_to_ids("<image>"), tokenize_with_images=tokenize_with_images)


def deepseek_ocr() -> Any:
    marks = ("<|end_of_sentence|>", "<｜begin▁of▁sentence｜>", "<|pad|>", "<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>")
    return tokenizer(marks, "<|end_of_sentence|>", "<|pad|>", "<｜begin▁of▁sentence｜>")


DEEPSEEK_OCR_CODE = '''"""A stand-in for what swift loads from the code of DeepSeek-OCR."""
import numpy as np
import torch


class BasicImageTransform:
    def __init__(self, mean, std, normalize):
        self.mean = mean

    def __call__(self, image):
        return torch.from_numpy(np.array(image.resize((4, 4)), dtype=np.float32)).permute(2, 0, 1)


def dynamic_preprocess(image):
    columns, rows = (2, 1) if image.width >= image.height else (1, 2)
    return [image] * (columns * rows), (columns, rows)
'''


class CogModel:
    """The one method of CogVLM's model that its template calls; tests set it as the template's model."""

    def build_conversation_input_ids(self, tokenizer: Any, query: str, history: Any, images: Sequence[Any]) -> dict[str, Any]:
        kinds = torch.tensor([0] + [1] * IMAGE_TOKENS * len(images) + [0] * 3)
        return {"token_type_ids": kinds, "images": [torch.zeros(3, 4, 4) for _ in images]}


class MiniCpmImages:
    """Slices of 448 px and their marks, as the processor of MiniCPM-V writes them, with `IMAGE_TOKENS` for each."""

    def __call__(self, images: Sequence[Any], return_tensors: str, max_slice_nums: Any = None) -> BatchFeature:
        pixels = [torch.zeros(3, 14, 14) for _ in images[0]]
        features = BatchFeature({"pixel_values": [pixels], "tgt_sizes": [torch.ones(len(pixels), 2)], "temporal_ids": [[-1]]})
        features.image_sizes = [[image.size for image in images[0]]]
        return features

    def get_slice_image_placeholder(self, size_wh: tuple[int, int], image_idx: int, max_slice_nums: Any, use_image_id: bool) -> str:
        slices = minicpm_slices(size_wh)
        text = f"<image_id>{image_idx}</image_id>" if use_image_id else ""
        text += "<image>" + "<unk>" * IMAGE_TOKENS + "</image>"
        return text + ("<slice>" + "<unk>" * IMAGE_TOKENS + "</slice>") * slices


def minicpm_slices(size_wh: tuple[int, int]) -> int:
    """How many slices besides the whole image the stub makes: up to 9, none of a small image."""
    wanted = math.ceil(size_wh[0] * size_wh[1] / 448**2)
    return 0 if wanted <= 1 else min(wanted, 9)


def minicpm() -> Any:
    return StubProcessor(tokenizer(MINICPM, "<|im_end|>", "<|endoftext|>"), image_processor=MiniCpmImages())


@dataclass(frozen=True)
class Stub:
    """One template: whose family, with which processor. `images`: how many a row may have. `token`: what stands for a piece of an image.
    `make`: None for the processor that swift's loader makes of the tiny model of the template's name, whose code is a stand-in.

    `tokens`: how many of these a row with images of these sizes (px) has; None where the image goes in as a path.
    """

    family: str
    model_type: str
    make: Callable[[], Any] | None
    token: str | int | None = None
    tokens: Callable[[Sequence[tuple[int, int]]], int] | None = None
    images: int = 2


def given(sizes_wh: Sequence[tuple[int, int]]) -> int:
    """Where the stub decides."""
    return IMAGE_TOKENS * len(sizes_wh)


def internvl_tiles(size_wh: tuple[int, int], side: int) -> int:
    """1 to 12 tiles in the grid whose aspect is nearest, more tiles where two are as near and the image fills half; and a thumbnail.

    `side`: of a tile in px. Source: InternVL's own preprocessing, counted here from the shapes alone.
    """
    width, height = size_wh
    grids = [(columns, rows) for columns in range(1, 13) for rows in range(1, 13) if columns * rows <= 12]
    best, nearest = (1, 1), math.inf
    for columns, rows in sorted(grids, key=math.prod):
        off = abs(width / height - columns / rows)
        if off < nearest or (off == nearest and width * height > 0.5 * side**2 * columns * rows):
            best, nearest = (columns, rows), off
    tiles = math.prod(best)
    return tiles + (tiles > 1)


def internvl_tokens(sizes_wh: Sequence[tuple[int, int]]) -> int:
    """256 for each tile of 448 px."""
    return 256 * sum(internvl_tiles(size, 448) for size in sizes_wh)


def whole_image_tokens(family: str, sizes_wh: Sequence[tuple[int, int]]) -> int:
    """One for a square of the family's resize factor."""
    factor = FAMILIES[family].resize_factor
    return sum(wide * high // factor**2 for wide, high in (resized_wh(size_wh, family) for size_wh in sizes_wh))


def paddle_tokens(sizes_wh: Sequence[tuple[int, int]]) -> int:
    return sum(wide * high // 28**2 for wide, high in (fitted_wh(size_wh, 28, 384**2, 1536**2) for size_wh in sizes_wh))


def molmo2_tokens(sizes_wh: Sequence[tuple[int, int]]) -> int:
    """4 a crop: the whole image, and up to 3 crops a side."""
    grids = ([max(1, round(3 * side / max(size_wh))) for side in size_wh] for size_wh in sizes_wh)
    return sum(4 * (1 + math.prod(grid)) for grid in grids)


def minicpm_tokens(sizes_wh: Sequence[tuple[int, int]]) -> int:
    return sum(IMAGE_TOKENS * (1 + minicpm_slices(size)) for size in sizes_wh)


def deepseek_ocr_tokens(row: int) -> Callable[[Sequence[tuple[int, int]]], int]:
    """16 x 16 for the whole image of 1024 px, and as many for its parts as they have. `row`: 1 where a newline token ends each row."""

    def tokens(sizes_wh: Sequence[tuple[int, int]]) -> int:
        side, part = (640, 10) if row else (768, 12)
        total = 0
        for width, height in sizes_wh:
            total += 16 * (16 + row) + 1
            if max(width, height) > side:
                columns, rows = (2, 1) if width >= height else (1, 2)
                total += (part * columns + row) * part * rows
        return total

    return tokens


TILES = {"token": "<IMG_CONTEXT>", "tokens": internvl_tokens}
OCR = {"token": "<image>"}
COG = {"token": "<unk>", "tokens": given, "images": 1}
STUBS: dict[str, Stub] = {
    "qwen_vl": Stub("qwen_vl", "qwen_vl", qwen_vl),
    "qwen_vl_base": Stub("qwen_vl", "qwen_vl", qwen_vl),
    "phi3_vision": Stub("phi3_vision", "phi3_vision", phi3_vision, token="negative", tokens=given),
    "phi4_multimodal": Stub("phi4_multimodal", "phi4_multimodal", phi4_multimodal, token="<|endoftext10|>", tokens=given),
    "deepseek_vl2": Stub("deepseek_vl2", "deepseek_vl2", deepseek_vl2, token="<image>", tokens=given),
    "deepseek_ocr": Stub("deepseek_vl2", "deepseek_ocr", deepseek_ocr, tokens=deepseek_ocr_tokens(1), **OCR),
    "deepseek_ocr2": Stub("deepseek_vl2", "deepseek_ocr2", deepseek_ocr, tokens=deepseek_ocr_tokens(0), **OCR),
    "internvl": Stub("internvl", "internvl_chat", internvl, **TILES),
    "internvl_phi3": Stub("internvl", "internvl_chat", internvl_phi3, **TILES),
    "internvl2": Stub("internvl", "internvl_chat", internvl, **TILES),
    "internvl2_phi3": Stub("internvl", "internvl_chat", internvl_phi3, **TILES),
    "internvl2_5": Stub("internvl", "internvl_chat", internvl, **TILES),
    "internvl3_5": Stub("internvl", "internvl_chat", internvl, **TILES),
    "internvl3_5_gpt": Stub("internvl", "internvl_chat", internvl_gpt, **TILES),
    "cogvlm": Stub("cogvlm", "cogvlm", cogvlm, **COG),
    "cogvlm2": Stub("cogvlm", "cogvlm2", cogvlm, **COG),
    "dots_ocr": Stub("dots_ocr", "dots_ocr", None, token="<|imgpad|>", tokens=partial(whole_image_tokens, "dots_ocr")),
    "mimo_v2": Stub("mimo_v2", "mimo_v2", None, token="<|image_pad|>", tokens=partial(whole_image_tokens, "mimo_v2")),
    "paddle_ocr": Stub("paddleocr_vl", "paddle_ocr", None, token="<|IMAGE_PLACEHOLDER|>", tokens=paddle_tokens),
    "molmo2": Stub("molmo2", "molmo2", None, token="<im_patch>", tokens=molmo2_tokens),
    "minicpmv4_5": Stub("minicpmv4_5", "minicpmv4_5", minicpm, token="<unk>", tokens=minicpm_tokens),
}


def stub_template(stock: str, folder: Path, suffix: str = "_grounding") -> Any:
    """swift's template over the stub, in training mode; `suffix` "" for swift's own. `folder` stands for the model's."""
    from special_models import special_template
    from swift.model import MODEL_MAPPING
    from swift.template.register import TEMPLATE_MAPPING
    from tiny_models import tiny_model

    stub = STUBS[stock]
    if stub.make is None:
        return special_template(tiny_model(stock, folder), stock, suffix)
    for name in ("modeling_deepseekocr.py", "modeling_deepseekocr2.py"):
        (folder / name).write_text(DEEPSEEK_OCR_CODE, encoding="utf-8")
    processor = stub.make()
    processor.model_meta = MODEL_MAPPING[stub.model_type]
    processor.model_info = SimpleNamespace(
        config=SimpleNamespace(), task_type="causal_lm", max_model_len=65536, torch_dtype=torch.float32, model_dir=str(folder)
    )
    meta = TEMPLATE_MAPPING[stock + suffix]
    template = meta.template_cls(processor, meta)
    template.set_mode("train")
    if stub.family == "cogvlm":
        template.model = CogModel()
    return template
