"""Swift rows -> one COCO instance file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.atomic_write import write_whole
from groundswift.coco_types import CocoResult, OutAnnotation, OutFile, OutImage
from groundswift.errors import GroundswiftError, error_at
from groundswift.records import whole

from ...base import EXAMPLE_IMAGE, EXAMPLE_ROW, Totals
from ...issues import IssueLog
from ...rows.collect_boxes import BoxesOptions, Collector, ImageBoxes, collect_boxes
from ...rows.dataset_folder import file_names

DIGITS = 6  # of a width or height in px: x2 - x1 becomes the decimal number that it came from

WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)  # an id as text


class ToCocoOptions(BoxesOptions, frozen=True, kw_only=True):
    """Turn swift rows into one COCO file: images, annotations (boxes as x, y, width, height), categories.

    An image's id is the sample_id of its rows if that is a whole number, also as text; other images are numbered, and
    keep their sample_id as a key. file_name is relative to DIR, or to the deepest folder that holds all images. Rows about
    one image are merged: a box that several of them name is written once. Category ids are those of --categories, or
    1, 2, ... by first appearance. The result is what `groundswift eval coco-map --gt` takes.

    Skipped and counted: points, boxes without a label, rows without an image. Boxes beyond their image are clipped and counted.

    A result file of `swift infer` has the model's answers and the truth: use --answers or --truth; `info` of the output
    states which. --answers reads as the record of the run declares, which is in RESULT.run.json, or as --family does. With
    --categories ANN.json --form results the class ids are those of ANN.json, and eval coco-map --predictions scores them.

    \b
    Example:
      groundswift convert to-coco val.jsonl --images images/ --out annotations.json
    """

    name, summary = "to-coco", "swift rows to a COCO file."
    reads, writes = "swift rows", "COCO instances"
    makes_rows = False
    EXAMPLE = {"val.jsonl": [EXAMPLE_ROW], "images/a.jpg": EXAMPLE_IMAGE}

    form: Annotated[
        Literal["annotations", "results"],
        msgspec.Meta(description="A COCO file, or with --answers the list of COCO results (image_id, category_id, bbox, score 1.0)."),
    ] = "annotations"

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        if self.form == "results" and not self.answers:
            raise GroundswiftError("--form results needs --answers: results are boxes with a score")
        found = collect_boxes(self, log, progress)
        if self.form == "results":
            check_own_ids(found.images.values())
        coco = coco_of(found, self.images)
        reading = self.reading()
        if reading is not None:
            coco.info = {
                "boxes": "answers of a model",
                "family": reading.family,
                "space": reading.space,
                "declared_by": reading.declared_by,
            }
        elif self.truth:
            coco.info = {"boxes": "truth"}
        results = [CocoResult(row.image_id, row.category_id, row.bbox, 1.0) for row in coco.annotations]  # log-probabilities are not read
        if out is not None:
            write_whole(out, [msgspec.json.encode(results if self.form == "results" else coco), b"\n"])
        boxed = {row.image_id for row in coco.annotations}
        return Totals(len(coco.images), len(coco.annotations), len(coco.images) - len(boxed))


def coco_of(found: Collector, folder: str | None) -> OutFile:
    """The gathered boxes as a COCO file. Raises GroundswiftError where image ids are ambiguous, or an image is outside `folder`."""
    collected = list(found.images.values())
    ids = image_ids(collected)
    names = file_names([image.path for image in collected], folder)
    category_ids = {name: category.id for name, category in found.categories.items()}
    images, annotations = [], []
    for image, image_id, name in zip(collected, ids, names, strict=True):
        samples = list(image.sample_ids) if own_id(image) is None else []  # of an image that is numbered
        images.append(OutImage(image_id, name, *image.size_wh, sample_id=samples[0] if len(samples) == 1 else samples or None))
        for label, x1, y1, x2, y2 in image.boxes.elements():
            width, height = (round(side, DIGITS) or side for side in (x2 - x1, y2 - y1))
            box = [whole(value) for value in (x1, y1, width, height)]
            area = whole(round(width * height, DIGITS))
            annotations.append(OutAnnotation(len(annotations) + 1, image_id, category_ids[label], box, area))
    return OutFile(images, annotations, list(found.categories.values()))


def check_own_ids(collected: Iterable[ImageBoxes]) -> None:
    """Raises GroundswiftError where an image would be numbered: in results, its id would be that of another image of the ground truth."""
    for image in collected:
        if own_id(image) is None:
            ids = ", ".join(map(repr, image.sample_ids)) or "none"
            raise error_at(image.path, f"sample_id {ids}", "one whole number for each image, or --form annotations")


def image_ids(collected: list[ImageBoxes]) -> list[int]:
    """An id for each image: the whole-number sample_id that all its rows have, else the next number above those.

    Raises GroundswiftError where two images have the same.
    """
    own = [own_id(image) for image in collected]
    owner: dict[int, str] = {}
    for image, sample_id in zip(collected, own, strict=True):
        if sample_id is not None and owner.setdefault(sample_id, image.path) != image.path:
            raise GroundswiftError(f"sample_id {sample_id} of both {owner[sample_id]} and {image.path}; expected one image per number")
    taken = max(owner, default=0)
    return [sample_id if sample_id is not None else (taken := taken + 1) for sample_id in own]


def own_id(image: ImageBoxes) -> int | None:
    """The whole-number sample_id that all rows of an image have, also as text, if those rows have no other image."""
    own = {int(each) if isinstance(each, str) and WHOLE.fullmatch(each) else each for each in image.sample_ids}
    only = next(iter(own)) if image.alone and len(own) == 1 else None
    return only if isinstance(only, int) else None
