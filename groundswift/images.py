"""Pictures: one way to open them, everywhere. EXIF orientation is applied; sizes are read without decoding the pixels.

A picture is a local file, an address (see `storage`), or bytes. One whose header states more pixels than GROUNDSWIFT_MAX_IMAGE_PIXELS
(default 178,956,970, where Pillow stops too: about 0.7 GB decoded) is an error and is never decoded; so is one whose file is too short
to hold them. A higher limit raises Pillow's own for the whole process.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from .errors import GroundswiftError, fault
from .file_guard import NotAFile, regular_size
from .image_depth import to_8_bits
from .spaces import square_margins
from .storage import local_copy, shown

Result = TypeVar("Result")
ORIENTATION_TAG = 0x0112
TURNED = {5, 6, 7, 8}  # orientations that swap width and height
MAX_PIXELS = 178_956_970
MOST_PX_IN_A_BYTE = {  # what the best compression of a format comes to; others may hold a picture of one colour in next to nothing
    "PNG": 8 * 1032,  # pixels of one bit, times the limit of deflate
    "JPEG": 4 * 8 * 64,  # a bit for a block of 64, times subsampling
}
PILLOW_WARNING = ("ignore", None, Image.DecompressionBombWarning, None, 0)  # as it stands among the filters


def _opened(source: str | Path | bytes) -> Image.Image:
    """A picture whose header has been read, and whose pixels are safe to decode."""
    name, limit = _name(source), most_pixels()
    data = BytesIO(source) if isinstance(source, bytes) else local_copy(source)
    try:
        length = len(source) if isinstance(source, bytes) else regular_size(data)
        _set_limit(limit)
        image = Image.open(data)
    except FileNotFoundError:
        raise fault(name, "no such image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        stated = re.search(r"\d+", str(error))
        raise fault(name, f"too large to decode: its header says {stated.group() if stated else 'more'} px", _at_most(limit)) from None
    except NotAFile as error:
        raise fault(name, f"not a readable image ({error.strerror})") from None
    except Exception as error:  # plugins raise many kinds
        raise fault(name, f"not a readable image ({type(error).__name__})") from None
    try:
        _check_size(image, length, limit, name)
    except GroundswiftError:
        image.close()
        raise
    return image


def _set_limit(limit: int) -> None:
    """Let Pillow open what is at most `limit` px in all, without a warning. Both are settings of the process, and Pillow has no others."""
    if PILLOW_WARNING not in warnings.filters:
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    if Image.MAX_IMAGE_PIXELS and limit > 2 * Image.MAX_IMAGE_PIXELS:  # it refuses what is above twice that
        Image.MAX_IMAGE_PIXELS = (limit + 1) // 2


def _check_size(image: Image.Image, length: int, limit: int, name: str | Path) -> None:
    """Raise GroundswiftError where a header states more than is to be decoded, or than its file can hold."""
    width, height = image.size
    if image.format == "EPS":  # Pillow would run another program on it
        raise fault(name, "not a readable image (a PostScript program)")
    if width * height > limit:
        raise fault(name, f"too large to decode: its header says {width}x{height} px", _at_most(limit))
    if width * height > MOST_PX_IN_A_BYTE.get(image.format, width * height) * length:
        raise fault(name, f"broken image: its header says {width}x{height} px, which {length} bytes cannot hold", "a whole file")


def most_pixels() -> int:
    """How many pixels a picture may have. Raises GroundswiftError where GROUNDSWIFT_MAX_IMAGE_PIXELS is no number of them."""
    text = os.environ.get("GROUNDSWIFT_MAX_IMAGE_PIXELS", "")
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise fault("GROUNDSWIFT_MAX_IMAGE_PIXELS", repr(text[:100]), "a whole number of pixels above 0")
    return int(text)


def _at_most(limit: int) -> str:
    return f"at most {limit} px in all; GROUNDSWIFT_MAX_IMAGE_PIXELS sets another limit"


def _read(source: str | Path | bytes, reader: Callable[[Image.Image], Result], image: Image.Image) -> Result:
    try:
        return reader(image)
    except GroundswiftError as error:
        raise fault(_name(source), str(error)) from None
    except Exception as error:  # Pillow's decoders raise many kinds
        raise fault(_name(source), f"broken image ({type(error).__name__}: {error})") from None


def _name(source: str | Path | bytes) -> str | Path:
    return "<bytes>" if isinstance(source, bytes) else shown(source)


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
    """The image as a viewer shows it: EXIF orientation applied and dropped, mode RGB, deep grey scaled to 8 bits, alpha dropped.

    Raises GroundswiftError, without a place, for grey values that have no known scale (see `image_depth`).
    """
    turned = image if orientation_of(image) == 1 else ImageOps.exif_transpose(image)  # asked before decoding, as `read_size_wh` does
    return to_8_bits(turned, image.format).convert("RGB")  # Pillow itself scales I;16 of one byte order only, and cuts the others


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
