"""Open images, everywhere in the same way. EXIF orientation is applied; sizes are read without decoding the pixels.

An image is a local file, a URL (see `storage`), or bytes. One whose header states more pixels than GROUNDSWIFT_MAX_IMAGE_PIXELS
(default 178,956,970, where Pillow stops too: about 0.7 GB decoded) is an error and is never decoded; so is one whose file is too short
to hold them. A higher limit raises Pillow's own for the whole process.

A JPEG that will be resized to less than a third of its size can be decoded at a half, a quarter or an eighth of it (`OpenedImage.decode`),
which libjpeg does in the frequency domain.
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
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from .errors import GroundswiftError, ImageMissing, ImageUnreadable, error_at
from .file_guard import NotAFile, regular_size
from .image_depth import to_8_bits
from .spaces import square_margins
from .storage import local_copy
from .urls import shown

Result = TypeVar("Result")
ORIENTATION_TAG = 0x0112
SIDES_SWAPPED = {5, 6, 7, 8}  # orientations that swap width and height
MAX_PIXELS = 178_956_970
MOST_PX_IN_A_BYTE = {  # what the best compression of a format comes to; others may hold an image of one colour in next to nothing
    "PNG": 8 * 1032,  # pixels of one bit, times the limit of deflate
    "JPEG": 4 * 8 * 64,  # a bit for a block of 64, times subsampling
}
REDUCED_SCALES = (8, 4, 2)  # by which libjpeg divides the sides of an image while it decodes
REDUCED_MARGIN = 1.5  # times the needed width and height that a reduced image has at least: it differs less than a JPEG of quality 90
PILLOW_WARNING = ("ignore", None, Image.DecompressionBombWarning, None, 0)  # its form among the filters


def _opened(source: str | Path | bytes, name: str | Path = "") -> Image.Image:
    """An image whose header has been read, and whose pixels are safe to decode."""
    name, limit = name or _name(source), most_pixels()
    data = BytesIO(source) if isinstance(source, bytes) else local_copy(source)
    try:
        length = len(source) if isinstance(source, bytes) else regular_size(data)
        _set_limit(limit)
        image = Image.open(data)
    except FileNotFoundError:
        raise error_at(name, "no such image", kind=ImageMissing) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        stated = re.search(r"\d+", str(error))
        what = f"too large to decode: its header says {stated.group() if stated else 'more'} px"
        raise error_at(name, what, _at_most(limit), ImageUnreadable) from None
    except NotAFile as error:
        raise error_at(name, f"not a readable image ({error.strerror})", kind=ImageUnreadable) from None
    except Exception as error:  # plugins raise many kinds
        raise error_at(name, f"not a readable image ({type(error).__name__})", kind=ImageUnreadable) from None
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
        raise error_at(name, "not a readable image (a PostScript program)", kind=ImageUnreadable)
    if width * height > limit:
        raise error_at(name, f"too large to decode: its header says {width}x{height} px", _at_most(limit), ImageUnreadable)
    if width * height > MOST_PX_IN_A_BYTE.get(image.format, width * height) * length:
        what = f"broken image: its header says {width}x{height} px, which {length} bytes cannot hold"
        raise error_at(name, what, "a whole file", ImageUnreadable)


def most_pixels() -> int:
    """How many pixels an image may have. Raises GroundswiftError where GROUNDSWIFT_MAX_IMAGE_PIXELS is not a number of pixels."""
    text = os.environ.get("GROUNDSWIFT_MAX_IMAGE_PIXELS", "")
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise error_at("GROUNDSWIFT_MAX_IMAGE_PIXELS", repr(text[:100]), "a whole number of pixels above 0")
    return int(text)


def _at_most(limit: int) -> str:
    return f"at most {limit} px in all; GROUNDSWIFT_MAX_IMAGE_PIXELS sets another limit"


def _read(name: str | Path, reader: Callable[[Image.Image], Result], image: Image.Image) -> Result:
    try:
        return reader(image)
    except GroundswiftError as error:
        raise error_at(name, str(error), kind=type(error)) from None
    except Exception as error:  # Pillow's decoders raise many kinds
        raise error_at(name, f"broken image ({type(error).__name__}: {error})", kind=ImageUnreadable) from None


def _name(source: str | Path | bytes) -> str | Path:
    return "<bytes>" if isinstance(source, bytes) else shown(source)


def stored_size_wh(image: Image.Image) -> tuple[int, int]:
    """(width, height) in px of the pixels as they are stored, orientation not applied."""
    if isinstance(image, TiffImageFile):  # some versions of Pillow turn the size of these, and these alone, at opening
        return image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
    return image.size


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1..8, from the header; 1 where there is none or another number."""
    value = Image.Image.getexif(image).get(ORIENTATION_TAG, 1)  # a PNG's own getexif decodes the pixels to look behind them
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def read_size_wh(source: str | Path | bytes) -> tuple[tuple[int, int], int]:
    """((width, height) in px as a viewer shows the image, EXIF orientation 1..8). Reads the header only.

    Raises GroundswiftError where the file is missing or no image.
    """
    with _opened(source) as image:
        return _size_and_orientation(_name(source), image)


