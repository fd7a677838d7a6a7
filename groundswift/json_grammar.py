"""Boxes as a fenced JSON list of `{"bbox_2d": [x1, y1, x2, y2], "label": "dog"}`; points as `point_2d`.

Inside a sentence the same families write marks, so a grammar of marks stands in as `inline`. Source: QwenLM/Qwen3-VL#676, Qwen3-VL cookbook.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from .located import Answer, Located
from .reading import NUMBER, THINKING, Reading, as_number, write_number
from .token_grammar import TokenGrammar

STRING = r'"(?:[^"\\\n]|\\.)*"'
PLAIN_OPEN = re.compile(r"\s*(?:```json\s*)?\[\s*")
PLAIN_ITEM = re.compile(
    r'\{\s*"bbox_2d"\s*:\s*\[\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*\]\s*,'
    rf'\s*"label"\s*:\s*({STRING})\s*\}}'
)
PLAIN_NEXT = re.compile(r"\s*,\s*")
PLAIN_CLOSE = re.compile(r"\s*\]\s*(?:```\s*)?")
TOKEN = re.compile(rf"{STRING}|{NUMBER}|[{{}}\[\]]|[A-Za-z_]+|\"")


def unquoted(quoted: str) -> str:
    """The text of a JSON string; where its escapes are broken, what stands between the quotes."""
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return json.loads(quoted)
    except ValueError:
        return quoted[1:-1]


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
                fields += f', "label": {json.dumps(located.label, ensure_ascii=False)}'
            rows.append("\t{" + fields + "}")
        return "```json\n[\n" + ",\n".join(rows) + "\n]\n```"

    def parse(self, text: str, limit: float | None) -> Answer:
        plain = self._parse_plain(text, limit)
        if plain is not None:
            return plain
        answer = self._parse_any(text, limit)
        if self.inline.box_open not in text:
            return answer
        marked = self.inline.parse(text, limit)
        if not marked.objects:
            return answer
        if answer.objects:
            objects = sorted(answer.objects + marked.objects, key=lambda located: located.span or (0, 0))
            return Answer(objects, answer.status, [*answer.reasons, *marked.reasons, "mixed_grammars"])
        return marked

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
        reading = Reading(limit)
        scan = _Scan(reading)
        hidden = [found.span() for found in THINKING.finditer(text)]
        for found in TOKEN.finditer(text):
            while hidden and hidden[0][1] <= found.start():
                hidden.pop(0)
            if not (hidden and hidden[0][0] <= found.start()):
                scan.token(found.group(), found.start(), found.end())
        scan.end()
        return reading.answer(text)


class _Scan:
    """The state while one answer's tokens go by."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.depth = 0  # of brackets outside objects
        self.fields: dict[str, object] | None = None  # of the object that is open
        self.key: str | None = None
        self.start = 0
        self.list: list[float] | None = None  # of the bracket that is open

    def token(self, token: str, start: int, end: int) -> None:
        first = token[0]
        if first == "{":
            if self.fields is not None:
                self.reading.odd("unclosed_object")
            self.fields, self.key, self.list, self.start = {}, None, None, start
        elif first == "}":
            self.close_object(end)
        elif first == "[":
            if self.fields is None:
                self.depth += 1
            self.list, self.start = [], (start if self.fields is None else self.start)
        elif first == "]":
            self.close_list(end)
        elif first == '"':
            if self.fields is None:
                return
            if len(token) == 1:
                self.reading.odd("unclosed_string")
            elif self.key is None:
                self.key = unquoted(token)
            else:
                self.value(unquoted(token))
        elif first.isdigit() or first in "+-":
            number = as_number(token)
            if self.list is not None:
                self.list.append(number)
            else:
                self.value(number)
        elif token in ("null", "None"):
            self.value(None)
        elif self.list is not None and token in ("NaN", "nan", "Infinity", "inf"):
            self.list.append(float("nan"))

    def value(self, value: object) -> None:
        if self.fields is not None and self.key is not None:
            self.fields[self.key] = value
            self.key = None

    def close_list(self, end: int) -> None:
        if self.fields is not None:
            if self.list is not None:
                self.value(self.list)
        elif self.depth == 0:
            self.reading.odd("stray_bracket")
        else:
            self.depth -= 1
            if self.list:
                self.reading.place("", self.list, (self.start, end))
        self.list = None

    def close_object(self, end: int) -> None:
        fields, self.fields = self.fields, None
        self.list, self.key = None, None
        if fields is None:
            return self.reading.odd("stray_brace")
        numbers = fields.get("bbox_2d", fields.get("point_2d"))
        label = fields.get("label", "")
        if not isinstance(label, str):
            self.reading.odd("label_not_text")
            label = "" if label is None else str(label)
        if isinstance(numbers, list):
            self.reading.place(label, numbers, (self.start, end))
        else:
            self.reading.odd("no_box_in_object")

    def end(self) -> None:
        if self.fields is not None or self.depth > 0:
            self.reading.cut = True
