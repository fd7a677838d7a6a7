"""Boxes as a fenced JSON list of `{"bbox_2d": [x1, y1, x2, y2], "label": "dog"}`; points as `point_2d`.

Inside a sentence the same families write marks, so a grammar of marks stands in as `inline`.
Source: QwenLM/Qwen3-VL#676, Qwen3-VL cookbook.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from .located import Answer, Located, Status
from .reading import NUMBER, Reading, as_number, still_thinking, without_thinking, write_number
from .token_grammar import TokenGrammar

STRING = r'"(?:[^"\\\n]|\\.)*"'
PLAIN_OPEN = re.compile(r"\s*(?:```json\s*)?\[\s*")
PLAIN_ITEM = re.compile(
    r'\{\s*"bbox_2d"\s*:\s*\[\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*\]\s*,'
    rf'\s*"label"\s*:\s*({STRING})\s*\}}'
)
PLAIN_NEXT = re.compile(r"\s*,\s*")
PLAIN_CLOSE = re.compile(r"\s*\]\s*(?:```\s*)?")

# What a model writes is not always JSON, so the tolerant reader has tokens of its own; a token's name is the method that takes it.
# No pattern can fail once it has begun, or backtracking would make hostile text slow.
# A string may hold quotes that a word follows and line breaks whose next line ends the string; unclosed, it ends with its line.
BRACKETS = r"(?P<open_object>\{+)|(?P<close_object>\}+)|(?P<open_list>\[+)|(?P<close_list>\]+)"
INNER_QUOTE = r'"(?![ \t\r]*(?:[,:}\]\[{\n]|\Z)|[ \t\r]+")'
INNER_BREAK = r'\n(?=[ \t]*[^\s"{}\[\]][^"{}\[\]\n]*")'
LOOSE_STRING = rf'(?P<string>"(?:[^"\\\n]+|\\.|{INNER_BREAK}|{INNER_QUOTE})*\\?("?))'
OUTSIDE = re.compile(BRACKETS)
INSIDE = re.compile(rf"{BRACKETS}|(?P<number>{NUMBER})|(?P<word>[A-Za-z_][A-Za-z_0-9]*)|{LOOSE_STRING}")
CLOSING_QUOTE = INSIDE.groups
NOT_FINITE = {"NaN", "nan", "Infinity", "inf", "Inf"}


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


class JsonGrammar:
    """The grammar; `inline` writes and reads boxes that stand in a sentence."""

    whole_answer = True

    def __init__(self, inline: TokenGrammar) -> None:
        self.inline = inline

    def write_label(self, label: str) -> str:
        return self.inline.write_label(label)

    def write_box(self, coordinates: Sequence[float]) -> str:
        return self.inline.write_box(coordinates)

    def format(self, objects: Sequence[Located]) -> str:
        rows = []
        for located in objects:
            key, numbers = ("bbox_2d", located.box) if located.box is not None else ("point_2d", located.point or ())
            fields = f'"{key}": [{", ".join(map(write_number, numbers))}]'
            if located.label:
                self.inline.check_label(located.label)
                fields += f', "label": {json.dumps(located.label, ensure_ascii=False)}'
            rows.append("\t{" + fields + "}")
        return "```json\n[\n" + ",\n".join(rows) + "\n]\n```"

    def parse(self, text: str, limit: float | None) -> Answer:
        plain = self._parse_plain(text, limit)
        if plain is not None:
            return plain
        said = without_thinking(text)
        if said is None:
            return still_thinking()
        answer = self._parse_any(said, limit)
        if self.inline.box_open not in said:
            return answer
        marked = self.inline.parse(said, limit)
        if not marked.objects:
            return answer
        if answer.reasons == ["no_box"]:
            return marked
        objects = sorted(answer.objects + marked.objects, key=place_in_text)
        status: Status = "truncated" if "truncated" in (answer.status, marked.status) else "ok"
        more = [reason for reason in marked.reasons if reason != "literal_placeholder"]  # counted already
        return Answer(objects, status, [*answer.reasons, *more, "mixed_grammars"])

    def _parse_plain(self, text: str, limit: float | None) -> Answer | None:
        """A well-formed answer by one expression an item; None for any other."""
        opening = PLAIN_OPEN.match(text)
        if opening is None:
            return None
        objects, position = [], opening.end()
        while found := PLAIN_ITEM.match(text, position):
            x1, y1, x2, y2 = (int(digits) for digits in found.group(1, 2, 3, 4))
            if x2 < x1 or y2 < y1 or (limit is not None and (x2 > limit or y2 > limit)):
                return None
            objects.append(Located(unquoted(found.group(5)), (x1, y1, x2, y2), None, found.span()))
            position = found.end()
            following = PLAIN_NEXT.match(text, position)
            if following is None:
                break
            position = following.end()
        closed = PLAIN_CLOSE.fullmatch(text, position)
        return Answer(objects, "ok", []) if objects and closed and text[position - 1] == "}" else None

    def _parse_any(self, text: str, limit: float | None) -> Answer:
        """One pass over the tokens: braces make objects, brackets make number lists; commas and colons are not insisted on."""
        scan = _Scan(Reading(limit))
        position = 0
        while found := (INSIDE if scan.inside() else OUTSIDE).search(text, position):
            getattr(scan, found.lastgroup)(found)
            position = found.end()
        begun = text.strip()
        scan.reading.cut = scan.inside() or scan.depth > 0 or bool(begun) and "```json".startswith(begun)
        scan.reading.objects.sort(key=place_in_text)  # an object that holds others ends after them
        return scan.reading.answer(text)


Fields = dict[str, object]
Numbers = list[float | None]  # None stands for what is no number


class _Scan:
    """The state while one answer's tokens go by. Runs of a bracket come as one token."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.depth = 0  # of brackets outside objects
        self.fields: Fields | None = None  # of the object that is open
        self.key: str | None = None
        self.start = 0
        self.list: Numbers | None = None  # of the bracket that is open
        self.outer: list[tuple[Fields, str, int, Numbers | None]] = []  # objects that hold the open one as a value

    def inside(self) -> bool:
        return self.fields is not None or self.list is not None

    def open_object(self, found: re.Match[str]) -> None:
        if self.fields is not None and self.key is not None and not self.list:
            self.outer.append((self.fields, self.key, self.start, self.list))
        elif self.fields is not None:
            self.reading.odd("unclosed_object")
            if self.fields:
                self.place_object(found.start())
        self.drop_list()
        self.fields, self.key, self.start = {}, None, found.end() - 1
        self.reading.odd("unclosed_object", len(found[0]) - 1)

    def close_object(self, found: re.Match[str]) -> None:
        for end in range(found.start() + 1, found.end() + 1):
            if self.fields is None:
                return self.reading.odd("stray_brace", found.end() + 1 - end)
            self.object_ends(end)

    def object_ends(self, end: int) -> None:
        """Place the open object; the one that holds it, if any, is open again."""
        self.drop_list()
        self.place_object(end)
        fields, self.fields, self.key = self.fields, None, None
        if self.outer:
            self.fields, key, self.start, self.list = self.outer.pop()
            self.fields[key] = fields
            self.key = None if self.list is None else key

    def open_list(self, found: re.Match[str]) -> None:
        self.drop_list()
        self.list = []
        if self.fields is None:
            self.depth += len(found[0])
            self.start = found.end() - 1

    def close_list(self, found: re.Match[str]) -> None:
        numbers, self.list = self.list, None
        if self.fields is not None:
            if numbers is not None:
                self.value(numbers)
            return
        if numbers:
            self.reading.place("", numbers, (self.start, found.start() + 1))
        self.reading.odd("stray_bracket", max(0, len(found[0]) - self.depth))
        self.depth = max(0, self.depth - len(found[0]))

    def number(self, found: re.Match[str]) -> None:
        number = as_number(found[0])
        if self.list is not None:
            self.list.append(number)
        else:
            self.value(number)

    def word(self, found: re.Match[str]) -> None:
        if self.list is not None:
            self.list.append(math.nan if found[0] in NOT_FINITE else None)
        elif found[0] in ("null", "None"):
            self.value(None)
        elif self.key is not None:
            self.reading.odd("bare_word")
            self.value(found[0])

    def string(self, found: re.Match[str]) -> None:
        if not found[CLOSING_QUOTE]:
            self.unclosed_string(found)
        elif self.list is not None:
            self.list.append(None)
        elif self.key is None:
            self.key = unquoted(found[0])
        else:
            self.value(unquoted(found[0]))

    def unclosed_string(self, found: re.Match[str]) -> None:
        """At the end of the text it is cut, and its object with it; before, a brace in it is taken for the object's."""
        if found.end() == len(found.string):
            return
        self.reading.odd("unclosed_string")
        if self.key is None or self.list is not None:
            return
        content, brace, _ = found[0][1:].partition("}")
        self.value(content.rstrip(", \t\r"))
        if brace:
            self.object_ends(found.start() + 2 + len(content))

    def value(self, value: object) -> None:
        if self.fields is None or self.key is None:
            if isinstance(value, list) and value:
                self.reading.odd("list_without_key")
            return
        self.fields[self.key] = value
        self.key = None

    def drop_list(self) -> None:
        if self.list:
            self.reading.odd("malformed_box")
        self.list = None

    def place_object(self, end: int) -> None:
        """Read the box and label of the object that is open and ends here."""
        fields = self.fields or {}
        numbers = fields.get("bbox_2d", fields.get("point_2d"))
        if not isinstance(numbers, list):
            holds_others = any(value == [] or isinstance(value, dict) for value in fields.values())
            if "bbox_2d" in fields or not (self.outer or holds_others):
                self.reading.odd("no_box_in_object")
            return
        label = fields.get("label", "")
        if not isinstance(label, str):
            self.reading.odd("label_not_text")
            label = str(label) if isinstance(label, (int, float)) else ""
        self.reading.place(label, numbers, (self.start, end))
