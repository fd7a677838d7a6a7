"""How the numbers of a box are written and read: with parentheses, in brackets, separated by spaces, or as one token a number.

A grammar adds what is around them: marks, labels, lines. Writing is a template a family. Reading tolerates other text around and
between numbers; only 2 or 4 of them are a point or box.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..answers import Located
from ..errors import GroundswiftError
from .base import NUMBER, Item, as_number, is_quadrangle, write_number

# A pattern of items tries a readable one, with 2 or 4 groups, then any text up to the next item, without groups. It begins with what is
# neither blank nor a separator, and no part of it can match in two ways: so it takes linear time.


def listed(between: str, around: str) -> re.Pattern[str]:
    """Items of numbers separated by commas or spaces. `between`: brackets allowed in an item; `around`: separators of items."""
    junk, number = rf"[\s{between}]", f"({NUMBER})"
    part = rf"(?:{junk}+(?:,{junk}*)?|,{junk}*)"
    lead = rf"(?:[{between}]{junk}*)?" if between else ""
    readable = rf"{lead}{number}{part}{number}(?:{part}{number}{part}{number})?{junk}*(?=[{around}]|\Z)"
    return re.compile(rf"{readable}|[^{around}\s,][^{around}]*")


COUNTED = re.compile(rf"[\s\[\]()<>]*{NUMBER}(?:[\s\[\](),<>]+{NUMBER}){{7}}[\s\[\]()<>]*")  # eight numbers and nothing else
LONGEST_QUADRANGLE = 400  # characters
IN_TOKEN = re.compile(rf"[\s,]*(?:<(?:loc_)?({NUMBER})>[\s,]*)+")
PAIR = rf"[\[(]\s*{NUMBER}[\s,]+{NUMBER}\s*[\])]"
PAIR_LIST = re.compile(rf"\[\s*{PAIR}(?:[\s,]*{PAIR})*\s*\]")
AROUND_LISTS = re.compile(r"[\s,\[\]]*")


def quadrangle_in(text: str) -> Sequence[float] | None:
    """The eight numbers of a quadrangle's corners, x, y each; None for any other text."""
    if len(text) > LONGEST_QUADRANGLE or COUNTED.fullmatch(text) is None:
        return None
    numbers = tuple(map(as_number, re.findall(NUMBER, text)))
    return numbers if is_quadrangle(numbers) else None


def tokens_in(text: str) -> Sequence[float] | None:
    """The numbers of a polygon, three points or more, that are tokens `<...>` one behind the other; None for any other text."""
    if IN_TOKEN.fullmatch(text) is None:
        return None
    numbers = tuple(map(as_number, re.findall(NUMBER, text)))
    return numbers if len(numbers) >= 6 and len(numbers) % 2 == 0 else None


def joined_pairs(items: list[Item], text: str) -> list[Item]:
    """Two pairs that fill one list are the corners of a box, four those of a quadrangle: `[[x1, y1], [x2, y2]]`; else the same items.

    There may be several such lists in a list.
    """
    if len(items) % 2 or any(len(numbers) != 2 for numbers, _, _ in items):
        return items
    lists = PAIR_LIST.findall(text)
    if AROUND_LISTS.fullmatch(PAIR_LIST.sub("", text)) is None:
        return items
    joined, at = [], 0
    for size in (len(re.findall(PAIR, found)) for found in lists):
        corners = items[at : at + size]
        numbers = tuple(number for pair, _, _ in corners for number in pair)
        if len(numbers) != 4 and not is_quadrangle(numbers):
            return items
        joined.append((numbers, corners[0][1], corners[-1][2]))
        at += size
    return joined if at == len(items) else items


def tokenised(before: str, end: str, rest: str, blanks: str = r"\s*") -> re.Pattern[str]:
    """Items of numbers that are tokens `<...>`, by what precedes a number, what ends an item, and what is not an item."""
    token = rf"<{before}({NUMBER})>{blanks}"
    return re.compile(rf"{token}{token}(?:{token}{token})?(?={end})|{rest}")


def in_runs(before: str) -> re.Pattern[str]:
    """Items of tokens that follow each other without anything between: four each, or the two that are left."""
    any_token = r"<loc_?[^<>\s]*>"
    token = rf"<{before}({NUMBER})>"
    return re.compile(rf"{token}{token}(?:{token}{token}|(?!{any_token}))|(?:{any_token}){{1,4}}")


def in_eights() -> re.Pattern[str]:
    """Items of eight tokens `<|LOC_n|>` that follow each other: x, y of four corners."""
    token = rf"<\|LOC_({NUMBER})\|>"
    return re.compile(token * 8 + r"|(?:<\|LOC_[^<>\s]*>){1,8}")


