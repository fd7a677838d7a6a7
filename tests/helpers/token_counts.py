"""How many image tokens an image costs in each family of the zoo, from the published arithmetic and not from the processors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from stubs import internvl_tiles, paddle_tokens
from zoo_tiles import PATCH, SIDE

from groundswift import resized_wh
from groundswift.family import FAMILIES
from groundswift.image_resize import fitted_wh

Size = tuple[int, int]  # (width, height) px
PER_SIDE = SIDE // PATCH  # patches along a tile


def whole_image(family: str, size_wh: Size) -> int:
    """Qwen-VL: one token for a square of the resize factor."""
    wide, high = resized_wh(size_wh, family)
    return wide * high // FAMILIES[family].resize_factor ** 2


def glm(size_wh: Size) -> int:
    """GLM-V: as Qwen2-VL, between 8 and 7500 tokens; its own limits count the image twice, as two frames."""
    wide, high = fitted_wh(size_wh, 28, 112 * 112 // 2, 7500 * 28**2)
    return wide * high // 28**2


def one_tile(size_wh: Size) -> int:
    return PER_SIDE**2


def one_tile_merged(size_wh: Size) -> int:
    return (PER_SIDE // 2) ** 2


def llava_next(size_wh: Size) -> int:
    """LLaVA-1.6 on a square image: the tile, and a canvas of 2 x 2 tiles, or of 1 where the image is no larger, with a mark a line."""
    canvas = PER_SIDE if max(size_wh) <= SIDE else 2 * PER_SIDE
    return PER_SIDE**2 + canvas * (canvas + 1)


def llava_onevision(size_wh: Size) -> int:
    """The tile, and the canvas of 1 to 3 by 1 to 3 tiles that keeps most pixels, less its empty margins, with a mark a line."""
    width, height = size_wh

    def kept(canvas: Size) -> tuple[int, int]:
        scale = min(canvas[0] * SIDE / width, canvas[1] * SIDE / height)
        shown = min(int(width * scale) * int(height * scale), width * height)
        return shown, -(canvas[0] * canvas[1])

    columns, rows = max(((columns, rows) for rows in range(1, 4) for columns in range(1, 4)), key=kept)
    wide, high = columns * PER_SIDE, rows * PER_SIDE
    if width / height > wide / high:
        high -= (high - int(round(height * wide / width, 7))) // 2 * 2
    else:
        wide -= (wide - int(round(width * high / height, 7))) // 2 * 2
    return PER_SIDE**2 + high * (wide + 1)


def gemma4(size_wh: Size) -> int:
    """Gemma 4: a token for 48 x 48 px of the largest image of this aspect ratio that has at most 280 of them."""
    width, height = size_wh
    scale = math.sqrt(280 * 48**2 / (width * height))
    wide, high = int(width * scale / 48), int(height * scale / 48)
    if not high:
        return min(width // height, 280)
    return min(height // width, 280) if not wide else wide * high


def hunyuan_ocr(size_wh: Size) -> int:
    """HunyuanOCR: a token for 32 x 32 px of an image of 512 x 512 to 2048 x 2048 px, one more a row, and two."""
    wide, high = fitted_wh(size_wh, 32, 512**2, 2048**2)
    return high // 32 * (wide // 32 + 1) + 2


def internvl(size_wh: Size) -> int:
    return one_tile_merged(size_wh) * internvl_tiles(size_wh, SIDE)


def idefics(size_wh: Size) -> int:
    """The longer side becomes 4 tiles, the other follows in whole tiles; and the whole image as one more."""
    longer, shorter = max(size_wh), min(size_wh)
    across = int(4 * SIDE / (longer / shorter))
    return one_tile_merged(size_wh) * (4 * max(1, math.ceil((across + across % 2) / SIDE)) + 1)


COUNTS: dict[str, tuple[str, Callable[[Size], int]]] = {  # zoo name -> the token, and how many of it
    **{
        name: ("<|image_pad|>", partial(whole_image, name))
        for name in ("qwen2_vl", "qwen2_5_vl", "mimo_vl", "qwen3_vl", "qwen3_5", "qwen3_8")
    },
    "qwen3_vl_moe": ("<|image_pad|>", partial(whole_image, "qwen3_vl")),
    "qwen3_5_moe": ("<|image_pad|>", partial(whole_image, "qwen3_5")),
    "glm4v": ("<|image|>", glm),
    "glm4v_moe": ("<|image|>", glm),
    "llava1_5": ("<image>", one_tile),
    "llava1_6": ("<image>", llava_next),
    "llava1_6_vicuna": ("<image>", llava_next),
    "llava_onevision": ("<image>", llava_onevision),
    "internvl": ("<IMG_CONTEXT>", lambda size_wh: one_tile_merged(size_wh) * internvl_tiles(size_wh, SIDE)),
    "paligemma": ("<image>", one_tile),
    "paligemma2": ("<image>", one_tile),
    "gemma4": ("<|image|>", gemma4),
    "gemma4_thinking": ("<|image|>", gemma4),
    "gemma3": ("<image_soft_token>", one_tile_merged),
    "qwen2_5_omni": ("<|IMAGE|>", partial(whole_image, "qwen2_5_omni")),
    "qwen3_omni": ("<|image_pad|>", partial(whole_image, "qwen3_omni")),
    "paddleocr_vl": ("<|IMAGE_PLACEHOLDER|>", lambda size_wh: paddle_tokens([size_wh])),
    "hunyuan_ocr": ("<｜hy_place▁holder▁no▁102｜>", hunyuan_ocr),
    "idefics3": ("<image>", idefics),
    "smolvlm": ("<image>", idefics),
}
