"""The public functions between original pixels and what a family writes; the arithmetic is in `spaces.py` and `image_resize.py`."""

from __future__ import annotations

from numpy.typing import ArrayLike

from .boxes import Boxes
from .errors import GroundswiftError
from .family import family_row, needs_resized_wh
from .image_resize import Limits, fitted_wh, in_whole_tokens, rescaled_wh
from .spaces import Space, placed, space_row, written


def resized_wh(
    size_wh: tuple[int, int],
    family: str = "qwen2_5_vl",
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    first_max_pixels: int | None = None,
) -> tuple[int, int]:
    """Size (width, height) in px of the model input that swift makes of an image of `size_wh` px.

    Limits are areas in px, as MIN_PIXELS and MAX_PIXELS give them (rounded down to whole tokens); None means the family's own.
    `first_max_pixels` is swift's `--max_pixels`, a resize before the family's. Raises GroundswiftError where the family has no such
    resize, the limits contradict each other or leave no room, or a side is over 200 times the other.
    """
    row = family_row(family)
    if row.resize_factor is None:
        raise GroundswiftError(f"family {family} has no resize to multiples of a factor; its space {row.space} does not need one")
    limits = limits_in_force(Limits(min_pixels, max_pixels, first_max_pixels), family)
    return fitted_wh(rescaled_wh(size_wh, limits.first_max_pixels), row.resize_factor, limits.min_pixels, limits.max_pixels)


def limits_in_force(limits: Limits, family: str) -> Limits:
    """Limits as a run has them in the end: the family's own where none is set, in whole tokens, and no first resize where it is 0.

    Where the family has no resize to multiples of a factor its two limits are unchanged.
    """
    row = family_row(family)
    least, most = limits.min_pixels, limits.max_pixels
    if row.resize_factor is not None:
        least = in_whole_tokens(row.min_pixels if least is None else least, row.resize_factor)
        most = in_whole_tokens(row.max_pixels if most is None else most, row.resize_factor)
    first = limits.first_max_pixels
    return Limits(least, most, None if first is None or first <= 0 else first)


def to_original_px(
    boxes: ArrayLike,
    family: str = "qwen2_5_vl",
    size_wh: ArrayLike = (640, 480),
    resized_wh: ArrayLike | None = None,
    space: str | None = None,
) -> Boxes:
    """Boxes as a family writes them -> (N, 4) float64 xyxy in pixels of the original image, not clipped.

    `size_wh` and `resized_wh` are (2,) for one image or (N, 2), one a box. Raises GroundswiftError for an unknown family or space,
    and where the space needs `resized_wh` and it is not given.
    """
    return placed(boxes, _space(family, space, resized_wh), size_wh, resized_wh)


def from_original_px(
    boxes_xyxy_px: ArrayLike,
    family: str = "qwen2_5_vl",
    size_wh: ArrayLike = (640, 480),
    resized_wh: ArrayLike | None = None,
    space: str | None = None,
) -> Boxes:
    """The inverse, quantised as the family writes it (its space says how): (N, 4) float64."""
    return written(boxes_xyxy_px, _space(family, space, resized_wh), size_wh, resized_wh)


def _space(family: str, space: str | None, resized_wh: ArrayLike | None) -> Space:
    row = space_row(space or family_row(family).space)
    if row.side == "resized" and resized_wh is None:
        raise GroundswiftError(needs_resized_wh(family))
    return row
