"""LabelMe (one JSON file per image) <-> detection rows."""

from __future__ import annotations

import math
import os
import posixpath
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec

from groundswift.errors import error_at
from groundswift.file_guard import path_inside
from groundswift.records import whole
from groundswift.storage import is_file
from groundswift.urls import absolute, file_name, folder_of, is_web, shown
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, Reading, Totals
from ..file_io.box_checks import ImageFolder
from ..file_io.embedded_images import SaveImages, folder_to_save, write_image
from ..file_io.label_files import files_below, json_of
from ..file_io.remote_folders import SUFFIXES, folder_at
from ..file_io.row_images import RowImages
from ..issues import IssueLog, skip
from ..rows.collect_boxes import ImageBoxes, collect_boxes
from ..rows.dataset_folder import FolderOptions, dataset_folder, put_image, stems_of
from ..tasks.label_files import Difficult, LabelOptions, labels_reading
from ..tasks.labelled_image import Box, Label, LabelledImage, as_xywh, bounds, corners_box, not_a_label
from ..tasks.referring import first_existing, path_tails

EXPECTED = "a JSON file of LabelMe, with imagePath and shapes"
KINDS = {  # shape_type -> how many points it may have
    "rectangle": (2, 4),  # two opposite corners, or all four
    "oriented_rectangle": (4,),
    "rotation": (4,),  # as X-AnyLabeling calls it
    "circle": (2,),  # its centre and a point of it
    "mask": (2,),  # the first and the last pixel of its box
    "polygon": range(3, 1 << 31),
    "point": (1,),
    "points": range(1, 1 << 31),
    "line": (2,),
    "linestrip": range(2, 1 << 31),
}
NO_BOX = {"point": "points-dropped", "points": "points-dropped", "line": "polyline-dropped", "linestrip": "polyline-dropped"}
CHANGED = {"circle": "box-from-ellipse", "mask": "box-from-mask", "polygon": "box-from-polygon"}  # the ids to count
MERGED = "labelme-group-merged"


class Shape(msgspec.Struct):
    """A shape; points x, y in px of the upright image. X-AnyLabeling adds attributes and `difficult`."""

    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = None
    group_id: int | str | None = None
    flags: dict[str, Any] | None = None
    attributes: dict[str, Any] | None = None
    difficult: bool | None = None


class Document(msgspec.Struct, rename="camel"):
    """A label file."""

    shapes: list[Shape]
    image_path: str | None = None
    image_data: str | None = None
    image_width: float | None = None
    image_height: float | None = None
    flags: dict[str, Any] | None = None


class LabelmeOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn label files of LabelMe and X-AnyLabeling into rows: a question for all classes, for one class each, or for those present.

    SOURCE is a folder with a JSON file for each image, folders below it included, or one such file. The image is the file of
    imagePath, from the folder of its JSON file or anywhere in --images by as much of the path as is found there, else the file
    with the name of the JSON file. --save-images takes embedded images (imageData) in its place, and writes them to DIR.

    A rectangle is used as it is; a polygon, a circle, the box of a mask and a rotated rectangle are replaced by their
    axis-aligned bounds (counted). Shapes of one label and group_id are one object, as LabelMe's own converters read them, unless
    they are rectangles (counted). Points and lines do not bound an object: they are counted, and their class is treated as if
    a crowd box covered the whole image, so that no answer says that it is absent. Flags and attributes are dropped and counted.
    Objects marked difficult (X-AnyLabeling) are treated as crowd boxes; --difficult keep treats them as any other object.

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Classes are those of --categories, else all labels, sorted: two splits may then differ.
    Rows, order and what is skipped are as with coco. Also counted: images without a JSON file (skipped), exact repeats of a label.

    \b
    Example:
      groundswift convert labelme labels/ --out train.jsonl --coco-out train.json
    """

    name, summary = "labelme", "LabelMe and X-AnyLabeling."
    reads, writes = "LabelMe, X-AnyLabeling: a folder of JSON files", "detection"
    issues = {MERGED: "shape of an object with several shapes (group_id), merged"}
    EXAMPLE = {
        "labels/a.json": {
            "version": "5.4.1",
            "flags": {},
            "shapes": [{"label": "cat", "points": [[1, 1], [4, 5]], "group_id": None, "shape_type": "rectangle", "flags": {}}],
            "imagePath": "a.jpg",
            "imageData": None,
            "imageHeight": 6,
            "imageWidth": 8,
        },
        "labels/a.jpg": EXAMPLE_IMAGE,
    }

    save_images: SaveImages = None
    difficult: Difficult = "ignore"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        one = self.annotations.lower().endswith(".json")
        place = folder_at(
            folder_of(self.annotations) if one else self.annotations, "a folder of LabelMe's JSON files", frozenset({".json"})
        )
        files = [file_name(self.annotations)] if one else list(files_below(place.here, {".json"}))
        if not files:
            raise error_at(shown(self.annotations), "no JSON file", "a JSON file of LabelMe for each image")
        saved = folder_to_save(self.save_images)
        images = self.image_folder(RowImages if saved else ImageFolder, default=absolute(place.address))
        reader = LabelFiles(place.here, images, saved, self.difficult == "ignore")
        found = [each for file in files if (each := reader.labelled(file, log))]
        wanted = {each.name for each in found}
        for name in () if one or is_web(images.folder) else files_below(images.folder, SUFFIXES):
            if name not in wanted and not saved:
                log.count("image-unlabelled", name)
        return labels_reading(found, list(reader.met), self, images, pool, log, sorted(reader.met))


class LabelFiles:
    """Reads the files below a folder. `saved`: where embedded images go, None if they are not used; `ignore`: difficult objects are crowd
    boxes; `met`: the classes met so far, whose places are the ranks of the labels."""

    def __init__(self, folder: str, images: ImageFolder, saved: str | None, ignore: bool) -> None:
        self.folder, self.images, self.saved, self.ignore = folder, images, saved, ignore
        self.met: dict[str, int] = {}

    def labelled(self, file: str, log: IssueLog) -> LabelledImage | None:
        """The image of a file with its labels. None, logged, where no image can be found."""
        out = LabelledImage(file)
        document = out.attempt(log, json_of, os.path.join(self.folder, file), file, Document, EXPECTED)
        name = document and out.attempt(log, self.image_of, document, file, log)
        if name is None:
            return None
        out.name = name
        width, height = document.image_width, document.image_height
        out.stated_wh = (int(width), int(height)) if width and height and width.is_integer() and height.is_integer() else None
        if marks := sum(map(bool, (document.flags or {}).values())):
            log.count("image-tag-dropped", file, marks)
        of_group: dict[tuple[int, int | str], Label] = {}
        for number, shape in enumerate(document.shapes, 1):
            label = out.attempt(log, self.label, shape, f"{file}: shape {number}", out.stated_wh, log)
            if label is None:
                continue
            key = label.rank, shape.group_id
            grouped = shape.group_id is not None and not label.crowd and shape.shape_type != "rectangle"
            if grouped and (first := of_group.setdefault(key, label)) is not label:
                log.count(MERGED, label.where)
                first.box_xywh = union(first.box_xywh, label.box_xywh)
            else:
                out.labels.append(label)
        return out

    def image_of(self, document: Document, file: str, log: IssueLog) -> str | None:
        """The name of a file's image; None, logged, where an embedded one cannot be saved. Raises SkipSample if it has none."""
        if self.saved and document.image_data:
            try:
                content = b64decode(document.image_data)
            except ValueError:
                raise skip("image-unreadable", file, "imageData is not base64", "an image file as base64") from None
            return write_image(self.saved, os.path.splitext(file)[0], content, file, log)
        if not document.image_path:
            raise skip("image-without-name", file, "no imagePath", EXPECTED + (", or --save-images DIR" if document.image_data else ""))
        name = first_existing(self.images, names_of(document.image_path, file))
        if document.image_data and self.images.check and not is_file(path_inside(self.images.folder, name) or ""):
            raise skip("image-missing", file, f"image not found: {name}", "the image file, or --save-images DIR, which takes imageData")
        return name

    def label(self, shape: Shape, where: str, size_wh: tuple[int, int] | None, log: IssueLog) -> Label:
        """The label of a shape. Raises SkipSample where it is none."""
        kind = shape.shape_type or "polygon"
        if kind not in KINDS or len(shape.points) not in KINDS[kind]:
            raise not_a_label(where, f"{kind!r} of {len(shape.points)} points", f"one of {', '.join(KINDS)}, with its points")
        if not shape.label.strip():
            raise not_a_label(where, "empty label", "the name of a class")
        if marks := sum(map(bool, (*(shape.flags or {}).values(), *(shape.attributes or {}).values()))):
            log.count("attribute-dropped", where, marks)
        if shape.difficult:
            log.count("difficult-as-crowd" if self.ignore else "difficult-kept", where)
        if kind in NO_BOX and size_wh is None:
            raise not_a_label(where, f"{kind} on an image without imageWidth and imageHeight", "the size of the image")
        rank = self.met.setdefault(shape.label, len(self.met))
        if kind in NO_BOX:
            log.count(NO_BOX[kind], where)
            return Label(where, rank, (0, 0, *size_wh), crowd=True)
        return Label(where, rank, as_xywh(*box_of(kind, shape.points, where, log)), self.ignore and bool(shape.difficult))


