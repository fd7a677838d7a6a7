"""A row of Shikra, in its general form: image, target (boxes, points), conversations that refer to them by index."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

BOXES, POINTS = "<boxes>", "<points>"
Side = Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]


class ShikraImage(msgspec.Struct):
    """An image by its path, with its size in px where that is stated."""

    path: str
    width: Side | None = None
    height: Side | None = None


class Target(msgspec.Struct, omit_defaults=True):
    """What the turns refer to by index: boxes of four numbers (xyxy), points of two (xy)."""

    boxes: list[list[float]] | None = None
    points: list[list[float]] | None = None

    def of(self, kind: str) -> list[list[float]]:
        """Its boxes or points; `kind`: BOXES or POINTS."""
        return (self.boxes if kind == BOXES else self.points) or []


class Turn(msgspec.Struct, omit_defaults=True, rename={"speaker": "from"}):
    """One turn; the indices of each `<boxes>` and each `<points>` in it."""

    speaker: str
    value: str
    boxes_seq: Any = None
    points_seq: Any = None


class ShikraRow(msgspec.Struct, omit_defaults=True):
    """A row: a conversation, or an expression and its box. `sample_id`, `width` and `height` (px of the image) are our additions."""

    image: str | ShikraImage | None = None
    target: Target | None = None
    conversations: list[Turn] | None = None
    img_path: str | None = None
    expression: str | None = None
    bbox: list[float] | None = None
    sample_id: int | str | None = None
    width: Side | None = None
    height: Side | None = None
