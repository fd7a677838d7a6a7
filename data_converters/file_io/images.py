"""The picture that belongs to a sample: its path, and whether it is there, readable and of the size that the source states."""

from __future__ import annotations

import os
from typing import NamedTuple

from groundswift.errors import GroundswiftError
from groundswift.images import TURNED, read_size_wh
from groundswift.storage import NotThere, local_copy
from groundswift.urls import is_url, shown

from ..issues import Issue

LONGEST_SIDE = (1 << 31) - 1  # px: no format of pictures has more
UPRIGHT = 1  # the EXIF orientation of a picture that is stored as it is shown

TURNED_BY_EXIF = "image-rotated-by-exif"  # the reason to count by


class Look(NamedTuple):
    """What a look at a file showed: its EXIF orientation (1..8), and the fault, if any."""

    orientation: int
    fault: Issue | None


def senseless(stated_wh: tuple[int, int], thing: str) -> Issue | None:
    """The fault of a stated size, in px, that no picture has; None for others."""
    width, height = stated_wh
    if 1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE:
        return None
    return Issue("image-without-size", thing, f"size {_text(stated_wh)}"[:200], f"1 to {LONGEST_SIDE} px a side")


def look_at(path: str, size_wh: tuple[int, int], thing: str) -> Look:
    """Read a picture's header and compare its upright size, in px, with the one that its annotation states."""
    look, seen_wh = seen_size(path, thing)
    if seen_wh is None or seen_wh == size_wh:
        return look
    orientation = look.orientation
    what = f"annotated as {_text(size_wh)} px, but the picture is {_text(seen_wh)} px"
    if orientation in TURNED and seen_wh == size_wh[::-1]:
        what += f" upright (EXIF orientation {orientation}): the annotation was made on the stored, not the upright picture"
        return Look(orientation, Issue("image-size-as-stored", thing, what, "boxes and size of the upright picture"))
    return Look(orientation, Issue("image-size-differs", thing, what, "one size"))


def seen_size(path: str, thing: str, needed: bool = False) -> tuple[Look, tuple[int, int] | None]:
    """What a look at a picture shows where its source states no size: the look, and its upright size (width, height) in px.

    `needed`: it is looked at whether or not pictures are checked.
    """
    if not _there(path):
        expected = "the picture, whose size nothing else states" if needed else "the picture; --no-check-images does without"
        return Look(UPRIGHT, Issue("image-missing", thing, f"no file {shown(path)}", expected)), None
    try:
        size_wh, orientation = read_size_wh(path)
    except GroundswiftError as error:
        return Look(UPRIGHT, Issue("image-unreadable", thing, str(error), "a picture that Pillow opens")), None
    return Look(orientation, None), size_wh


def _there(path: str) -> bool:
    """Whether a picture is there; one at an address is fetched to see. Raises GroundswiftError where its store fails: it may be there."""
    if not is_url(path):
        return os.path.isfile(path)
    try:
        local_copy(path)
    except NotThere:
        return False
    return True


def _text(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
