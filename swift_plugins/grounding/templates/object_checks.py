"""Checks of a row's `objects` and placeholders before a template writes them.

swift accepts more, and then guesses or stops with a TypeError elsewhere.
"""

from __future__ import annotations

from typing import Any

from groundswift.box_checks import box_problem
from groundswift.errors import GroundswiftError
from groundswift.records import BOX, REF, count_tags
from groundswift.row_view import Finding, box_finding, read_objects, short

ACCEPTED = {"objects-keys", "image-id-missing"}  # lint rules of objects that a template can write


def check_objects(objects: Any, images: int) -> None:
    """Raise GroundswiftError, with the id of a lint rule, unless labels are strings, boxes are 4 numbers or points 2, and each belongs to
    one of the row's images."""
    findings: list[Finding] = []
    columns = read_objects(objects, images, findings)
    boxes = columns.boxes or []
    if columns.image_ids and len(columns.image_ids) != len(boxes):
        findings.append(("image-id-short", f"{len(columns.image_ids)} image_id for {len(boxes)} boxes; expected one per box"))
    findings += filter(None, map(_check_box, boxes))
    refused = next((finding for finding in findings if finding[0] not in ACCEPTED), None)
    if refused:
        raise GroundswiftError(": ".join(refused))


def _check_box(box: Any) -> Finding | None:
    """Also refuses corners in the wrong order, which lint only warns of: swift would swap them."""
    finding = box_finding(box)
    if finding is None and len(box) == 4:
        problem = box_problem(box, allowed=("box-too-large", "box-empty", "box-outside"))
        finding = problem and (problem.id, f"{short(box)}; expected {problem.expected}")
    return finding and (finding[0], f"box {finding[1]}")


def check_counts(contents: list[str], refs: int, boxes: int, exact: bool = True) -> None:
    """Raise GroundswiftError unless every placeholder has its object, since swift would take the others as text; with `exact`, unless every
    object has its placeholder too, since swift would drop the others."""
    asked = count_tags(contents)[:2]
    if (asked[0] > refs or asked[1] > boxes) or (exact and asked != (refs, boxes)):
        raise GroundswiftError(
            f"the messages hold {asked[0]} {REF} and {asked[1]} {BOX}, objects hold {refs} labels and {boxes} boxes; "
            f"expected {'as many of each' if exact else 'an object for each placeholder'}"
        )
