"""What the parsers of all grammars share: numbers become a box, deviations parse warnings, and all of it a status."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import repeat
from typing import Protocol

import numpy as np

from ..answers import Answer, Located, Status
from ..errors import GroundswiftError

Item = tuple[Sequence[float], int, int]  # x1, y1, x2, y2, or x, y, or the points of a polygon; where it starts and ends in the text
NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
FEW = 32  # boxes in one place; more are placed at once
CORNER_WARNINGS = ("", "box-inverted", "number-out-of-range", "number-like-ratio")
THINKING = {"</think>": "<think>", "<channel|>": "<|channel>"}  # the mark behind what a model thinks, and the one before it
NOTHING = {"", "none", "null"}  # besides any number of `[]`
OPENED = frozenset("[({<")  # what an answer begins with


class Grammar(Protocol):
    """Formatting and parsing of one way to write boxes. `whole_answer`: boxes make up the answer instead of standing in a sentence."""

    whole_answer: bool

    def write_label(self, label: str) -> str: ...
    def write_box(self, coordinates: Sequence[float]) -> str: ...
    def format(self, objects: Sequence[Located]) -> str: ...
    def parse(self, text: str, limit: float | None) -> Answer: ...


def write_number(value: float) -> str:
    """Whole numbers without a point, others with all their digits. Raises GroundswiftError for NaN and infinity."""
    if not math.isfinite(value):
        raise GroundswiftError(f"coordinate {value} cannot be written; expected a finite number")
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def as_number(text: str) -> float:
    """Text of a number -> int where it is whole, else float (infinite where it is too large)."""
    if text.isdecimal() and len(text) < 19:
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() and "e" not in text and "." not in text and len(text) < 17 else number


def is_quadrangle(numbers: Sequence[float | None]) -> bool:
    """Whether 8 numbers go round the corners of a quadrangle (x, y each), and are not two boxes: corners of a box are in order."""
    if len(numbers) != 8 or not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
        return False
    x1, y1, x2, y2, x3, y3, x4, y4 = numbers
    if x1 <= x2 and y1 <= y2 and x3 <= x4 and y3 <= y4:
        return False
    corners = [(x1, y1), (x2, y2), (x3, y3), (x4, y4)]
    turns = [
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])
        for a, b, c in zip(corners, corners[1:] + corners[:1], corners[2:] + corners[:2], strict=True)
    ]
    return all(turn >= 0 for turn in turns) or all(turn <= 0 for turn in turns)


def without_thinking(text: str) -> str | None:
    """The text with blanks for its thinking, so that positions hold; None where it stops while thinking.

    Thinking is all up to the last `</think>` (Gemma 4: `<channel|>`): chat templates often put the opening mark into the prompt.
    """
    end = max(at + len(mark) if (at := text.rfind(mark)) >= 0 else 0 for mark in THINKING)
    if end:
        return " " * end + text[end:]
    return None if text.lstrip().startswith(tuple(THINKING.values())) else text


def still_thinking() -> Answer:
    """What is read from a text that stops while thinking."""
    return Answer([], "truncated", ["unclosed-thinking"])


class Reading:
    """Collects the objects and reasons of one answer. `limit`: the largest coordinate that the space has, None for no bound."""

    def __init__(self, limit: float | None) -> None:
        self.bound = limit
        self.largest = sys.float_info.max if limit is None else limit
        self.surely = 1 if self.largest > 1 else -1  # numbers over it are not ratios
        self.objects: list[Located] = []
        self.reasons: list[str] = []
        self.cut = False
        self.absent = False  # whether a label was said to have no box
        self.blocks: list[int] = []  # how many objects there were at the end of each list or mark

    def odd(self, reason: str, count: int = 1) -> None:
        """Note a parse warning, by its id."""
        self.reasons.extend([reason] * count)

    def drop_repeated_block(self) -> None:
        """A list of objects that the whole answer says twice counts once: GLM-4.6V writes it before its marks and between them."""
        half = len(self.objects) // 2
        ends = sorted(set(self.blocks) - {0})
        if half and ends == [half, 2 * half] and self.objects[:half] == self.objects[half:]:
            del self.objects[half:]
            self.odd("repeated-block")

    def place(self, label: str, numbers: Sequence[float | None], span: tuple[int, int]) -> None:
        """Add the box (4 numbers), point (2) or polygon (6 and more, an even count) that was read, with a parse warning if it deviates.

        None is something else than a number.
        """
        size = len(numbers)
        if size not in (2, 4):
            return self._place_polygon(label, numbers, span)
        if None in numbers:
            return self.reasons.append("malformed-box")
        x1, y1, x2, y2 = numbers if size == 4 else (*numbers, *numbers)
        if not (self.surely < x2 <= self.largest and 0 <= x1 <= x2 and 0 <= y1 <= y2 <= self.largest):
            if not all(map(math.isfinite, numbers)):
                return self.reasons.append("number-not-finite")
            x1, y1, x2, y2 = self._odd(x1, y1, x2, y2)
        self.objects.append(Located(label, (x1, y1, x2, y2), None, span) if size == 4 else Located(label, None, (x1, y1), span))

    def place_point(self, label: str, numbers: Sequence[float | None], span: tuple[int, int], units: float) -> None:
        """Add a point whose sides are divided into `units`, whatever the space has."""
        if len(numbers) == 2 and None not in numbers and self.bound is not None and self.bound != units:
            numbers = [number * self.bound / units for number in numbers]
        self.place(label, numbers if len(numbers) == 2 else [None] * 2, span)

    def _place_polygon(self, label: str, numbers: Sequence[float | None], span: tuple[int, int]) -> None:
        """Add a polygon with its axis-aligned box."""
        if len(numbers) < 6 or len(numbers) % 2 or None in numbers:
            return self.reasons.append("malformed-box")
        if not all(map(math.isfinite, numbers)):
            return self.reasons.append("number-not-finite")
        xs, ys = numbers[::2], numbers[1::2]
        box = self._odd(min(xs), min(ys), max(xs), max(ys))
        self.objects.append(Located(label, box, None, span, tuple(zip(xs, ys, strict=True))))

    def place_all(self, label: str, items: Sequence[Item], start: int, end: int) -> None:
        """Add what was read in one place of the text, from `start` to `end`, which hold the label and the marks around."""
        if len(items) > FEW and self._place_many(label, items, start, end):
            return
        final = len(items) - 1
        for index, (numbers, first, last) in enumerate(items):
            self.place(label, numbers, (first if index else start, last if index < final else end))

    def _place_many(self, label: str, items: Sequence[Item], start: int, end: int) -> bool:
        """`place_all` in one go, for text that repeats itself; False where the items are not of one kind, or not all finite."""
        coordinates, firsts, lasts = zip(*items, strict=True)
        sizes = set(map(len, coordinates))
        if len(sizes) > 1 or not sizes <= {2, 4}:
            return False
        numbers = np.array(coordinates, dtype=np.float64)
        if not np.isfinite(numbers).all():
            return False
        low, high = numbers[:, :2], numbers[:, -2:]
        inverted = (high < low).any(axis=1)
        outside = (numbers.min(axis=1) < 0) | (numbers.max(axis=1) > self.largest)
        ratios = ~outside & (self.surely == 1) & (numbers.max(axis=1) <= 1) & (numbers != np.floor(numbers)).any(axis=1)
        codes = np.stack([inverted, np.select([outside, ratios], [2, 3])], axis=1).ravel()
        self.reasons.extend(map(CORNER_WARNINGS.__getitem__, codes[codes > 0].tolist()))
        if inverted.any():
            coordinates = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in coordinates]
        spans = zip((start, *firsts[1:]), (*lasts[:-1], end), strict=True)
        boxes, points = (coordinates, repeat(None)) if sizes == {4} else (repeat(None), coordinates)
        self.objects.extend(map(Located, repeat(label), boxes, points, spans))
        return True

    def _odd(self, x1: float, y1: float, x2: float, y2: float) -> tuple[float, float, float, float]:
        """The corners in order, with parse warnings."""
        if x2 < x1 or y2 < y1:
            self.odd("box-inverted")
            x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        if min(x1, y1) < 0 or max(x2, y2) > self.largest:
            self.odd("number-out-of-range")
        elif self.surely == 1 and max(x2, y2) <= 1 and not all(float(number).is_integer() for number in (x1, y1, x2, y2)):
            self.odd("number-like-ratio")
        return x1, y1, x2, y2

    def answer(self, text: str) -> Answer:
        if "<ref-object>" in text or "<bbox>" in text:
            self.odd("literal-placeholder")
        status: Status
        if self.cut or (not self.objects and only_opened(text)):
            status = "truncated"
        elif self.objects:
            status = "ok"
        elif not self.reasons and (self.absent or says_nothing(text)):
            status = "empty"
        else:
            status = "unreadable"
            if not self.reasons:
                self.odd("no-box")
        return Answer(self.objects, status, self.reasons)


def only_opened(text: str) -> bool:
    """Whether a text is nothing but the beginning of an answer: an open code fence, opening brackets."""
    fence, bare = text.count("```"), text.replace("```json", "").replace("```", "").strip()
    return (fence % 2 == 1 and not bare) or (bare != "" and OPENED.issuperset(bare))


def says_nothing(text: str) -> bool:
    """Whether a text, without its code fences, says that nothing was found."""
    bare = "".join(text.replace("```json", "").replace("```", "").split())
    return bare.replace("[]", "").rstrip(".").casefold() in NOTHING
