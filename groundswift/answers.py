"""What a model said about an image: things located, and how far the text could be read."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "empty", "truncated", "unreadable"]


class Located(msgspec.Struct, eq=False, gc=False):
    """One thing found. `box` is x1, y1, x2, y2 and `point` is x, y, in the family's own space; `label` is "" where none was given.

    `span` is its place in the text, as (start, end) characters. `polygon` is (x, y), (x, y), ... where the text has a quadrangle
    or polygon; `box` is then its axis-aligned box, which is what `format_answer` writes. Both take no part in comparisons.
    """

    label: str
    box: tuple[float, float, float, float] | None = None
    point: tuple[float, float] | None = None
    span: tuple[int, int] | None = None
    polygon: tuple[tuple[float, float], ...] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Located):
            return NotImplemented
        return (self.label, self.box, self.point) == (other.label, other.box, other.point)

    def __hash__(self) -> int:
        return hash((self.label, self.box, self.point))


class Answer(msgspec.Struct):
    """What was read from one text.

    `status`: `ok` (something was located), `empty` (the text says that there is nothing), `truncated` (it stops before its end; what
    came first is kept), `unreadable` (it says something, and nothing could be located). `reasons`: ids of the parse warnings, in order
    (`grammars/parse_warnings.py`).
    """

    objects: list[Located]
    status: Status
    reasons: list[str]


def as_truncated(answer: Answer) -> Answer:
    """The answer, `truncated` where it seems whole or empty: generation is known to have stopped at its token limit."""
    if answer.status in ("ok", "empty"):
        answer.status = "truncated"
    return answer
