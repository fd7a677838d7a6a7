"""Points as tags: `<point x="43.0" y="58.0" alt="cat">cat</point>`, several of one label as `<points x1=".." y1=".." ...>`.

Molmo 2 writes `<points coords="1 1 073 160 2 455 300">cat</points>`: the image, then the number, x and y of each point, in thousandths of
a side; what it has for further images comes behind a semicolon: `<points coords="1 1 555 169;2 2 649 154">ball</points>`. Neither writes
boxes. Source: model card of Molmo; report of Molmo 2, and tests of OLMo-core for its training data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from html import escape, unescape

from ..answers import Answer, Located
from ..errors import GroundswiftError
from .base import NUMBER, THINKING, Reading, as_number, still_thinking, without_thinking
from .numbers import write_decimals, write_padded

NAME, DECIMAL = "(?:points?|tracks)", r'"([0-9]{1,9}\.[0-9]{1,9})"'
PLAIN_TAG = rf'<{NAME} x={DECIMAL} y={DECIMAL} alt="([^"&<>]*)">[^<]*</{NAME}>'
TAG = re.compile(rf"{PLAIN_TAG}|<{NAME}\b([^<>]*)(?:>([^<]*)(</{NAME}>)?)?|</{NAME}>")
PLAIN_GROUPS = 3  # of TAG: x, y, label
ATTRIBUTE = re.compile(r'\b(alt|coords|[xy][0-9]*)\s*=\s*"([^"]*)"')
OPEN_COORDS = re.compile(r'\bcoords\s*=\s*"([^"]*)\Z')
HALF_TAG = re.compile(r"</?[pointsrack]{0,6}\Z")
HALF_ENTITY = re.compile(r"&[#\w]*\Z")  # the beginning of `&gt;`
HALF = 9  # characters: as long as half a tag can be
THOUSAND = 1000  # what Molmo 2 divides a side into
THIS_IMAGE = "1"  # how Molmo 2 numbers the only image
NO_POINTS = ("there are none", "this isn't in the image")  # Molmo and Molmo 2
WHOLE_NUMBER = re.compile(rf"\s*({NUMBER})\s*")
percent, padded = partial(write_decimals, digits=1), partial(write_padded, digits=3)


class TagGrammar:
    """The grammar of Molmo; `coords`: that of Molmo 2. Each reads both."""

    whole_answer = True

    def __init__(self, coords: bool = False) -> None:
        self.coords = coords

    def check_label(self, label: str) -> None:
        """Raises GroundswiftError where a reader would take a piece of the label for a mark, or leave blanks away."""
        found = next((mark for mark in THINKING if mark in label), None)
        if found and escaped(label) == label:
            raise GroundswiftError(f"label {label!r} contains {found}, which a reader takes for the end of thinking")
        if self.coords and label != label.strip():
            raise GroundswiftError(f"label {label!r} cannot be written in <points>; expected no leading or trailing blanks")

    def write_label(self, label: str) -> str:
        return escaped(label)

    def write_box(self, coordinates: Sequence[float]) -> str:
        """x, y -> a tag without a label. Raises GroundswiftError for a box."""
        return self._write("", [coordinates])

    def _write(self, label: str, points: Sequence[Sequence[float]]) -> str:
        for point in points:
            if len(point) != 2:
                raise GroundswiftError(f"box {tuple(point)} of {label!r} cannot be written: the family has points only; expected x, y")
        if self.coords:
            self.check_label(label)
            at = " ".join(f"{number} {padded(x)} {padded(y)}" for number, (x, y) in enumerate(points, 1))
            return f'<points coords="{THIS_IMAGE} {at}">{escaped(label)}</points>'
        numbers = [""] if len(points) == 1 else range(1, len(points) + 1)
        at = " ".join(f'x{number}="{percent(x)}" y{number}="{percent(y)}"' for number, (x, y) in zip(numbers, points, strict=True))
        tag = "point" if len(points) == 1 else "points"
        return f'<{tag} {at} alt="{escaped(label)}">{escaped(label)}</{tag}>'

    def format(self, objects: Sequence[Located]) -> str:
        written, together = [], []
        for index, located in enumerate(objects):
            together.append(located.box or located.point or ())
            if index + 1 == len(objects) or objects[index + 1].label != located.label:
                written.append(self._write(located.label, together))
                together = []
        return "\n".join(written)

    def parse(self, text: str, limit: float | None) -> Answer:
        said = without_thinking(text)
        if said is None:
            return still_thinking()
        reading = Reading(limit)
        reading.absent = said.strip().rstrip(".").casefold() in NO_POINTS
        half = HALF_TAG.search(said, max(0, len(said) - HALF))
        reading.cut = half is not None
        whole = len(said[: half.start() if half else len(said)].rstrip())
        for found in TAG.finditer(said):
            if found.lastindex == PLAIN_GROUPS:
                x, y, label = found.group(1, 2, 3)
                x, y = float(x), float(y)
                if reading.surely < x <= reading.largest and 0 <= y <= reading.largest:
                    reading.objects.append(Located(label, None, (x, y), found.span()))
                else:
                    reading.place(label, (x, y), found.span())
            else:
                self._read(found, reading, at_end=found.end() >= whole)
        return reading.answer(said)

    def _read(self, found: re.Match[str], reading: Reading, at_end: bool) -> None:
        attributes, content, end = found.groups()[PLAIN_GROUPS:]
        if attributes is None:
            return reading.odd("stray-mark")
        if content is not None and end is None and attributes.endswith("/"):
            content = ""  # the tag ends itself
        elif end is None and at_end:
            reading.cut = True
        elif content is None and not attributes.strip():
            return reading.odd("doubled-mark")
        elif end is None:
            reading.odd("unclosed-box")
        fields = dict(ATTRIBUTE.findall(attributes))
        said = (content or "").strip()
        label = unescape(fields.get("alt", HALF_ENTITY.sub("", said) if end is None and at_end else said))
        if content is None and (cut := OPEN_COORDS.search(attributes)):
            fields["coords"] = cut[1].rpartition(" ")[0]  # the last number may lack digits
        if "coords" in fields:
            return self._read_coords(label, fields["coords"], reading, found.span(), at_end and content is None)
        numbers = [key[1:] for key in fields if key[0] == "x"]
        if not numbers and not (at_end and content is None):
            reading.odd("malformed-box")
        for number in numbers:
            x, y = (WHOLE_NUMBER.fullmatch(fields.get(f"{axis}{number}", "")) for axis in "xy")
            if content is None and at_end and (x is None or y is None):
                continue
            reading.place(label, [None if value is None else as_number(value[1]) for value in (x, y)], found.span())

    def _read_coords(self, label: str, coords: str, reading: Reading, span: tuple[int, int], cut: bool) -> None:
        """The points of Molmo 2 in one attribute, scaled to the family's space. `cut`: it ends in the middle of a point."""
        for group in re.split(r"[;\t:,]", coords):
            image, *numbers = group.split() or [""]
            points = [numbers[start : start + 3] for start in range(0, len(numbers), 3)]
            if cut and points and len(points[-1]) < 3:
                points.pop()
            elif not points:
                reading.odd("malformed-box")
            for point in points:
                found = [WHOLE_NUMBER.fullmatch(number) for number in point[1:]]
                if image != THIS_IMAGE:
                    reading.odd("other-image")
                else:
                    reading.place_point(label, [as_number(number[1]) if number else None for number in found], span, THOUSAND)


def escaped(label: str) -> str:
    """A label for a tag: unchanged where that is read as the same, else with `&quot;` and the like."""
    return label if unescape(label) == label and not set(label) & set('"<>') else escape(label)


TABLE: dict[str, Callable[[], TagGrammar]] = {"molmo_points": TagGrammar, "molmo2_points": partial(TagGrammar, coords=True)}