def write_padded(value: float, digits: int) -> str:
    """A whole number with leading zeros; with a fraction, as it is."""
    return write_number(value).zfill(digits)


def write_decimals(value: float, digits: int) -> str:
    """A number with `digits` decimals; with all of them where there are more."""
    exact = write_number(value)  # refuses what is not finite
    text = f"{value + 0.0:.{digits}f}"  # + 0.0: no -0.00
    return text if float(text) == value else exact


def write_token(value: float, largest: int, digits: int = 1) -> str:
    """A number that is a token of its own. Raises GroundswiftError for other than a whole number from 0 to `largest`."""
    text = write_number(value)
    if not text.isdigit() or value > largest:
        raise GroundswiftError(f"coordinate {text} has no token; expected a whole number from 0 to {largest}")
    return text.zfill(digits)


def y_first(numbers: Sequence[float]) -> Sequence[float] | None:
    """y1, x1, y2, x2 -> x1, y1, x2, y2; None for other than four numbers."""
    return (numbers[1], numbers[0], numbers[3], numbers[2]) if len(numbers) == 4 else None


def to_corners(box: Sequence[float], largest: int) -> list[str]:
    """x1, y1, x2, y2 -> the tokens of its four corners, x, y each, from the upper left one clockwise."""
    x1, y1, x2, y2 = (write_token(value, largest) for value in box)
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def from_corners(numbers: Sequence[float]) -> Sequence[float]:
    """The inverse; a turned quadrangle stays one."""
    x1, y1, x2, y2 = numbers[0], numbers[1], numbers[4], numbers[5]
    upright = tuple(numbers) == (x1, y1, x2, y1, x2, y2, x1, y2) and x1 <= x2 and y1 <= y2
    return (x1, y1, x2, y2) if upright else numbers


def corners_to_boxes(columns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """`from_corners` for 8 columns -> 4; a turned quadrangle gets corners out of order, which no reader takes."""
    x1, y1, x2, also_y1, also_x2, y2, also_x1, also_y2 = columns
    upright = (x1 == also_x1) & (y1 == also_y1) & (x2 == also_x2) & (y2 == also_y2)
    return [np.where(upright, x1, x2 + 1), y1, x2, y2]


SURELY_WHOLE = 19  # fewer digits than this are read as a whole number
CELLS = 32  # in a row


def to_indices(cells: Sequence[float]) -> list[str]:
    """Column and row of the first and of the last cell -> their indices in a grid that is counted row by row, four digits each."""
    x1, y1, x2, y2 = (int(write_token(value, CELLS - 1)) for value in cells)
    return [f"{y1 * CELLS + x1:04d}", f"{y2 * CELLS + x2:04d}"]


def from_indices(indices: Sequence[float]) -> Sequence[float] | None:
    """The inverse; None for other than two whole numbers."""
    if len(indices) != 2 or not all(isinstance(index, int) for index in indices):
        return None
    (y1, x1), (y2, x2) = (divmod(index, CELLS) for index in indices)
    return x1, y1, x2, y2


def indices_to_cells(columns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """`from_indices` for 2 columns -> 4."""
    (y1, x1), (y2, x2) = (np.divmod(indices, CELLS) for indices in columns)
    return [x1, y1, x2, y2]


@dataclass(frozen=True)
class Numbers:
    """One way. `box`, `point`: templates of one box and one point (None: the family has no points), numbered x1, y1, x2, y2.

    `items`: finds the boxes in a mark, readable or not. `opening`, `closing`: the text around all boxes of one mark. `joint`: the text
    between them; None: each has a mark of its own. `joint_points`: whether points can share a mark too. `write_number`: one
    number as text; `whole`: whether it is a whole one. `encode`, `decode`: where what is written is not x1, y1, x2, y2, the way to
    the texts of a template and back from numbers in the order of the text; `decode_columns`: the latter for k columns. `longer`: reads an
    item that is neither box nor point as the points of a polygon. `nested`: whether two pairs in a list are the corners of a box.
    """

    box: str
    point: str | None
    items: re.Pattern[str]
    opening: str = ""
    closing: str = ""
    joint: str | None = None
    joint_points: bool = True
    write_number: Callable[[float], str] = write_number
    whole: bool = True
    encode: Callable[[Sequence[float]], list[str]] | None = None
    decode: Callable[[Sequence[float]], Sequence[float] | None] | None = None
    decode_columns: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]] | None = None
    longer: Callable[[str], Sequence[float] | None] | None = None
    nested: bool = False

    def write(self, boxes: Sequence[Sequence[float]]) -> str:
        """Boxes or points that share one mark. Raises GroundswiftError where the family has no points, or no such number."""
        return self.opening + (self.joint or "").join(map(self._write_one, boxes)) + self.closing

    def _write_one(self, coordinates: Sequence[float]) -> str:
        template = self.box if len(coordinates) == 4 else self.point
        if template is None:
            raise GroundswiftError(f"point {tuple(coordinates)} cannot be written: the family has boxes only; expected x1, y1, x2, y2")
        return template.format(*(map(self.write_number, coordinates) if self.encode is None else self.encode(coordinates)))

    def read(self, text: str, start: int, stop: int, cut: bool = False) -> tuple[list[Item], int, int]:
        """The text between two marks -> (boxes, how many others are unreadable, where the last of these starts if nothing follows it).

        `cut`: the text ends in it, so that a last box counts only where it is seen to be whole.
        """
        items, broken, odd, decode, count = [], 0, None, self.decode, self.items.groups
        for found in self.items.finditer(text, start, stop):
            last = found.lastindex
            numbers = None
            if last is not None:
                texts = found.groups() if last == count else found.group(1, 2)
                digits = "".join(texts)
                numbers = tuple(map(int if len(digits) < SURELY_WHOLE and digits.isdecimal() else as_number, texts))
                if decode is not None:
                    numbers = decode(numbers)
            elif self.longer is not None:
                numbers = self.longer(found[0])
            if numbers is None:
                broken += 1
                odd = found
            else:
                items.append((numbers, *found.span()))
        tail = odd.start() if odd is not None and not (items and items[-1][1] > odd.start()) else -1
        if not cut:
            if self.nested and items and not broken:
                items = joined_pairs(items, text[start:stop])
            return items, broken or int(not items), tail
        if tail >= 0 and odd.end() == stop:
            return items, broken - 1, -1
        if items and tail < 0:
            numbers, _, end = items[-1]
            if end == stop and (len(numbers) < 4 or text[end - 1] not in ")>"):
                items.pop()
        return items, broken, tail

    def plain(self) -> tuple[str, tuple[int, ...]]:
        """A pattern of one well-formed box, each number a group; and the positions of x1, y1, x2, y2 among the groups, from 0."""
        digits = "([0-9]{1,9})" if self.whole else r"([0-9]{1,9}\.[0-9]{1,9})"
        text = re.escape(self.box)
        order = tuple(int(digit) for digit in re.findall(r"\\{([0-9])\\}", text))
        return re.sub(r"\\{[0-9]\\}", lambda _: digits, text), tuple(order.index(axis) for axis in range(len(order)))


