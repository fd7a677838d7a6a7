"""Checks of a row's images and videos: whether the files are there and readable, and whether size_wh agrees with the first image.

Of an image the header is read, and all of it where asked. No video is opened.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from groundswift.errors import GroundswiftError
from groundswift.image_depth import is_deep, to_8_bits
from groundswift.images import SIDES_SWAPPED, orientation_of, stored_size_wh
from groundswift.row_view import Finding, RowView, frames_of, image_source, short
from groundswift.storage import exists, local_copy
from groundswift.urls import is_url, is_web

from ..image_paths import path_of
from .video_readers import missing_reader

Size = tuple[int, int]
ASPECT = 200  # one side over the other, beyond which qwen-vl-utils refuses
NOT_FOUND = "not found: {}; expected a path relative to the working directory or ROOT_IMAGE_DIR"
_missing_reader = lru_cache(maxsize=1)(missing_reader)


@dataclass(frozen=True)
class ImageChecks:
    """What to check of an image. `max_pixels`: a budget in px; `decode`: read all pixels; `digests`: hash the content."""

    max_pixels: int | None = None
    decode: bool = False
    digests: bool = False


class ImageCheck(NamedTuple):
    """What one image showed. `size_wh`: px, upright, None if it could not be opened; `stored_wh`: px before EXIF rotation;
    `orientation`: EXIF, 1..8; `digest`: 64 bits of its content."""

    findings: tuple[Finding, ...] = ()
    size_wh: Size | None = None
    stored_wh: Size | None = None
    orientation: int = 1
    digest: int | None = None


def inline_content(source: str) -> bytes | None:
    """The bytes of an image that the row itself holds, as base64 or a data: URL."""
    text = source.strip()
    if text.startswith("data:"):
        text = text.partition(";base64,")[2]
    elif len(text) < 64:
        return None
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def check_image(source: str, checks: ImageChecks) -> ImageCheck:
    """Check one image: a path, URL or base64 text. Never raises."""
    if is_web(source.strip()):
        return ImageCheck((("image-remote", f"{short(source)} was not checked"),))
    try:
        path = str(local_copy(source)) if is_url(source) else path_of(source)
    except GroundswiftError as error:
        return ImageCheck((("image-missing", f"{error}"),))
    if path is not None:
        if not os.path.isfile(path):
            return ImageCheck((("image-missing", f"{short(source)} is not a file; expected an image"),))
        return _opened(path, short(source if is_url(source) else path), checks)
    data = inline_content(source)
    if data is None:
        return ImageCheck((("image-missing", f"image {NOT_FOUND.format(short(source))}"),))
    return _opened(BytesIO(data), f"base64 text of {len(source)} characters", checks)


def cached_check(images: ImageChecks) -> Callable[[str], ImageCheck]:
    """Many rows may have the same image, usually close to each other."""
    remembered = lru_cache(maxsize=4096)(lambda source: check_image(source, images))
    return lambda source: check_image(source, images) if len(source) > 4096 else remembered(source)


def _opened(file: str | BytesIO, name: str, checks: ImageChecks) -> ImageCheck:
    try:
        with Image.open(file) as image:
            return _checked(image, name, checks, file)
    except Image.DecompressionBombError as error:
        finding = "image-too-large", f"{name}: {error}; expected at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} px"
    except UnidentifiedImageError:
        finding = "image-unreadable", f"{name} is in a format unknown to Pillow; expected JPEG, PNG, WebP or the like"
    except Exception as error:  # Pillow's readers raise many kinds
        finding = "image-unreadable", f"{name} cannot be opened ({type(error).__name__}: {error}); expected a complete image"
    return ImageCheck((finding,))


def _checked(image: Image.Image, name: str, checks: ImageChecks, file: str | BytesIO) -> ImageCheck:
    stored, orientation = stored_size_wh(image), orientation_of(image)
    findings = [*_check_size(stored, name, checks), *_check_mode(image, name)]
    if checks.decode and not any(rule == "image-broken" for rule, _ in findings):
        try:
            image.load()
        except Exception as error:  # as above
            findings.append(_broken(name, error))
    upright = stored[::-1] if orientation in SIDES_SWAPPED else stored
    return ImageCheck(tuple(findings), upright, stored, orientation, _digest(file) if checks.digests else None)


def _broken(name: str, error: Exception) -> Finding:
    return "image-broken", f"{name} cannot be decoded ({type(error).__name__}: {error}); expected a complete image"


def _check_size(size_wh: Size, name: str, checks: ImageChecks) -> Iterator[Finding]:
    width, height = size_wh
    limit = checks.max_pixels or Image.MAX_IMAGE_PIXELS
    if limit and width * height > limit:
        yield "image-over-budget", f"{name} is {width}x{height} px, {width * height} in all; expected at most {limit}"
    if max(size_wh) > ASPECT * min(size_wh):
        yield "image-aspect", f"{name} is {width}x{height} px; expected sides of at most {ASPECT} to 1"


def _check_mode(image: Image.Image, name: str) -> Iterator[Finding]:
    if image.mode in ("CMYK", "LAB", "HSV"):
        yield "image-cmyk", f"{name} is {image.mode}; expected RGB"
    elif is_deep(image.mode):
        yield _check_depth(image, name)
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        yield "image-alpha", f"{name} has mode {image.mode} with transparency; expected RGB"
    elif image.mode == "P":
        yield "image-palette", f"{name} has a palette"


def _check_depth(image: Image.Image, name: str) -> Finding:
    """An image of more than 8 bits. Reads its pixels: only they show whether a scale is known."""
    try:
        to_8_bits(image, image.format)
    except GroundswiftError as error:
        return "image-no-scale", f"{name} has mode {image.mode}: {error}"
    except Exception as error:  # Pillow's decoders raise many kinds
        return _broken(name, error)
    return "image-16-bit", f"{name} has mode {image.mode}; a _grounding template scales it to 8 bits, swift's own templates clip it at 255"


def _digest(file: str | BytesIO) -> int:
    data = file.getvalue() if isinstance(file, BytesIO) else Path(file).read_bytes()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def sources_of(view: RowView) -> list[str]:
    """What to open for each image of a row; "" for one without a source."""
    return [image_source(image) or "" for image in view.images]


def stated_size(view: RowView) -> Size | None:
    """`size_wh` of a row: px of its first image; None if it is missing or malformed."""
    size = view.row.get("size_wh")
    if isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size):
        return size[0], size[1]
    return None


def check_sizes(view: RowView, checks: Sequence[ImageCheck]) -> Iterator[Finding]:
    """`size_wh` against the first image of the row; `checks` is empty if no image was opened."""
    stated, first = stated_size(view), checks[0] if checks else ImageCheck()
    if stated is None and view.row.get("size_wh") is not None:
        yield "size-wh-shape", f"size_wh is {short(view.row['size_wh'])}; expected [width, height] in px"
        return
    if stated is None and view.images:
        yield "size-wh-missing", "no size_wh; expected [width, height] of the upright image in px"
    if first.size_wh is None:
        return
    exif = f"EXIF orientation {first.orientation}"
    upright, stored = _px(first.size_wh), _px(first.stored_wh)
    if stated is None:
        if first.orientation != 1 and view.boxes:
            yield "image-exif-unknown", f"{exif}: {stored} stored, {upright} upright; expected size_wh to say which"
    elif stated == first.size_wh:
        if first.orientation != 1:
            yield "image-exif-rotated", f"{exif}: {stored} stored, {upright} upright, as size_wh says"
    elif stated == first.stored_wh:
        yield "size-wh-stored", f"size_wh {_px(stated)} is the size before EXIF rotation; expected {upright} ({exif})"
    else:
        yield "size-wh-wrong", f"size_wh {_px(stated)}, and the image is {upright}; expected one size"


def frame_sizes(view: RowView, checks: Sequence[ImageCheck]) -> list[Size | None]:
    """For each image the size in px of what its boxes are drawn on: its own; of the first image what the row states, if the image was not
    opened or that is its size before EXIF rotation (boxes are drawn on that, too)."""
    sizes = [check.size_wh for check in checks] or [None] * len(view.images)
    stated = stated_size(view)
    if sizes and stated is not None and (sizes[0] is None or stated == checks[0].stored_wh):
        sizes[0] = stated
    return sizes


def _px(size_wh: Size | None) -> str:
    return f"{size_wh[0]}x{size_wh[1]} px" if size_wh else "unknown"


def check_videos(view: RowView) -> Iterator[Finding]:
    """Each video of a row, and each frame of one that is a list of images: whether it exists, and whether a package can decode it."""
    if any(isinstance(video, str) for video in view.videos) and (problem := _missing_reader()):
        yield "video-no-reader", problem
    for source in filter(None, (image_source(frame) for video in view.videos for frame in frames_of(video))):
        if is_web(source.strip()):
            yield "video-remote", f"{short(source)} was not checked"
        elif is_url(source):
            if problem := _missing_url(source):
                yield "video-missing", problem
        elif (path := path_of(source)) is None:
            if inline_content(source) is None:
                yield "video-missing", f"video {NOT_FOUND.format(short(source))}"
        elif not os.path.isfile(path):
            yield "video-missing", f"{short(source)} is not a file; expected a video, or a list of frames"
        elif not os.path.getsize(path):
            yield "video-empty", f"{short(source)} has no bytes; expected a complete file"


def _missing_url(source: str) -> str | None:
    try:
        return None if exists(source) else f"nothing at {short(source)}; expected a video"
    except GroundswiftError as error:
        return str(error)
