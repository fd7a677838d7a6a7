"""The tolerant reader of boxes in JSON: what a model writes is not always JSON, and what precedes an error is kept.

Braces make objects and brackets make number lists; commas and colons are not insisted on. The text is split into strings, runs of brackets
and bare stretches between them by calls that run in C, and no pattern can fail once it has begun, so that no text is slow.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from ..answers import Answer, Located
from .base import NUMBER, Reading, as_number
from .json_objects import KEYS_OF_ANYBODY, NUMBER_TYPES, PLAIN_TYPES, WRAPPERS, Fields, JsonKeys, Numbers, read_object, shapes

OPENER = re.compile(r"[{\[]")
CLOSER = re.compile(r"[}\]]")
BRACKETS = re.compile(r"([{}\[\]()]+)")
SCALAR = re.compile(rf"(?P<number>{NUMBER})|(?P<word>[A-Za-z_][A-Za-z_0-9]*)")
# A string may hold quotes that a word follows and line breaks whose next line ends the string; unclosed, it ends with its line.
INNER_QUOTE = r'"(?![ \t\r]*(?:[,:}\]\[{\n]|\Z)|[ \t\r]+")'
INNER_BREAK = r'\n(?=[ \t]*[^\s"{}\[\]][^"{}\[\]\n]*")'
LOOSE_STRING = rf'"(?:[^"\\\n]+|\\.|{INNER_BREAK}|{INNER_QUOTE})*\\?(?P<closing>"?)'
INSIDE = re.compile(rf'(?P<string>{LOOSE_STRING})?(?P<part>[^"]*)')
FEW_NUMBERS = re.compile(r"[ \t\r\n]*[0-9]{1,9}(?:[ \t\r\n]*,[ \t\r\n]*[0-9]{1,9}){1,3}[ \t\r\n]*")
SEPARATORS = frozenset([":", ",", ": ", ", ", " ", "\n"])
SINGLE_QUOTE = re.compile(r"(?<=[{\[,:\s])'|'(?=\s*[,:}\]])")
SINGLE_KEY, DOUBLE_KEY = (re.compile(rf"[{{,]\s*{quote}[\w ]{{1,40}}{quote}\s*:") for quote in "'\"")
NOT_FINITE = {"NaN", "nan", "Infinity", "inf", "Inf"}
HELD = object()  # in place of an object that was a value
CONSTANTS = {"null": None, "None": None, "true": True, "True": True, "false": False, "False": False}
DEEPEST = 64  # objects in objects; a deeper one is taken for one that should have ended
ENOUGH = 9  # numbers of a list that are kept: so many are not a box, point or quadrangle
SHORT = 16  # characters of a stretch that is worth remembering


def unquoted(quoted: str) -> str:
    """The text of a JSON string; where its escapes are broken, the text between the quotes."""
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return json.loads(quoted, strict=False).encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is not text
    except ValueError:
        return quoted[1:-1].replace("\\'", "'")  # Python escapes a single quote


def read_json(text: str, keys: JsonKeys, limit: float | None, head: tuple[Sequence[Located], int] = ((), 0)) -> Answer:
    """Any text; Python's single quotes are read as double quotes where keys have them.

    `head`: the objects of a list that is open, and where the last of them ends, if those are known already.
    """
    single = SINGLE_KEY.search(text) is not None and DOUBLE_KEY.search(text) is None
    answer = JsonScan(keys, limit).read(SINGLE_QUOTE.sub('"', text) if single else text, *head)
    if single and answer.status != "empty":
        answer.reasons.append("single-quotes")
    return answer


def place_in_text(located: Located) -> tuple[int, int]:
    """The position of an object, to sort by."""
    return located.span or (0, 0)


def split_pairs(part: str) -> tuple[tuple[str, str], ...]:
    """A part without quotes as pairs of a bare stretch and the run of brackets behind it."""
    pieces = [*BRACKETS.split(part), ""]
    return tuple(zip(pieces[::2], pieces[1::2], strict=True))


short_pairs = lru_cache(maxsize=4096)(split_pairs)  # of short parts, most of which are the same few


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


def has_other_key(fields: Fields) -> bool:
    """Whether an object has numbers or lists under a name that any family may give to a box."""
    if KEYS_OF_ANYBODY.isdisjoint(fields):
        return False
    return any(isinstance(fields[key], (list, dict, int, float)) for key in fields.keys() & KEYS_OF_ANYBODY)


class _Several(list):
    """The values of a key that an object has several times."""


class JsonScan:
    """The state while one answer goes by. `keys`: the family's own; a thing under another family's key gives a warning and is skipped."""

    __slots__ = ("depth", "fields", "key", "keys", "largest", "list", "lists", "nest", "odd", "outer", "reading", "start")

    def __init__(self, keys: JsonKeys, limit: float | None) -> None:
        self.keys = keys
        self.largest = sys.float_info.max if limit is None else limit
        self.reading = Reading(limit)
        self.odd = self.reading.reasons.append
        self.depth = 0  # of brackets outside objects
        self.lists: list[tuple[Numbers, int, int]] = []  # number lists outside objects, all in one list that is open
        self.fields: Fields | None = None  # of the object that is open
        self.key: str | None = None
        self.start = 0
        self.list: list | None = None  # of the bracket that is open: numbers, strings, lists
        self.nest: list[list] = []  # in an object, the lists that hold the open one
        self.outer: list[tuple[Fields, str, int, list | None]] = []  # objects that hold the open one as a value

    def read(self, text: str, known: Sequence[Located] = (), position: int = 0) -> Answer:
        """Read all of it. Quotes count only inside of brackets, for prose is full of them.

        `known`: the objects up to `position`, of a list that is open there.
        """
        end, self.depth = len(text), int(position > 0)
        self.reading.objects.extend(known)
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
                    else:
                        self.string(unquoted(quoted) if "\\" in quoted else quoted[1:-1], part)
                if part:
                    if part not in SEPARATORS:
                        self.without_quotes(part, position)
                    position += len(part)
                if self.fields is None and self.list is None:
                    break
        self.closers(text, position, end)
        begun = text.strip()
        inside = self.fields is not None or self.list is not None
        self.place_lists()
        self.reading.cut = inside or self.depth > 0 or bool(begun) and "```json".startswith(begun)
        self.reading.drop_repeated_block()
        self.reading.objects.sort(key=place_in_text)  # an object that holds others ends after them
        return self.reading.answer(text)

    def string(self, content: str, part: str) -> None:
        """A whole string, and what follows it: an element of a list, a key, or the value of one."""
        if self.list is not None and self.fields is not None and self.key is not None and part.lstrip().startswith(":"):
            self.close_lists()
        if self.list is not None:
            self.list.append(content)
        elif self.key is None:
            self.key = content
        else:
            self.value(content)

    def close_lists(self) -> None:
        """The lists of a value end without their brackets, where the next key or the end of the object is."""
        self.odd("unclosed-list")
        while self.nest:
            self.value_bracket("]")
        self.value_bracket("]")

    def closers(self, text: str, start: int, end: int) -> None:
        """Closing brackets of a stretch that opens none, outside of objects."""
        for closer in CLOSER.findall(text, start, end):
            if closer == "]":
                self.list_of_objects_ends()
            else:
                self.odd("stray-brace")

    def list_of_objects_ends(self) -> None:
        """A bracket outside objects closes, of a list that may hold objects or lists."""
        if self.lists:
            self.place_lists(closed=True)
        if not self.depth:
            return self.odd("stray-bracket")
        self.depth -= 1
        if not self.depth:
            self.reading.blocks.append(len(self.reading.objects))

    def without_quotes(self, part: str, position: int) -> None:
        """Take a part of the text that starts at `position`: bare stretches, and runs of brackets between them."""
        for bare, run in short_pairs(part) if len(part) < SHORT else split_pairs(part):
            if bare:
                position += len(bare)
                if (self.list is not None or self.key is not None) and bare not in SEPARATORS:
                    self.bare(bare)
            for bracket in run:
                position += 1
                if bracket == "{":
                    self.object_begins(position - 1)
                elif bracket == "}":
                    self.brace_closes(position)
                elif bracket == "(" or bracket == ")":
                    self.parenthesis(bracket)
                elif self.fields is not None:
                    self.value_bracket(bracket)
                elif bracket == "[":
                    self.bare_list_begins(position - 1)
                else:
                    self.bare_list_ends(position)

    def parenthesis(self, bracket: str) -> None:
        """In the value of a key, parentheses are the brackets of Python's tuples; elsewhere they are words."""
        if self.fields is not None and (self.key is not None if bracket == "(" else self.list is not None):
            self.value_bracket("[" if bracket == "(" else "]")

    def object_begins(self, position: int) -> None:
        if self.lists:
            self.place_lists()
        if self.fields is not None and self.key is not None and not self.list and len(self.outer) < DEEPEST:
            self.outer.append((self.fields, self.key, self.start, self.list))
        elif self.list or self.fields is not None:
            self.not_closed(position)
        self.fields, self.key, self.start, self.list = {}, None, position, None
        self.nest.clear()

    def brace_closes(self, position: int) -> None:
        if self.fields is None:
            return self.odd("stray-brace")
        if not (self.fields or self.outer or self.list):
            self.nest.clear()  # an empty object, whatever lists it opened
        self.object_ends(position)

    def value_bracket(self, bracket: str) -> None:
        """A bracket in an object: of the list that is the value of a key, or of a list in it."""
        if bracket == "[":
            if self.list is not None:
                self.nest.append(self.list)
            self.list = []
        elif self.list is not None:
            done, self.list = self.list, None
            if self.nest:
                self.list = self.nest.pop()
                self.list.append(done)
            elif self.key is not None:
                self.value(done)
            elif done:
                self.odd("list-without-key")

    def bare_list_begins(self, position: int) -> None:
        if self.list:
            self.odd("malformed-box")
            self.place_lists()
        self.list, self.depth, self.start = [], self.depth + 1, position

    def bare_list_ends(self, position: int) -> None:
        """A list outside objects ends: a box or point without a label, held back where two of them may be the corners of a box."""
        numbers, self.list = self.list, None
        if numbers:
            self.lists.append((numbers, self.start, position))
        if not numbers or self.depth <= 1:
            self.list_of_objects_ends()
        else:
            self.depth -= 1

    def place_lists(self, closed: bool = False) -> None:
        """Two pairs that fill a list are the corners of a box, with a parse warning, since it is a guess; other pairs are points."""
        lists, self.lists = self.lists, []
        if closed and len(lists) == 2 and len(lists[0][0]) == len(lists[1][0]) == 2:
            (first, start, _), (second, _, end) = lists
            self.odd("nested-pairs")
            lists = [([*first, *second], start, end)]
        for numbers, start, end in lists:
            size = len(numbers)
            flat = size != 8 and PLAIN_TYPES.issuperset(map(type, numbers))
            for shape in (numbers if size in (2, 4) else None,) if flat else shapes(numbers, False):
                self.place("", shape, (start, end))

    def bare(self, bare: str) -> None:
        """Numbers and words: those of a list, or the value of a key, which is the first of them."""
        numbers, first = short_scalars(bare) if len(bare) < SHORT else found_scalars(bare)
        if self.list is not None:
            if len(self.list) < ENOUGH:
                self.list += numbers
        elif numbers:
            if numbers[0] is not None and first not in NOT_FINITE:
                self.value(numbers[0])
            elif first in CONSTANTS:
                self.value(CONSTANTS[first])
            else:
                self.odd("bare-word")
                self.value(first)

    def not_closed(self, start: int) -> None:
        """An object begins at `start` where the one that is open, or a list with something in it, should have ended."""
        if self.fields is not None:
            self.odd("unclosed-object")
            if self.fields:
                self.place_object(start)
        if self.list:
            self.odd("malformed-box")

    def object_ends(self, end: int) -> None:
        """Place the open object; the one that holds it, if any, is open again."""
        if self.nest and self.key is not None:
            self.close_lists()
        elif self.list:
            self.odd("malformed-box")
        inner, corners = self.fields, False
        if self.outer:
            _, under, _, outer_list = self.outer[-1]
            corners = under in KEYS_OF_ANYBODY and outer_list is None and self.keys.box not in inner  # by name, of the one that holds it
        if not corners:
            self.place_object(end)
        self.fields = self.key = self.list = None
        self.nest.clear()
        if self.outer:
            self.fields, key, self.start, self.list = self.outer.pop()
            self.fields[key] = inner if corners else HELD
            self.key = None if self.list is None else key

    def unclosed_string(self, quoted: str, position: int, end: int) -> None:
        """At the end of the text it is truncated, and its object with it; before, a brace in it is taken for the object's."""
        if position == end:
            return
        self.odd("unclosed-string")
        if self.key is None or self.list is not None:
            return
        content, brace, _ = quoted[1:].partition("}")
        self.value(content.rstrip(", \t\r"))
        if brace:
            self.object_ends(position - len(quoted) + 2 + len(content))

    def value(self, value: object) -> None:
        """The value of the key; a box or label that the object has already makes a list of both."""
        key, self.key = self.key, None
        if key in self.fields and key in (self.keys.box, self.keys.label):
            self.odd("repeated-key")
            before = self.fields[key]
            if key == self.keys.label and value == before:
                return
            if isinstance(before, _Several):
                return before.append(value)
            many = isinstance(before, list) and before != [] and isinstance(before[0], (list, str))
            value = _Several([*before, value] if many else [before, value])
        self.fields[key] = value

    def place_object(self, end: int) -> None:
        """Read the boxes and labels of the object that is open and ends here."""
        fields, under = self.fields, self.outer[-1][1] if self.outer else ""
        found = read_object(fields, self.keys, may_name=not self.outer or under in WRAPPERS)
        if found is None:
            if self.keys.box in fields or not (self.outer or HELD in fields.values()):
                self.odd("other-key" if has_other_key(fields) else "no-box-in-object")
            return
        if under and (under in WRAPPERS or found.reasons or any(label for label, _ in found.boxes)):
            under = ""
        if under and found.boxes:
            self.odd("label-as-key")  # `{"dog": {"bbox_2d": [...]}}`
        self.reading.absent |= found.absent
        self.reading.reasons += found.reasons
        for label, numbers in found.boxes:
            self.place(label or under, numbers, (self.start, end), found.ordered)

    def place(self, label: str, numbers: Numbers | None, span: tuple[int, int], ordered: bool = False) -> None:
        """Turn to our order, but for what is `ordered`; what is plain goes in at once, the rest with its reasons."""
        size = 1 if numbers is None else len(numbers)
        if size % 2 or not NUMBER_TYPES.issuperset(map(type, numbers)):
            return self.odd("malformed-box")
        if self.keys.y_first and not ordered:
            numbers = self.keys.swapped(numbers)
        if size in (2, 4):
            x1, y1, x2, y2 = numbers if size == 4 else (*numbers, *numbers)
            if 0 <= x1 <= x2 <= self.largest and 0 <= y1 <= y2 <= self.largest and (x2 > 1 or y2 > 1):
                box, point = ((x1, y1, x2, y2), None) if size == 4 else (None, (x1, y1))
                return self.reading.objects.append(Located(label, box, point, span))
        return self.reading.place(label, numbers, span)
