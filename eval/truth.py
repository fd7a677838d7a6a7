"""What is there to find: images, classes and boxes as columns, from a COCO file or from plain rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, as_boxes, xyxy_to_xywh
from groundswift.coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage, annotation_fault, read_coco, structural_faults
from groundswift.errors import GroundswiftError, Tally, fault

OnError = Literal["stop", "skip"]
TruthRow = tuple[int, tuple[int, int], Sequence[str], Sequence[Sequence[float]]]
LARGEST_AREA_PX2 = 1e5**2  # of COCO's area range `all`
SHOWN = 5  # faults that an error lists before it gives their count


@dataclass(frozen=True)
class Truth:
    """Images and classes stand in the order of their ids; boxes in the order of the file, each with the index of its image and class.

    `areas_px2` is what COCO sorts into small, medium and large. A crowd box counts neither as found nor as missed.
    """

    image_ids: list[int]
    file_names: list[str]
    sizes_wh: NDArray[np.int64]  # (images, 2)
    category_ids: list[int]
    category_names: list[str]
    image_index: NDArray[np.int64]  # (boxes,)
    category_index: NDArray[np.int64]
    boxes_xywh_px: Boxes
    areas_px2: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]


def truth_from_coco(coco: CocoFile, path: str | Path = "truth", on_error: OnError = "stop", tally: Tally | None = None) -> Truth:
    """The columns of a COCO file. Area is the annotation's own, or width times height where it has none.

    Raises GroundswiftError where ids or sizes are ambiguous and, unless `on_error` is `skip`, where annotations cannot be used; with
    `skip` they are left out and counted in `tally`.
    """
    _stop_at(structural_faults(coco, path))
    images = sorted(coco.images, key=lambda image: image.id)
    categories = sorted(coco.categories, key=lambda category: category.id)
    image_of = {image.id: image for image in images}
    category_index = {category.id: index for index, category in enumerate(categories)}
    kept: list[CocoAnnotation] = []
    left_out = tally if tally is not None else Tally()
    faults = []
    for row in coco.annotations:
        reason = annotation_fault(row, image_of.get(row.image_id), row.category_id in category_index)
        if reason is None:
            reason = area_fault(row.bbox[2] * row.bbox[3] if row.area is None else row.area)
        if reason is None:
            kept.append(row)
        else:
            left_out.add(reason, row.where())
            faults.append(fault(path, f"{row.where()}: {reason}"))
    if on_error == "stop":
        _stop_at(faults)
    image_index = {image.id: index for index, image in enumerate(images)}
    boxes = as_boxes([row.bbox for row in kept])
    areas = boxes[:, 2] * boxes[:, 3]
    given = [(index, row.area) for index, row in enumerate(kept) if row.area is not None]
    if given:
        areas[[index for index, _ in given]] = [area for _, area in given]
    return Truth(
        image_ids=[image.id for image in images],
        file_names=[image.file_name for image in images],
        sizes_wh=np.array([(image.width, image.height) for image in images], dtype=np.int64).reshape(-1, 2),
        category_ids=[category.id for category in categories],
        category_names=[category.name for category in categories],
        image_index=np.array([image_index[row.image_id] for row in kept], dtype=np.int64),
        category_index=np.array([category_index[row.category_id] for row in kept], dtype=np.int64),
        boxes_xywh_px=boxes,
        areas_px2=areas,
        is_crowd=np.array([row.iscrowd != 0 for row in kept], dtype=bool),
    )


def area_fault(area_px2: float) -> str | None:
    """Why an area cannot be used, as a reason to count by; None where it can. COCO does not look for what is over 1e10 px²."""
    if not isfinite(area_px2):
        return "area not finite"
    if area_px2 < 0:
        return "area negative"
    return "area over 1e10 px\u00b2" if area_px2 > LARGEST_AREA_PX2 else None


def _stop_at(faults: list[GroundswiftError]) -> None:
    if not faults:
        return
    shown = "\n  ".join(str(one) for one in faults[:SHOWN])
    if len(faults) == 1:
        raise faults[0]
    raise GroundswiftError(f"{len(faults)} faults in the truth:\n  {shown}" + ("\n  ..." if len(faults) > SHOWN else ""))


def read_truth(path: str | Path, on_error: OnError = "stop", tally: Tally | None = None) -> Truth:
    """`truth_from_coco` of a file. Raises GroundswiftError where it cannot be read or has no images."""
    coco = read_coco(path)
    if not coco.images:
        raise fault(path, "holds no images", "at least one")
    return truth_from_coco(coco, path, on_error, tally)


def truth_from_rows(rows: Iterable[TruthRow], categories: Sequence[str] | None = None) -> Truth:
    """Truth that is at hand as rows of (image id, size_wh, labels, boxes xyxy in original pixels), one row an image.

    `categories` names the classes, in order; without it they are the labels met, sorted. Area is width times height, there are no
    crowds. Raises GroundswiftError for a repeated image id, a label outside `categories` or a box that cannot be used.
    """
    rows = list(rows)
    names = sorted({label for _, _, labels, _ in rows for label in labels}) if categories is None else list(categories)
    category_of = {name: number for number, name in enumerate(names, 1)}
    annotations = []
    for image_id, _, labels, boxes_xyxy_px in rows:
        if len(labels) != len(boxes_xyxy_px):
            raise fault(f"image {image_id}", f"{len(labels)} labels and {len(boxes_xyxy_px)} boxes", "as many of each")
        boxes_xywh_px = xyxy_to_xywh(boxes_xyxy_px).tolist()
        annotations += [CocoAnnotation(image_id, category_of.get(label, 0), box) for label, box in zip(labels, boxes_xywh_px, strict=True)]
    return truth_from_coco(
        CocoFile(
            [CocoImage(image_id, "", *size_wh) for image_id, size_wh, _, _ in rows],
            annotations,
            [CocoCategory(number, name) for name, number in category_of.items()],
        ),
        "truth rows",
    )
