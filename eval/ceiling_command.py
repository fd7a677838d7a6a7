"""`groundswift families --ceiling`: what perfect answers reach on a ground truth, in the numbers of each family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from groundswift.coordinates import limits_in_force
from groundswift.errors import GroundswiftError
from groundswift.family import families, family_row
from groundswift.image_resize import Limits
from groundswift.spaces import space_row

from .answers.protocol import Rules
from .family_ceiling import perfect_answers
from .ground_truth import Truth, read_truth, truth_counts
from .metrics.coco_map import evaluate

SHOWN = ("AP", "AP50", "AP75", "APs", "APm", "APl")
POINTS_ONLY = "writes points, never boxes"


def ceilings(truth: Truth, name: str | None, limits: Limits) -> list[dict[str, Any]]:
    """What perfect answers reach in the numbers of a family, or of all: all numbers of `coco_map`, `lost` boxes, or `reason` without them.

    Families with one space share its numbers.
    """
    rows = [family_row(name)] if name else list(families().values())
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    found = []
    for row in rows:
        key: tuple[Any, ...] = (row.space,)
        if space_row(row.space).side == "resized":
            key = (row.space, row.resize_factor, limits_in_force(limits, row.name))
        if row.boxes and key not in known:
            known[key] = _numbers(truth, Rules(row.name, limits=limits))
        found.append({"family": row.name, "space": row.space, **(known[key] if row.boxes else {"reason": POINTS_ONLY})})
    return found


def _numbers(truth: Truth, rules: Rules) -> dict[str, Any]:
    try:
        perfect = perfect_answers(truth, rules).predictions
    except GroundswiftError as error:
        return {"reason": str(error)}
    return {**evaluate(truth, perfect).summary, "lost": int((~truth.is_crowd).sum()) - len(perfect.scores)}


def document_of(path: Path, name: str | None, limits: Limits) -> dict[str, Any]:
    """For `groundswift families --ceiling FILE --json`. Raises GroundswiftError where the ground truth cannot be used."""
    truth = read_truth(path, needs_images=True)
    declared = {key: getattr(limits, key) for key in limits.__struct_fields__}
    return {"gt": path.name, **truth_counts(truth), "limits": declared, "families": ceilings(truth, name, limits)}


def text_of(document: dict[str, Any]) -> str:
    """The same for a terminal."""
    lines = [f"{document['gt']}: {document['images']} images, {document['truths']} boxes; what perfect answers reach", ""]
    lines.append(f"{'family':<16} {'space':<12}" + "".join(f"{key:>7}" for key in SHOWN) + "  boxes lost")
    for row in document["families"]:
        numbers = "".join("      -" if row.get(key) is None else f"{row[key]:7.3f}" for key in SHOWN)
        lines.append(f"{row['family']:<16} {row['space']:<12}{numbers}  {row.get('reason', row.get('lost'))}")
    return "\n".join(lines)
