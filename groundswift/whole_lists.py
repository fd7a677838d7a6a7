"""The lists of a conversation that a family writes in one piece: each is reduced to one placeholder.

Templates of swift and converters to text replace placeholder by placeholder; where they meet that of a list they write the whole list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .answers import Located
from .placeholders import Listing, is_empty_answer, listings_of
from .records import BOX, REF

Key = tuple[str, int]  # REF or BOX, and the index of the first label or box of a list in objects


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
