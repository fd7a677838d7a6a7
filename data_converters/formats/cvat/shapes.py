"""The shapes of CVAT: the box of each, and the marks that rows do not keep."""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.etree.ElementTree import Element

from groundswift.boxes import ellipse_bounds, rotated_bounds

from ...issues import IssueLog
from ...tasks.labelled_image import Box, bounds, inverted, number_of
from .masks import mask_bounds

SHAPES = {  # the attributes that hold the numbers of a shape, in px
    "box": ("xtl", "ytl", "xbr", "ybr"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "mask": ("left", "top", "width", "height"),
    "cuboid": tuple(f"{axis}{side}{face}" for side in ("tl", "bl", "tr", "br") for face in (1, 2) for axis in "xy"),
}
NO_BOX = ("polyline", "points", "skeleton")  # shapes that do not bound an object


class Shape(NamedTuple):
    """The box of a shape (x1, y1, x2, y2) in px; None if it bounds no object. `changed`: the id to count what the box replaces."""

    box: Box | None
    changed: str | None = None


def read_shape(shape: Element) -> Shape | str:
    """The box of a shape, or what is wrong with it."""
    kind = shape.tag
    if kind in NO_BOX:
        return Shape(None, f"{kind}-dropped")
    if kind == "polygon":
        corners = [list(map(number_of, map(str.strip, point.split(",")))) for point in (shape.get("points") or "").split(";")]
        if not all(len(corner) == 2 and None not in corner for corner in corners):
            return "points are not x,y;x,y;..."
        if len(corners) < 3:
            return f"a polygon of {len(corners)} points, fewer than 3"
        return Shape(bounds(*zip(*corners, strict=True)), "box-from-polygon")
    names = SHAPES.get(kind)
    if names is None:
        return "unknown shape"
    numbers = [number_of(shape.get(name)) for name in names]
    rotation = number_of(shape.get("rotation", "0"))
    if rotation is None or not math.isfinite(rotation):
        return f"rotation is {shape.get('rotation')!r}"
    if None in numbers:
        return f"{names[numbers.index(None)]} is missing or not a number"
    angle = math.radians(rotation % 360)
    if kind == "box":
        rotated = angle != 0 and not inverted(*numbers)
        return Shape(rotated_bounds(numbers, angle), "box-from-rotated") if rotated else Shape(tuple(numbers))
    if kind == "ellipse":
        box = ellipse_bounds(*numbers, angle)
    elif kind == "mask":
        box = mask_bounds(shape.get("rle"), *numbers)
        if isinstance(box, str):
            return box
    else:
        box = bounds(numbers[::2], numbers[1::2])
    return Shape(box, f"box-from-{kind}")


def count_marks(shape: Element, place: str, log: IssueLog) -> None:
    """Count the marks of a shape that rows do not keep."""
    if shape.get("occluded", "0") not in ("0", "False"):
        log.count("occluded-dropped", place)
    if attributes := len(shape.findall("attribute")):
        log.count("attribute-dropped", place, attributes)
