"""The `objects` column of ms-swift 2.x: its forms, and its boxes in pixels of the upright picture. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from .faults import Fault, NoRow

FORM = "[{caption, bbox: [x1, y1, x2, y2] or a list of such boxes, bbox_type, image}]"
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
SWAPPED = {5, 6, 7, 8}


class OldObject(msgspec.Struct):
    """One object. `bbox`: four numbers, or lists of four; `bbox_type` and `image` (an index) as 2.x had them."""

    bbox: list[float | list[float]]
    caption: str | None = None
    bbox_type: str | None = None
    image: int | None = None

    def boxes(self, thing: str) -> list[list[float]]:
        """Its boxes, one or more. Raises NoRow where they are not four numbers each."""
        boxes = self.bbox if any(isinstance(each, list) for each in self.bbox) else [self.bbox]
        for box in boxes:
            if not isinstance(box, list) or len(box) != 4 or any(isinstance(value, list) for value in box):
                raise NoRow(Fault("box without 4 numbers", thing, f"bbox {self.bbox}", "x1, y1, x2, y2, or a list of such boxes"))
        return boxes


def objects_of(where: str, column: Any) -> list[OldObject]:
    """The objects of a row, from a list or its JSON text; an object may be [caption, bbox]. Raises NoRow for another form."""
    if not column:
        return []
    try:
        if isinstance(column, str):
            column = msgspec.json.decode(column)
        if isinstance(column, dict) and column.keys() & {"ref", "bbox"}:
            what = f"objects has {', '.join(map(str, column))}"
            raise NoRow(Fault("objects of today's form", where, what, f"{FORM}; this row needs no converting"))
        if isinstance(column, list):
            column = [{"caption": each[0], "bbox": each[1]} if isinstance(each, list) and len(each) == 2 else each for each in column]
        return msgspec.convert(column, list[OldObject])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NoRow(Fault("objects unreadable", where, f"objects: {error}", FORM)) from None


def to_px(box: list[float], steps: int | None, size_wh: tuple[int, int] | None, orientation: int) -> tuple[float, float, float, float]:
    """A box in px of the upright picture, whose size is `size_wh`; that may be None where nothing is to be computed from it.

    `steps`: what stands for the right and lower border (1, 999, 1000), or None where the box is in px. `orientation`: how EXIF turns the
    picture that the box was drawn on; 1 where that is the upright one. The order of the corners stays as it is, unless it is turned.
    """
    if steps is None and orientation == 1:
        return tuple(box)
    width, height = size_wh[::-1] if orientation in SWAPPED else size_wh
    x1, y1, x2, y2 = box if steps is None else (value / steps * side for value, side in zip(box, (width, height) * 2, strict=True))
    if orientation == 1:
        return x1, y1, x2, y2
    turn = TURNED_XY[orientation]
    (ax, ay), (bx, by) = turn(x1, y1, width, height), turn(x2, y2, width, height)
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)
