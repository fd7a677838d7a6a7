"""Tags beside boxes: how wide a text is, and where it lies over nothing that was written before."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FONT_SIZE = 14
HEIGHT = 19
PADDING = 5
LONGEST = 22  # characters of a label; the rest is an ellipsis, and the whole stands in the box's title
XYWH = Sequence[float]


@dataclass(frozen=True)
class Tag:
    """Text in a filled rectangle, in canvas units."""

    text: str
    x: float
    y: float
    width: float
    height: float = HEIGHT


def text_width(text: str) -> float:
    """About how wide a bold text is in a wide sans-serif face, in canvas units; a full-width character takes its whole square."""
    return sum(FONT_SIZE if unicodedata.east_asian_width(c) in "WF" else FONT_SIZE * (0.8 if c.isupper() else 0.65) for c in text)


def shortened(label: str) -> str:
    """One line of at most LONGEST characters."""
    line = " ".join(label.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def candidates(box: XYWH, width: float, below: bool) -> Iterator[tuple[float, float]]:
    """Left upper corners to try for a tag of that width, best first: at the outside of an edge, inside it, at the far edge."""
    x, y, wide, high = box
    edges = [y - HEIGHT, y, y + high, y + high - HEIGHT]
    if below:
        edges = edges[2:] + edges[:2]
    for edge in edges:
        yield x, edge
        yield x + wide - width, edge


class Coverage:
    """How often each cell of 1 x 1 canvas unit is covered: what a new tag would lie on costs no more to find among many tags."""

    def __init__(self, canvas_wh: tuple[float, float]) -> None:
        self.cells = np.zeros((math.ceil(canvas_wh[1]) + 1, math.ceil(canvas_wh[0]) + 1), dtype=np.int32)

    def _cells(self, x: float, y: float, width: float) -> NDArray[np.int32]:
        return self.cells[round(y) : round(y + HEIGHT), round(x) : round(x + width)]

    def amount(self, x: float, y: float, width: float) -> int:
        """Cells under a tag, each counted once for every tag that covers it."""
        return int(self._cells(x, y, width).sum())

    def add(self, x: float, y: float, width: float) -> None:
        self._cells(x, y, width)[...] += 1


def place_tags(boxes: Sequence[XYWH], texts: Sequence[tuple[str, str]], below: Sequence[bool], canvas_wh: tuple[float, float]) -> list[Tag]:
    """One tag a box, in order: its first candidate on the canvas that covers the least of the tags before it.

    `texts` are (label, what follows it and is never cut); `below` says whether the lower edge is tried first.
    """
    taken = Coverage(canvas_wh)
    tags = []
    for box, (label, suffix), under in zip(boxes, texts, below, strict=True):
        text = shortened(label) + suffix
        width = min(text_width(text) + 2 * PADDING, canvas_wh[0])
        places = [(_within(x, canvas_wh[0] - width), _within(y, canvas_wh[1] - HEIGHT)) for x, y in candidates(box, width, under)]
        x, y = _least_covered(places, width, taken)
        taken.add(x, y, width)
        tags.append(Tag(text, x, y, width))
    return tags


def _within(value: float, most: float) -> float:
    return float(min(max(value, 0.0), most))


def _least_covered(places: Sequence[tuple[float, float]], width: float, taken: Coverage) -> tuple[float, float]:
    """The first place that covers nothing, else the first of those that cover the least."""
    best, least = places[0], None
    for place in places:
        amount = taken.amount(*place, width)
        if amount == 0:
            return place
        if least is None or amount < least:
            best, least = place, amount
    return best
