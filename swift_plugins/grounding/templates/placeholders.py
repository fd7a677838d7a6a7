"""Whether the placeholders and the objects of a row match."""

from __future__ import annotations

from groundswift.errors import GroundswiftError
from groundswift.records import BOX, REF, count_tags


def check_counts(contents: list[str], refs: int, boxes: int, exact: bool = True) -> None:
    """Raise GroundswiftError unless every placeholder has its object, since swift would take the others as text; with `exact`, unless every
    object has its placeholder too, since swift would drop the others."""
    asked = count_tags(contents)[:2]
    if (asked[0] > refs or asked[1] > boxes) or (exact and asked != (refs, boxes)):
        raise GroundswiftError(
            f"the messages hold {asked[0]} {REF} and {asked[1]} {BOX}, objects hold {refs} labels and {boxes} boxes; "
            f"expected {'as many of each' if exact else 'an object for each placeholder'}"
        )
