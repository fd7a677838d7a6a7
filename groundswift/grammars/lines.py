"""Boxes whose label has no marks: `a dog[[222,304,292,362]]`, or `<loc0256><loc0128><loc0768><loc0512> cat`.

HunyuanOCR writes objects one behind the other: `EXIT(102,40),(318,96)Gate 7(402,40),(590,95)`. PaddleOCR-VL writes the four corners:
`EXIT<|LOC_102|><|LOC_40|><|LOC_318|><|LOC_40|><|LOC_318|><|LOC_96|><|LOC_102|><|LOC_96|>`, an object a line, or between marks:
`<|TEXT_START|>EXIT<|TEXT_END|><|LOC_BEGIN|>...<|LOC_END|>`.

The label is the text of the same line, from the box before or the start of the line; where it comes last, up to the next box.
Each object has its own line unless the family has it otherwise. Sources: CogVLM converter; shikra code; zai-org/GLM-V#114;
Florence-2 processor; big_vision preprocessing of PaliGemma; ms-swift base template; HunyuanOCR's scorer of spotting;
PaddleX `post_process_for_spotting`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..answers import Answer, Located
from ..errors import GroundswiftError
from . import skeleton
from .base import NUMBER, Item, Reading, still_thinking, without_thinking
from .fast_path import WORDS, Plain, before_last_label, label_first, label_last
from .json_objects import JsonKeys
from .json_tolerant import DOUBLE_KEY, SINGLE_KEY, read_json
from .numbers import Numbers, grouped

AFTER_A_BOX = " \t\r,;.)]}>，、；。"  # what may part a box from the next label in its line
BEFORE_A_BOX = " \t\r:：[(<"
FRAMING = re.compile(r"(?:</?s>|<pad>|<\|TEXT_START\|>)\s*(?:</?s>\s*|<pad>\s*|<\|TEXT_START\|>)*")  # before a label, where decoded too
HALF = 32  # characters at the end of a text in which the beginning of a box is looked for
DIGIT = re.compile("[0-9]")
MANY = 10_000  # labels that are kept in mind
PROBE = (0, 0, 1, 1)
JSON_KEYS = JsonKeys("bbox_2d", "point_2d")  # GLM's, and Qwen's


@dataclass(frozen=True)
class Region:
    """Where box texts are.

    `found`: a pattern of one, whose group `numbers` holds what the grammar of numbers reads; its groups `doubled` and `end`, if there are
    any, the marks that begin it once more and that end it. `half`: the beginning of one at the end of a text. `counted`: brackets must
    match. `tokens`: how many tokens `<...>` a whole box has; 0 where its end is seen.
    """

    found: re.Pattern[str]
    half: re.Pattern[str]
    counted: bool = False
    tokens: int = 4


NUMERIC = r"(?:[-+.]{0,2}[0-9][-+.0-9eE]*|[-+]?(?:[nN]a[nN]|[iI]nf(?:inity)?))"
INNER = r"(?:[-+.0-9,;() \t]+|(?<=[,;])\n|(?<=[0-9.])[eE](?=[-+0-9]|\Z)|[nN]a[nN]|[iI]nf(?:inity)?)*(?:[^\[\]\n]*(?=\]))?"
OPEN = rf"(?<!\[)\[+[( \t]*(?={NUMERIC}[ \t]*(?:[,; \t)]|\Z))"
BRACKETS = Region(
    re.compile(rf"(?P<numbers>{OPEN}{INNER}(?:(?:\]+[ \t]*(?:[,;]\s*)?)?{OPEN}{INNER})*\]*)"), re.compile(r"[\[(][ \t]*\Z"), counted=True
)
BEGIN, END = r"<\|begin_of_box\|>", r"<\|end_of_box\|>"
MARK = re.compile(f"{BEGIN}|{END}")
BEGIN_MARK, END_MARK = BEGIN.replace("\\", ""), END.replace("\\", "")
IN_MARKS = rf"[^<]*(?:<(?!{BEGIN[1:]}|{END[1:]})[^<]*)*(?={END}|\Z)|[^<\n]*"  # where the end is missing, one line
GLM_BOX = Region(
    re.compile(rf"{BEGIN}(?P<doubled>(?:\s*{BEGIN})*)(?P<numbers>{IN_MARKS})(?P<end>{END})?|{END}"), re.compile(r"<(?:\|[a-z_]*\|?)?\Z")
)
RUNS = Region(re.compile(r"(?P<numbers>(?:<loc_?[^<>\s]*>)+)(?:<seg[0-9]{3}>)*"), re.compile(r"<(?:l|lo|loc_?[0-9]*)?\Z"))

POLYGON_RUNS = Region(
    re.compile(r"(?P<numbers>(?:<poly>|<sep>)*(?:<loc_?[^<>\s]*>(?:</?poly>|<sep>)*)+)"),
    re.compile(r"<(?:l|lo|loc_?[0-9]*|/?p|/?po|/?pol|/?poly|s|se|sep)?\Z"),
)
CORNER_RUNS = Region(
    re.compile(r"(?:<\|TEXT_END\|>)?(?:<\|LOC_BEGIN\|>)?(?P<numbers>(?:<\|LOC_(?!BEGIN|END)[^<>\s]*>)+)(?:<\|LOC_END\|>)?"),
    re.compile(r"<(?:\|(?:[A-Z_]*(?:LOC_[0-9]*)?\|?)?)?\Z"),
    tokens=8,
)
PAIR = rf"\({NUMBER},[ ]?{NUMBER}\)"
CORNER_PAIRS = Region(
    re.compile(rf"(?P<numbers>{PAIR}(?:[ ]?,[ ]?{PAIR})+)"),
    re.compile(r"(?<!\),)(?<!\), )\((?:[0-9.]*(?:,[0-9.]*)?|[0-9.]+,[0-9.]+\),?(?:\([0-9.]*(?:,[0-9.]*)?)?)\Z"),
    tokens=0,
)


class LineGrammar:
    """One such grammar, the label first.

    `gap`: text between label and box. `joint`: text between two objects; where the second label would be ambiguous,
    a line break. `keys`: those of the same in JSON, which other software may have asked for.
    """

    whole_answer = True

    def __init__(self, numbers: Numbers, region: Region, gap: str = "", joint: str = "\n", keys: JsonKeys = JSON_KEYS) -> None:
        self.numbers = numbers
        self.keys = keys
        self.region = region
        self.marked = "end" in region.found.groupindex
        self.endless = not self.marked and not region.counted
        self.gap = gap
        self.joint = joint
        self.plain = self._plain()
        self.skeleton = self._skeleton()
        self.checked: set[str] = set()  # labels that can be written

    def _plain(self) -> Plain:
        if not self.joint:
            return label_first(f"({WORDS})?", "", self.numbers, "")
        gap = f"{re.escape(self.gap)}?" if self.gap else ""
        return label_first(f"((?:{WORDS})?){gap}", "", self.numbers, "", r"(?:\n|\Z)")

    def _skeleton(self) -> skeleton.Skeleton:
        return skeleton.label_first(self.numbers, WORDS, "", "", gap=self.gap, between=self.joint)

    def _written(self, label: str, boxes: str) -> str:
        return f"{label}{self.gap}{boxes}" if label else boxes

    def check_label(self, label: str) -> None:
        """Raises GroundswiftError where the label, written next to a box, would be read differently."""
        if label in self.checked:
            return
        answer = self.parse(self._written(label, self.write_box(PROBE)), None)
        as_it_is = answer.objects == [Located(label, PROBE)] and answer.status == "ok" and set(answer.reasons) <= {"literal-placeholder"}
        if not as_it_is:
            shape = self._written("LABEL", self.write_box(PROBE))
            raise GroundswiftError(
                f"label {label!r} cannot be written in {shape}; expected one line without box text, and "
                "without blanks, colons or other separators at its ends"
            )
        if len(self.checked) < MANY:
            self.checked.add(label)

    def write_label(self, label: str) -> str:
        self.check_label(label)
        return label

    def write_box(self, coordinates: Sequence[float]) -> str:
        return self.numbers.write([coordinates])

    def format(self, objects: Sequence[Located]) -> str:
        written = []
        for label, boxes in grouped(objects, self.numbers):
            self.check_label(label)
            if written:
                written.append(self.joint if label.lstrip(AFTER_A_BOX) == label != "" else "\n")
            written.append(self._written(label, self.numbers.write(boxes)))
        return "".join(written)

    def parse(self, text: str, limit: float | None) -> Answer:
        objects, position = self.plain.head(text, limit)
        if objects and position == len(text):
            return Answer(objects, "ok", [])
        said = without_thinking(text)
        if said is None:
            return still_thinking()
        if "<answer>" in said:  # GLM's marks of what follows its thinking; blanks, so that positions hold
            said = said.replace("<answer>", " " * 8).replace("</answer>", " " * 9)
        if (in_json := self._as_json(said, limit)) is not None:
            return in_json
        reading = Reading(limit)
        if said is text and (not self.gap or all(located.label for located in objects)):  # a gap of no label is part of no box
            reading.objects, reading.blocks = before_last_label(objects, text, self.numbers)
        self._read(said, reading, reading.objects[-1].span[1] if reading.objects else 0)
        if self.marked and reading.objects and reading.objects[0].box is not None:  # boxes of a label share a mark, points do not
            reading.drop_repeated_block()
        return reading.answer(self.region.found.sub(r"\g<numbers>", said) if self.marked else said)

    def _as_json(self, text: str, limit: float | None) -> Answer | None:
        """What GLM's documented list says (`[{'label': 'dog', 'bbox_2d': [...]}]`), within its marks or without; None for any other text.

        The other families do not write it: there it comes with the reason `json_objects`.
        """
        if "{" not in text or not (SINGLE_KEY.search(text) or DOUBLE_KEY.search(text)):
            return None
        whole, half = self._whole(text)
        begun = text.count(BEGIN_MARK) - text.count(END_MARK)
        answer = read_json(MARK.sub(lambda mark: " " * len(mark[0]), text[:whole]), self.keys, limit)
        if not (answer.objects or answer.status in ("empty", "truncated") or self.keys.box in text):
            return None
        self._drop_said_before_the_mark(answer, text)
        if half or begun > 0:
            answer.status = "truncated"
        if not self.marked:
            answer.reasons.append("json-objects")
            answer.status = "unreadable" if answer.status == "empty" else answer.status
        elif "single-quotes" in answer.reasons:
            answer.reasons.remove("single-quotes")  # the way it is documented
        return answer

    def _drop_said_before_the_mark(self, answer: Answer, text: str) -> None:
        """Equal objects before the mark and in it count once."""
        mark = text.find(BEGIN_MARK)
        before = [located for located in answer.objects if located.span[0] < mark]
        if before and before == answer.objects[len(before) :]:
            answer.objects = before
            answer.reasons.append("repeated-block")

    def _read(self, text: str, reading: Reading, position: int) -> None:
        """Read what is behind `position`, where the objects end that `reading` has already."""
        label = reading.objects[-1].label if position else ""
        for start, stop, items in self._boxes(text, reading, position):
            before = text[position:start]
            new = "\n" in before or not position
            before = (before.rpartition("\n")[2] if new else before.lstrip(AFTER_A_BOX)).lstrip()
            if before.startswith("<") and (framing := FRAMING.match(before)):
                before = before[framing.end() :]
            said = before.rstrip().rstrip(BEFORE_A_BOX)
            if said or new:
                label = said
            begin = start - len(before) if said else start
            if items:
                reading.place_all(label, items, begin, stop)
            reading.blocks.append(len(reading.objects))
            position = stop

    def _boxes(self, text: str, reading: Reading, position: int) -> Iterator[tuple[int, int, list[Item]]]:
        """Every box text behind a position, in order: where it starts and ends, and what it holds. Notes parse warnings about its end."""
        region = self.region
        whole, reading.cut = self._whole(text)
        for found in region.found.finditer(text, position):
            start, stop = found.span()
            first, last = found.span("numbers")
            if first < 0:
                reading.odd("stray-mark")
                yield start, stop, []
                continue
            surplus = 0  # of closing brackets or marks
            if region.counted:
                surplus = text.count("]", start, stop) - text.count("[", start, stop)
            elif self.marked:
                surplus = 0 if found["end"] else -1
                reading.odd("doubled-mark", found["doubled"].count("<"))
            cut = stop >= whole and surplus < 0
            if cut:
                reading.cut = True
            elif surplus < 0:
                reading.odd("unclosed-box")
            if self.marked and not DIGIT.search(text, first, last):
                yield start, stop, []  # the marks of a box wrap any final answer
                continue
            half = self.endless and stop >= whole and text.startswith("<", stop)  # of a token that follows without anything between
            items, broken, tail = self.numbers.read(text, first, last, cut or half)
            if self.endless and stop >= whole and tail >= 0 and text.count("<", tail, last) < region.tokens:
                broken -= 1  # the last tokens of a run are those of a truncated box
                reading.cut = True
            if self.endless and stop >= whole and text.rfind("<poly>", start, stop) > text.rfind("</poly>", start, stop):
                reading.cut = True
            yield start, stop, items
            if broken:
                reading.odd("malformed-box", broken)
            if surplus > 0:
                reading.odd("stray-bracket", surplus)

    def _whole(self, text: str) -> tuple[int, bool]:
        """Where a text ends, without blanks and without the beginning of a box; and whether there was one."""
        half = self.region.half.search(text, max(0, len(text) - HALF))
        return len(text[: half.start() if half else len(text)].rstrip()), half is not None


class LabelLastGrammar(LineGrammar):
    """The same with the label after its box, up to `joint`."""

    def _plain(self) -> Plain:
        return label_last(self.numbers, self.joint)

    def _skeleton(self) -> skeleton.Skeleton:
        return skeleton.label_last(self.numbers, WORDS, self.gap, self.joint)

    def _written(self, label: str, boxes: str) -> str:
        return f"{boxes}{self.gap}{label}" if label else boxes

    def format(self, objects: Sequence[Located]) -> str:
        for located in objects:
            self.check_label(located.label)
        return self.joint.join(self._written(label, self.numbers.write(boxes)) for label, boxes in grouped(objects, self.numbers))

    def _read(self, text: str, reading: Reading, position: int) -> None:
        boxes = list(self._boxes(text, reading, position))
        for (start, stop, items), following in zip(boxes, [*(box[0] for box in boxes[1:]), self._whole(text)[0]], strict=False):
            if not items:
                continue
            line = text[stop:following].partition("\n")[0]
            said, _, rest = line.partition(self.joint)
            label = said.strip().removesuffix(";").rstrip()
            if rest.strip():
                reading.odd("label-without-box")
            end = stop + len(said.rstrip().removesuffix(";").rstrip()) if label else stop
            if len(items) > 1:
                reading.place_all("", items[:-1], start, items[-2][2])
            reading.place_all(label, items[-1:], items[-1][1], end)
