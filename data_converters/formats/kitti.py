"""KITTI (label_2: one text file per image, 15 columns) <-> detection rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, Reading, Totals, images_option
from ..issues import IssueLog
from ..rows.collect_boxes import ImageBoxes
from ..rows.dataset_folder import FolderOptions, label_folder
from ..tasks.label_files import LabelOptions, labels_reading
from ..tasks.labelled_image import Label, LabelledImage, as_xywh, not_a_label, number_of
from ..tasks.text_labels import text_labelled

FIELDS = "type truncated occluded alpha left top right bottom height width length x y z rotation_y"
DONT_CARE, COUNTED, WITH_SCORE = "DontCare", "kitti-dont-care", 16
UNKNOWN = "-1 -1 -10", "-1 -1 -1 -1000 -1000 -1000 -10"  # before and after the box, as the devkit writes what is not known


class KittiOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn KITTI labels into rows: a question for all classes, for one class each, or for those present.

    SOURCE is a folder of label files (NAME.txt) or a folder with label_2/; the images are in image_2/ next to them, or in
    --images, found by NAME (on the web, which cannot be listed, NAME.png). A line has 15 columns, or 16 with a score, which is
    dropped; the 17 of the tracking set are a problem. Boxes are used as they are, as the devkit evaluates them. Sizes are
    read from the images, with --no-check-images too.

    In a DontCare region objects are not labelled: it is treated as a crowd box of every class, in --coco-out too, so that no
    answer says that one is absent; --dont-care drop takes it as nothing. Both are counted, and so are truncated and occluded
    objects (the marks are dropped) and images without a label file (skipped).

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Classes are those of --categories, else all types, sorted: two splits may then differ.
    Rows, order and what is skipped are as with coco.

    \b
    Example:
      groundswift convert kitti training/ --out train.jsonl --coco-out train.json
    """

    name, summary = "kitti", "KITTI."
    reads, writes = "KITTI, a folder of label_2 text files", "detection"
    issues = {COUNTED: "DontCare region, treated as a crowd box of every class, or dropped (--dont-care)"}
    EXAMPLE = {
        "training/label_2/000001.txt": (
            "Car 0.00 0 1.57 1.00 1.00 4.00 5.00 1.5 1.6 3.9 1.0 1.5 30.0 1.6\nDontCare -1 -1 -10 5 1 7 2 -1 -1 -1 -1000 -1000 -1000 -10\n"
        ),
        "training/image_2/000001.png": EXAMPLE_IMAGE,
    }

    images: Annotated[str | None, images_option("image_2/ in SOURCE or next to it, else SOURCE")] = None
    dont_care: Annotated[
        Literal["crowd", "drop"], msgspec.Meta(description="DontCare regions: crowd boxes of every class, or dropped.")
    ] = "crowd"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        met: dict[str, int] = {}
        found, images = text_labelled(self, ("label_2", "image_2"), ".png", partial(label, met), log)
        for image in found:
            spread_dont_care(image, len(met) if self.dont_care == "crowd" else 0)
        return labels_reading(found, list(met), self, images, pool, log, sorted(met))


def label(met: dict[str, int], fields: list[str], where: str, log: IssueLog) -> Label:
    """The label of a line; a DontCare region has rank -1. Raises SkipSample if it has another form."""
    numbers = list(map(number_of, fields[1:]))
    if len(fields) not in (15, WITH_SCORE) or None in numbers:
        what = f"{len(fields)} columns" if len(fields) not in (15, WITH_SCORE) else repr(" ".join(fields))
        raise not_a_label(where, what, FIELDS)
    box = as_xywh(*numbers[3:7])
    if fields[0] == DONT_CARE:
        log.count(COUNTED, where)
        return Label(where, -1, box, crowd=True)
    for id, mark in (("truncated-dropped", numbers[0]), ("occluded-dropped", numbers[1])):
        if mark > 0:
            log.count(id, where)
    return Label(where, met.setdefault(fields[0], len(met)), box)


def spread_dont_care(image: LabelledImage, classes: int) -> None:
    """Put a crowd box of each class in the place of each DontCare region."""
    regions = [each for each in image.labels if each.rank < 0]
    spread = [Label(each.where, rank, each.box_xywh, crowd=True) for each in regions for rank in range(classes)]
    image.labels = [each for each in image.labels if each.rank >= 0] + spread


class ToKittiOptions(FolderOptions, frozen=True, kw_only=True):
    """Turn swift rows into a KITTI dataset, a new folder.

    It has label_2/NAME.txt for each image (what is not known about an object has the devkit's number for it) and, unless
    --image-files none, image_2/NAME.jpg; only files that open as an image are copied, with --no-check-images too. Rows about one
    image are merged: a box that several of them name is written once. Numbers are hundredths of a pixel, as in KITTI.

    Two images with one name in different folders, and classes with spaces, are refused.

    \b
    Example:
      groundswift convert to-kitti train.jsonl --out training/
    """

    name, summary = "to-kitti", "swift rows to a KITTI dataset."
    reads, writes = "swift rows", "KITTI dataset"
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW | {"images": ["images/a.jpg"]}], "images/a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        return label_folder(self, out, ("label_2", "image_2"), kitti_lines, log, progress, reserved=DONT_CARE)


def kitti_lines(image: ImageBoxes) -> str:
    """The label file of an image."""
    before, after = UNKNOWN
    return "".join(f"{label} {before} {x1:.2f} {y1:.2f} {x2:.2f} {y2:.2f} {after}\n" for label, x1, y1, x2, y2 in image.boxes.elements())
