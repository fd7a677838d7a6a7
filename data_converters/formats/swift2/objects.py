"""The `objects` column of ms-swift 2.x in its forms. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ...file_io.mmap_json import NOT_JSON
from ...issues import Issue, SkipSample

FORM = "[{caption, bbox: [x1, y1, x2, y2] or a list of such boxes, bbox_type, image}]"


class OldObject(msgspec.Struct):
    """One object. `bbox`: four numbers, or lists of four; `bbox_type` and `image` (an index) as 2.x had them."""

    bbox: list[float | list[float]]
    caption: str | None = None
    bbox_type: str | None = None
    image: int | None = None

    def boxes(self, thing: str) -> list[list[float]]:
        """Its boxes, one or more. Raises SkipSample where they are not four numbers each."""
        boxes = self.bbox if any(isinstance(each, list) for each in self.bbox) else [self.bbox]
        for box in boxes:
            if not isinstance(box, list) or len(box) != 4 or any(isinstance(value, list) for value in box):
                raise SkipSample(Issue("box-length", thing, f"bbox {self.bbox}", "x1, y1, x2, y2, or a list of such boxes"))
        return boxes


def objects_of(where: str, column: Any) -> list[OldObject]:
    """The objects of a row, from a list or its JSON text; an object may be [caption, bbox]. Raises SkipSample for another form."""
    if not column:
        return []
    try:
        if isinstance(column, str):
            column = msgspec.json.decode(column)
        if isinstance(column, dict) and column.keys() & {"ref", "bbox"}:
            what = f"objects has {', '.join(map(str, column))}"
            raise SkipSample(Issue("objects of today's form", where, what, f"{FORM}; this row needs no converting"))
        if isinstance(column, list):
            column = [{"caption": each[0], "bbox": each[1]} if isinstance(each, list) and len(each) == 2 else each for each in column]
        return msgspec.convert(column, list[OldObject])
    except NOT_JSON as error:
        raise SkipSample(Issue("objects unreadable", where, f"objects: {error}", FORM)) from None
