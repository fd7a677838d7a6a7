"""CreateML (one JSON file: images with boxes by their centre) <-> detection rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from groundswift.atomic_write import write_whole
from groundswift.errors import error_at
from groundswift.records import whole
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, Reading, Totals
from ..file_io.row_files import read_rows
from ..issues import Issue, IssueLog
from ..rows.collect_boxes import BoxesOptions, ImageBoxes, collect_boxes
from ..rows.dataset_folder import file_names
from ..tasks.label_files import LabelOptions, labels_reading
from ..tasks.labelled_image import Label, LabelledImage, fraction_label, not_a_label
from ..tasks.row_labels import add_labels, labelled_rows

ROBOFLOW = "_annotations.createml.json"
EXPECTED = "label, and coordinates with x, y, width and height"
CORNER = {"center": (0.5, 0.5), "top-left": (0, 0), "bottom-left": (0, 1)}  # shares of width and height from the top left corner to x, y


class Anchored(msgspec.Struct):
    """A box by one of its points, as --anchor says; in the unit of --units."""

    x: float
    y: float
    width: float
    height: float


class Annotation(msgspec.Struct):
    """An object."""

    label: str
    coordinates: Anchored


class Entry(msgspec.Struct):
    """An image; older tools call it imagefilename, its objects annotation."""

    image: str | None = None
    imagefilename: str | None = None
    annotations: list[Annotation] | None = None
    annotation: list[Annotation] | None = None


class CreatemlOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn CreateML annotations into rows: a question for all classes, for one class each, or for those present.

    SOURCE is the JSON file, or a folder with _annotations.createml.json, as Roboflow exports it: a list of image and annotations,
    each with a label and coordinates: x and y of the centre, width and height, in pixels. Create ML can be configured for
    another point (--anchor) and for fractions (--units normalized), which the file does not state; the origin is the top left
    corner of the image. The older keys imagefilename and annotation are read too. Sizes are read from the images. Classes are
    those of --categories, else all labels, sorted: two splits may then differ.

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is skipped are as with coco.

    \b
    Example:
      groundswift convert createml annotations.json --images images/ --out train.jsonl
    """

    name, summary = "createml", "CreateML."
    pixels_expected = "pixels, or --units normalized"
    reads, writes = "CreateML: a JSON list of images with boxes by their centre", "detection"
    EXAMPLE = {
        "annotations.json": [
            {"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 2.5, "y": 3, "width": 3, "height": 4}}]}
        ],
        "images/a.jpg": EXAMPLE_IMAGE,
    }

    anchor: Annotated[Literal["center", "top-left", "bottom-left"], msgspec.Meta(description="What x and y are of a box.")] = "center"
    units: Annotated[Literal["pixel", "normalized"], msgspec.Meta(description="Pixels, or fractions of the image.")] = "pixel"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        source = os.path.join(self.annotations, ROBOFLOW) if os.path.isdir(self.annotations) else self.annotations
        if source != self.annotations and not os.path.isfile(source):
            raise error_at(self.annotations, f"no {ROBOFLOW}", "that file, or the JSON file itself as SOURCE")
        images, met = self.image_folder(), {}
        rows, _ = read_rows(source, Entry)
        fractions = self.units == "normalized"
        label = partial(label_of, met=met, share=CORNER[self.anchor], fractions=fractions)
        found = list(labelled_rows(rows, partial(labelled, label=label, log=log), log))
        return labels_reading(found, list(met), self, images, pool, log, sorted(met), fractions=fractions)


def labelled(where: str, entry: Entry, label: Callable[[Annotation, str], Label], log: IssueLog) -> LabelledImage | None:
    """The image of an entry with its labels, each made by `label`. None, logged, where it has none."""
    name, annotations = entry.image or entry.imagefilename, entry.annotations if entry.annotations is not None else entry.annotation
    if not name or annotations is None:
        id, lacking = ("row-malformed", "annotations") if name else ("image-without-name", "image")
        log.add(Issue(id, where, f"no {lacking}", "an object with image (the name of the file) and annotations"))
        return None
    return add_labels(LabelledImage(name), annotations, f"{where}: annotation", label, log)


def label_of(each: Annotation, where: str, met: dict[str, int], share: tuple[float, float], fractions: bool) -> Label:
    """The label of an annotation; its class goes to `met`. Raises SkipSample where it has no class, or pixels are no fractions."""
    if not each.label.strip():
        raise not_a_label(where, "empty label", EXPECTED)
    box = each.coordinates
    corner = box.x - box.width * share[0], box.y - box.height * share[1]
    label = Label(where, met.setdefault(each.label, len(met)), (*corner, box.width, box.height))
    return fraction_label(label) if fractions else label


class ToCreatemlOptions(BoxesOptions, frozen=True, kw_only=True):
    """Turn swift rows into one CreateML file: a list of images, each with its boxes by their centre in pixels.

    image is relative to DIR, or to the deepest folder that holds all images; Create ML wants the file next to them. Rows about
    one image are merged: a box that several of them name is written once.

    \b
    Example:
      groundswift convert to-createml train.jsonl --images images/ --out annotations.json
    """

    name, summary = "to-createml", "swift rows to a CreateML file."
    reads, writes = "swift rows", "CreateML, one JSON file"
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW], "images/a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        images = list(collect_boxes(self, log, progress).images.values())
        names = file_names([image.path for image in images], self.images)
        entries = [{"image": name, "annotations": annotations_of(image)} for name, image in zip(names, images, strict=True)]
        if out is not None:
            write_whole(out, [msgspec.json.encode(entries), b"\n"])
        return Totals.of([image.boxes.total() for image in images])


def annotations_of(image: ImageBoxes) -> list[dict[str, Any]]:
    """The objects of an image."""
    found = []
    for label, x1, y1, x2, y2 in image.boxes.elements():
        numbers = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1}
        found.append({"label": label, "coordinates": {key: whole(value) for key, value in numbers.items()}})
    return found
