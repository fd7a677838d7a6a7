"""JSON -> the records of `coco_types`: strictly, and where that fails leniently; rotated boxes become axis-aligned.

CVAT and Datumaro export the box before the rotation, and `attributes.rotation` in degrees. Source: cvat-ai/cvat#4745,
open-edge-platform/datumaro#1887.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from .boxes import rotated_bounds
from .coco_types import (
    CocoAnnotation,
    CocoCategory,
    CocoFile,
    CocoImage,
    LenientAnnotation,
    LenientCategory,
    LenientFile,
    LenientImage,
    Mark,
    RotatedAnnotation,
    RotatedFile,
    Whole,
)

Record = TypeVar("Record")
ROTATION = b'"rotation"'  # what a file with rotated boxes holds
LENIENT: dict[type, tuple[type, type]] = {  # kind -> lenient kind, and that of rotated boxes
    CocoImage: (LenientImage, LenientImage),
    CocoAnnotation: (LenientAnnotation, RotatedAnnotation),
    CocoCategory: (LenientCategory, LenientCategory),
    CocoFile: (LenientFile, RotatedFile),
}
DIGITS = 6  # of a number in px: beyond is noise of the arithmetic
CLOSE = 0.51  # px by which the extent of an outline and a box of it may differ: exporters round
JSON_WORDS = {bool: "bool", float: "float", str: "str", type(None): "null", list: "array", dict: "object"}


def decode(text: bytes | msgspec.Raw, kind: type[Record], needs_images: bool = True) -> Record:
    """JSON -> CocoFile, CocoImage or CocoAnnotation. Raises what msgspec does; a ValidationError names the place, as `$.images[3].width`.

    `needs_images`: an image without a name or a size is an error.
    """
    rotated, strict_error = ROTATION in bytes(text), None
    if not rotated:
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.ValidationError as error:
            strict_error = error
    return _lenient(partial(msgspec.json.decode, text), LENIENT[kind][rotated], needs_images, strict_error)


def convert(content: Any, kind: type[Record], needs_images: bool = True) -> Record:
    """The same for decoded JSON, which may hold NaN and infinity."""
    try:
        return _lenient(partial(msgspec.convert, content), LENIENT[kind][1], needs_images)
    except OverflowError:
        raise msgspec.ValidationError("Expected `int`, got infinity") from None


def _lenient(read: Callable[..., Any], kind: type, needs_images: bool, strict_error: msgspec.ValidationError | None = None) -> Any:
    try:
        return _plain(read(type=kind, dec_hook=whole_number), needs_images)
    except msgspec.ValidationError as error:
        same_place = strict_error is not None and _place(strict_error) == _place(error)
        raise (strict_error if same_place else error) from None


def _place(error: msgspec.ValidationError) -> str:
    return str(error).rpartition(" - at ")[2]


def whole_number(kind: type, value: Any) -> Any:
    """What msgspec calls for `Whole` and `Mark`. Raises ValueError for what is not such a number."""
    if isinstance(value, bool) <= (kind is Mark) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        return kind(value)
    raise ValueError(f"Expected `int`, got `{JSON_WORDS.get(type(value), type(value).__name__)}`")


def _plain(found: Any, needs_images: bool) -> Any:
    """The strict record of a lenient one."""
    if isinstance(found, LenientImage):
        return _image(found, needs_images, "")
    if isinstance(found, LenientAnnotation):
        return _annotation(found)
    if isinstance(found, LenientCategory):
        return _category(found)
    return CocoFile(
        [_image(image, needs_images, f" - at `$.images[{index}]`") for index, image in enumerate(found.images)],
        list(map(_annotation, found.annotations)),
        list(map(_category, found.categories)),
    )


def _image(image: LenientImage, needs_images: bool, where: str) -> CocoImage:
    name = image.file_name or name_of_url(image.coco_url)
    stated = {"file_name": name, "width": image.width, "height": image.height}
    for key, value in stated.items() if needs_images else ():
        if value is msgspec.UNSET:
            raise msgspec.ValidationError(f"Object missing required field `{key}`{where}")
        if value is None:
            kind, place = "str" if key == "file_name" else "int", where.replace("]`", f"].{key}`") or f" - at `$.{key}`"
            raise msgspec.ValidationError(f"Expected `{kind}`, got `null`{place}")
    return CocoImage(
        int(image.id),
        name or "",
        int(image.width or 0),
        int(image.height or 0),
        _integers(image.neg_category_ids),
        _integers(image.not_exhaustive_category_ids),
    )


def _category(category: LenientCategory) -> CocoCategory:
    return CocoCategory(int(category.id), category.name, category.supercategory, category.frequency)


def _integers(numbers: list[Whole] | None) -> list[int] | None:
    return None if numbers is None else list(map(int, numbers))


def _annotation(row: LenientAnnotation) -> CocoAnnotation:
    number = None if row.id is None else int(row.id)
    found = CocoAnnotation(int(row.image_id), int(row.category_id), row.bbox, number, row.area, int(row.iscrowd), row.ignore)
    if isinstance(row, RotatedAnnotation):
        found.bbox, found.rotation = axis_aligned(row.bbox, row.attributes, row.segmentation)
    return found


def name_of_url(url: object) -> str | None:
    """The name of an image that only `coco_url` names: its folder and file, as in train2017/000000397133.jpg. Source: the LVIS API."""
    if not isinstance(url, str):
        return None
    return "/".join([part for part in unquote(urlsplit(url).path).split("/") if part][-2:]) or None


def degrees_of(attributes: object) -> float:
    """The rotation in degrees that attributes state, 0 where they state none; NaN for one that is not a finite number."""
    value = attributes.get("rotation") if isinstance(attributes, dict) else None
    if value is None or value == "":
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def axis_aligned(bbox: list[float], attributes: object, segmentation: object) -> tuple[list[float], float]:
    """(bbox of the rotated object as xywh in px, degrees that were applied; NaN, and the bbox as it is, for what is not an angle).

    A box that the segmentation shows to be that of the rotated outline already stays, with 0 degrees.
    """
    degrees = degrees_of(attributes)
    usable = len(bbox) == 4 and all(map(math.isfinite, bbox)) and bbox[2] > 0 and bbox[3] > 0
    if math.isnan(degrees):
        return bbox, degrees
    if degrees % 360 == 0 or not usable or _follows(segmentation, bbox):
        return bbox, 0.0
    x, y, width, height = bbox
    x1, y1, x2, y2 = rotated_bounds((x, y, x + width, y + height), math.radians(degrees % 360))
    return [round(number, DIGITS) for number in (x1, y1, x2 - x1, y2 - y1)], degrees


def _follows(segmentation: Any, bbox: Sequence[float]) -> bool:
    """Whether a box is the extent of an outline, other than the outline of the box itself, or of a mask."""
    if isinstance(segmentation, dict):  # a mask in run lengths: only a box drawn as one has a rotation of its own
        return True
    try:
        rings = [list(map(float, ring)) for ring in segmentation or ()]
    except (TypeError, ValueError):
        return False
    numbers = list(chain.from_iterable(rings))
    if len(numbers) < 6 or any(len(ring) % 2 for ring in rings):
        return False
    x, y, width, height = bbox
    xs, ys = numbers[::2], numbers[1::2]
    extent = min(xs), min(ys), max(xs), max(ys)
    if any(abs(side - own) > CLOSE for side, own in zip(extent, (x, y, x + width, y + height), strict=True)):
        return False
    upright = len(numbers) == 8 and abs(xs[0] - x) <= CLOSE and abs(ys[0] - y) <= CLOSE
    return not (upright and all(_at_an_end(a, x, width) and _at_an_end(b, y, height) for a, b in zip(xs, ys, strict=True)))


def _at_an_end(value: float, start: float, length: float) -> bool:
    return min(abs(value - start), abs(value - start - length)) <= CLOSE
