"""Boxes and labels between marks: `<ref>a dog</ref><box>(221,423),(569,886)</box>`, and the same with other marks and numbers.

LocateAnything writes `<ref>dog</ref><box><221><423><569><886></box><box><12><30><44><91></box>`, and `<ref>cat</ref><box>none</box>` for
a class that is absent. Youtu-VL writes `<ref>dog</ref><box><x_141><y_203><x_364><y_425></box>`.
A label holds for every box up to the next label. Points are boxes with one pair. Source: Qwen-VL README; QwenLM/Qwen3-VL#105.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..answers import Answer, Located
from ..errors import GroundswiftError
from . import skeleton
from .base import THINKING, Reading, still_thinking, without_thinking
from .fast_path import before_last_label, label_first
from .numbers import Numbers, grouped, listed, quadrangle_in

NO_BOX = {"none", "null", "[]", "[[]]"}  # between the marks: no such object, as Rex-Omni's None for an absent class
ANY_LIST = listed(r"\[\]()<>", ";")
PAIRS = Numbers("({0},{1}),({2},{3})", "({0},{1})", ANY_LIST, longer=quadrangle_in)


class TokenGrammar:
    """One such grammar, by its four marks (around a label, around a box) and the way its numbers are written.

    `blank_labels`: whether blanks around a label belong to it; where not, they are what the tokenizer put there. `quads`: the marks of a
    quadrangle, which is read as a polygon and not written.
    """

    def __init__(self, *marks: str, numbers: Numbers = PAIRS, blank_labels: bool = True, quads: tuple[str, str] | None = None) -> None:
        self.ref_open, self.ref_close, self.box_open, self.box_close = self.marks = marks
        self.numbers = numbers
        self.blank_labels = blank_labels
        self.whole_answer = numbers.joint is not None
        self.like = dict(zip(quads or (), marks[2:], strict=False))
        self.any_mark = re.compile(f"({'|'.join(map(re.escape, (*marks, *self.like)))})")
        label = "[^<]*" if blank_labels else r"[^<\s](?:[^<]*[^<\s])?"
        self.skeleton = skeleton.label_first(numbers, label, self.ref_close + self.box_open, self.box_close, before_label=self.ref_open)
        label = f"(?:{re.escape(self.ref_open)}({label}){re.escape(self.ref_close)})?"
        self.plain = label_first(label, self.box_open, numbers, self.box_close)

    def check_label(self, label: str) -> None:
        """Raises GroundswiftError where a reader would take a piece of the label for a mark, or leave blanks away."""
        marks = (*self.marks, *THINKING)
        if any(mark in label for mark in marks):
            raise GroundswiftError(f"label {label!r} contains a token of the box text ({', '.join(marks)})")
        if not self.blank_labels and label != label.strip():
            raise GroundswiftError(
                f"label {label!r} cannot be written between {self.ref_open} and {self.ref_close}; expected no leading or trailing blanks"
            )

    def write_label(self, label: str) -> str:
        self.check_label(label)
        return f"{self.ref_open}{label}{self.ref_close}"

    def write_box(self, coordinates: Sequence[float]) -> str:
        """x1, y1, x2, y2 -> `<box>(x1,y1),(x2,y2)</box>`; x, y -> `<box>(x,y)</box>`."""
        return self._write_boxes([coordinates])

    def _write_boxes(self, boxes: Sequence[Sequence[float]]) -> str:
        return f"{self.box_open}{self.numbers.write(boxes)}{self.box_close}"

    def format(self, objects: Sequence[Located]) -> str:
        """Each box with its label before it; no label is written as none, or as an empty one where the label before would hold on."""
        written, last = [], ""
        for label, boxes in grouped(objects, self.numbers):
            if label or last:
                written.append(self.write_label(label))
            written.append(self._write_boxes(boxes))
            last = label
        return "".join(written)

    def parse(self, text: str, limit: float | None) -> Answer:
        objects, position = self.plain.head(text, limit)
        if objects and position == len(text):
            return Answer(objects, "ok", [])
        said = without_thinking(text)
        if said is None:
            return still_thinking()
        if said is not text:
            return self._parse_any(said, limit)
        if objects and self.numbers.joint is not None:
            objects, _ = before_last_label(objects, text, self.numbers)
            position = objects[-1].span[1] if objects else 0
        return self._parse_any(text, limit, objects, position)

    def _parse_any(self, text: str, limit: float | None, known: Sequence[Located] = (), start: int = 0) -> Answer:
        """One pass over the marks, each with the text up to the next one. `known`: the objects up to `start`, behind a box."""
        whole = len(text) - half_mark(text, (*self.marks, *self.like))
        scan = _Scan(self, text, Reading(limit), cut=whole < len(text))
        scan.reading.objects.extend(known)
        scan.label = known[-1].label if known else ""
        pieces = self.any_mark.split(text[start:whole])  # text, mark, text, mark, ..., text
        before, position = None, start + len(pieces[0])
        marks = [self.like.get(mark, mark) for mark in pieces[1::2]] if self.like else pieces[1::2]
        for written, mark, content, following in zip(pieces[1::2], marks, pieces[2::2], [*marks[1:], None], strict=False):
            if mark == self.box_open:
                scan.box_opens(position, position + len(written), content, following)
            elif mark == self.ref_open:
                scan.label_opens(position, content, following)
            elif before != (self.ref_open if mark == self.ref_close else self.box_open):
                scan.reading.odd("stray-mark")
            before = mark
            position += len(written) + len(content)
        scan.end(pieces[-1] if len(pieces) > 1 else "")
        return scan.reading.answer(text)


def half_mark(text: str, marks: Sequence[str]) -> int:
    """How many characters at the end are the beginning of a truncated mark."""
    lengths = range(min(len(text), max(map(len, marks)) - 1), 0, -1)
    return next((n for n in lengths if any(m.startswith(text[-n:]) and len(m) > n for m in marks)), 0)


class _Scan:
    """The state while one answer's marks go by."""

    def __init__(self, grammar: TokenGrammar, text: str, reading: Reading, cut: bool) -> None:
        self.ref_open, self.ref_close, self.box_open, self.box_close = grammar.marks
        self.blank_labels = grammar.blank_labels
        self.read = grammar.numbers.read
        self.text = text
        self.reading = reading
        self.reading.cut = cut
        self.label = ""
        self.waiting: int | None = None  # position of the label that has no box yet

    def label_opens(self, start: int, content: str, following: str | None) -> None:
        if self.waiting is not None:
            self.reading.odd("label-without-box")
        self.label, self.waiting = content if self.blank_labels else content.strip(), start
        if following is None:
            self.reading.cut, self.waiting = True, None
        elif following == self.ref_open and not content.strip():
            self.reading.odd("doubled-mark")
            self.waiting = None
        elif following != self.ref_close:
            self.reading.odd("unclosed-label")
            self.label = content.strip()

    def box_opens(self, start: int, begin: int, content: str, following: str | None) -> None:
        """`start`, `begin`: where the mark starts and ends; `content`: the text up to the following mark."""
        stop = end = begin + len(content)
        if following == self.box_close:
            end = self.text.index(">", end) + 1
        elif following is None:
            self.reading.cut = True
        elif following == self.box_open and not content.strip():
            return self.reading.odd("doubled-mark")
        else:
            self.reading.odd("unclosed-box")
        if self.waiting is not None:
            start, self.waiting = self.waiting, None
        if following == self.box_close and content.strip().casefold() in NO_BOX:
            self.reading.absent = True
            return
        items, broken, _ = self.read(self.text, begin, stop, following is None)
        if items:
            self.reading.place_all(self.label, items, start, end)
        if broken:
            self.reading.odd("malformed-box", broken)

    def end(self, rest: str) -> None:
        """`rest`: the text after the last mark."""
        if self.waiting is None:
            return
        if rest.strip():
            self.reading.odd("label-without-box")
        else:
            self.reading.cut = True
