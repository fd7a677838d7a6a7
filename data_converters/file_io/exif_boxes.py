"""Boxes of sources that open pictures as they are stored: where EXIF turns one, the boxes may have been drawn on either picture."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from groundswift.images import TURNED

from ..issues import Issue, SkipSample
from .box_checks import Box, Seen
from .images import UPRIGHT

TURNED_XY = {  # EXIF orientation -> where a point (x, y) of the stored picture of width w and height h is shown
    1: lambda x, y, w, h: (x, y),
    2: lambda x, y, w, h: (w - x, y),
    3: lambda x, y, w, h: (w - x, h - y),
    4: lambda x, y, w, h: (x, h - y),
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}
Turned = Annotated[  # the option of formats that do not say
    Literal["stored", "upright"] | None,
    msgspec.Meta(description="Which picture the boxes belong to where EXIF turns it: as it is stored, or as it is shown."),
]


def turn_of(thing: str, seen: Seen, turned: str | None) -> int:
    """The EXIF orientation by which boxes on a picture are to be turned. Raises SkipSample where there is one and `turned` does not say."""
    if seen.orientation != UPRIGHT and turned is None:
        what = f"EXIF turns {seen.path} (orientation {seen.orientation}): the boxes may be on the stored or the upright picture"
        raise SkipSample(Issue("box-on-rotated-image", thing, what, "--turned stored or --turned upright"))
    return seen.orientation if turned == "stored" else UPRIGHT


def to_px(box: list[float], steps: int | None, size_wh: tuple[int, int] | None, orientation: int) -> Box:
    """A box in px of the upright picture, whose size is `size_wh`; that may be None where nothing is to be computed from it.

    `steps`: what stands for the right and lower border (1, 999, 1000), or None where the box is in px. `orientation`: how EXIF turns the
    picture that the box was drawn on; 1 where that is the upright one. The order of the corners stays as it is, unless it is turned.
    """
    if steps is None and orientation == UPRIGHT:
        return tuple(box)
    width, height = size_wh[::-1] if orientation in TURNED else size_wh
    x1, y1, x2, y2 = box if steps is None else (value / steps * side for value, side in zip(box, (width, height) * 2, strict=True))
    if orientation == UPRIGHT:
        return x1, y1, x2, y2
    turn = TURNED_XY[orientation]
    (ax, ay), (bx, by) = turn(x1, y1, width, height), turn(x2, y2, width, height)
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)
