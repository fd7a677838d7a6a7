"""Which label belongs to which box: what `<ref-object>` and `<bbox>` mean in the messages of a row.

Placeholders are in a list of objects or in a sentence. A list is an answer of nothing but placeholders and separators
(`<ref-object><bbox><bbox>`, `<bbox>: <ref-object>`), or JSON in any message: `[{"bbox_2d": <bbox>, "label": "<ref-object>"}, ...]`, the
form of ms-swift's documentation (Custom-dataset, grounding), its keys in any order, fenced or not. How a list is written is up to the
family; a sentence keeps its words. Templates, converters, lint and metrics pair labels and boxes here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from .errors import GroundswiftError
from .records import BOX, EMPTY_ANSWER, REF

TAG = re.compile(f"{REF}|{BOX}")
LABEL_FIRST, BOXES_ALONE, BOX_FIRST = re.compile("(?:RB+)+"), re.compile("B+"), re.compile("(?:B+R)+")
SEPARATORS = re.compile(r"(?:[\s,;:.()|=>*•\-–—，；：、。]|[0-9]{1,4}[.)])*")
BOX_KEYS = {"bbox_2d", "bbox", "box_2d", "box", "bbox2d", "box2d", "bounding_box", "coordinates", "coords", "location", "position"}
BOX_KEYS |= {"point_2d", "point", "point2d"}
LABEL_KEYS = {"label", "name", "class", "category", "label_name", "class_name", "category_name"}
LABEL_KEYS |= {"object", "ref", "phrase", "caption", "description", "text"}
FORM = '{"bbox_2d": <bbox>, "label": "<ref-object>"}'
ONE_TAG = "|".join(rf"{tag}|\"{tag}\"|'{tag}'" for tag in (REF, BOX))
FIELD = rf"[\"'](\w{{1,40}})[\"']\s*:\s*({ONE_TAG})"
ITEM = re.compile(rf"\{{\s*{FIELD}\s*(?:,\s*{FIELD}\s*)?,?\s*\}}")
COMMA, BLANKS = re.compile(r"\s*,?\s*"), re.compile(r"\s*")
OPENED, CLOSED, QUOTED = r"\s*(?:```(?:json)?\s*)?\[\s*", r"\s*\]\s*(?:```\s*)?", rf"[\"']?{BOX}[\"']?"
BARE_LIST = re.compile(rf"{OPENED}{QUOTED}(?:\s*,\s*{QUOTED})*\s*,?{CLOSED}", re.IGNORECASE)
EMPTY_LIST = re.compile(OPENED + CLOSED, re.IGNORECASE)
FOUND = "\0"  # in place of a list that was read
ANY = rf"(?:{REF}|{BOX}|{FOUND})"
ODD_JSON = re.compile(  # a placeholder or list as a part of other JSON
    rf"[\"']\s*:(?:[\[\s\"'({{]*|\s*[\"'][^\"'\n]*){ANY}"
    rf"|(?:[\[{{]|[}}\]]\s*,|```|```json)\s*{FOUND}|{FOUND}\s*(?:[\]}}]|,\s*[{{\[]|```)",
    re.IGNORECASE,
)
BRACED = re.compile(r"\{([^{}]*)\}")
STRINGS = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
ARRAY = re.compile(rf"{OPENED}[\[\],.0-9\s]*", re.IGNORECASE)  # without its strings and placeholders
SHORT = 2000  # characters of a message whose reading is remembered


@dataclass(frozen=True)
class Listing:
    """A list of objects within a message: characters `start` to `stop`.

    `ref_of_box`: for each box, in order, the index of its label among the `refs` labels of the list; None: a box without a label.
    `plain`: its placeholders are in the order in which a template replaces them: each label before its boxes, outside JSON.
    """

    start: int
    stop: int
    refs: int
    ref_of_box: tuple[int | None, ...]
    plain: bool

    @property
    def label_first(self) -> str:
        """The same list as `<ref-object><bbox><bbox>...`."""
        text, last = "", None
        for ref in self.ref_of_box:
            text += BOX if ref == last else REF + BOX
            last = ref
        return text


@dataclass(frozen=True)
class MessageLists:
    """The lists of one message in order, and what is wrong with its placeholders (id of a rule, text), if anything."""

    listings: tuple[Listing, ...] = ()
    problem: tuple[str, str] | None = None

    def parts(self, text: str) -> Iterator[tuple[str, Listing | None]]:
        """The text before each list with the list, then the rest with None."""
        position = 0
        for listing in self.listings:
            yield text[position : listing.start], listing
            position = listing.stop
        yield text[position:], None


NOTHING = MessageLists()


def read_message(text: str, answer: bool = True) -> MessageLists:
    """The lists of objects of one message. `answer`: whether the model says it; in a question only JSON makes a list."""
    if BOX not in text and (REF not in text or "{" not in text):
        return NOTHING
    return _remembered(text, answer) if len(text) <= SHORT else _read_message(text, answer)


def listings_of(text: str, answer: bool = True) -> tuple[Listing, ...]:
    """The lists of objects of one message. Raises GroundswiftError for placeholders in other JSON and for a list that is not clear."""
    message = read_message(text, answer)
    if message.problem:
        raise GroundswiftError(message.problem[1])
    return message.listings


def label_first(text: str, answer: bool = True) -> str:
    """A message whose lists are written as `<ref-object><bbox>...`, whatever they were. Raises GroundswiftError as `listings_of`."""
    done, position = "", 0
    for listing in listings_of(text, answer):
        if not listing.plain:
            done += text[position : listing.start] + listing.label_first
            position = listing.stop
    return done + text[position:]


def is_empty_answer(text: str, boxes: int = 0) -> bool:
    """Whether an answer in a row of so many boxes says that there is nothing: `[]`, or `None` where the row has no boxes at all."""
    return (text.strip() == EMPTY_ANSWER and not boxes) or EMPTY_LIST.fullmatch(text) is not None


def _read_message(text: str, answer: bool) -> MessageLists:
    if "{" in text or "[" in text:
        message = _read_json(text)
        if message.listings or message.problem:
            return message
    if not answer or not SEPARATORS.fullmatch(TAG.sub("", text)):
        return NOTHING
    order = _order(text)
    if LABEL_FIRST.fullmatch(order) or BOXES_ALONE.fullmatch(order):
        return MessageLists((Listing(0, len(text), order.count("R"), _label_first(order), True),))
    ref_of_box = mirrored(order)
    if ref_of_box is not None:
        return MessageLists((Listing(0, len(text), order.count("R"), ref_of_box, False),))
    if order.startswith("B"):
        expected = f"each label before its boxes ({REF}{BOX}), or each after them"
        what = f"which label belongs to which box is not clear in {shown(text)}; expected {expected}"
        return MessageLists(problem=("list-unclear", what))
    return NOTHING


_remembered = lru_cache(maxsize=4096)(_read_message)


def _order(text: str) -> str:
    """The placeholders of a text as letters, R and B."""
    return "".join("R" if tag == REF else "B" for tag in TAG.findall(text))


def _label_first(order: str) -> tuple[int | None, ...]:
    """For each B the index of the last R before it."""
    return tuple(count - 1 if count else None for count in _labels_before(order))


def _labels_before(order: str) -> list[int]:
    """For each B how many R come before it."""
    counts = accumulate(letter == "R" for letter in order)
    return [count for letter, count in zip(order, counts, strict=True) if letter == "B"]


def mirrored(order: str) -> tuple[int | None, ...] | None:
    """Labels behind their boxes, or all labels and all boxes apart and as many of each: the index of each box's label, else None."""
    half = len(order) // 2
    if order in ("R" * half + "B" * half, "B" * half + "R" * half):
        return tuple(range(half))
    if not BOX_FIRST.fullmatch(order):
        return None
    return tuple(_labels_before(order))


