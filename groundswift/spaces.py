"""Where a coordinate lives: the table of spaces, and the way of a box between original pixels and a space.

A space is declared by the family, or by the caller; it is never guessed from the ground truth. This is arithmetic
alone: which family has which space is in `family.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .boxes import Boxes, as_boxes
from .errors import GroundswiftError


@dataclass(frozen=True)
class Space:
    """How the numbers of a box relate to its image.

    `side`: the image whose sides are divided: the original, the model input (`resized`), or the smallest `square` that
    holds the original in its middle. `units`: into how many units a side is divided; None: one unit is one pixel of that image.
    `rounding`: `nearest` (to `decimals`, halves to the even one), `bins` (a number names the bin that a coordinate falls into, and
    means the middle of it), `cells` (the same; a lower right corner belongs to the last cell that the box covers).
    """

    name: str
    meaning: str
    side: Literal["original", "resized", "square"] = "original"
    units: float | None = None
    decimals: int = 0
    rounding: Literal["nearest", "bins", "cells"] = "nearest"

    @cached_property
    def largest(self) -> float | None:
        """The largest number that can be written; None where that depends on the image."""
        return self.units if self.units is None or self.rounding == "nearest" else self.units - 1


SPACES: dict[str, Space] = {
    row.name: row
    for row in (
        Space("norm1000", "each axis from 0 to 1000, whatever the size of the image", units=1000),
        Space("norm999", "each axis from 0 to 999, whatever the size of the image", units=999),
        Space("norm1023", "each axis from 0 to 1023, whatever the size of the image", units=1023),
        Space("bins1000", "each axis in 1000 bins, 0 to 999; a number means the middle of its bin", units=1000, rounding="bins"),
        Space("cells32", "cells of a grid of 32 x 32; a number means the middle of its cell", units=32, rounding="cells"),
        Space("percent", "each axis from 0 to 100, one decimal", units=100, decimals=1),
        Space("square_2", "0 to 1 in two decimals, on the image padded to a square", side="square", units=1, decimals=2),
        Space("square_3", "0 to 1 in three decimals, on the image padded to a square", side="square", units=1, decimals=3),
        Space("resized_px", "pixels of the model input, after its own resize", side="resized"),
        Space("original_px", "pixels of the image file, after its EXIF orientation"),
    )
}


@cache
def space_row(name: str) -> Space:
    """One space. Raises GroundswiftError that lists the names there are."""
    try:
        return SPACES[name]
    except KeyError:
        raise GroundswiftError(f"unknown coordinate space {name!r}; expected one of {', '.join(SPACES)}") from None


def sides(size_wh: ArrayLike) -> Boxes:
    """Sizes as (2,) or (N, 2) float64. Raises GroundswiftError where one is not positive, which would make every box NaN."""
    sizes = np.asarray(size_wh, dtype=np.float64)
    if not (sizes > 0).all():
        width, height = sizes.reshape(-1, 2)[(~(sizes.reshape(-1, 2) > 0)).any(axis=1)][0]
        raise GroundswiftError(f"image of {width:g}x{height:g} px; expected sides of at least 1 px")
    return sizes


def square_margins(sizes_wh: ArrayLike) -> Boxes:
    """What is added left and above (x, y), in px, when an image is padded to a square: half of the difference, rounded down."""
    sizes = np.asarray(sizes_wh, dtype=np.float64)
    return np.floor((sizes.max(axis=-1, keepdims=True) - sizes) / 2)


def side_and_units(space: Space, size_wh: ArrayLike, resized_wh: ArrayLike | None = None) -> tuple[Boxes, Boxes]:
    """(how long a side is in original px, into how many units it is divided), each (2,) or (N, 2) for (x, y).

    Raises GroundswiftError where the space needs `resized_wh`.
    """
    sizes = sides(size_wh)
    if space.side == "square":
        sizes = np.broadcast_to(sizes.max(axis=-1, keepdims=True), sizes.shape)
    if space.units is not None:
        return sizes, np.full_like(sizes, space.units)
    if space.side == "original":
        return sizes, sizes
    if resized_wh is None:
        raise GroundswiftError(f"space {space.name} needs resized_wh, the size of the model input")
    return sizes, sides(resized_wh)


def _twice(pairs: Boxes) -> Boxes:
    """(..., 2) for (x, y) -> (..., 4) for (x, y, x, y)."""
    return np.concatenate([pairs, pairs], axis=-1)


@lru_cache(maxsize=4096)
def _side_and_units_of_one(space: Space, size_wh: tuple[float, float], resized_wh: tuple[float, float] | None) -> tuple[Boxes, Boxes]:
    """`side_and_units` of one image, for the four numbers of a box; kept, because answers come image by image, often of one size."""
    side, units = map(_twice, side_and_units(space, size_wh, resized_wh))
    side.setflags(write=False)
    units.setflags(write=False)
    return side, units


def quantum(space: Space, size_wh: ArrayLike, resized_wh: ArrayLike | None = None) -> Boxes:
    """The step of the last digit that is written, in original pixels, (2,) or (N, 2): no answer can be more exact than half of it."""
    side, units = side_and_units(space, size_wh, resized_wh)
    return side / units / 10**space.decimals


def placed(boxes: ArrayLike, space: Space, size_wh: ArrayLike, resized_wh: ArrayLike | None = None) -> Boxes:
    """Boxes as they are written -> (N, 4) float64 xyxy in original pixels, not clipped. Sizes are (2,) or, one a box, (N, 2)."""
    if isinstance(size_wh, tuple) and (resized_wh is None or isinstance(resized_wh, tuple)):
        side, units = _side_and_units_of_one(space, size_wh, resized_wh)
    else:
        side, units = map(_twice, side_and_units(space, size_wh, resized_wh))
    written = as_boxes(boxes)
    if space.rounding != "nearest":
        written = written + 0.5
    if space.rounding == "cells":  # a box within one row or column of cells has no middles to span: it is as large as its cells
        thin = (written[:, :2] == written[:, 2:]).any(axis=1)
        written[thin] += [-0.5, -0.5, 0.5, 0.5]
    px = written * side / units  # in the usual order, to the last bit: an IoU may be at a threshold
    return px - _twice(square_margins(size_wh)) if space.side == "square" else px


def written(boxes_xyxy_px: ArrayLike, space: Space, size_wh: ArrayLike, resized_wh: ArrayLike | None = None) -> Boxes:
    """The inverse, rounded as the space is: (N, 4) float64. Boxes outside their image stay outside, but for bins and cells."""
    (side, units), px = side_and_units(space, size_wh, resized_wh), as_boxes(boxes_xyxy_px)
    if space.side == "square":
        px = px + _twice(square_margins(size_wh))
    exact = px / _twice(side) * _twice(units)  # in swift's order, to the last bit
    if space.rounding == "nearest":
        return np.rint(exact * 10**space.decimals) / 10**space.decimals
    numbers = np.floor(exact)
    if space.rounding == "cells":
        numbers[:, 2:] = np.maximum(np.ceil(exact[:, 2:]) - 1, numbers[:, :2])
    return np.clip(numbers, 0, space.largest)
