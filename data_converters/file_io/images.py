"""Checks of an image file: it exists, is readable, and has the size that the source states."""

from __future__ import annotations

import os
from typing import NamedTuple

from groundswift.errors import GroundswiftError
from groundswift.images import TURNED, read_size_wh
from groundswift.storage import NotThere, local_copy
from groundswift.urls import is_url, shown

from ..issues import Issue

LONGEST_SIDE = (1 << 31) - 1  # px: no image format allows more
UPRIGHT = 1  # the EXIF orientation of an image that is not rotated

TURNED_BY_EXIF = "image-rotated-by-exif"  # the reason to count by


class Look(NamedTuple):
    """What reading a file's header showed: its EXIF orientation (1..8), and the problem, if any."""

    orientation: int
    fault: Issue | None


def senseless(stated_wh: tuple[int, int], thing: str) -> Issue | None:
    """The problem of a stated size, in px, that no image can have; None for other sizes."""
    width, height = stated_wh
    if 1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE:
        return None
    return Issue("image-without-size", thing, f"size {_text(stated_wh)}"[:200], f"1 to {LONGEST_SIDE} px a side")


def look_at(path: str, size_wh: tuple[int, int], thing: str) -> Look:
    """Read an image's header and compare its upright size, in px, with the one that its annotation states."""
    look, seen_wh = seen_size(path, thing)
    if seen_wh is None or seen_wh == size_wh:
        return look
    orientation = look.orientation
    what = f"annotated as {_text(size_wh)} px, but the image is {_text(seen_wh)} px"
    if orientation in TURNED and seen_wh == size_wh[::-1]:
        what += f" upright (EXIF orientation {orientation}): the annotation refers to the stored image, not the upright one"
        return Look(orientation, Issue("image-size-as-stored", thing, what, "boxes and size of the upright image"))
    return Look(orientation, Issue("image-size-differs", thing, what, "one size"))


def seen_size(path: str, thing: str, needed: bool = False) -> tuple[Look, tuple[int, int] | None]:
    """Read the header of an image whose source states no size -> (the look, its upright size (width, height) in px).

    `needed`: the size is needed even if images are not checked, so that the message does not suggest --no-check-images.
    """
    if not _there(path):
        expected = (
            "the image file, as the source does not state its size"
            if needed
            else "the image file (use --no-check-images to skip this check)"
        )
        return Look(UPRIGHT, Issue("image-missing", thing, f"image not found: {shown(path)}", expected)), None
    try:
        size_wh, orientation = read_size_wh(path)
    except GroundswiftError as error:
        return Look(UPRIGHT, Issue("image-unreadable", thing, str(error), "an image that Pillow can open")), None
    return Look(orientation, None), size_wh


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
