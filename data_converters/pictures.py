"""The picture that belongs to a sample: its path, and whether it is there, readable and of the size that the source states."""

from __future__ import annotations

import os
from typing import NamedTuple

from groundswift.errors import GroundswiftError
from groundswift.images import TURNED, read_size_wh

from .faults import Fault

UPRIGHT = 1  # the EXIF orientation of a picture that is stored as it is shown


class Look(NamedTuple):
    """What a look at a file showed: its EXIF orientation (1..8), and the fault, if any."""

    orientation: int
    fault: Fault | None


def path_inside(folder: str, name: str) -> str | None:
    """`folder/name`, or None where the name is empty, absolute or leaves the folder. Text alone: no file is touched."""
    parts = os.path.normpath(name).split(os.sep)
    if not name or os.path.isabs(name) or parts[0] in (os.curdir, os.pardir):
        return None
    return os.path.join(folder, *parts)


def look_at(path: str, size_wh: tuple[int, int], thing: str) -> Look:
    """Read a picture's header and compare its upright size, in px, with the one that its annotation states."""
    if not os.path.isfile(path):
        return Look(UPRIGHT, Fault("image missing", thing, f"no file {path}", "the picture; --no-check-images does without"))
    try:
        seen_wh, orientation = read_size_wh(path)
    except GroundswiftError as error:
        return Look(UPRIGHT, Fault("image unreadable", thing, str(error), "a picture that Pillow opens"))
    if seen_wh == size_wh:
        return Look(orientation, None)
    what = f"annotated as {_text(size_wh)} px, but the picture is {_text(seen_wh)} px"
    if orientation in TURNED and seen_wh == size_wh[::-1]:
        what += f" upright (EXIF orientation {orientation}): the annotation was made on the stored, not the upright picture"
        return Look(orientation, Fault("image annotated as stored, not upright", thing, what, "boxes and size of the upright picture"))
    return Look(orientation, Fault("image of another size", thing, what, "one size"))


def _text(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
