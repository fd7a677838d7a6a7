"""Labels and boxes of a whole conversation: which label of `objects.ref` belongs to which box of `objects.bbox`.

Within a message a list says it (see `placeholders`); in a sentence a label goes with the boxes behind it, or, where the sentence begins
with boxes and ends with a label, with those before it. Over messages, labels that a question names go with the boxes of an answer without
labels: one label with all of them, or as many labels as boxes in order; and the boxes of a question with as many labels of its answer.
Anything else is unsure: no label is better than a wrong one.

A family may write a list in one piece: `planned` reduces each such list to one placeholder. Templates of swift and converters to text
replace placeholder by placeholder; where they meet that of a list they write the whole list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .answers import Located
from .errors import GroundswiftError
from .placeholders import TAG, Listing, MessageLists, is_empty_answer, listings_of, mirrored, read_message, shown
from .records import BOX, REF


@dataclass(frozen=True)
class Problem:
    """What is wrong with the placeholders of a message: `id` (a rule of the lint), its index, what was found and expected."""

    id: str
    message: int
    what: str


REFUSED = frozenset(["placeholder-json", "list-unclear", "label-after-box"])  # problems for which a template writes nothing
Key = tuple[str, int]  # REF or BOX, and the index of the first label or box of a list in objects
Loose = list[tuple[str, int]]  # placeholders outside lists: R or B, and its index in objects.ref or objects.bbox


@dataclass
class Pairing:
    """`ref_of_box`: for each box of `objects.bbox` the index of its label in `objects.ref`; None: it has none, or which one is unsure.

    `unsure`: indices of the boxes that have labels nearby, and it is not clear which is theirs.
    """

    ref_of_box: list[int | None] = field(default_factory=list)
    unsure: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def paired(messages: Sequence[tuple[str, str]], refs: int, boxes: int) -> Pairing:
    """Pair the labels and boxes of a conversation of (role, text), which has `refs` labels and `boxes` boxes. Never raises.

    Where the messages mention another number of boxes, as a row without its answer does, and there are as many labels as boxes, they go
    together in order.
    """
    walk = _Walk()
    for index, (role, text) in enumerate(messages):
        if BOX in text or REF in text:
            walk.take(index, role == "assistant", text)
        elif role == "assistant":
            walk.nameless = []
    found = walk.pairing
    if refs == boxes and len(found.ref_of_box) != boxes:
        return Pairing(list(range(boxes)), problems=found.problems)
    if len(found.ref_of_box) != boxes or walk.refs > refs:
        known = (ref if ref is None or ref < refs else None for ref in found.ref_of_box)
        found.ref_of_box = ([*known] + [None] * boxes)[:boxes]
    return found


def check_pairing(messages: Sequence[tuple[str, str]], refs: int, boxes: int) -> None:
    """Raise GroundswiftError for placeholders in JSON of another form than a list of objects, and where labels and boxes of an answer
    would be read back otherwise than they belong together. `messages`: (role, text)."""
    for problem in paired(messages, refs, boxes).problems:
        if problem.id in REFUSED:
            raise GroundswiftError(f"{messages[problem.message][0]} message: {problem.what}")


@dataclass
class _Walk:
    """The state while the messages go by.

    `refs`: labels met so far. `open`: labels of the last message that has any, those without a box of their own if there are such.
    `nameless`: boxes of the last question that have no label.
    """

    pairing: Pairing = field(default_factory=Pairing)
    refs: int = 0
    open: list[int] = field(default_factory=list)
    nameless: list[int] = field(default_factory=list)

    def take(self, index: int, answer: bool, text: str) -> None:
        """One more message with placeholders."""
        message = read_message(text, answer)
        first_ref, first_box = self.refs, len(self.pairing.ref_of_box)
        loose = self._places(text, message)
        if message.problem:
            self.pairing.problems.append(Problem(message.problem[0], index, message.problem[1]))
            self.pairing.unsure.update(range(first_box, len(self.pairing.ref_of_box)))
        elif loose:
            self._pair(index, answer, text, loose)
        of_boxes = self.pairing.ref_of_box
        self.nameless = [] if answer else [box for box in range(first_box, len(of_boxes)) if of_boxes[box] is None]
        if self.refs > first_ref:
            own = set(of_boxes[first_box:])
            self.open = [ref for ref in range(first_ref, self.refs) if ref not in own] or list(range(first_ref, self.refs))

    def _places(self, text: str, message: MessageLists) -> Loose:
        """Take in the placeholders of a message: what a list pairs is paired, the others are returned."""
        loose: Loose = []
        for before, listing in message.parts(text):
            self._outside(before, loose)
            if listing:
                self._listed(listing, loose)
        return loose

    def _listed(self, listing: Listing, loose: Loose) -> None:
        of_boxes = self.pairing.ref_of_box
        if listing.refs:
            of_boxes.extend([self.refs + ref for ref in listing.ref_of_box])
            self.refs += listing.refs
            return
        loose.extend(("B", len(of_boxes) + place) for place in range(len(listing.ref_of_box)))
        of_boxes.extend(listing.ref_of_box)

    def _outside(self, text: str, loose: Loose) -> None:
        for tag in TAG.findall(text):
            if tag == REF:
                loose.append(("R", self.refs))
                self.refs += 1
            else:
                loose.append(("B", len(self.pairing.ref_of_box)))
                self.pairing.ref_of_box.append(None)

    def _pair(self, index: int, answer: bool, text: str, loose: Loose) -> None:
        """Pair what is outside lists, in one message."""
        refs, boxes = ([place for kind, place in loose if kind == letter] for letter in "RB")
        if not refs:
            if answer:
                self._together(boxes, self.open)
        elif boxes:
            self._sentence(index, answer, text, loose, refs, boxes)
        elif answer and len(refs) == len(self.nameless):
            self._together(self.nameless, refs)
        elif answer:
            self.pairing.unsure.update(self.nameless)

    def _together(self, boxes: list[int], refs: list[int]) -> None:
        """One label for all boxes, or one each in order; else unsure."""
        if len(refs) not in (0, 1, len(boxes)):
            self.pairing.unsure.update(boxes)
            return
        for place, box in enumerate(boxes if refs else ()):
            self.pairing.ref_of_box[box] = refs[place if len(refs) > 1 else 0]

    def _sentence(self, index: int, answer: bool, text: str, loose: Loose, refs: list[int], boxes: list[int]) -> None:
        order = "".join(kind for kind, _ in loose)
        begins = order.index("R")  # with so many boxes
        behind = mirrored(order)
        if answer and begins and self.open and len(self.open) in (1, begins):
            self._together(boxes[:begins], self.open)
            self._label_first(loose[begins:])
        elif behind is not None:
            for box, place in zip(boxes, behind, strict=True):
                self.pairing.ref_of_box[box] = refs[place]
            if answer and begins and "RB" in order:
                what = f"{shown(text)} has its labels after their boxes, where each is read as that of the next box"
                self.pairing.problems.append(Problem("label-after-box", index, f"{what}; expected each label before its boxes"))
        elif begins:
            self.pairing.unsure.update(boxes)
            what = f"which label belongs to which box is not clear in {shown(text)}; expected each label before its boxes"
            self.pairing.problems.append(Problem("label-unsure", index, what))
        else:
            self._label_first(loose)

    def _label_first(self, loose: Loose) -> None:
        last = None
        for kind, place in loose:
            if kind == "R":
                last = place
            else:
                self.pairing.ref_of_box[place] = last


@dataclass(frozen=True)
class WholeList:
    """One list: its boxes in order, each with the index of its label in `objects.ref` (None: no label)."""

    ref_of_box: tuple[tuple[int, int | None], ...]  # (index in objects.bbox, index in objects.ref)
    refs: int

    def located(self, labels: Sequence[str], boxes: Sequence[Sequence[float]]) -> list[Located]:
        """What the list locates, by the labels and the boxes (4 numbers) or points (2) of the row."""
        found = []
        for box, ref in self.ref_of_box:
            numbers, label = tuple(boxes[box]), "" if ref is None else labels[ref]
            found.append(Located(label, numbers, None) if len(numbers) == 4 else Located(label, None, numbers))
        return found


def whole_list(listing: Listing, refs_before: int, boxes_before: int) -> WholeList:
    """A list with the indices that its labels and boxes have in `objects`, by how many of them come before it."""
    pairs = ((boxes_before + box, None if ref is None else refs_before + ref) for box, ref in enumerate(listing.ref_of_box))
    return WholeList(tuple(pairs), listing.refs)


def planned(
    turns: Sequence[tuple[str, str]], boxes: int, whole_answer: bool, empty_answer: str | None
) -> tuple[list[str], dict[Key, WholeList]]:
    """(texts of a conversation of (role, text) with one placeholder for each list that is written whole, those lists by placeholder).

    `boxes`: how many the row has. `whole_answer`: whether the family writes answers of boxes in one piece, on lines of their own.
    `empty_answer`: what it answers where there is nothing; None: as the row has it. Raises GroundswiftError as `listings_of`.
    """
    texts, lists, refs_before, boxes_before = [], {}, 0, 0
    for role, text in turns:
        answer = role == "assistant"
        if answer and empty_answer is not None and is_empty_answer(text, boxes):
            texts.append(empty_answer)
            continue
        done, position = "", 0
        for listing in listings_of(text, answer):
            before = text[position : listing.start]
            at_ref, at_box = refs_before + text.count(REF, 0, listing.start), boxes_before + text.count(BOX, 0, listing.start)
            done, position = done + before, listing.stop
            if listing.plain and not (answer and whole_answer):
                done += text[listing.start : position]
                continue
            tag = REF if listing.refs else BOX
            lists[tag, at_ref if listing.refs else at_box] = whole_list(listing, at_ref, at_box)
            done += on_lines_of_its_own(done, tag, text[position:]) if whole_answer else tag
        texts.append(done + text[position:])
        refs_before, boxes_before = refs_before + text.count(REF), boxes_before + text.count(BOX)
    return texts, lists


def on_lines_of_its_own(before: str, written: str, behind: str) -> str:
    """A list with line breaks where its line has other text."""
    opening = "\n" if before.strip() and not before.endswith("\n") else ""
    return opening + written + ("\n" if behind.strip() and not behind.startswith("\n") else "")
