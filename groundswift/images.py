"""Pictures: one way to open them, everywhere. EXIF orientation is applied; sizes are read without decoding the pixels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import GroundswiftError, fault

ORIENTATION_TAG = 0x0112
TURNED = {5, 6, 7, 8}  # orientations that swap width and height


def _opened(source: str | Path | bytes) -> Image.Image:
    where = "<bytes>" if isinstance(source, bytes) else source
    try:
        return Image.open(BytesIO(source) if isinstance(source, bytes) else source)
    except FileNotFoundError:
        raise fault(where, "no such image") from None
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise fault(where, f"not a readable image ({type(error).__name__})") from None


def read_size_wh(source: str | Path | bytes) -> tuple[tuple[int, int], int]:
    """((width, height) in px as a viewer shows the picture, EXIF orientation 1..8). Reads the header only.

    Raises GroundswiftError where the file is missing or no image.
    """
    with _opened(source) as image:
        orientation = int(image.getexif().get(ORIENTATION_TAG, 1))
        width, height = image.size
    if orientation not in range(1, 9):
        orientation = 1
    return ((height, width) if orientation in TURNED else (width, height)), orientation


def upright(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it: EXIF orientation applied and dropped, mode RGB."""
    return ImageOps.exif_transpose(image).convert("RGB")


def open_image(source: str | Path | bytes) -> Image.Image:
    """Decode a file or its bytes into an upright RGB picture. Raises GroundswiftError where it is missing or broken."""
    where = "<bytes>" if isinstance(source, bytes) else source
    with _opened(source) as image:
        try:
            return upright(image)
        except GroundswiftError:
            raise
        except Exception as error:  # Pillow's decoders raise many kinds
            raise fault(where, f"broken image ({type(error).__name__}: {error})") from None