def grouped(objects: Sequence[Located], numbers: Numbers) -> Iterator[tuple[str, list[Sequence[float]]]]:
    """Objects in order as (label, boxes that share one mark): one each, or the consecutive ones of one label where the family has it so."""
    label, boxes = "", []
    for located in objects:
        coordinates = located.box or located.point or ()
        kind = len(coordinates)
        shared = numbers.joint is not None and (kind == 4 or numbers.joint_points)
        if boxes and shared and located.label == label and len(boxes[-1]) == kind:
            boxes.append(coordinates)
            continue
        if boxes:
            yield label, boxes
        label, boxes = located.label, [coordinates]
    if boxes:
        yield label, boxes


@dataclass(frozen=True)
class Runs(Numbers):
    """Numbers of tokens that follow each other without anything between, where a run may also go round a quadrangle or polygon."""

    def read(self, text: str, start: int, stop: int, cut: bool = False) -> tuple[list[Item], int, int]:
        """The same. A polygon goes forth and back, so that at least every other pair of its points is in no order of corners."""
        polygons = [] if cut else list(self._polygons(text, start, stop))
        return (polygons, 0, -1) if polygons else super().read(text, start, stop, cut)

    def _polygons(self, text: str, start: int, stop: int) -> Iterator[Item]:
        """Of a run: the parts between `<sep>` and `</poly>` each; none where these are boxes."""
        marked = "<poly>" in text[start:stop] or "<sep>" in text[start:stop]
        for found in POLYGON_PART.finditer(text, start, stop):
            numbers = tokens_in(found[0])
            if numbers is None or not (marked or goes_round(numbers)):
                continue
            yield numbers, *found.span()


POLYGON_PART = re.compile(r"(?:<loc_[0-9]+>)+")


def goes_round(numbers: Sequence[float]) -> bool:
    """Whether points, taken two by two, are mostly no upper left and lower right corners."""
    if len(numbers) == 8:
        return is_quadrangle(numbers)
    corners = list(zip(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=False))
    return 2 * sum(x2 < x1 or y2 < y1 for x1, y1, x2, y2 in corners) >= len(corners)
