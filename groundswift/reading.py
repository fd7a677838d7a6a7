"""What every grammar's reader shares: numbers to a box, oddities to reasons, a status at the end."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .errors import GroundswiftError
from .located import Answer, Located, Status

NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
NOTHING = {"", "none", "null"}  # besides any number of `[]`


def write_number(value: float) -> str:
    """Whole numbers without a point, others with all their digits. Raises GroundswiftError for NaN and infinity."""
    if not math.isfinite(value):
        raise GroundswiftError(f"coordinate {value} cannot be written; expected a finite number")
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def as_number(text: str) -> float:
    """Text of a number -> int where it is whole, else float (infinite where it is too large)."""
    try:
        return int(text) if len(text) < 19 else float(text)
    except ValueError:
        return float(text)


def without_thinking(text: str) -> str | None:
    """The text with blanks for its thinking, so that positions hold; None where it stops while thinking.

    Thinking is all up to the last `</think>`: chat templates often put the opening mark into the prompt.
    """
    end = text.rfind(THINK_CLOSE)
    if end >= 0:
        end += len(THINK_CLOSE)
        return " " * end + text[end:]
    return None if text.lstrip().startswith(THINK_OPEN) else text


def still_thinking() -> Answer:
    """What is read from a text that stops while thinking."""
    return Answer([], "truncated", ["unclosed_thinking"])


class Reading:
    """Collects the objects and reasons of one answer. `limit`: the largest coordinate that the space has, None for no bound."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.objects: list[Located] = []
        self.reasons: list[str] = []
        self.cut = False

    def odd(self, reason: str, count: int = 1) -> None:
        self.reasons.extend([reason] * count)

    def place(self, label: str, numbers: Sequence[float | None], span: tuple[int, int]) -> None:
        """Add the box (4 numbers) or point (2) that was read, with a reason for what is odd about it; None stands for what is no number."""
        if len(numbers) not in (2, 4) or None in numbers:
            return self.odd("malformed_box")
        if not all(map(math.isfinite, numbers)):
            return self.odd("non_finite")
        if len(numbers) == 2:
            self.objects.append(Located(label, None, (numbers[0], numbers[1]), span))
        else:
            x1, y1, x2, y2 = numbers
            if x2 < x1 or y2 < y1:
                self.odd("inverted")
                x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
            self.objects.append(Located(label, (x1, y1, x2, y2), None, span))
        if min(numbers) < 0 or (self.limit is not None and max(numbers) > self.limit):
            self.odd("out_of_range")
        elif max(numbers) <= 1 and not all(float(number).is_integer() for number in numbers):
            self.odd("looks_like_ratios")

    def answer(self, text: str) -> Answer:
        if "<ref-object>" in text or "<bbox>" in text:
            self.odd("literal_placeholder")
        status: Status
        if self.cut:
            status = "truncated"
        elif self.objects:
            status = "ok"
        elif not self.reasons and says_nothing(text):
            status = "empty"
        else:
            status = "unreadable"
            if not self.reasons:
                self.odd("no_box")
        return Answer(self.objects, status, self.reasons)


def says_nothing(text: str) -> bool:
    """Whether a text, less its code fences, is one of the ways to say that there is no object."""
    bare = "".join(text.replace("```json", "").replace("```", "").split())
    return bare.replace("[]", "").rstrip(".").casefold() in NOTHING
