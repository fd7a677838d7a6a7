"""Checks of a row's `objects`. swift accepts more, and then guesses or stops with a TypeError elsewhere."""

from __future__ import annotations

from typing import Any

from groundswift.box_checks import box_problem, number_problem
from groundswift.errors import GroundswiftError

BOX_TYPES = (None, "real", "norm1")


def check_objects(objects: Any, images: int) -> None:
    """Raise GroundswiftError unless labels are texts, boxes are 4 numbers or points 2, and each belongs to one of the row's images."""
    if not isinstance(objects, dict) or not isinstance(objects.get("bbox"), list):
        raise GroundswiftError(f"objects {shortened(objects)}; expected ref, a list of labels, and bbox, a list of boxes")
    for label in objects.get("ref") or []:
        if not isinstance(label, str):
            raise GroundswiftError(f"label {shortened(label)} in objects.ref; expected text")
    if objects.get("bbox_type") not in BOX_TYPES:
        raise GroundswiftError(f"bbox_type {objects['bbox_type']!r}; expected real (original pixels) or norm1 (0 to 1)")
    for box in objects["bbox"]:
        check_box(box)
    check_image_ids(objects.get("image_id") or [], len(objects["bbox"]), images)


def check_box(box: Any) -> None:
    """Raise GroundswiftError unless it is x1, y1, x2, y2 with ordered corners, or x, y, all of them finite numbers."""
    if not isinstance(box, (list, tuple)):
        raise GroundswiftError(f"box {shortened(box)}; expected one flat list of numbers for each <bbox>")
    problem = number_problem(box)
    if problem is None and len(box) == 4:
        problem = box_problem(box, allowed=("box-too-large", "box-empty", "box-outside"))
    if problem:
        raise GroundswiftError(f"box {shortened(box)}: {problem.id}; expected {problem.expected}")


def check_image_ids(image_ids: Any, boxes: int, images: int) -> None:
    """Raise GroundswiftError unless there is none, or one for each box that counts the row's images from 0."""
    if not isinstance(image_ids, list) or any(type(image_id) is not int for image_id in image_ids):
        raise GroundswiftError(f"image_id {shortened(image_ids)}; expected a list of whole numbers, one for each box")
    if image_ids and len(image_ids) != boxes:
        raise GroundswiftError(f"image_id has {len(image_ids)} entries for {boxes} boxes; expected one for each box")
    for image_id in image_ids:
        if not 0 <= image_id < images:
            raise GroundswiftError(f"image_id {image_id} in a row of {images} images; expected 0 to {images - 1}")


def shortened(value: Any) -> str:
    """A value as it is written, at most 80 characters of it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
