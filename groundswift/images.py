"""Pictures: one way to open them, everywhere. EXIF orientation is applied; sizes are read without decoding the pixels."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from .errors import fault
from .spaces import square_margins

Result = TypeVar("Result")
ORIENTATION_TAG = 0x0112
TURNED = {5, 6, 7, 8}  # orientations that swap width and height


def _opened(source: str | Path | bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(source) if isinstance(source, bytes) else source)
    except FileNotFoundError:
        raise fault(_name(source), "no such image") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise fault(_name(source), f"not a readable image ({type(error).__name__})") from None


def _read(source: str | Path | bytes, reader: Callable[[Image.Image], Result], image: Image.Image) -> Result:
    try:
        return reader(image)
    except Exception as error:  # Pillow's decoders raise many kinds
        raise fault(_name(source), f"broken image ({type(error).__name__}: {error})") from None


def _name(source: str | Path | bytes) -> str | Path:
    return "<bytes>" if isinstance(source, bytes) else source


def stored_size_wh(image: Image.Image) -> tuple[int, int]:
    """(width, height) in px of the pixels as they are stored, orientation not applied."""
    if isinstance(image, TiffImageFile):  # some versions of Pillow turn the size of these, and these alone, at opening
        return image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
    return image.size


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1..8, from what stands before the pixels; 1 where there is none or it is no such number."""
    value = Image.Image.getexif(image).get(ORIENTATION_TAG, 1)  # a PNG's own getexif decodes the pixels to look behind them
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def read_size_wh(source: str | Path | bytes) -> tuple[tuple[int, int], int]:
    """((width, height) in px as a viewer shows the picture, EXIF orientation 1..8). Reads the header only.

    Raises GroundswiftError where the file is missing or no image.
    """
    with _opened(source) as image:
        width, height = _read(source, stored_size_wh, image)
        orientation = _read(source, orientation_of, image)
    return ((height, width) if orientation in TURNED else (width, height)), orientation


def upright(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it: EXIF orientation applied and dropped, mode RGB, 16-bit grey scaled to 8 bits, alpha dropped."""
    orientation_of(image)  # before decoding, so that a tag behind the pixels counts here as little as in `read_size_wh`
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I;16"):
        turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))  # Pillow scales little-endian ones only
    return turned.convert("RGB")


def padded_to_square(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """The picture in the middle of the smallest square that holds it, as the `square` spaces take it to be."""
    if image.width == image.height:
        return image
    side = max(image.size)
    left, above = square_margins(image.size).astype(int).tolist()
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, (left, above))
    return square


def open_image(source: str | Path | bytes) -> Image.Image:
    """Decode a file or its bytes into an upright RGB picture. Raises GroundswiftError where it is missing or broken."""
    with _opened(source) as image:
        return _read(source, upright, image)