def _size_and_orientation(name: str | Path, image: Image.Image) -> tuple[tuple[int, int], int]:
    size_wh, orientation = _read(name, stored_size_wh, image), _read(name, orientation_of, image)
    return (size_wh[::-1] if orientation in SIDES_SWAPPED else size_wh), orientation


def upright(image: Image.Image) -> Image.Image:
    """The image as a viewer shows it: EXIF orientation applied and dropped, mode RGB, deep grey scaled to 8 bits, alpha dropped.

    Raises GroundswiftError, without a place, for grey values that have no known scale (see `image_depth`).
    """
    upright = image if orientation_of(image) == 1 else ImageOps.exif_transpose(image)  # asked before decoding, as `read_size_wh` does
    return to_8_bits(upright, image.format).convert("RGB")  # Pillow itself scales I;16 of one byte order only, and cuts the others


def padded_to_square(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """The image in the middle of the smallest square that holds it, as in the `square` spaces."""
    if image.width == image.height:
        return image
    side = max(image.size)
    left, above = square_margins(image.size).astype(int).tolist()
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, (left, above))
    return square


def open_image(source: str | Path | bytes) -> Image.Image:
    """Decode a file or its bytes into an upright RGB image. Raises GroundswiftError where it is missing or broken."""
    with _opened(source) as image:
        return _read(_name(source), upright, image)


class OpenedImage:
    """An image of which only the header has been read. `size_wh`: (width, height) in px, EXIF orientation applied.

    `name`: of the source in errors, for bytes. Raises GroundswiftError where the file is missing or not an image.
    """

    def __init__(self, source: str | Path | bytes, name: str | Path = "") -> None:
        self._source, self._name = source, name or _name(source)
        self._image: Image.Image | None = _opened(source, self._name)
        self.size_wh, self._orientation = _size_and_orientation(self._name, self._image)

    def decode(self, needed_wh: tuple[int, int] | None = None) -> Image.Image:
        """The upright RGB image. Raises GroundswiftError where it is broken.

        `needed_wh`: the size in px that it will be resized to. A JPEG may then come smaller than `size_wh`: both of its sides divided by
        2, 4 or 8 without a remainder, and at least REDUCED_MARGIN times as long as needed.
        """
        image, self._image = self._image or _opened(self._source, self._name), None  # a second call opens the file again
        with image:
            if needed_wh is not None:
                reduce_decoding(image, needed_wh[::-1] if self._orientation in SIDES_SWAPPED else needed_wh)
            return _read(self._name, upright, image)

    def decode_small(self, longer_px: int) -> Image.Image:
        """The upright RGB image for a thumbnail: its longer side is at least `longer_px` where the file's is.

        A JPEG is decoded at a half, a quarter or an eighth, stretched by less than a pixel where its sides have a remainder.
        """
        image, self._image = self._image or _opened(self._source, self._name), None
        with image:
            scale = next((scale for scale in REDUCED_SCALES if max(image.size) // scale >= longer_px), 1)
            if scale > 1 and isinstance(image, JpegImageFile) and image.mode in ("RGB", "L"):
                image.draft(None, (image.width // scale, image.height // scale))
            return _read(self._name, upright, image)


def reduce_decoding(image: Image.Image, needed_wh: tuple[int, int]) -> None:
    """Let an image that has not been decoded be decoded at reduced size; `needed_wh` in px as stored. JPEG in RGB or grey only."""
    if isinstance(image, JpegImageFile) and image.mode in ("RGB", "L"):
        scale = reduced_scale(image.size, needed_wh)
        if scale > 1:
            image.draft(None, (image.width // scale, image.height // scale))


def reduced_scale(size_wh: tuple[int, int], needed_wh: tuple[int, int]) -> int:
    """The largest of 8, 4 and 2 that divides both sides and leaves REDUCED_MARGIN times what is needed; else 1.

    A side with a remainder would be rounded up by libjpeg, and the whole image stretched by up to a pixel.
    """
    for scale in REDUCED_SCALES:
        if all(side % scale == 0 and side // scale >= REDUCED_MARGIN * need for side, need in zip(size_wh, needed_wh, strict=True)):
            return scale
    return 1
