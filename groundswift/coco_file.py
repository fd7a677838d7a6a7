"""COCO instance files, read with a typed decoder and checked: what a converter and an evaluator both start from."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from .collecting import without_collection
from .errors import GroundswiftError, fault
from .records import half_character
from .storage import local_copy, shown

LARGEST_SIDE_PX = 2**31 - 1


class CocoImage(msgspec.Struct):
    """`width` and `height` in px of the upright picture; `file_name` lies under the folder of the pictures."""

    id: int
    file_name: str
    width: int
    height: int


class CocoCategory(msgspec.Struct):
    """A class and the name that prompts and answers call it by."""

    id: int
    name: str


class CocoAnnotation(msgspec.Struct, gc=False):
    """`bbox` is xywh in original pixels, as it stands in the file: `annotation_fault` says what is wrong with it."""

    image_id: int
    category_id: int
    bbox: list[float]
    id: int | None = None
    area: float | None = None
    iscrowd: int = 0

    def where(self) -> str:
        return f"annotation {self.id}" if self.id is not None else f"an annotation of image {self.image_id}"


class CocoFile(msgspec.Struct):
    """What detection needs of an annotation file, in the file's order."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


def read_coco(path: str | Path) -> CocoFile:
    """Decode an annotation file, a local one or an address; fields that detection does not need are skipped unread.

    Raises GroundswiftError that names the file and the place where it is missing, no JSON, or of another shape.
    """
    copy, path = local_copy(path), shown(path)
    try:
        text = copy.read_bytes()
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})", "a COCO annotation file") from None
    try:
        with without_collection():
            return msgspec.json.decode(text, type=CocoFile)
    except msgspec.ValidationError as error:
        raise fault(path, str(error), "COCO with images, annotations and categories") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_lenient(path, text)


def _read_lenient(path: str | Path, text: bytes) -> CocoFile:
    """Python's own writer leaves NaN and Infinity in JSON: read those, so that the check can name the box; or say where JSON ends."""
    try:
        return msgspec.convert(json.loads(text.decode("utf-8-sig")), CocoFile)
    except msgspec.ValidationError as error:
        raise fault(path, str(error), "COCO with images, annotations and categories") from None
    except json.JSONDecodeError as error:
        raise fault(f"{path}:{error.lineno}:{error.colno}", f"not JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        raise fault(path, f"not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise fault(path, "JSON nested too deep") from None


def repeated(values: Iterable[object]) -> list[object]:
    """The values that come more than once, in order of appearance."""
    values = list(values)
    if len(set(values)) == len(values):
        return []
    return [value for value, count in Counter(values).items() if count > 1]


def structural_faults(coco: CocoFile, path: str | Path) -> list[GroundswiftError]:
    """What makes ids ambiguous or sizes senseless: repeated ids of images, annotations and categories, repeated or empty names, no size."""
    faults = []
    for what, values in (
        ("image id", (image.id for image in coco.images)),
        ("annotation id", (row.id for row in coco.annotations if row.id is not None)),
        ("category id", (category.id for category in coco.categories)),
        ("category name", (category.name for category in coco.categories)),
    ):
        faults += [fault(path, f"{what} {value!r} stands twice or more", "each once") for value in repeated(values)]
    faults += [fault(path, f"category {c.id} has an empty name", "text") for c in coco.categories if not c.name.strip()]
    half = "has half a surrogate pair in its name"
    faults += [fault(path, f"category {c.id} {half}", "Unicode text") for c in coco.categories if half_character(c.name)]
    faults += [fault(path, f"image {i.id} {half}", "Unicode text") for i in coco.images if half_character(i.file_name)]
    faults += [
        fault(path, f"image {image.id} has size {image.width}x{image.height}", f"at least 1x1 px, at most {LARGEST_SIDE_PX} px a side")
        for image in coco.images
        if not (1 <= image.width <= LARGEST_SIDE_PX and 1 <= image.height <= LARGEST_SIDE_PX)
    ]
    return faults


def annotation_fault(row: CocoAnnotation, image: CocoImage | None, category_known: bool) -> str | None:
    """Why an annotation cannot be used, as a reason to count by; None where it can.

    A box that is partly outside its image can: it is for the caller to clip.
    """
    if image is None:
        return "unknown image"
    if not category_known:
        return "unknown category"
    if len(row.bbox) != 4:
        return "box without 4 numbers"
    x, y, width, height = row.bbox
    if not all(map(math.isfinite, row.bbox)):
        return "box not finite"
    if width < 0 or height < 0:
        return "box inverted"
    if width == 0 or height == 0:
        return "box empty"
    if x >= image.width or y >= image.height or x + width <= 0 or y + height <= 0:
        return "box outside its image"
    return None
