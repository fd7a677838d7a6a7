"""Boxes between marks: `<ref>a dog</ref><box>(221,423),(569,886)</box>`, and the same with other marks.

A label holds for every box up to the next label. Points are boxes with one pair. Source: Qwen-VL README; QwenLM/Qwen3-VL#105.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import GroundswiftError
from .located import Answer, Located
from .reading import NUMBER, THINK_CLOSE, Reading, as_number, still_thinking, without_thinking, write_number

PAIR = rf"\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)"
PAIRS = re.compile(rf"\s*{PAIR}(?:\s*(?:,\s*)?{PAIR})?\s*")


class TokenGrammar:
    """One such grammar, by its four marks."""

    whole_answer = False

    def __init__(self, ref_open: str, ref_close: str, box_open: str, box_close: str) -> None:
        self.ref_open, self.ref_close, self.box_open, self.box_close = marks = (ref_open, ref_close, box_open, box_close)
        self.marks = marks
        self.any_mark = re.compile("|".join(map(re.escape, marks)))
        r_open, r_close, b_open, b_close = map(re.escape, marks)
        pair = r"\(([0-9]{1,9}),([0-9]{1,9})\)"
        self.plain = re.compile(f"{r_open}([^<]*){r_close}{b_open}{pair},{pair}{b_close}")

    def check_label(self, label: str) -> None:
        """Raises GroundswiftError where a reader would take a piece of the label for a mark."""
        marks = (*self.marks, THINK_CLOSE)
        if any(mark in label for mark in marks):
            raise GroundswiftError(f"label {label!r} holds a mark of the box grammar ({', '.join(marks)})")

    def write_label(self, label: str) -> str:
        self.check_label(label)
        return f"{self.ref_open}{label}{self.ref_close}"

    def write_box(self, coordinates: Sequence[float]) -> str:
        """x1, y1, x2, y2 -> `<box>(x1,y1),(x2,y2)</box>`; x, y -> `<box>(x,y)</box>`."""
        numbers = [write_number(value) for value in coordinates]
        corners = ",".join(f"({x},{y})" for x, y in zip(numbers[::2], numbers[1::2], strict=True))
        return f"{self.box_open}{corners}{self.box_close}"

    def format(self, objects: Sequence[Located]) -> str:
        """Each box with its label before it; no label is written as none, or as an empty one where the label before would hold on."""
        written, last = [], ""
        for located in objects:
            if located.label or last:
                written.append(self.write_label(located.label))
            written.append(self.write_box(located.box or located.point or ()))
            last = located.label
        return "".join(written)

    def parse(self, text: str, limit: float | None) -> Answer:
        plain = self._parse_plain(text, limit)
        if plain is not None:
            return plain
        said = without_thinking(text)
        return still_thinking() if said is None else self._parse_any(said, limit)

    def _parse_plain(self, text: str, limit: float | None) -> Answer | None:
        """A well-formed answer in one pass of one expression; None for any other."""
        objects, position, match = [], 0, self.plain.match
        while found := match(text, position):
            label, *digits = found.groups()
            x1, y1, x2, y2 = map(int, digits)
            if x2 < x1 or y2 < y1 or (limit is not None and (x2 > limit or y2 > limit)):
                return None
            end = found.end()
            objects.append(Located(label, (x1, y1, x2, y2), None, (position, end)))
            position = end
        return Answer(objects, "ok", []) if objects and position == len(text) else None

    def _parse_any(self, text: str, limit: float | None) -> Answer:
        """One pass over the marks, each with the text up to the next one."""
        whole = len(text) - self._half_mark(text)
        scan = _Scan(self, Reading(limit), cut=whole < len(text))
        marks = [(found.group(), *found.span()) for found in self.any_mark.finditer(text)]
        before = None
        for (mark, start, end), (following, stop, after) in zip(marks, [*marks, (None, whole, whole)][1:], strict=True):
            if mark == self.ref_open:
                scan.label_opens(start, text[end:stop], following)
            elif mark == self.box_open:
                scan.box_opens((start, after if following == self.box_close else stop), text[end:stop], following)
            elif before != (self.ref_open if mark == self.ref_close else self.box_open):
                scan.reading.odd("stray_mark")
            before = mark
        scan.end(text[marks[-1][2] : whole] if marks else "")
        return scan.reading.answer(text)

    def _half_mark(self, text: str) -> int:
        """How many characters at the end are the beginning of a mark that was cut."""
        lengths = range(min(len(text), max(map(len, self.marks)) - 1), 0, -1)
        return next((n for n in lengths if any(m.startswith(text[-n:]) and len(m) > n for m in self.marks)), 0)


class _Scan:
    """The state while one answer's marks go by."""

    def __init__(self, grammar: TokenGrammar, reading: Reading, cut: bool) -> None:
        self.grammar = grammar
        self.reading = reading
        self.reading.cut = cut
        self.label = ""
        self.waiting: int | None = None  # where the label stands that has no box yet

    def label_opens(self, start: int, content: str, following: str | None) -> None:
        if self.waiting is not None:
            self.reading.odd("label_without_box")
        self.label, self.waiting = content, start
        if following is None:
            self.reading.cut, self.waiting = True, None
        elif following == self.grammar.ref_open and not content.strip():
            self.reading.odd("doubled_mark")
            self.waiting = None
        elif following != self.grammar.ref_close:
            self.reading.odd("unclosed_label")
            self.label = content.strip()

    def box_opens(self, span: tuple[int, int], content: str, following: str | None) -> None:
        pairs = PAIRS.fullmatch(content)
        if following is None:
            self.reading.cut = True
        elif following == self.grammar.box_open and not content.strip():
            return self.reading.odd("doubled_mark")
        elif pairs is None:
            self.reading.odd("malformed_box")
        else:
            if following != self.grammar.box_close:
                self.reading.odd("unclosed_box")
            start = span[0] if self.waiting is None else self.waiting
            self.reading.place(self.label, [as_number(digits) for digits in pairs.groups() if digits is not None], (start, span[1]))
        self.waiting = None

    def end(self, rest: str) -> None:
        """`rest` is what stands after the last mark."""
        if self.waiting is None:
            return
        if rest.strip():
            self.reading.odd("label_without_box")
        else:
            self.reading.cut = True
