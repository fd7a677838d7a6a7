"""The fast path: a well-formed answer, read by one compiled expression a box."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..answers import Located
from .numbers import Numbers

WORDS = r"\w[\w-]*(?: [\w-]+)*"  # labels that no reader would change


@dataclass(frozen=True)
class Plain:
    """`item`: one box with its label (group 1) and its separator; the items follow each other without a gap.

    `groups`: the groups of label, x1, y1, x2, y2; a label that took no part means that of the box before. `number`: int or float.
    `decode`: makes x1, y1, x2, y2 of other numbers.
    """

    item: re.Pattern[str]
    groups: tuple[int, ...]
    number: Callable[[str], float] = int
    decode: Callable[[Sequence[float]], Sequence[float] | None] | None = None

    def head(self, text: str, limit: float | None) -> tuple[list[Located], int]:
        """The boxes up to the first one that deviates, and where that would begin."""
        objects, position, match, groups, number = [], 0, self.item.match, self.groups, self.number
        decode, largest = self.decode, float("inf") if limit is None else limit
        last = ""
        while found := match(text, position):
            if decode is None:
                label, x1, y1, x2, y2 = found.group(*groups)
                x1, y1, x2, y2 = number(x1), number(y1), number(x2), number(y2)
            else:
                label, *digits = found.group(*groups)
                numbers = decode(tuple(map(number, digits)))
                if len(numbers) != 4:
                    break
                x1, y1, x2, y2 = numbers
            if not (x1 <= x2 <= largest and y1 <= y2 <= largest):
                break
            if label is None:
                label = last
            else:
                last = label
            objects.append(Located(label, (x1, y1, x2, y2), None, found.span(1)))
            position = found.end()
        return objects, position


def before_last_label(objects: Sequence[Located], text: str, numbers: Numbers) -> tuple[list[Located], list[int]]:
    """Of the well-formed objects at the start of a text, those before the last label, which may have more boxes; and how many there
    are before each later label. The spans of boxes that share a label are changed to those that the reader of any text gives them.
    """
    if numbers.joint is None:
        return objects[:-1], list(range(1, len(objects)))
    starts, joint, ends = text.startswith, numbers.joint or "<", []
    bracket = int(numbers.box.startswith("["))  # which that reader takes for one of the list
    for place in range(len(objects) - 1, 0, -1):
        before, located = objects[place - 1 : place + 1]
        if starts(joint, before.span[1]):
            before.span = before.span[0], before.span[1] - bracket
            located.span = located.span[0] + bracket, located.span[1]
        else:
            ends.append(place)
    return objects[: ends[0]] if ends else [], ends


def label_first(label: str, opening: str, numbers: Numbers, closing: str, after: str = "") -> Plain:
    """The reader of a label (a pattern with one group), then its boxes between two marks; `after`: a pattern of what ends them."""
    opening, closing = re.escape(opening + numbers.opening), re.escape(numbers.closing + closing)
    box, order = numbers.plain()
    item = f"({label}{opening}{box}{closing}){after}"
    if numbers.joint is not None:
        joint = re.escape(numbers.joint)
        item = rf"((?:{label}{opening}|(?<={joint})){box}(?:{closing}|(?={joint})))(?:(?<={closing}){after}|{joint}(?!\Z))"
    return _plain(item, numbers, (2, *(3 + place for place in order)))


def label_last(numbers: Numbers, joint: str) -> Plain:
    """The reader of a box, then a blank and its label, then `joint`."""
    box, order = numbers.plain()
    groups = (3 + len(order) - 1, *(2 + place for place in order))
    return _plain(rf"({box} ({WORDS}))(?:{re.escape(joint)}|\Z)", numbers, groups)


def _plain(item: str, numbers: Numbers, groups: tuple[int, ...]) -> Plain:
    number = int if numbers.whole else float
    return Plain(re.compile(item), groups, number, numbers.decode if len(groups) != 5 else None)
