"""What a template writes in one piece: the lists of objects of a row, and whether placeholders and objects match."""

from __future__ import annotations

from dataclasses import dataclass

from groundswift.errors import GroundswiftError
from groundswift.pairing import REFUSED, paired
from groundswift.placeholders import Listing
from groundswift.records import BOX, REF


@dataclass(frozen=True)
class WholeAnswer:
    """One list: its boxes in order, each with the index of its label in `objects.ref` (None: no label)."""

    ref_of_box: tuple[tuple[int, int | None], ...]  # (index in objects.bbox, index in objects.ref)
    refs: int


def whole_answer(listing: Listing, refs_before: int, boxes_before: int) -> WholeAnswer:
    """A list with the indices that its labels and boxes have in `objects`, by how many of them stand before it."""
    pairs = ((boxes_before + box, None if ref is None else refs_before + ref) for box, ref in enumerate(listing.ref_of_box))
    return WholeAnswer(tuple(pairs), listing.refs)


def count_tags(contents: list[str]) -> tuple[int, int]:
    """How many labels and boxes the texts of a conversation ask for."""
    text = "".join(contents)
    return text.count(REF), text.count(BOX)


def check_counts(contents: list[str], refs: int, boxes: int, exact: bool = True) -> None:
    """Raise GroundswiftError unless every placeholder has its object, since swift would take the others as text; with `exact`, unless every
    object has its placeholder too, since swift would drop the others."""
    asked = count_tags(contents)
    if (asked[0] > refs or asked[1] > boxes) or (exact and asked != (refs, boxes)):
        raise GroundswiftError(
            f"the messages hold {asked[0]} {REF} and {asked[1]} {BOX}, objects hold {refs} labels and {boxes} boxes; "
            f"expected {'as many of each' if exact else 'an object for each placeholder'}"
        )


def check_pairing(turns: list[tuple[str, str]], refs: int, boxes: int) -> None:
    """Raise GroundswiftError for placeholders in JSON of another form than a list of objects, and where labels and boxes of an answer
    would be read back otherwise than they belong together. `turns`: (role, text)."""
    for problem in paired(turns, refs, boxes).problems:
        if problem.id in REFUSED:
            raise GroundswiftError(f"{turns[problem.message][0]} message: {problem.what}")


def on_lines_of_its_own(before: str, written: str, behind: str) -> str:
    """A list with line breaks where text stands before or behind it in the same line."""
    opening = "\n" if before.strip() and not before.endswith("\n") else ""
    return opening + written + ("\n" if behind.strip() and not behind.startswith("\n") else "")
