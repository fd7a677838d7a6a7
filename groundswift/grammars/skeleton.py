"""How a grammar writes a whole answer of boxes, as literal text around labels and numbers: what `parse_many` looks for.

`a dog[[222,304,292,362]]` twice is: (label) `[[` 222 `,` 304 `,` 292 `,` 362 `]]` `\\n` (label) `[[` ... `]]`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .numbers import Numbers

PLACE = re.compile(r"\{([0-9])\}")


@dataclass(frozen=True)
class Skeleton:
    """The literals of one way to write boxes; the first field of an item is its label, or its numbers where `label_last`.

    `start`, `between`, `end`: what is before the first field of an answer, between an item and the next one, and behind the last field.
    `inner`: between the two fields. `separators`: between the runs of digits of a box; `order`: where x1, y1, x2, y2 are among its
    numbers. `joint`: between two boxes of one label, None where each box has its own. `label`: a pattern of labels that no reader
    changes. `lead`, `closing`, `joint_lead`, `joint_closing`: characters of `start`, `between`, `end`, and `joint`, that belong to the
    span of a box. `decimals`: whether every number has a fraction. `decode`: the columns of the numbers -> x1, y1, x2, y2, where
    what is written is something else.
    """

    start: str
    inner: str
    between: str
    end: str
    separators: tuple[str, ...]
    order: tuple[int, ...]
    label: re.Pattern[str]
    joint: str | None = None
    label_last: bool = False
    lead: int = 0
    closing: int = 0
    joint_lead: int = 0
    joint_closing: int = 0
    decimals: bool = False
    decode: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]] | None = None

    @property
    def anchor(self) -> str:
        """The text directly before the first number of an item."""
        if not self.label_last:
            return self.inner
        return os.path.commonprefix([self.start[::-1], self.between[::-1]])[::-1]


def box_pieces(numbers: Numbers) -> tuple[str, tuple[str, ...], str, tuple[int, ...]]:
    """The template of a box -> text before its numbers, between them, behind them, and where x1, y1, x2, y2 are among them."""
    before, *middle, behind = PLACE.split(numbers.box)[::2]
    places = [int(place) for place in PLACE.findall(numbers.box)]
    separators = tuple(middle) if numbers.whole else tuple(text for each in middle for text in (".", each)) + (".",)
    return before, separators, behind, tuple(places.index(axis) for axis in range(len(places)))


def label_first(
    numbers: Numbers, label: str, opening: str, closing: str, before_label: str = "", gap: str = "", between: str = ""
) -> Skeleton:
    """Items that begin with their label. `opening`, `closing`: marks around the boxes of a label; `between`: text between items."""
    head, separators, tail, order = box_pieces(numbers)
    first, last = gap + opening + numbers.opening + head, tail + numbers.closing + closing
    joint = None if numbers.joint is None else tail + numbers.joint + head
    return Skeleton(
        before_label, first, last + between + before_label, last, separators, order, re.compile(label), joint,
        lead=len(before_label), closing=len(last), joint_lead=len(head), joint_closing=len(tail),
        decimals=not numbers.whole, decode=numbers.decode_columns if len(order) != 4 else None,
    )  # fmt: skip


def label_last(numbers: Numbers, label: str, gap: str, between: str) -> Skeleton:
    """Items that end with their label."""
    head, separators, tail, order = box_pieces(numbers)
    head, tail = numbers.opening + head, tail + numbers.closing
    return Skeleton(head, tail + gap, between + head, "", separators, order, re.compile(label), label_last=True, lead=len(head))
