"""Grey images of more than 8 bits -> 8 bits, by their mode, and where that does not say, by the range of the values. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .errors import GroundswiftError

SIXTEEN_BITS = {"PNG", "PPM"}  # formats of at most 16 bits, which Pillow may open in mode I
SCALABLE = "expected whole values of 0..65535, or floats of 0..1, 16..255 or 4096..65535 at the brightest; save it with 8 bits"
FLOAT_SCALES = ((0.0, 1.0, 255.0), (16.0, 255.0, 1.0), (4096.0, 65535.0, 1 / 256))  # (lowest, highest) brightest value, factor


def is_deep(mode: str) -> bool:
    """Whether a mode of Pillow holds more than 8 bits a channel: I, I;16 in any byte order, and F."""
    return mode.startswith("I") or mode == "F"


def to_8_bits(image: Image.Image, format_name: str | None = None) -> Image.Image:
    """An image of mode L from one of mode I, I;16 or F; others come back as they are.

    I;16, and I from a PNG or PGM file: the upper 8 of 16 bits. I: 0..255 as it is, 0..65535 as I;16. F: by FLOAT_SCALES; whole ones as I.
    Raises GroundswiftError, without a place, for values below 0, above 65535 or not finite, and for floats that fit no scale.
    """
    if not is_deep(image.mode):
        return image
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode == "F":
        return Image.fromarray(np.rint(_from_floats(values)).astype(np.uint8))
    return Image.fromarray(_from_whole(values, format_name in SIXTEEN_BITS).astype(np.uint8))


def _from_whole(values: NDArray, sixteen_bits: bool = False) -> NDArray:
    low, high = values.min(), values.max()
    if low < 0 or high > 65535:
        raise _no_scale(low, high)
    return values // 256 if sixteen_bits or high > 255 else values


def _from_floats(values: NDArray) -> NDArray:
    if not np.isfinite(values).all():
        raise GroundswiftError(f"its values are not all finite, so no scale to 8 bits is known; {SCALABLE}")
    low, high = values.min(), values.max()
    factor = next((factor for least, most, factor in FLOAT_SCALES if low >= 0 and least <= high <= most), None)
    if high > 1 and (values == np.floor(values)).all():
        return _from_whole(values)
    if factor is None:
        raise _no_scale(low, high)
    return np.minimum(values * factor, 255)


def _no_scale(low: float, high: float) -> GroundswiftError:
    return GroundswiftError(f"its values are {low:g} to {high:g}, for which no scale to 8 bits is known; {SCALABLE}")
