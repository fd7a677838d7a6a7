"""Where a coordinate lives: the way of a box between original pixels and what a family writes.

The space is declared by the family, or by the caller with `space=`. It is never guessed, and the truth is never looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .boxes import Boxes, as_boxes
from .errors import GroundswiftError
from .family import SPACES, family_row, needs_resized_wh


def units_per_side(family: str, size_wh: ArrayLike, resized_wh: ArrayLike | None, space: str | None = None) -> Boxes:
    """How many written units one side of the image has, as (..., 2) float64 for (width, height)."""
    name = space or family_row(family).space
    sizes = np.asarray(size_wh, dtype=np.float64)
    if name == "norm1000":
        return np.full(sizes.shape, 1000.0)
    if name == "original_px":
        return sizes
    if name == "resized_px":
        if resized_wh is None:
            raise GroundswiftError(needs_resized_wh(family))
        return np.asarray(resized_wh, dtype=np.float64)
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
    sizes = np.asarray(size_wh, dtype=np.float64)
    scale = sizes / units_per_side(family, sizes, resized_wh, space)
    return as_boxes(boxes) * np.concatenate([scale, scale], axis=-1)


def from_original_px(
    boxes_xyxy_px: ArrayLike,
    family: str = "qwen2_5_vl",
    size_wh: ArrayLike = (640, 480),
    resized_wh: ArrayLike | None = None,
    space: str | None = None,
) -> Boxes:
    """The inverse, rounded to the family's whole units (halves to the even one, as ms-swift rounds): (N, 4) float64."""
    sizes = np.asarray(size_wh, dtype=np.float64)
    units = units_per_side(family, sizes, resized_wh, space)
    share = as_boxes(boxes_xyxy_px) / np.concatenate([sizes, sizes], axis=-1)
    return np.rint(share * np.concatenate([units, units], axis=-1))
