"""The fuzzer's target: bytes to a text for one family, that text to `parse`, and what must hold for any answer.

One function serves three drivers: atheris and the seeded one in `fuzz.py`, and hypothesis in the tests.
"""

from __future__ import annotations

import math
import time
from collections import Counter

from groundswift import Located, families, format_answer, parse
from groundswift.answers import Answer
from groundswift.errors import GroundswiftError
from hostile_text import pieces_of

FAMILIES = list({(row.grammar, row.space): name for name, row in reversed(families().items())}.values())
STATUSES = {"ok", "empty", "truncated", "unreadable"}
FRAGMENTS = [*"{}[]()<>\"'`\\,:;-.\n\t ", "<think>", "</think>", "```json\n", "```", "(1,2)", "12", "-7.5e3", "1e999", "0.5", "NaN"]
FRAGMENTS += ["Infinity", "null", "None", "true", "dog", "a b", "狗", "\u2028", "\x00", "\\ud800", '\\"', '"bbox_2d"', '"label": "']
FRAGMENTS += ['{"bbox_2d": [', '{"bbox_2d": [1, 2, 3, 4], "label": "a"}', '{"box_2d": [1, 2, 3, 4]}', '"point_2d": [1, 2]']
FRAGMENTS += ['"point": [1, 2]', "<bbox>"]
LABELS = ["dog", "a cat", "", "狗", 'a 12" screen', "red, or blue", "big\ndog", "None"]
PUMP_EVERY = 200  # inputs of which one is repeated to see that time grows no faster than the text
PUMP_SIZE = 60_000
PUMP_LIMIT_S = 2.0  # reading takes 0.01 s of it; time that grows as the square needs more by far


class Draws:
    """Numbers drawn from bytes, 0 when they have run out."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def below(self, limit: int) -> int:
        self.position += 1
        return self.data[self.position - 1] % limit if self.position <= len(self.data) else 0

    def up_to(self, largest: int) -> int:
        """From 0 to `largest`, which may be large."""
        return (self.below(256) * 65536 + self.below(256) * 256 + self.below(256)) % (largest + 1)

    def more(self) -> bool:
        return self.position < len(self.data)

    def rest(self) -> bytes:
        return self.data[self.position :]


def thing(family: str, draws: Draws) -> Located:
    """A box, or a point where a family has no boxes, that it can write."""
    numbers = sorted(draws.below(32) for _ in range(4))
    if families()[family].space.startswith("square"):
        numbers = [number / 100 for number in numbers]
    x1, y1, x2, y2 = numbers
    label = LABELS[draws.below(len(LABELS))]
    return Located(label, (x1, y1, x2, y2)) if families()[family].boxes else Located(label, None, (x1, y1))


def well_formed(family: str, draws: Draws) -> str:
    """An answer of 1 to 4 things; without their labels where the family cannot write them."""
    objects = [thing(family, draws) for _ in range(1 + draws.below(4))]
    try:
        return format_answer(objects, family)
    except GroundswiftError:
        return format_answer([Located("dog", located.box, located.point) for located in objects], family)


def damaged(text: str, fragments: list[str], draws: Draws) -> str:
    """Cut, deleted, doubled, moved or foreign pieces, as long as the bytes last."""
    while draws.more() and len(text) < 5000:
        way, start = draws.below(6), min(len(text), draws.below(256) + 256 * draws.below(1 + len(text) // 256))
        end = min(len(text), start + draws.below(24))
        if way == 0:
            text = text[:start]
        elif way == 1:
            text = text[:start] + text[end:]
        elif way == 2:
            text = text[:end] + text[start:]
        elif way == 3:
            text = text[end:] + text[start:end]
        else:
            text = text[:start] + fragments[draws.below(len(fragments))] + text[end if way == 4 else start :]
    return text


FRAGMENTS_OF = {family: FRAGMENTS + pieces_of(well_formed(family, Draws(b"\x01\x02\x03\x04"))) for family in FAMILIES}


def text_of(data: bytes) -> tuple[str, str]:
    """Bytes -> (family, text): any text, a heap of fragments, or a damaged answer."""
    draws = Draws(data)
    family = FAMILIES[draws.below(len(FAMILIES))]
    fragments = FRAGMENTS_OF[family]
    way = draws.below(4)
    if way == 0:
        return family, draws.rest().decode("utf-8", "replace")
    if way == 1:
        return family, "".join(fragments[byte % len(fragments)] for byte in draws.rest())
    return family, damaged(well_formed(family, draws), fragments, draws)


def check_answer(text: str, answer: Answer) -> None:
    """What must hold for the reading of any text. Raises AssertionError."""
    assert answer.status in STATUSES
    assert (answer.status == "ok") <= bool(answer.objects)
    assert not (answer.objects and answer.status in ("empty", "unreadable"))
    assert (answer.status == "unreadable") <= bool(answer.reasons)
    assert not (answer.status == "empty" and answer.reasons)
    last = 0
    for located in answer.objects:
        assert (located.box is None) != (located.point is None)
        numbers = located.box or located.point
        assert len(numbers) == (2 if located.box is None else 4)
        assert all(map(math.isfinite, numbers))
        if located.box is not None:
            assert numbers[0] <= numbers[2]
            assert numbers[1] <= numbers[3]
        assert last <= located.span[0] < located.span[1] <= len(text)
        last = located.span[0]
        located.label.encode("utf-8")


class Failures:
    """The first failure of each kind, and how often: a run goes on after it."""

    def __init__(self) -> None:
        self.inputs = 0
        self.failures: dict[str, tuple[int, str, str]] = {}  # kind -> (how often, where, shortest text)

    def failed(self, error: BaseException, where: str, text: str) -> None:
        """`where`: the family or the command; `text`: what shows it."""
        step = error.__traceback__
        while step is not None and step.tb_next is not None:
            step = step.tb_next
        place = f"{step.tb_frame.f_code.co_filename.rpartition('/')[2]}:{step.tb_lineno}" if step else "?"
        kind = f"{type(error).__name__} at {place}"
        count, first_where, first_text = self.failures.get(kind, (0, where, text))
        self.failures[kind] = (count + 1, first_where, min(first_text, text, key=len) if first_where == where else first_text)


class Target(Failures):
    """The grammars: counts inputs, and keeps the first failures of each kind instead of stopping at one."""

    def __init__(self) -> None:
        super().__init__()
        self.pumped = self.characters = 0
        self.families: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.slowest_us_per_char = 0.0

    def __call__(self, data: bytes) -> None:
        family, text = text_of(data)
        self.inputs += 1
        self.families[family] += 1
        self.characters += len(text)
        try:
            answer = parse(text, family)
            check_answer(text, answer)
            self.statuses[answer.status] += 1
            if self.inputs % PUMP_EVERY == 0 and text:
                self.pump(family, text)
        except Exception as error:
            self.failed(error, family, text)

    def pump(self, family: str, text: str) -> None:
        """Repeat the text to a size at which a reader that is not linear would show it."""
        long = text * (PUMP_SIZE // len(text) + 1)
        start = time.process_time()
        check_answer(long, parse(long, family))
        seconds = time.process_time() - start
        self.pumped += 1
        self.slowest_us_per_char = max(self.slowest_us_per_char, seconds * 1e6 / len(long))
        assert seconds < PUMP_LIMIT_S, f"{seconds:.2f} s for {len(long)} characters"
