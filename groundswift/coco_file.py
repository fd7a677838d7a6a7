"""COCO instance files, read with a typed decoder and checked: what a converter and an evaluator both start from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from operator import attrgetter
from pathlib import Path
from typing import Literal

import msgspec

from .box_checks import BoxProblem, box_problem
from .coco_decoding import convert, decode
from .coco_types import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from .errors import GroundswiftError, error_at
from .file_guard import regular_bytes
from .gc_control import without_collection
from .records import has_lone_surrogate
from .storage import local_copy
from .urls import shown

__all__ = ["CocoAnnotation", "CocoCategory", "CocoFile", "CocoImage", "annotation_problem", "read_coco", "repeated", "structural_problems"]

LARGEST_SIDE_PX = 2**31 - 1


def read_coco(path: str | Path, needs_images: bool = True) -> CocoFile:
    """Decode an annotation file, local or a URL; fields that detection does not need are skipped unread.

    Rotated boxes become axis-aligned. `needs_images`: an image without a name or a size is an error.
    Raises GroundswiftError that names the file and the place where it is missing, not JSON, or of another shape.
    """
    copy, path = local_copy(path), shown(path)
    try:
        text = regular_bytes(copy)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})", "a COCO annotation file") from None
    try:
        with without_collection():
            return decode(text, CocoFile, needs_images)
    except msgspec.ValidationError as error:
        raise error_at(path, str(error), "COCO with images, annotations and categories") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_lenient(path, text, needs_images)


def _read_lenient(path: str | Path, text: bytes, needs_images: bool) -> CocoFile:
    """Python's own writer leaves NaN and Infinity in JSON: read those, so that the check can name the box; or say where JSON ends."""
    import json

    try:
        return convert(json.loads(text.decode("utf-8-sig")), CocoFile, needs_images)
    except msgspec.ValidationError as error:
        raise error_at(path, str(error), "COCO with images, annotations and categories") from None
    except json.JSONDecodeError as error:
        raise error_at(f"{path}:{error.lineno}:{error.colno}", f"not JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        raise error_at(path, f"not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise error_at(path, "JSON nested too deep") from None
    except ValueError as error:  # half a surrogate pair where a number belongs, a number of more digits than Python takes
        raise error_at(path, f"a value cannot be read ({error})", "COCO with images, annotations and categories") from None


Ignored = Literal["keep", "crowd", "skip"]
IGNORED: dict[str, str] = {  # what is done with objects marked `ignore: 1` -> the reason to count by
    "keep": "ignore-kept",
    "crowd": "ignore-as-crowd",
    "skip": "ignore-skipped",
}
ROTATED, REPEATED = "box-from-rotated", "box-repeated"  # reasons to count by
ONE_IMAGE = "image-two-ids"  # a reason to count by
SAME_ID = "annotation-id-repeated"  # a reason to count by
IMAGE_UNKNOWN = BoxProblem("image-unknown", "the id of an image of the file")
CATEGORY_UNKNOWN = BoxProblem("category-unknown", "the id of a category of the file")
BOX_LENGTH = BoxProblem("box-length", "x, y, width, height")
NOT_AN_ANGLE = BoxProblem("rotation-not-angle", "degrees")
UNKNOWN_WH = (0, 0)  # the size of an image whose size the file does not state


def empty_roots(categories: Iterable[CocoCategory], used_ids: Set[int]) -> list[CocoCategory]:
    """The classes without an annotation that others name as their supercategory: Roboflow's exports hold such a root."""
    categories = list(categories)
    parents = {each.supercategory for each in categories if isinstance(each.supercategory, str) and each.supercategory != each.name}
    same_name = {each.name for each in categories if each.id in used_ids and each.supercategory == each.name}
    return [each for each in categories if each.id not in used_ids and each.name in parents | same_name]


def ids_of_one_image(images: Iterable[CocoImage]) -> dict[int, int]:
    """Id -> the first id of the same file_name and size, for images that a file holds under several ids."""
    first: dict[str, CocoImage] = {}
    return {
        image.id: first[image.file_name].id
        for image in images
        if image.file_name and first.setdefault(image.file_name, image).id != image.id
    }


def joined_images(coco: CocoFile, first_ids: dict[int, int]) -> CocoFile:
    """The file without the later ids of an image, their objects at its first one; not where the sizes differ. See `ids_of_one_image`."""
    size_of = {image.id: (image.width, image.height) for image in coco.images}
    for row in coco.annotations:
        first = first_ids.get(row.image_id)
        if first is not None and size_of[first] == size_of[row.image_id]:
            row.image_id = first
    kept = [row for row in coco.annotations if row.image_id not in first_ids]
    return CocoFile([image for image in coco.images if image.id not in first_ids], kept, coco.categories)


def repeated(values: Iterable[object]) -> list[object]:
    """The values that come more than once, in order of appearance."""
    values = list(values)
    if len(set(values)) == len(values):
        return []
    return [value for value, count in Counter(values).items() if count > 1]


def structural_problems(coco: CocoFile, path: str | Path, sizes: bool = True) -> list[GroundswiftError]:
    """What makes ids ambiguous or sizes impossible: repeated ids of images, annotations and categories, repeated or empty names.

    Without `sizes`, the sizes of images are not checked; UNKNOWN_WH is allowed.
    """
    problems = []
    for what, values in (
        ("image id", [image.id for image in coco.images]),
        ("annotation id", [number for number in map(attrgetter("id"), coco.annotations) if number is not None]),
        ("category id", [category.id for category in coco.categories]),
        ("category name", [category.name for category in coco.categories]),
    ):
        problems += [error_at(path, f"duplicate {what} {value!r}") for value in repeated(values)]
    problems += [error_at(path, f"category {c.id} has an empty name", "text") for c in coco.categories if not c.name.strip()]
    half = "has a lone surrogate in its name"
    problems += [error_at(path, f"category {c.id} {half}", "Unicode text") for c in coco.categories if has_lone_surrogate(c.name)]
    problems += [error_at(path, f"image {i.id} {half}", "Unicode text") for i in coco.images if has_lone_surrogate(i.file_name)]
    problems += [
        error_at(path, f"image {image.id} has size {image.width}x{image.height}", f"at least 1x1 px, at most {LARGEST_SIDE_PX} px per side")
        for image in coco.images
        if sizes
        and not (1 <= image.width <= LARGEST_SIDE_PX and 1 <= image.height <= LARGEST_SIDE_PX)
        and (image.width, image.height) != UNKNOWN_WH
    ]
    return problems


def clip_rotated(row: CocoAnnotation, image: CocoImage) -> None:
    """Clip a rotated object's axis-aligned box to its image, as rows have it; other boxes stay as the file has them."""
    if row.rotation and (image.width, image.height) != UNKNOWN_WH:
        x, y, width, height = row.bbox
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, image.width), min(y + height, image.height)
        row.bbox = [left, top, right - left, bottom - top]


def annotation_problem(row: CocoAnnotation, image: CocoImage | None, category_known: bool) -> BoxProblem | None:
    """Why an annotation cannot be used; None where it can, also if its box is partly outside its image: the caller clips it.

    Ids: `image-unknown`, `category-unknown`, `box-length`, `rotation-not-angle`, and those of `box_problem`.
    """
    if image is None:
        return IMAGE_UNKNOWN
    if not category_known:
        return CATEGORY_UNKNOWN
    if len(row.bbox) != 4:
        return BOX_LENGTH
    if row.rotation != row.rotation:
        return NOT_AN_ANGLE
    x, y, width, height = row.bbox
    size_wh = (image.width, image.height)
    problem = box_problem((x, y, x + width, y + height), None if size_wh == UNKNOWN_WH else size_wh)
    if problem is None or problem.id not in ("box-inverted", "box-empty"):
        return problem
    return problem._replace(expected="width and height above 0")
