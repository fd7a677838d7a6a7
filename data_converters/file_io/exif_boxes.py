"""Boxes of sources that ignore EXIF rotation: on an EXIF-rotated image they may refer to the stored or to the upright image."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from groundswift.images import SIDES_SWAPPED

from ..issues import skip
from .box_checks import Box, FoundImage
from .images import UPRIGHT

UPRIGHT_XY = {  # EXIF orientation -> the upright position of a point (x, y) of a stored image of width w and height h
    1: lambda x, y, w, h: (x, y),
    2: lambda x, y, w, h: (w - x, y),
    3: lambda x, y, w, h: (w - x, h - y),
    4: lambda x, y, w, h: (x, h - y),
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}
ExifBoxes = Annotated[  # the option of formats that do not say
    Literal["stored", "upright"] | None,
    msgspec.Meta(description="Which version of an EXIF-rotated image the boxes refer to: as stored, or upright."),
]


def box_orientation(thing: str, image: FoundImage, exif_boxes: str | None) -> int:
    """The EXIF orientation to apply to the boxes of an image. Raises SkipSample if the image is EXIF-rotated and `exif_boxes` is None."""
    if image.orientation != UPRIGHT and exif_boxes is None:
        what = f"EXIF rotates {image.path} (orientation {image.orientation}): its boxes may refer to the stored or the upright image"
        raise skip("box-on-rotated-image", thing, what, "--exif-boxes stored or --exif-boxes upright")
    return image.orientation if exif_boxes == "stored" else UPRIGHT


def to_px(box: list[float], steps: int | None, size_wh: tuple[int, int] | None, orientation: int) -> Box:
    """A box in px of the upright image of size `size_wh` (may be None for a box in px that is not rotated).

    `steps`: the coordinate of the right and lower border (1, 999, 1000), or None for a box in px. `orientation`: the EXIF orientation of
    the image that the box refers to, 1 if that is the upright one. The order of the corners is kept unless the box is rotated.
    """
    if steps is None and orientation == UPRIGHT:
        return tuple(box)
    width, height = size_wh[::-1] if orientation in SIDES_SWAPPED else size_wh
    x1, y1, x2, y2 = box if steps is None else (value / steps * side for value, side in zip(box, (width, height) * 2, strict=True))
    if orientation == UPRIGHT:
        return x1, y1, x2, y2
    turn = UPRIGHT_XY[orientation]
    (ax, ay), (bx, by) = turn(x1, y1, width, height), turn(x2, y2, width, height)
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)
