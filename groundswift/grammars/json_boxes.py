"""Boxes as a fenced JSON list of `{"bbox_2d": [x1, y1, x2, y2], "label": "dog"}`; points as `point_2d`. Other families, other keys.

dots.ocr writes `[{"bbox": [141, 203, 364, 425], "category": "Picture"}]` on one line without a fence, and the text of a region behind it:
`[{"bbox": [52, 40, 600, 96], "category": "Title", "text": "Annual report"}]`, which is not read.

A thing under the key of another family (`box_2d` in an answer of Qwen, `bbox_2d` in one of Gemini) is not read, with the reason
`other-key`: its axes have another order, or are unknown. Source: QwenLM/Qwen3-VL#676, Qwen3-VL cookbook; supervision parser (Gemini);
`layout_utils` and prompts of dots.ocr.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

import msgspec

from ..answers import Answer, Located, Status
from ..errors import GroundswiftError
from .base import THINKING, still_thinking, without_thinking, write_number
from .json_objects import JsonKeys
from .json_tolerant import place_in_text, read_json
from .skeleton import Skeleton
from .tokens import TokenGrammar

LARGEST = 999_999_999
PLAIN_LABEL = r'[^"\\{}\[\]<>\x00-\x1f]+'
LONG = 200  # characters of a text whose well-formed part is worth to be looked for
FENCE, FENCE_END = ("", "```json", "```"), ("", "```")


@lru_cache
def plain_rows(keys: JsonKeys, limit: float | None) -> tuple[msgspec.json.Decoder, msgspec.json.Decoder]:
    """Decoders of a list of objects that have a box of whole numbers in the range and a label; or a box or a point, and perhaps a label."""
    number = Annotated[int, msgspec.Meta(ge=0, le=LARGEST if limit is None else int(limit))]
    box = (tuple[number, number, number, number] | msgspec.UnsetType, msgspec.field(name=keys.box, default=msgspec.UNSET))
    point = (tuple[number, number] | msgspec.UnsetType, msgspec.field(name=keys.point, default=msgspec.UNSET))
    label = msgspec.field(name=keys.label)
    labelled = [("box", tuple[number, number, number, number], msgspec.field(name=keys.box)), ("label", str, label)]
    any_of_them = [("box", *box), *([("point", *point)] if keys.point else []), ("label", str, msgspec.field(name=keys.label, default=""))]
    rows = (msgspec.defstruct("PlainRow", fields, forbid_unknown_fields=True, gc=False) for fields in (labelled, any_of_them))
    first, second = (msgspec.json.Decoder(list[row]) for row in rows)
    return first, second


def flat_objects(text: str, count: int) -> tuple[int, int, list[str]] | None:
    """Where the `count` objects of a well-formed list are: start of the first, characters between any two, and what is in their braces.

    None where a label holds a closing brace, or not all have the same between them.
    """
    start = text.find("{")
    if count == 1:
        return start, 0, [text[start + 1 : text.rfind("}")]]
    between = text[text.find("}") + 1 : text.find("{", start + 1)]
    contents = text[start + 1 : text.rfind("}")].split("}" + between + "{")
    return (start, len(between), contents) if len(contents) == count == text.count("}") else None


def is_prose(around: str) -> bool:
    """Whether what is around a list has no brackets, and so nothing that could be read."""
    return not any(bracket in around for bracket in "{}[]")


class JsonGrammar:
    """The grammar, by its keys; `inline` writes and reads boxes within a sentence, where the family has marks for them.

    `fenced`: whether the list is written in a code fence, an object a line. It is read either way.
    """

    whole_answer = True

    def __init__(self, keys: JsonKeys, inline: TokenGrammar | None = None, fenced: bool = True) -> None:
        self.keys = keys
        self.inline = inline
        opening = f'{{"{keys.box}": ['
        start, joint, end = ("```json\n[\n\t", ",\n\t", "\n]\n```") if fenced else ("[", ", ", "]")
        self.around = start, joint, end
        self.skeleton = Skeleton(
            start + opening, f'], "{keys.label}": "', '"}' + joint + opening, '"}' + end, (", ",) * 3,
            (1, 0, 3, 2) if keys.y_first else (0, 1, 2, 3), re.compile(PLAIN_LABEL), label_last=True,
            lead=len(opening), closing=2,
        )  # fmt: skip

    def check_label(self, label: str) -> None:
        """Raises GroundswiftError where a reader would take a piece of the label for a mark."""
        if self.inline:
            self.inline.check_label(label)
        elif any(mark in label for mark in THINKING):
            raise GroundswiftError(f"label {label!r} holds a mark of the box grammar ({', '.join(THINKING)})")

    def write_label(self, label: str) -> str:
        """A label in a sentence; without marks as it is."""
        self.check_label(label)
        return self.inline.write_label(label) if self.inline else label

    def write_box(self, coordinates: Sequence[float]) -> str:
        """A box or point in a sentence; without marks the bare list, in the family's order."""
        return self.inline.write_box(coordinates) if self.inline else self._list(coordinates)

    def _list(self, coordinates: Sequence[float]) -> str:
        if len(coordinates) == 2 and not self.keys.point:
            raise GroundswiftError(f"point {tuple(coordinates)} cannot be written: the family has boxes only; expected x1, y1, x2, y2")
        return f"[{', '.join(map(write_number, self.keys.swapped(coordinates)))}]"

    def format(self, objects: Sequence[Located]) -> str:
        rows = []
        for located in objects:
            key, numbers = (self.keys.box, located.box) if located.box is not None else (self.keys.point, located.point or ())
            fields = f'"{key}": {self._list(numbers)}'
            if located.label:
                self.check_label(located.label)
                fields += f', "{self.keys.label}": {json.dumps(located.label, ensure_ascii=False)}'
            rows.append("{" + fields + "}")
        start, joint, end = self.around
        return start + joint.join(rows) + end

    def parse(self, text: str, limit: float | None) -> Answer:
        plain = self._parse_plain(text, limit)
        if plain is not None:
            return plain
        said = without_thinking(text)
        if said is None:
            return still_thinking()
        answer = (self._parse_plain(said, limit) if said is not text else None) or read_json(
            said, self.keys, limit, self._head(said, limit)
        )
        if self.inline is None or "<" not in said or not any(mark in said for mark in (self.inline.box_open, *self.inline.like)):
            return answer
        marked = self.inline.parse(said, limit)
        if not marked.objects:
            return answer
        if answer.reasons == ["no-box"]:
            return marked
        objects = sorted(answer.objects + marked.objects, key=place_in_text)
        status: Status = "truncated" if "truncated" in (answer.status, marked.status) else "ok"
        more = [reason for reason in marked.reasons if reason != "literal-placeholder"]  # counted already
        return Answer(objects, status, [*answer.reasons, *more, "mixed-grammars"])

    def _head(self, text: str, limit: float | None) -> tuple[Sequence[Located], int]:
        """The well-formed objects of a list that is truncated, and where the last one ends; none of any other text."""
        end = text.rfind("}") + 1
        plain = self._parse_plain(text[:end] + "]", limit) if end > LONG else None
        return ((), 0) if plain is None else (plain.objects, end)

    def _parse_plain(self, text: str, limit: float | None) -> Answer | None:
        """A well-formed answer, decoded in C; None for any other, and where braces or gaps give no spans."""
        start, end = text.find("["), text.rfind("]") + 1
        before, written, behind = text[:start], text[start:end], text[end:]
        if (before.strip() not in FENCE or behind.strip() not in FENCE_END) and ("<" in text or not is_prose(before + behind)):
            return None
        labelled, any_of_them = plain_rows(self.keys, limit)
        colons = written.count(":")
        try:
            rows = labelled.decode(written)
            names = 2 * len(rows)
        except (msgspec.DecodeError, UnicodeError):
            try:
                rows = any_of_them.decode(written)
            except (msgspec.DecodeError, UnicodeError):
                return None
            names = colons if colons == len(rows) else 2 * len(rows) - [row.label for row in rows].count("")
        flat = flat_objects(text, len(rows))  # more colons than labels and keys have: a key twice, of which the decoder keeps the last
        if flat is None or (colons != names and ("\\" in written or colons != names + "".join([row.label for row in rows]).count(":"))):
            return None
        objects = self._placed(rows, *flat)
        return None if objects is None else Answer(objects, "ok", [])

    def _placed(self, rows: Sequence[msgspec.Struct], start: int, between: int, contents: list[str]) -> list[Located] | None:
        """Decoded rows with their spans; None where a row has neither box nor point, or corners out of order."""
        objects, y_first, unset, located = [], self.keys.y_first, msgspec.UNSET, Located
        add = objects.append
        for row, content in zip(rows, contents):  # noqa: B905 (as many; to ask takes time here)
            end = start + len(content) + 2
            if (box := row.box) is not unset:
                x1, y1, x2, y2 = box
                if x2 < x1 or y2 < y1:
                    return None
                add(located(row.label, (y1, x1, y2, x2) if y_first else box, None, (start, end)))
            elif (point := getattr(row, "point", unset)) is not unset:
                add(located(row.label, None, point[::-1] if y_first else point, (start, end)))
            else:
                return None
            start = end + between
        return objects
