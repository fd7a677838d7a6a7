"""Rows of pointing: what was asked, and where it is: boxes or points of the row, and masks of a COCO file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import iou, xywh_to_xyxy
from groundswift.errors import error_at
from groundswift.placeholders import is_empty_answer
from groundswift.storage import read_bytes

from .referring_rows import AskedQuestion, ReferringRow, box_px, image_problem, question_about
from .swift_results import Problem

SAME_BOX = 0.9  # IoU from which the box of a row and that of an annotation are of one object
Mask = NDArray[np.bool_]


def centres(question: AskedQuestion) -> NDArray[np.float64]:
    """(n, 2) the targets as points: the centre of a box."""
    return np.array([[(each[0] + each[-2]) / 2, (each[1] + each[-1]) / 2] for each in question.targets]).reshape(-1, 2)


def pointed(row: ReferringRow, resized: bool = False, file_name: str = "") -> AskedQuestion | Problem:
    """The question of a row, or why it cannot be scored. `resized`: answers are in pixels of the resized image."""
    if problem := image_problem(row, resized):
        return problem
    targets = [target_px(target, row) for target in row.boxes()]
    if problem := next((target for target in targets if isinstance(target, Problem)), None):
        return problem
    if not targets and not is_empty_answer(row.true_answer() or "", 0):
        expected = "boxes or points in objects.bbox; or the answer None where there is nothing to point at"
        return Problem("true-box-missing", "the answer of the row has no box and no point", expected)
    return question_about(row, targets, file_name)


def target_px(target: Any, row: ReferringRow) -> list[float] | Problem:
    """A true box or point of a row in px of the upright image, or what is wrong with it."""
    if not (isinstance(target, list) and len(target) == 2):
        return box_px(target, row)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in target):
        return Problem("true-point-invalid", f"ground-truth point {str(target)[:200]}", "x, y in pixels of the image")
    point = [number * side if row.objects.get("bbox_type") == "norm1" else number for number, side in zip(target, row.size_wh, strict=True)]
    if not all(0 <= number <= side for number, side in zip(point, row.size_wh, strict=True)):
        return Problem("true-point-invalid", f"ground-truth point {target} is outside the image", "x, y in pixels of the image")
    return point


class MaskImage(msgspec.Struct):
    """An image of a COCO file; `width` and `height` in px."""

    id: int | str
    file_name: str = ""
    width: int = 0
    height: int = 0


class MaskAnnotation(msgspec.Struct):
    """An annotation of a COCO file: `bbox` is xywh in px, `segmentation` polygons or run lengths."""

    image_id: int | str
    bbox: list[float] = []
    segmentation: Any = None


class MaskFile(msgspec.Struct):
    """What masks need of a COCO file."""

    images: list[MaskImage]
    annotations: list[MaskAnnotation]


@dataclass
class Masks:
    """The segmentations of a COCO file, by the name of the image without its folders."""

    path: Path
    sizes_wh: dict[str, tuple[int, int]] = field(default_factory=dict)
    annotations: dict[str, list[MaskAnnotation]] = field(default_factory=dict)

    def of(self, question: AskedQuestion) -> list[Mask] | None:
        """The mask (height, width) of each target: of the annotation with the same box. None where one has none.

        Raises GroundswiftError for a segmentation that is not a mask of the image.
        """
        name = PurePath(question.image).name
        known = [each for each in self.annotations.get(name, ()) if each.segmentation and len(each.bbox) == 4]
        if not known or not question.targets or not all(len(target) == 4 for target in question.targets):
            return None
        overlaps = iou(question.targets, xywh_to_xyxy([each.bbox for each in known]))
        if overlaps.max(axis=1).min() < SAME_BOX:
            return None
        width, height = question.size_wh
        where = f"{self.path}: image {name!r}"
        if self.sizes_wh[name] != (width, height):
            raise error_at(where, f"is {self.sizes_wh[name]} px, {question.name} says {(width, height)}", "masks of the upright images")
        return [decoded(known[number].segmentation, width, height, where) for number in overlaps.argmax(axis=1).tolist()]


def read_masks(path: Path) -> Masks:
    """The segmentations of a COCO file. Raises GroundswiftError where it cannot be read or two images have one name."""
    expected = "COCO annotations with segmentation"
    try:
        file = msgspec.json.decode(read_bytes(path, expected), type=MaskFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise error_at(path, str(error)[:300], expected) from None
    masks, names = Masks(path), {image.id: PurePath(image.file_name).name for image in file.images}
    for image in file.images:
        if masks.sizes_wh.setdefault(names[image.id], size := (image.width, image.height)) is not size:
            raise error_at(path, f"two images are named {names[image.id]!r}", "one image of a name: rows are joined by it")
    for annotation in file.annotations:
        if annotation.image_id in names:
            masks.annotations.setdefault(names[annotation.image_id], []).append(annotation)
    return masks


def decoded(segmentation: Any, width: int, height: int, where: str) -> Mask:
    """(height, width) of polygons or run lengths. Raises GroundswiftError where it is neither, or of another size."""
    from hotcoco import mask

    expected = f"polygons of 3 points or more, or run lengths of {height} x {width} px"
    try:
        if isinstance(segmentation, dict):
            counts = segmentation["counts"]
            whole = isinstance(counts, str) or sum(counts) == width * height
            if list(segmentation["size"]) != [height, width] or not whole:
                raise ValueError(f"run lengths of size {segmentation['size']}")
            compressed = isinstance(counts, str)
            runs = {**segmentation, "counts": counts.encode()} if compressed else mask.frPyObjects(segmentation, height, width)
            return np.asarray(mask.decode(runs), dtype=bool)
        usable = all(len(ring) >= 6 and len(ring) % 2 == 0 and np.isfinite(ring).all() for ring in segmentation)
        if not usable:
            raise ValueError("a ring that is not a polygon")
        return np.asarray(mask.decode(mask.frPyObjects(segmentation, height, width)), dtype=bool).any(axis=2)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise error_at(where, f"a segmentation cannot be read ({str(error)[:200]})", expected) from None


def on_masks(points_xy_px: NDArray[np.float64], masks: Sequence[Mask]) -> NDArray[np.bool_]:
    """(n, m) whether a point is in a pixel of a mask; a point on the far border of the image is in its last pixel."""
    height, width = masks[0].shape
    inside = ((points_xy_px >= 0) & (points_xy_px <= (width, height))).all(axis=1)
    x, y = np.minimum(np.where(inside[:, None], points_xy_px, 0).astype(np.int64), (width - 1, height - 1)).T
    return np.stack([each[y, x] & inside for each in masks], axis=1)
