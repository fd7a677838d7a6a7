"""Which assistant messages are answers made of boxes alone: those that a family with a whole-answer grammar writes in one piece."""

from __future__ import annotations

import re
from dataclasses import dataclass

from groundswift.errors import GroundswiftError
from groundswift.records import BOX, EMPTY_ANSWER, LIST_OF_BOXES, REF


@dataclass(frozen=True)
class WholeAnswer:
    """One answer: its boxes in order, each with the index of its label in `objects.ref` (None: no label)."""

    ref_of_box: tuple[tuple[int, int | None], ...]  # (index in objects.bbox, index in objects.ref)
    refs: int


def count_tags(contents: list[str]) -> tuple[int, int]:
    """How many labels and boxes the texts of a conversation ask for."""
    text = "".join(contents)
    return text.count(REF), text.count(BOX)


def check_counts(contents: list[str], refs: int, boxes: int) -> None:
    """Raise GroundswiftError unless every placeholder has its object and the other way round: swift would train on the surplus."""
    asked = count_tags(contents)
    if asked != (refs, boxes):
        raise GroundswiftError(
            f"the messages hold {asked[0]} {REF} and {asked[1]} {BOX}, objects hold {refs} labels and {boxes} boxes; "
            "expected as many of each"
        )


def whole_answer(content: str, refs_before: int, boxes_before: int) -> WholeAnswer | None:
    """Read `<ref-object><bbox><bbox>...` with nothing else in it; None for any other text."""
    bare = content.strip()
    if not LIST_OF_BOXES.fullmatch(bare):
        return None
    placed, ref = [], refs_before - 1
    for tag in re.findall(f"{REF}|{BOX}", bare):
        if tag == REF:
            ref += 1
        else:
            placed.append((boxes_before + len(placed), ref if ref >= refs_before else None))
    return WholeAnswer(tuple(placed), ref + 1 - refs_before)


def is_empty_answer(content: str) -> bool:
    """Whether an answer is the one that a row without objects has."""
    return content.strip() == EMPTY_ANSWER
