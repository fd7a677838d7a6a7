"""COCO instance files -> detection rows; see `tasks.detection`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np

from groundswift.coco_file import CocoFile, Ignored, read_coco
from groundswift.coco_lenient import Elements, readable_part
from groundswift.errors import GroundswiftError, error_at
from groundswift.urls import shown
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading, path_option
from ...file_io.mmap_json import NOT_JSON, read_mapped
from ...issues import Issue, IssueLog
from ...tasks.annotation_table import CocoColumns
from ...tasks.class_edits import with_class_edits, write_edited
from ...tasks.detection import DetectionOptions, detection_reading
from .parallel_reader import read_pieces

KEPT = "crowd-kept"  # the reason to count by


class CocoOptions(DetectionOptions, frozen=True, kw_only=True):
    """Turn a COCO instance file into rows: a question for all classes, for one class each, or for those present.

    Boxes are x1, y1, x2, y2 in pixels of the upright image (EXIF orientation applied). A row keeps its image's id as
    sample_id, and size_wh. Image paths are absolute. A category name with a comma, a double quote or a line break is a
    JSON string in the question, and unchanged in the answer. In a question of your own, {categories} is replaced by
    all names, comma-separated; with --classes one, {category} by the one.

    \b
    Order of the boxes in an answer (equal ones: as in the file):
      category    order of the categories in the file, then top edge, then left edge
      reading     top edge, then left edge, then order of the categories
      annotation  as in the file

    Skipped and counted: crowd boxes (not part of answers); images with crowd boxes only (they are not empty, so not
    negatives either). CVAT marks every mask as a crowd: --crowds keep uses crowd boxes as any other object, in --coco-out
    too. Boxes that extend beyond their image are clipped and counted.

    With --on-error skip, of annotations with the same id the first is kept, and an image that loses all its annotations, or
    has one that cannot be read, is dropped. Duplicate image ids, category ids or names always stop.

    \b
    Example:
      groundswift convert coco annotations.json --images images/ --out train.jsonl --negatives 500
    """

    name, summary = "coco", "COCO instances."
    reads, writes = "COCO instances, one JSON file", "detection"
    EXAMPLE = {
        "annotations.json": {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 4], "area": 12, "iscrowd": 0}],
            "categories": [{"id": 1, "name": "cat"}],
        },
        "images/a.jpg": EXAMPLE_IMAGE,
    }

    coco_out: Annotated[str | None, path_option("Also write SOURCE with the edited classes, for eval coco-map --gt.")] = None
    crowds: Annotated[
        Literal["skip", "keep"],
        msgspec.Meta(description="Crowd boxes (`iscrowd: 1`): skip, or keep as any other object, for the masks of CVAT."),
    ] = "skip"
    ignored: Annotated[
        Ignored,
        msgspec.Meta(description="Objects marked `ignore: 1`: keep (as pycocotools does), treat as crowd boxes, or skip."),
    ] = "keep"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        coco = read_pieces(self.annotations, pool) or read_what_can_be(self.annotations, log)
        if not coco.images:
            log.settle(self.annotations)
            if log.counted.counts:
                raise log.nothing_left(self.annotations, "no image can be read")
        coco = with_crowds(coco, log) if self.crowds == "keep" else coco
        edited = with_class_edits(coco, self, self.annotations, log)
        reading = detection_reading(edited, self, self.image_folder(), log, self.ignored)
        if self.coco_out is not None:
            write_edited(self.annotations, self.coco_out, coco.categories, edited.categories, self, self.crowds == "keep")
        return reading


def with_crowds(coco: CocoFile | CocoColumns, log: IssueLog) -> CocoFile | CocoColumns:
    """The file with its crowd boxes as ordinary objects, which are counted."""
    if isinstance(coco, CocoColumns):
        for number in coco.columns.ids[coco.columns.crowds].tolist():
            log.count(KEPT, f"annotation {number}")
        return coco._replace(columns=coco.columns._replace(crowds=np.zeros_like(coco.columns.crowds)))
    for row in coco.annotations:
        if row.iscrowd:
            log.count(KEPT, row.where())
            row.iscrowd = 0
    return coco


def read_what_can_be(path: str, log: IssueLog) -> CocoFile:
    """`read_coco`; where that fails at some images or annotations, the file without them, each a problem.

    Raises GroundswiftError where the file cannot be read even so.
    """
    try:
        return read_coco(path)
    except GroundswiftError as error:
        whole_file = error
    try:
        content = read_mapped(path, Elements, "COCO with images, annotations and categories")
        panoptic = content.annotations and b'"segments_info"' in bytes(content.annotations[0])
        if not panoptic:
            return readable_part(path, content, lambda *parts: log.add(Issue(*parts)), log.counted)
    except (GroundswiftError, *NOT_JSON):
        raise whole_file from None
    raise error_at(shown(path), "a panoptic file (it has segments_info)", "groundswift convert coco-panoptic")