def box_of(kind: str, points: list[tuple[float, float]], where: str, log: IssueLog) -> Box:
    """The box (x1, y1, x2, y2) of a shape in px; what it replaces is counted."""
    xs, ys = zip(*points, strict=True)
    if kind in CHANGED:
        log.count(CHANGED[kind], where)
    if kind == "circle":
        radius = math.dist(*points)
        return xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius
    if kind == "mask":
        x1, y1, x2, y2 = map(math.floor, bounds(xs, ys))
        return x1, y1, x2 + 1, y2 + 1
    return corners_box(xs, ys, where, log) if len(points) == 4 and kind != "polygon" else bounds(xs, ys)


def union(first: Box, second: Box) -> Box:
    """The box (x, y, width, height) around two."""
    corners = [(x + side * width, y + side * height) for x, y, width, height in (first, second) for side in (0, 1)]
    return as_xywh(*bounds(*zip(*corners, strict=True)))


def names_of(image_path: str, file: str) -> list[str]:
    """The names that an image may have in the folder of the images, best first: imagePath from the folder of its JSON file, ever less of
    it from the left, then the name of the JSON file."""
    plain = image_path.replace("\\", "/")
    below, suffix = posixpath.dirname(file), posixpath.splitext(plain)[1]
    inside = posixpath.normpath(posixpath.join(below, plain)).lstrip("/")
    while inside.startswith("../"):
        inside = inside[3:]
    own = posixpath.splitext(file)[0] + suffix
    return list(dict.fromkeys([*path_tails(inside)[::-1], own, posixpath.basename(own)]))


class ToLabelmeOptions(FolderOptions, frozen=True, kw_only=True):
    """Turn swift rows into label files of LabelMe, a new folder.

    It has NAME.json for each image (rectangles; no shape for an image without boxes) and, unless --image-files none, the image
    next to it; only files that open as an image are copied, with --no-check-images too. Rows about one image are merged: a
    box that several of them name is written once. imageData is null: LabelMe reads the file of imagePath.

    Two images with one name in different folders are refused, because a label file has only the name.

    \b
    Example:
      groundswift convert to-labelme train.jsonl --out labels/
    """

    name, summary = "to-labelme", "swift rows to LabelMe."
    reads, writes = "swift rows", "LabelMe, a folder of JSON files"
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW | {"images": ["images/a.jpg"]}], "images/a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        found = collect_boxes(self, log, progress).images
        stems = stems_of(found, self.image_files, "{}.json")
        if out is not None:
            with dataset_folder(out) as folder:
                for path, image in found.items():
                    document = document_of(image, put_image(path, folder, self.image_files))
                    (folder / f"{stems[path]}.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
        return Totals.of([image.boxes.total() for image in found.values()])


def document_of(image: ImageBoxes, image_path: str) -> dict[str, Any]:
    """The label file of an image."""
    shapes = [
        {
            "label": label,
            "points": [[whole(x1), whole(y1)], [whole(x2), whole(y2)]],
            "group_id": None,
            "description": "",
            "shape_type": "rectangle",
            "flags": {},
        }
        for label, x1, y1, x2, y2 in image.boxes.elements()
    ]
    width, height = image.size_wh
    head = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image_path, "imageData": None}
    return head | {"imageHeight": height, "imageWidth": width}
