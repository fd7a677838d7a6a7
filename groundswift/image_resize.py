"""Model input size: an image after swift's own resize and the family's, by the limits that a run had in force."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from .errors import GroundswiftError

LIMITS_OF_A_ROW = ("min_pixels", "max_pixels", "resized_width", "resized_height")  # in its `chat_template_kwargs`, over all others


class Limits(msgspec.Struct, frozen=True):
    """Areas in px that bound the model's input; None where a limit is not set, so that the family's own holds.

    `min_pixels`, `max_pixels`: of the family's resize (MIN_PIXELS, MAX_PIXELS or IMAGE_MAX_TOKEN_NUM in the environment).
    `first_max_pixels`: of a resize before it, which keeps the aspect (swift's `--max_pixels`).
    """

    min_pixels: int | None = None
    max_pixels: int | None = None
    first_max_pixels: int | None = None


def in_whole_tokens(pixels: int, factor: int) -> int:
    """An area in px as swift takes it from MIN_PIXELS and MAX_PIXELS: that of whole tokens of `factor` x `factor` px, rounded down."""
    return pixels // factor**2 * factor**2


def rescaled_wh(size_wh: tuple[int, int], first_max_pixels: int | None) -> tuple[int, int]:
    """Size (width, height) in px after swift's `--max_pixels`. Source: `rescale_image` of ms-swift 4.6, same rounding."""
    width, height = size_wh
    if first_max_pixels is None or first_max_pixels <= 0 or width * height <= first_max_pixels:
        return size_wh
    high = math.sqrt(first_max_pixels / (width / height))
    wide = high * (width / height)
    if int(wide) < 1 or int(high) < 1:
        raise GroundswiftError(f"an image of {width}x{height} px does not fit {first_max_pixels} px with sides of at least 1 px")
    return int(wide), int(high)


def fitted_wh(size_wh: tuple[int, int], factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Size (width, height) in px, both multiples of `factor`, with an area between the limits and nearly the same aspect.

    Raises GroundswiftError where the limits contradict each other, a side is over 200 times the other, or no size fits.
    Source: `smart_resize` of qwen-vl-utils 0.0.14, same rounding.
    """
    width, height = size_wh
    if min_pixels > max_pixels:
        raise GroundswiftError(f"min_pixels {min_pixels} is over max_pixels {max_pixels}")
    if max_pixels < factor**2:
        raise GroundswiftError(f"max_pixels {max_pixels} has no room for one token of {factor}x{factor} px")
    if min(size_wh) < 1 or max(size_wh) / min(size_wh) > 200:
        raise GroundswiftError(f"image of {width}x{height} px; expected at least 1 px per side and an aspect ratio of at most 200")
    wide, high = (max(factor, round(side / factor) * factor) for side in size_wh)
    if wide * high > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        wide, high = (math.floor(side / shrink / factor) * factor for side in size_wh)
        if min(wide, high) < factor:
            raise GroundswiftError(
                f"an image of {width}x{height} px does not fit max_pixels {max_pixels} with sides of at least {factor} px"
            )
    elif wide * high < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        wide, high = (math.ceil(side * grow / factor) * factor for side in size_wh)
    return wide, high


def limits_of_its_own(chat_template_kwargs: Mapping[str, object] | None) -> list[str]:
    """The names by which a row of swift limits its own images, whatever its run says: `fetch_image` of qwen-vl-utils takes them."""
    return [name for name in LIMITS_OF_A_ROW if (chat_template_kwargs or {}).get(name) is not None]
