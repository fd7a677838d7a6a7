"""Colours, geometry and labels of drawn boxes: for the report of an evaluation (SVG) and for `groundswift show` (Pillow)."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLOURS = [(255, 64, 64), (64, 220, 90), (80, 150, 255), (255, 200, 40), (230, 90, 255)]  # easy to tell apart; the brightest first
COLOURS += [(60, 225, 225), (255, 140, 60), (190, 230, 60), (255, 120, 180), (160, 130, 255)]
OUTCOME_COLOURS = {"truth": "#35d483", "true_positive": "#62b4ff", "false_positive": "#ff7463", "crowd": "#c6c9ce", "unknown": "#ffc94d"}
FONT_SIZE = 14
HEIGHT = 19
PADDING = 5
LONGEST = 22  # characters of a label; the box's title has all of it
XYWH = Sequence[float]


@dataclass(frozen=True)
class Tag:
    """Text in a filled rectangle, in canvas units."""

    text: str
    x: float
    y: float
    width: float
    height: float = HEIGHT


def colours_of(keys: Sequence[Hashable]) -> list[tuple[int, int, int]]:
    """One RGB colour for each key; equal keys share it."""
    place = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    return [COLOURS[place[key] % len(COLOURS)] for key in keys]


def inside(value: float, most: float) -> float:
    """The coordinate nearest to `value` from 0 to `most`; 0 where `most` is negative."""
    return float(max(min(value, most), 0))


def one_line(text: str) -> str:
    """A text with every run of white space made one blank."""
    return " ".join(text.split())


def text_width(text: str) -> float:
    """About how wide a bold text is in a wide sans-serif face, in canvas units; a full-width character takes its whole square."""
    return sum(FONT_SIZE if unicodedata.east_asian_width(c) in "WF" else FONT_SIZE * (0.8 if c.isupper() else 0.65) for c in text)


def shortened(label: str) -> str:
    """One line of at most LONGEST characters."""
    line = one_line(label)
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
    """How often each cell of 1 x 1 canvas unit is covered, so that the time for a new tag does not grow with the number of tags."""

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
    """One tag for each box, in order: its first candidate on the canvas that covers the least of the earlier tags.

    `boxes` are x, y, width, height in canvas units. `texts` are (label, suffix that is never truncated); `below`: try the lower edge first.
    """
    taken = Coverage(canvas_wh)
    tags = []
    for box, (label, suffix), under in zip(boxes, texts, below, strict=True):
        text = shortened(label) + suffix
        width = min(text_width(text) + 2 * PADDING, canvas_wh[0])
        places = [(inside(x, canvas_wh[0] - width), inside(y, canvas_wh[1] - HEIGHT)) for x, y in candidates(box, width, under)]
        x, y = _least_covered(places, width, taken)
        taken.add(x, y, width)
        tags.append(Tag(text, x, y, width))
    return tags


def _least_covered(places: Sequence[tuple[float, float]], width: float, taken: Coverage) -> tuple[float, float]:
    """The first place that covers nothing, else the first of those that cover the least."""
    free = (place for place in places if taken.amount(*place, width) == 0)
    return next(free, None) or min(places, key=lambda place: taken.amount(*place, width))
