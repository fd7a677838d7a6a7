"""Checks of an image file: it exists, is readable, and has the size that the source states."""

from __future__ import annotations

import os
from typing import NamedTuple

from groundswift.errors import GroundswiftError
from groundswift.images import SIDES_SWAPPED, read_size_wh
from groundswift.storage import NotThere, local_copy
from groundswift.urls import is_url, shown

from ..issues import Issue

LONGEST_SIDE = (1 << 31) - 1  # px: no image format allows more
UPRIGHT = 1  # the EXIF orientation of an image that is not rotated

EXIF_ROTATED = "image-rotated-by-exif"  # the reason to count by


class FoundImage(NamedTuple):
    """An image: its absolute path or URL, its upright size (width, height) in px (None if neither read nor stated), and its EXIF
    orientation 1..8."""

    path: str
    size_wh: tuple[int, int] | None
    orientation: int = UPRIGHT


def stated_size_problem(stated_wh: tuple[int, int], thing: str) -> Issue | None:
    """The problem of a stated size, in px, that no image can have; None for other sizes."""
    width, height = stated_wh
    if 1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE:
        return None
    return Issue("image-without-size", thing, f"size {_text(stated_wh)}"[:200], f"1 to {LONGEST_SIDE} px per side")


def read_header(path: str, thing: str, stated_wh: tuple[int, int] | None = None, size_needed: bool = False) -> FoundImage | Issue:
    """Read the header of an image, or say why it cannot be used; its upright size must be `stated_wh`, if its annotation states one.

    `size_needed`: the size is needed even if images are not checked, so that the message does not suggest --no-check-images.
    """
    if not _there(path):
        remedy = ", as the source does not state its size" if size_needed else " (use --no-check-images to skip this check)"
        return Issue("image-missing", thing, f"image not found: {shown(path)}", f"the image file{remedy}")
    try:
        size_wh, orientation = read_size_wh(path)
    except GroundswiftError as error:
        return Issue("image-unreadable", thing, str(error), "an image that Pillow can open")
    return _size_differs(size_wh, orientation, stated_wh or size_wh, thing) or FoundImage(path, size_wh, orientation)


def _size_differs(size_wh: tuple[int, int], orientation: int, stated_wh: tuple[int, int], thing: str) -> Issue | None:
    if size_wh == stated_wh:
        return None
    what = f"annotated as {_text(stated_wh)} px, but the image is {_text(size_wh)} px"
    if orientation in SIDES_SWAPPED and size_wh == stated_wh[::-1]:
        what += f" upright (EXIF orientation {orientation}): the annotation refers to the stored image, not the upright one"
        return Issue("image-size-as-stored", thing, what, "boxes and size of the upright image")
    return Issue("image-size-differs", thing, what, "one size")


def _there(path: str) -> bool:
    """Whether an image exists; one at a URL is fetched to find out. Raises GroundswiftError if its store fails, as it may exist."""
    if not is_url(path):
        return os.path.isfile(path)
    try:
        local_copy(path)
    except NotThere:
        return False
    return True


def _text(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
