"""The table: model family -> grammar, coordinate space, model input. The one place where a family is described.

A row is data. Formatters, parsers, templates and the evaluator read it; none of them has a case for a family of its own.
Sources of the facts stand in each row's `source`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .errors import GroundswiftError

SpaceName = Literal["norm1000", "resized_px", "original_px"]
SPACES: dict[str, str] = {
    "norm1000": "each axis from 0 to 1000, whatever the size of the image",
    "resized_px": "pixels of the image that the model is fed, after its own resize",
    "original_px": "pixels of the image file, after its EXIF orientation",
}
LARGEST: dict[str, float] = {"norm1000": 1000.0}  # the largest coordinate of a space whose size does not depend on the image


@dataclass(frozen=True)
class Family:
    """How one model family writes a box, and what it is fed.

    `resize_factor`: both sides of the model's input are multiples of it (px); None where the model does its own tiling.
    `min_pixels`, `max_pixels`: default limits of the input's area in px. `empty_answer`: what 'no object' looks like.
    """

    name: str
    grammar: str
    space: SpaceName
    swift_model_type: str
    swift_template: str
    resize_factor: int | None
    empty_answer: str
    source: str
    min_pixels: int = 0
    max_pixels: int = 0

    def quantum_px(self, size_wh: tuple[int, int], resized_wh: tuple[int, int] | None = None) -> tuple[float, float]:
        """The step of one written unit in original pixels (x, y): no answer can be more exact than half of it."""
        width, height = size_wh
        if self.space == "norm1000":
            return width / LARGEST[self.space], height / LARGEST[self.space]
        if self.space == "original_px":
            return 1.0, 1.0
        if resized_wh is None:
            raise GroundswiftError(needs_resized_wh(self.name))
        return width / resized_wh[0], height / resized_wh[1]


def needs_resized_wh(family: str) -> str:
    """What to say where a size that the space needs was not given, and how to get it."""
    return (
        f"family {family} writes boxes in pixels of the resized image, so its resized_wh must be given: "
        "groundswift.resized_wh(size_wh, family, min_pixels, max_pixels) computes it from the limits that the run used"
    )


def qwen_vl_row(name: str, grammar: str, space: SpaceName, factor: int, empty: str, source: str) -> Family:
    """A row of Qwen2-VL's kin: named as swift names it, fed in multiples of `factor` px."""
    limits = {"min_pixels": 4 * factor**2, "max_pixels": 16384 * factor**2}  # tokens of factor x factor px, qwen-vl-utils 0.0.14
    return Family(name, grammar, space, name, f"{name}_grounding", factor, empty, source, **limits)


NO_JSON = "```json\n[]\n```"
FAMILIES: dict[str, Family] = {
    row.name: row
    for row in (
        Family("qwen_vl", "qwen_ref_box", "norm1000", "qwen_vl", "qwen_vl", None, "None", "Qwen-VL README and its REC evaluation script"),
        qwen_vl_row("qwen2_vl", "qwen2_tokens", "norm1000", 28, "None", "QwenLM/Qwen3-VL#105; ms-swift documentation"),
        qwen_vl_row("qwen2_5_vl", "json_bbox_2d", "resized_px", 28, NO_JSON, "QwenLM/Qwen3-VL#676"),
        qwen_vl_row("qwen3_vl", "json_bbox_2d", "norm1000", 32, NO_JSON, "Qwen3-VL cookbook; QwenLM/Qwen3-VL#1623"),
    )
}


def families() -> dict[str, Family]:
    """The table's rows by name (a new dict)."""
    return dict(FAMILIES)


def family_row(name: str) -> Family:
    """One row. Raises GroundswiftError that lists the names there are."""
    try:
        return FAMILIES[name]
    except KeyError:
        raise GroundswiftError(f"unknown model family {name!r}; expected one of {', '.join(FAMILIES)}") from None


def resized_wh(
    size_wh: tuple[int, int], family: str = "qwen2_5_vl", min_pixels: int | None = None, max_pixels: int | None = None
) -> tuple[int, int]:
    """Size (width, height) in px of the image that the model is fed, for an image of `size_wh` px.

    Limits are areas in px; None means the family's own. Raises GroundswiftError where the family has no such resize, the limits
    contradict each other or a side is over 200 times the other. Source: `smart_resize` of qwen-vl-utils 0.0.14, same rounding.
    """
    row = family_row(family)
    factor = row.resize_factor
    if factor is None:
        raise GroundswiftError(f"family {family} has no resize to multiples of a factor; its space {row.space} does not need one")
    least = row.min_pixels if min_pixels is None else min_pixels
    most = row.max_pixels if max_pixels is None else max_pixels
    width, height = size_wh
    if least > most:
        raise GroundswiftError(f"min_pixels {least} is over max_pixels {most}")
    if min(size_wh) < 1 or max(size_wh) / min(size_wh) > 200:
        raise GroundswiftError(f"image of {width}x{height} px; expected at least 1 px a side and an aspect ratio of at most 200")
    wide, high = (max(factor, round(side / factor) * factor) for side in size_wh)
    if wide * high > most:
        shrink = math.sqrt(height * width / most)
        wide, high = (math.floor(side / shrink / factor) * factor for side in size_wh)
        if min(wide, high) < factor:
            raise GroundswiftError(f"an image of {width}x{height} px does not fit max_pixels {most} with sides of at least {factor} px")
    elif wide * high < least:
        grow = math.sqrt(least / (height * width))
        wide, high = (math.ceil(side * grow / factor) * factor for side in size_wh)
    return wide, high
