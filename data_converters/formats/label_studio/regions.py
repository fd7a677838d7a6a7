"""Regions of Label Studio: where they are, in percent of the image, and their labels."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from groundswift.boxes import ellipse_bounds

from ...issues import IssueLog
from ...tasks.labelled_image import Box, Label, as_xywh, bounds, fraction_label, not_a_label
from .brush import bitmask_bounds, brush_bounds

EXPECTED = "a region of Label Studio: a rectangle, a polygon, an ellipse, a brush, a bit mask or a key point, with its labels"
ATTRIBUTES = {
    "choices",
    "textarea",
    "rating",
    "number",
    "datetime",
    "taxonomy",
    "relation",
    "pairwise",
    "ranker",
}  # no regions of their own
DRAWN = {
    "rectangle",
    "polygon",
    "ellipse",
    "brush",
    "bitmask",
    "keypoint",
}  # by a tag without labels: another result of the same id has them
NEEDED = {
    "rectangle": ("x", "y", "width", "height"),
    "ellipse": ("x", "y", "radius_x", "radius_y"),
    "polygon": ("points",),
    "brush": ("rle",),
    "bitmask": ("image_data_url",),
    "keypoint": (),
}
Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
SEVERAL = "label-studio-several-labels"


class Value(msgspec.Struct):
    """Where a region is, in percent of the upright image, and its labels."""

    x: float | None = None
    y: float | None = None
    width: float | None = None
    height: float | None = None
    rotation: float | None = 0
    radius_x: float | None = msgspec.field(default=None, name="radiusX")
    radius_y: float | None = msgspec.field(default=None, name="radiusY")
    points: list[tuple[float, float]] | None = None
    rle: list[Byte] | None = None
    image_data_url: str | None = msgspec.field(default=None, name="imageDataURL")
    rectanglelabels: list[str] | None = None
    polygonlabels: list[str] | None = None
    ellipselabels: list[str] | None = None
    brushlabels: list[str] | None = None
    bitmasklabels: list[str] | None = None
    keypointlabels: list[str] | None = None
    labels: list[str] | None = None


class Region(msgspec.Struct):
    """A result of an annotation."""

    type: str
    value: Value = msgspec.field(default_factory=Value)
    id: str | int | None = None
    original_width: int | None = None
    original_height: int | None = None
    image_rotation: float | None = 0

    def has_size(self) -> bool:
        """Whether it states the size of its image."""
        return bool(self.original_width and self.original_height)

    def kind(self) -> str:
        """What is drawn; of a result that only names a region, by the numbers it has."""
        if self.type != "labels":
            return self.type.removesuffix("labels")
        value = self.value
        if value.points or value.rle or value.image_data_url:
            return "polygon" if value.points else "brush" if value.rle else "bitmask"
        return "ellipse" if value.radius_x is not None else "rectangle" if value.width is not None else "keypoint"


def labels_of(region: Region, where: str, met: dict[str, int], log: IssueLog) -> list[Label]:
    """The labels of a region. Raises SkipSample where it cannot be read."""
    value, kind = region.value, region.kind()
    if region.type in ATTRIBUTES:
        of_image = value.x is None and value.points is None and region.type != "relation"
        log.count("image-tag-dropped" if of_image else "attribute-dropped", where)
        return []
    if kind not in NEEDED:
        raise not_a_label(where, f"type {region.type!r}", EXPECTED)
    names = value.labels or getattr(value, f"{kind}labels", None)
    if not names or not all(name.strip() for name in names):
        raise not_a_label(where, f"{region.type} without a label" if not names else "empty label", EXPECTED)
    if region.image_rotation:
        raise not_a_label(where, f"image_rotation {region.image_rotation:g}", "an image that was not rotated in the editor")
    box, changed = box_of(kind, region, where)
    if changed:
        log.count(changed, where)
    if len(names) > 1:
        log.count(SEVERAL, where)
    ranks = [met.setdefault(name, len(met)) for name in names]
    if box is None:
        return [Label(where, rank, (0, 0, 1, 1), crowd=True) for rank in ranks]
    return [fraction_label(Label(where, rank, as_xywh(*box))) for rank in ranks]


def box_of(kind: str, region: Region, where: str) -> tuple[Box | None, str | None]:
    """(the box of a region as fractions of the image, None if it bounds no object; the id to count what it replaces).

    A rectangle is rotated clockwise about its first corner, an ellipse about its centre. Raises SkipSample where numbers are missing.
    """
    value, needed = region.value, NEEDED[kind]
    numbers = [getattr(value, name) for name in needed]
    if None in numbers:
        raise not_a_label(where, f"{region.type} without {', '.join(needed)}", EXPECTED)
    if kind == "keypoint":
        return None, "points-dropped"
    if kind in ("brush", "bitmask"):
        return mask_box(region, where), "box-from-mask"
    if kind == "polygon":
        if len(value.points) < 3:
            raise not_a_label(where, f"a polygon of {len(value.points)} points", "3 or more")
        return bounds(*([number / 100 for number in axis] for axis in zip(*value.points, strict=True))), "box-from-polygon"
    angle = math.radians((value.rotation or 0) % 360)
    if angle and not region.has_size():
        raise not_a_label(where, f"rotation {value.rotation:g} without a size", "original_width and original_height")
    scales = (region.original_width / 100, region.original_height / 100) if angle else (0.01, 0.01)  # percent to px, or to fractions
    x, y, width, height = (number * scale for number, scale in zip(numbers, scales * 2, strict=True))
    if kind == "ellipse":
        box, changed = ellipse_bounds(x, y, width, height, angle), "box-from-ellipse"
    elif angle and width >= 0 and height >= 0:
        sine, cosine = math.sin(angle), math.cos(angle)
        corners = [(x + a * cosine - b * sine, y + a * sine + b * cosine) for a in (0, width) for b in (0, height)]
        box, changed = bounds(*zip(*corners, strict=True)), "box-from-rotated"
    else:
        box, changed = (x, y, x + width, y + height), None
    sides = (region.original_width, region.original_height) * 2 if angle else (1,) * 4
    return tuple(number / side for number, side in zip(box, sides, strict=True)), changed


def mask_box(region: Region, where: str) -> Box:
    """The bounds of a mask as fractions of the image. Raises SkipSample where it has none, or is of another size."""
    if not region.has_size():
        raise not_a_label(where, "a mask without a size", "original_width and original_height")
    size_wh = region.original_width, region.original_height
    try:
        value = region.value
        bounds_px = brush_bounds(value.rle, size_wh) if value.rle is not None else bitmask_bounds(value.image_data_url, size_wh)
    except ValueError as error:
        raise not_a_label(where, str(error), f"the mask of an image of {size_wh[0]}x{size_wh[1]} px") from None
    return tuple(number / side for number, side in zip(bounds_px, size_wh * 2, strict=True))
