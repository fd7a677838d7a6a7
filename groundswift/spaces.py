"""Where a coordinate lives: the way of a box between original pixels and what a family writes.

The space is declared by the family, or by the caller with `space=`. It is never guessed, and the truth is never looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .boxes import Boxes, as_boxes
from .errors import GroundswiftError
from .family import LARGEST, SPACES, family_row, needs_resized_wh


def sides(size_wh: ArrayLike) -> Boxes:
    """Sizes as (2,) or (N, 2) float64. Raises GroundswiftError where one is not positive, which would make every box NaN."""
    sizes = np.asarray(size_wh, dtype=np.float64)
    if not (sizes > 0).all():
        width, height = sizes.reshape(-1, 2)[(~(sizes.reshape(-1, 2) > 0)).any(axis=1)][0]
        raise GroundswiftError(f"image of {width:g}x{height:g} px; expected sides of at least 1 px")
    return sizes


def units_per_side(family: str, size_wh: ArrayLike, resized_wh: ArrayLike | None, space: str | None = None) -> Boxes:
    """How many written units one side of the image has, as (..., 2) float64 for (width, height)."""
    name = space or family_row(family).space
    sizes = sides(size_wh)
    if name == "norm1000":
        return np.full(sizes.shape, LARGEST[name])
    if name == "original_px":
        return sizes
    if name == "resized_px":
        if resized_wh is None:
            raise GroundswiftError(needs_resized_wh(family))
        return sides(resized_wh)
    raise GroundswiftError(f"unknown coordinate space {name!r}; expected one of {', '.join(SPACES)}")


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
    sizes = sides(size_wh)
    units = units_per_side(family, sizes, resized_wh, space)
    return as_boxes(boxes) * np.concatenate([sizes, sizes], axis=-1) / np.concatenate([units, units], axis=-1)


def from_original_px(
    boxes_xyxy_px: ArrayLike,
    family: str = "qwen2_5_vl",
    size_wh: ArrayLike = (640, 480),
    resized_wh: ArrayLike | None = None,
    space: str | None = None,
) -> Boxes:
    """The inverse, rounded to the family's whole units (halves to the even one, as ms-swift rounds): (N, 4) float64."""
    sizes = sides(size_wh)
    units = units_per_side(family, sizes, resized_wh, space)
    share = as_boxes(boxes_xyxy_px) / np.concatenate([sizes, sizes], axis=-1)
    return np.rint(share * np.concatenate([units, units], axis=-1))
