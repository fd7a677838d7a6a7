"""Tags beside boxes: how wide a text is, and where it lies over nothing that was written before."""

from __future__ import annotations

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


def covered(places_xywh: NDArray[np.float64], others_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 4) and (M, 4) rectangles -> (N,) area of each that the others cover, counted once for each of them."""
    low = np.maximum(places_xywh[:, None, :2], others_xywh[None, :, :2])
    high = np.minimum((places_xywh[:, :2] + places_xywh[:, 2:])[:, None], (others_xywh[:, :2] + others_xywh[:, 2:])[None])
    return np.clip(high - low, 0, None).prod(axis=2).sum(axis=1)


def place_tags(boxes: Sequence[XYWH], texts: Sequence[tuple[str, str]], below: Sequence[bool], canvas_wh: tuple[float, float]) -> list[Tag]:
    """One tag a box, in order: its first candidate on the canvas that covers the least of the tags before it.

    `texts` are (label, what follows it and is never cut); `below` says whether the lower edge is tried first.
    """
    taken = np.zeros((len(boxes), 4))
    tags = []
    for i, (box, (label, suffix), under) in enumerate(zip(boxes, texts, below, strict=True)):
        text = shortened(label) + suffix
        width = min(text_width(text) + 2 * PADDING, canvas_wh[0])
        places = np.array([(x, y, width, HEIGHT) for x, y in candidates(box, width, under)])
        places[:, :2] = np.clip(places[:, :2], 0, (canvas_wh[0] - width, canvas_wh[1] - HEIGHT))
        taken[i] = places[covered(places, taken[:i]).argmin()]
        tags.append(Tag(text, float(taken[i, 0]), float(taken[i, 1]), width))
    return tags
