"""What is wrong with the pictures of a row: one look at each file (its header, and all of it where asked), then what the row says of it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from groundswift.errors import GroundswiftError
from groundswift.image_depth import is_deep, to_8_bits
from groundswift.images import TURNED, orientation_of, stored_size_wh
from groundswift.row_view import Finding, RowView, image_source, short
from groundswift.storage import local_copy
from groundswift.urls import is_url

Size = tuple[int, int]
LONGEST_PATH = 2000  # characters; what is longer swift takes for base64
ASPECT = 200  # one side over the other, beyond which qwen-vl-utils refuses


@dataclass(frozen=True)
class Looker:
    """How to look. `max_pixels`: a budget in px; `decode`: read all pixels; `digests`: hash the content."""

    max_pixels: int | None = None
    decode: bool = False
    digests: bool = False


class Look(NamedTuple):
    """What a look at an image showed. `size_wh`: px of the upright picture, None where it could not be opened. `stored_wh`: as its pixels
    are stored. `orientation`: EXIF, 1..8. `digest`: 64 bits of its content."""

    found: tuple[Finding, ...] = ()
    size_wh: Size | None = None
    stored_wh: Size | None = None
    orientation: int = 1
    digest: int | None = None


def path_of(source: str) -> str | None:
    """Where swift would open a path: as it stands, or below ROOT_IMAGE_DIR; None where neither is there."""
    path = os.path.expanduser(source.strip())
    if len(path) > LONGEST_PATH or "\0" in path:
        return None
    below = os.path.join(os.environ.get("ROOT_IMAGE_DIR") or "", path)
    return next((each for each in (path, below) if os.path.exists(each)), None)


def look_at(source: str, looker: Looker) -> Look:
    """Look at one image: a path, a data: address or base64 text. Never raises."""
    if source.strip().startswith(("http://", "https://")):
        return Look((("image-remote", f"{short(source)} was not looked at"),))
    if is_url(source):
        try:
            path = str(local_copy(source))
        except GroundswiftError as error:
            return Look((("image-missing", f"{error}"),))
    else:
        path = path_of(source)
    if path is not None:
        if not os.path.isfile(path):
            return Look((("image-missing", f"{short(source)} is no file; expected a picture"),))
        name, opened = short(source if is_url(source) else path), path
    else:
        data = inline_content(source)
        if data is None:
            return Look(
                (("image-missing", f"no file {short(source)}; expected a path, seen from the working directory or ROOT_IMAGE_DIR"),)
            )
        name, opened = f"base64 text of {len(source)} characters", BytesIO(data)
    try:
        with Image.open(opened) as image:
            return _seen(image, name, looker, opened)
    except Image.DecompressionBombError as error:
        return Look((("image-too-large", f"{name}: {error}; expected at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} px"),))
    except UnidentifiedImageError:
        return Look((("image-unreadable", f"{name} is no picture that Pillow knows; expected JPEG, PNG, WebP or the like"),))
    except Exception as error:  # Pillow's readers raise many kinds
        return Look((("image-unreadable", f"{name} cannot be opened ({type(error).__name__}: {error}); expected a whole picture"),))


def inline_content(source: str) -> bytes | None:
    """The bytes of an image that stands in the row itself."""
    text = source.strip()
    if text.startswith("data:"):
        text = text.partition(";base64,")[2]
    elif len(text) < 64:
        return None
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _seen(image: Image.Image, name: str, looker: Looker, opened: str | BytesIO) -> Look:
    stored, orientation = stored_size_wh(image), orientation_of(image)
    found = [*_of_size(stored, name, looker), *_of_mode(image, name)]
    if looker.decode and not any(rule == "image-broken" for rule, _ in found):
        try:
            image.load()
        except Exception as error:  # the same
            found.append(("image-broken", f"{name} cannot be decoded ({type(error).__name__}: {error}); expected a whole picture"))
    width, height = stored
    upright = (height, width) if orientation in TURNED else stored
    return Look(tuple(found), upright, stored, orientation, _digest(opened) if looker.digests else None)


def _of_size(size_wh: Size, name: str, looker: Looker) -> Iterator[Finding]:
    width, height = size_wh
    limit = looker.max_pixels or Image.MAX_IMAGE_PIXELS
    if limit and width * height > limit:
        yield "image-over-budget", f"{name} is {width}x{height} px, {width * height} in all; expected at most {limit}"
    if max(size_wh) > ASPECT * min(size_wh):
        yield "image-aspect", f"{name} is {width}x{height} px; expected sides of at most {ASPECT} to 1"


def _of_mode(image: Image.Image, name: str) -> Iterator[Finding]:
    if image.mode in ("CMYK", "LAB", "HSV"):
        yield "image-cmyk", f"{name} is {image.mode}; expected RGB"
    elif is_deep(image.mode):
        yield _of_depth(image, name)
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        yield "image-alpha", f"{name} has mode {image.mode} with transparency; expected RGB"
    elif image.mode == "P":
        yield "image-palette", f"{name} has a palette"


def _of_depth(image: Image.Image, name: str) -> Finding:
    """What happens to an image of more than 8 bits. Reads its pixels: only they show whether a scale is known."""
    try:
        to_8_bits(image, image.format)
    except GroundswiftError as error:
        return "image-no-scale", f"{name} has mode {image.mode}: {error}"
    except Exception as error:  # Pillow's decoders raise many kinds
        return "image-broken", f"{name} cannot be decoded ({type(error).__name__}: {error}); expected a whole image"
    return "image-16-bit", f"{name} has mode {image.mode}; a _grounding template scales it to 8 bits, swift's own templates cut it at 255"


def _digest(opened: str | BytesIO) -> int:
    if isinstance(opened, BytesIO):
        data = opened.getvalue()
    else:
        with open(opened, "rb") as file:
            data = file.read()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def sources_of(view: RowView) -> list[str]:
    """What is to be looked at; "" for an image that is none, whose look shows nothing."""
    return [image_source(image) or "" for image in view.images]


def stated_size(view: RowView) -> Size | None:
    """`size_wh` of a row: px of its first image; None where it is absent or no size."""
    size = view.row.get("size_wh")
    if isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size):
        return size[0], size[1]
    return None


def check_sizes(view: RowView, looks: Sequence[Look]) -> Iterator[Finding]:
    """`size_wh` against the first image of the row; `looks` is empty where no look was taken."""
    stated, first = stated_size(view), looks[0] if looks else Look()
    if stated is None and view.row.get("size_wh") is not None:
        yield "size-wh-shape", f"size_wh is {short(view.row['size_wh'])}; expected [width, height] in px"
        return
    if stated is None and view.images:
        yield "size-wh-missing", "no size_wh; expected [width, height] of the upright picture in px"
    if first.size_wh is None:
        return
    upright, stored = _px(first.size_wh), _px(first.stored_wh)
    if stated is None:
        if first.orientation != 1 and view.boxes:
            yield (
                "image-turned-unknown",
                f"EXIF orientation {first.orientation}: {stored} stored, {upright} upright; expected size_wh to say which",
            )
    elif stated == first.size_wh:
        if first.orientation != 1:
            yield "image-turned", f"EXIF orientation {first.orientation}: {stored} stored, {upright} upright, as size_wh says"
    elif stated == first.stored_wh:
        yield (
            "size-wh-stored",
            f"size_wh {_px(stated)} is that of the stored picture; expected {upright} (EXIF orientation {first.orientation})",
        )
    else:
        yield "size-wh-wrong", f"size_wh {_px(stated)}, and the picture is {upright}; expected one size"


def frame_sizes(view: RowView, looks: Sequence[Look]) -> list[Size | None]:
    """Per image the size, in px, of the picture that its boxes are drawn on: what the file shows; what the row states of its first where
    no look was taken, or where that is the size of the stored picture (the boxes are drawn on that, too)."""
    sizes = [look.size_wh for look in looks] or [None] * len(view.images)
    stated = stated_size(view)
    if sizes and stated is not None and (sizes[0] is None or stated == looks[0].stored_wh):
        sizes[0] = stated
    return sizes


def _px(size_wh: Size | None) -> str:
    return f"{size_wh[0]}x{size_wh[1]} px" if size_wh else "unknown"
