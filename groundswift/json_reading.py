"""The tolerant reader of boxes in JSON: what a model writes is not always JSON, and what stands before a fault is kept.

Braces make objects and brackets make number lists; commas and colons are not insisted on. The text is cut into strings, runs of brackets
and bare stretches between them by calls that run in C, and no pattern can fail once it has begun, so that no text is slow.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from .located import Answer, Located
from .reading import NUMBER, Reading, as_number

OPENER = re.compile(r"[{\[]")
CLOSER = re.compile(r"[}\]]")
BRACKETS = re.compile(r"([{}\[\]]+)")
SCALAR = re.compile(rf"(?P<number>{NUMBER})|(?P<word>[A-Za-z_][A-Za-z_0-9]*)")
# A string may hold quotes that a word follows and line breaks whose next line ends the string; unclosed, it ends with its line.
INNER_QUOTE = r'"(?![ \t\r]*(?:[,:}\]\[{\n]|\Z)|[ \t\r]+")'
INNER_BREAK = r'\n(?=[ \t]*[^\s"{}\[\]][^"{}\[\]\n]*")'
LOOSE_STRING = rf'"(?:[^"\\\n]+|\\.|{INNER_BREAK}|{INNER_QUOTE})*\\?(?P<closing>"?)'
INSIDE = re.compile(rf'(?P<string>{LOOSE_STRING})?(?P<part>[^"]*)')
FEW_NUMBERS = re.compile(r"[ \t\r\n]*[0-9]{1,9}(?:[ \t\r\n]*,[ \t\r\n]*[0-9]{1,9}){1,3}[ \t\r\n]*")
SEPARATORS = frozenset([":", ",", ": ", ", ", " ", "\n"])
NOT_FINITE = {"NaN", "nan", "Infinity", "inf", "Inf"}
KEYS_OF_ANYBODY = frozenset(["bbox_2d", "box_2d", "bbox", "point_2d", "point"])
HELD = object()  # stands for an object that was a value
DEEPEST = 64  # objects in objects; one that lies deeper is taken for one that should have ended
ENOUGH = 5  # numbers of a list that are kept: with so many it is neither a box nor a point
SHORT = 16  # characters of a stretch that is worth remembering


class JsonKeys(NamedTuple):
    """How a family names things in JSON, and whether it writes y before x."""

    box: str
    point: str
    y_first: bool = False

    def swapped(self, numbers: tuple | list) -> tuple | list:
        """Numbers as they are written -> in our order, and back: (y, x, ...) and (x, y, ...) where y is first."""
        if not self.y_first:
            return numbers
        return (numbers[1], numbers[0]) if len(numbers) == 2 else (numbers[1], numbers[0], numbers[3], numbers[2])


def unquoted(quoted: str) -> str:
    """The text of a JSON string; where its escapes are broken, what stands between the quotes."""
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return json.loads(quoted, strict=False).encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no text
    except ValueError:
        return quoted[1:-1]


def place_in_text(located: Located) -> tuple[int, int]:
    """Where an object stands, to sort by."""
    return located.span or (0, 0)


Fields = dict[str, object]
Numbers = list[float | None]  # None stands for what is no number


Pair = tuple[str, str]


@lru_cache(maxsize=4096)
def short_pairs(part: str) -> tuple[Pair, ...]:
    """`split_pairs` for a short part: most are the same few."""
    return tuple(split_pairs(part))


def split_pairs(part: str) -> Iterator[Pair]:
    """A part without quotes as pairs of a bare stretch and the run of brackets behind it."""
    pieces = BRACKETS.split(part)
    pieces.append("")
    return zip(pieces[::2], pieces[1::2], strict=True)


def found_scalars(bare: str) -> tuple[Numbers, str]:
    """The first numbers of a bare stretch, words among them as NaN or as no number; and the text of the first of all."""
    if FEW_NUMBERS.fullmatch(bare):
        return [int(digits) for digits in bare.split(",")], "0"
    numbers: Numbers = []
    first = ""
    for found in islice(SCALAR.finditer(bare), ENOUGH):
        word = found[0]
        first = first or word
        numbers.append(as_number(word) if found.lastgroup == "number" else math.nan if word in NOT_FINITE else None)
    return numbers, first


short_scalars = lru_cache(maxsize=4096)(found_scalars)


class JsonScan:
    """The state while one answer goes by. `keys`: the family's own; a thing under another family's key is told, and not placed."""

    __slots__ = ("depth", "fields", "key", "keys", "largest", "list", "odd", "outer", "reading", "start")

    def __init__(self, keys: JsonKeys, limit: float | None) -> None:
        self.keys = keys
        self.largest = sys.float_info.max if limit is None else limit
        self.reading = Reading(limit)
        self.odd = self.reading.reasons.append
        self.depth = 0  # of brackets outside objects
        self.fields: Fields | None = None  # of the object that is open
        self.key: str | None = None
        self.start = 0
        self.list: Numbers | None = None  # of the bracket that is open
        self.outer: list[tuple[Fields, str, int, Numbers | None]] = []  # objects that hold the open one as a value

    def read(self, text: str) -> Answer:
        """Read all of it. Quotes count only inside of brackets, for prose is full of them."""
        position, end = 0, len(text)
        while (opening := OPENER.search(text, position)) is not None:
            if opening.start() > position:
                self.closers(text, position, opening.start())
                position = opening.start()
            for found in INSIDE.finditer(text, position):
                quoted, closing, part = found.groups()
                if quoted is not None:
                    position += len(quoted)
                    if not closing:
                        self.unclosed_string(quoted, position, end)
                    elif self.list is not None:
                        self.list.append(None)
                    else:
                        content = unquoted(quoted) if "\\" in quoted else quoted[1:-1]
                        if self.key is None:
                            self.key = content
                        else:
                            self.fields[self.key] = content
                            self.key = None
                if part:
                    if part not in SEPARATORS:
                        self.without_quotes(part, position)
                    position += len(part)
                if self.fields is None and self.list is None:
                    break
        self.closers(text, position, end)
        begun = text.strip()
        inside = self.fields is not None or self.list is not None
        self.reading.cut = inside or self.depth > 0 or bool(begun) and "```json".startswith(begun)
        self.reading.objects.sort(key=place_in_text)  # an object that holds others ends after them
        return self.reading.answer(text)

    def closers(self, text: str, start: int, end: int) -> None:
        """Closing brackets of a stretch that opens none, outside of objects."""
        for closer in CLOSER.findall(text, start, end):
            if closer == "]" and self.depth:
                self.depth -= 1
            else:
                self.odd("stray_bracket" if closer == "]" else "stray_brace")

    def without_quotes(self, part: str, position: int) -> None:
        """Take a part of the text that starts at `position`: bare stretches, and runs of brackets between them."""
        odd = self.odd
        for bare, run in short_pairs(part) if len(part) < SHORT else split_pairs(part):
            if bare:
                position += len(bare)
                if (self.list is not None or self.key is not None) and bare not in SEPARATORS:
                    self.bare(bare)
            for bracket in run:
                position += 1
                if bracket == "{":
                    if self.fields is not None and self.key is not None and not self.list and len(self.outer) < DEEPEST:
                        self.outer.append((self.fields, self.key, self.start, self.list))
                    elif self.list or self.fields is not None:
                        self.not_closed(position - 1)
                    self.fields, self.key, self.start, self.list = {}, None, position - 1, None
                elif bracket == "}":
                    if self.fields is None:
                        odd("stray_brace")
                    elif not self.fields and not self.outer and not self.list:
                        odd("no_box_in_object")
                        self.fields = self.key = self.list = None
                    else:
                        self.object_ends(position)
                elif bracket == "[":
                    if self.list:
                        odd("malformed_box")
                    self.list = []
                    if self.fields is None:
                        self.depth += 1
                        self.start = position - 1
                else:
                    numbers, self.list = self.list, None
                    if self.fields is None:
                        if numbers:
                            self.place("", numbers, (self.start, position))
                        if self.depth:
                            self.depth -= 1
                        else:
                            odd("stray_bracket")
                    elif numbers is not None:
                        if self.key is not None:
                            self.fields[self.key] = numbers
                            self.key = None
                        elif numbers:
                            odd("list_without_key")

    def bare(self, bare: str) -> None:
        """Numbers and words: those of a list, or the value of a key, which is the first of them."""
        numbers, first = short_scalars(bare) if len(bare) < SHORT else found_scalars(bare)
        if self.list is not None:
            if len(self.list) < ENOUGH:
                self.list += numbers
        elif numbers:
            if numbers[0] is not None and first not in NOT_FINITE:
                self.fields[self.key] = numbers[0]
            elif first in ("null", "None"):
                self.fields[self.key] = None
            else:
                self.odd("bare_word")
                self.fields[self.key] = first
            self.key = None

    def not_closed(self, start: int) -> None:
        """An object begins at `start` where the one that is open, or a list with something in it, should have ended."""
        if self.fields is not None:
            self.odd("unclosed_object")
            if self.fields:
                self.place_object(start)
        if self.list:
            self.odd("malformed_box")

    def object_ends(self, end: int) -> None:
        """Place the open object; the one that holds it, if any, is open again."""
        if self.list:
            self.odd("malformed_box")
        self.place_object(end)
        self.fields = self.key = self.list = None
        if self.outer:
            self.fields, key, self.start, self.list = self.outer.pop()
            self.fields[key] = HELD
            self.key = None if self.list is None else key

    def unclosed_string(self, quoted: str, position: int, end: int) -> None:
        """At the end of the text it is cut, and its object with it; before, a brace in it is taken for the object's."""
        if position == end:
            return
        self.odd("unclosed_string")
        if self.key is None or self.list is not None:
            return
        content, brace, _ = quoted[1:].partition("}")
        self.value(content.rstrip(", \t\r"))
        if brace:
            self.object_ends(position - len(quoted) + 2 + len(content))

    def value(self, value: object) -> None:
        self.fields[self.key] = value
        self.key = None

    def place_object(self, end: int) -> None:
        """Read the box and label of the object that is open and ends here."""
        fields = self.fields
        numbers = fields.get(self.keys.box, fields.get(self.keys.point)) if fields else None
        if not isinstance(numbers, list):
            if self.keys.box in fields or not (self.outer or HELD in fields.values() or [] in fields.values()):
                other = not KEYS_OF_ANYBODY.isdisjoint(fields) and any(isinstance(fields.get(key), list) for key in KEYS_OF_ANYBODY)
                self.odd("other_key" if other else "no_box_in_object")
            return
        label = fields.get("label", "")
        if not isinstance(label, str):
            self.odd("label_not_text")
            label = str(label) if isinstance(label, (int, float)) else ""
        self.place(label, numbers, (self.start, end))

    def place(self, label: str, numbers: Numbers, span: tuple[int, int]) -> None:
        """Turn to our order; what is plain goes in at once, the rest with its reasons."""
        if len(numbers) in (2, 4) and None not in numbers:
            numbers = self.keys.swapped(numbers) if self.keys.y_first else numbers
            x1, y1, x2, y2 = numbers if len(numbers) == 4 else (*numbers, *numbers)
            if 0 <= x1 <= x2 <= self.largest and 0 <= y1 <= y2 <= self.largest and (x2 > 1 or y2 > 1):
                box, point = ((x1, y1, x2, y2), None) if len(numbers) == 4 else (None, (x1, y1))
                return self.reading.objects.append(Located(label, box, point, span))
        return self.reading.place(label, numbers, span)