def _read_json(text: str) -> MessageLists:
    if BARE_LIST.fullmatch(text):
        return MessageLists((Listing(0, len(text), 0, (None,) * text.count(BOX), False),))
    found, rest, position = [], "", 0
    for items in _groups(text):
        labelled = [REF in item[0] for item in items]
        if any(labelled) != all(labelled):
            without = items[labelled.index(False)][0]
            return _odd_json(f"{shown(without)} has no label, while others of its list have one")
        start, stop = _with_brackets(text, items[0].start(), items[-1].end())
        found.append(Listing(start, stop, sum(labelled), tuple(range(len(items))) if labelled[0] else (None,) * len(items), False))
        rest += text[position:start] + FOUND
        position = stop
    rest += text[position:]
    odd = ODD_JSON.search(rest)
    if odd is None:
        odd = next((each for each in BRACED.finditer(rest) if ":" in each[1] and re.search(ANY, each[1])), None)
    if odd is None and BOX in rest and "[" in rest:
        odd = ARRAY.fullmatch(STRINGS.sub("", TAG.sub("", rest)).replace("`", ""))
    if odd is not None:
        return _odd_json(f"{shown(rest[max(0, odd.start() - 20) :].replace(FOUND, '{...}'))} holds placeholders in JSON of another form")
    return MessageLists(tuple(found))


def _odd_json(what: str) -> MessageLists:
    return MessageLists(problem=("placeholder-json", f"{what}; expected {FORM}, one per box or in a list, without other keys or text"))


def _groups(text: str) -> Iterator[list[re.Match[str]]]:
    """JSON objects of a box, or of a box and a label, in runs separated by commas and spaces only."""
    run: list[re.Match[str]] = []
    for item in ITEM.finditer(text):
        if not _is_object(item):
            continue
        if run and not COMMA.fullmatch(text, run[-1].end(), item.start()):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _is_object(item: re.Match[str]) -> bool:
    fields = [(key.lower(), value) for key, value in (item.group(1, 2), item.group(3, 4)) if key]
    kinds = [BOX if BOX in value else REF for _, value in fields]
    known = all(key in (BOX_KEYS if kind == BOX else LABEL_KEYS) for (key, _), kind in zip(fields, kinds, strict=True))
    return known and kinds.count(BOX) == 1


def _with_brackets(text: str, start: int, stop: int) -> tuple[int, int]:
    """The stretch of a list with its brackets and its fence, where it has both ends of them."""
    before, behind = _blanks_before(text, start), COMMA.match(text, stop).end()
    if text.endswith("[", 0, before) and text.startswith("]", behind):
        start, stop = before - 1, behind + 1
    before, behind = _blanks_before(text, start), BLANKS.match(text, stop).end()
    fence = next((fence for fence in ("```json", "```") if text[max(0, before - 7) : before].lower().endswith(fence)), None)
    if fence and text.startswith("```", behind):
        return before - len(fence), behind + 3
    return start, stop


def _blanks_before(text: str, position: int) -> int:
    while position and text[position - 1].isspace():
        position -= 1
    return position


def shown(text: str) -> str:
    """A text for a message: on one line, at most 80 characters of it."""
    quoted = repr(text)
    return quoted if len(quoted) <= 80 else quoted[:77] + "..."
