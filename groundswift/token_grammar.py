"""Boxes between marks: `<ref>a dog</ref><box>(221,423),(569,886)</box>`, and the same with other marks.

A label holds for every box up to the next label. Points are boxes with one pair. Source: Qwen-VL README; QwenLM/Qwen3-VL#105.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import GroundswiftError
from .located import Answer, Located
from .reading import NUMBER, Reading, as_number, write_number

PAIRS = re.compile(rf"\s*\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)(?:\s*,?\s*\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\))?\s*")


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

    def write_label(self, label: str) -> str:
        if any(mark in label for mark in self.marks):
            raise GroundswiftError(f"label {label!r} holds a mark of the box grammar ({', '.join(self.marks)})")
        return f"{self.ref_open}{label}{self.ref_close}"

    def write_box(self, coordinates: Sequence[float]) -> str:
        """x1, y1, x2, y2 -> `<box>(x1,y1),(x2,y2)</box>`; x, y -> `<box>(x,y)</box>`."""
        numbers = [write_number(value) for value in coordinates]
        corners = ",".join(f"({x},{y})" for x, y in zip(numbers[::2], numbers[1::2]))
        return f"{self.box_open}{corners}{self.box_close}"

    def format(self, objects: Sequence[Located]) -> str:
        return "".join((self.write_label(o.label) if o.label else "") + self.write_box(o.box or o.point or ()) for o in objects)

    def parse(self, text: str, limit: float | None) -> Answer:
        return self._parse_plain(text, limit) or self._parse_any(text, limit)

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
        reading = Reading(limit)
        marks = [(found.group(), found.start(), found.end()) for found in self.any_mark.finditer(text)]
        label, label_start, unused = "", None, False
        for number, (mark, start, end) in enumerate(marks):
            following, stop = marks[number + 1][:2] if number + 1 < len(marks) else (None, len(text))
            content = text[end:stop]
            if mark == self.ref_open:
                if unused:
                    reading.odd("label_without_box")
                unused = False
                if following == self.ref_close:
                    label, label_start, unused = content, start, True
                elif following is None:
                    reading.cut = True
                else:
                    reading.odd("unclosed_label")
            elif mark == self.box_open:
                pairs = PAIRS.fullmatch(content)
                if following is None:
                    reading.cut = True
                elif following == self.box_open and not content.strip():
                    reading.odd("doubled_mark")
                elif pairs is None:
                    reading.odd("malformed_box")
                else:
                    if following != self.box_close:
                        reading.odd("unclosed_box")
                    numbers = [as_number(digits) for digits in pairs.groups() if digits is not None]
                    closing = marks[number + 1][2] if following == self.box_close else stop
                    reading.place(label, numbers, (start if label_start is None else label_start, closing))
                label_start, unused = None, False
            elif number == 0 or marks[number - 1][0] != (self.ref_open if mark == self.ref_close else self.box_open):
                reading.odd("stray_mark")
        if unused:
            after = text[marks[-1][2] :].strip() if marks else ""
            if after or marks[-1][0] != self.ref_close:
                reading.odd("label_without_box")
            else:
                reading.cut = True
        return reading.answer(text)
