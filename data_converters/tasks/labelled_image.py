"""What the sources of label files read: the labels of one image, their boxes, and the numbers that texts are."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..file_io.box_checks import Box
from ..file_io.label_files import text_of
from ..issues import IssueLog, SkipSample, skip

NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|nan|inf)", re.IGNORECASE)
UNREADABLE = "label-unreadable"  # the reason to count by
LARGEST_FRACTION, LARGEST_SIDE_PX = 2, 1_000_000  # between them a number is meant as px; beyond them it is broken
Size = tuple[int, int]
Lines = tuple[str, ...]


class Label(msgspec.Struct, gc=False):
    """One label. `where`: its place in the source, such as `labels/7.txt:3`; `rank` of its class; `box_xywh` in px, or as fractions of the
    image; `crowd`: no target and no absence either, as a crowd box."""

    where: str
    rank: int
    box_xywh: Box
    crowd: bool = False


class LabelledImage(msgspec.Struct):
    """An image and its labels. `name`: relative to the folder of the images; `stated_wh` in px, None where only the image says.

    `unreadable`: a label of it could not be parsed, which is logged.
    """

    name: str
    labels: list[Label] = []
    stated_wh: Size | None = None
    unreadable: bool = False

    def attempt(self, log: IssueLog, read: Callable[..., Any], *given: object) -> Any:
        """What `read` returns; None where it raises SkipSample, which is logged and makes the image unreadable."""
        try:
            return read(*given)
        except SkipSample as stopped:
            log.add(stopped.issue)
            self.unreadable = True
            return None

    def add_lines(self, path: str, where: str, read: Callable[[list[str], str, IssueLog], Label], log: IssueLog, head: Lines = ()) -> None:
        """Add the labels of a text file: what `read` makes of the fields of each line, its place and the log. Lines that start as `head`
        says hold none."""
        text = self.attempt(log, text_of, path, where) or ""
        for number, line in enumerate(text.split("\n"), 1):
            fields = line.split()
            if fields and not fields[0].lower().startswith(head) and (label := self.attempt(log, read, fields, f"{where}:{number}", log)):
                self.labels.append(label)


def not_a_label(where: str, what: str, expected: str) -> SkipSample:
    """What to raise for a label that cannot be parsed."""
    return skip(UNREADABLE, where, what[:200], expected)


def fraction_label(label: Label) -> Label:
    """The label. Raises SkipSample where its box has pixels in place of fractions and would be clipped to most of its image."""
    x, y, width, height = label.box_xywh
    largest = max(x + width, y + height, -x, -y)
    if LARGEST_FRACTION < largest < LARGEST_SIDE_PX and x < 1 and y < 1 and x + width > 0 and y + height > 0:
        expected = "numbers from 0 to 1; divide pixels by the size of the image"
        raise not_a_label(label.where, f"box of fractions reaches to {largest:g} times the side of its image", expected)
    return label


def number_of(text: str | None) -> float | None:
    """The number that a text is, NaN and infinity among them; None for other text, such as 1_0."""
    return float(text) if text is not None and NUMBER.fullmatch(text) else None


def size_of(width: str | None, height: str | None) -> Size | None:
    """A size in px given as two texts; None unless both are whole numbers from 1 to 2**31 - 1."""
    sides = [number_of(width), number_of(height)]
    return (int(sides[0]), int(sides[1])) if all(side and 1 <= side < 1 << 31 and side.is_integer() for side in sides) else None


def as_xywh(x1: float, y1: float, x2: float, y2: float) -> Box:
    """A box given by its corners as x, y, width, height: those of an inverted box are negative."""
    return x1, y1, x2 - x1, y2 - y1


def inverted(x1: float, y1: float, x2: float, y2: float) -> bool:
    """Whether a box is inverted or not finite, so that no rotation of it makes sense."""
    return not (all(map(math.isfinite, (x1, y1, x2, y2))) and x1 <= x2 and y1 <= y2)


def bounds(xs: Sequence[float], ys: Sequence[float]) -> Box:
    """The smallest axis-aligned box (x1, y1, x2, y2) around some corners; NaN where one of them is not finite."""
    if not all(map(math.isfinite, (*xs, *ys))):
        return (math.nan,) * 4
    return min(xs), min(ys), max(xs), max(ys)


def corners_box(xs: Sequence[float], ys: Sequence[float], where: str, log: IssueLog) -> Box:
    """The `bounds` of the four corners of a rectangle, counted where it is rotated."""
    if len(set(xs)) != 2 or len(set(ys)) != 2:
        log.count("box-from-rotated", where)
    return bounds(xs, ys)
