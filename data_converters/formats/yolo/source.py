"""YOLO datasets (data.yaml, one label file per image) -> detection rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from groundswift.errors import error_at
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading, images_option, path_option
from ...file_io.label_files import files_below
from ...file_io.remote_folders import folder_at
from ...issues import Issue, IssueLog
from ...tasks.category_file import read_categories
from ...tasks.label_files import (
    Label,
    LabelledImage,
    LabelOptions,
    bounds,
    fraction_label,
    labels_reading,
    not_a_label,
    number_of,
)
from .data_yaml import label_path, read_data_yaml, split_images

Kind = Literal["box", "polygon", "mixed", "obb", "pose"]
SHAPES = {  # what follows the class on a line of each kind
    "box": "4 numbers (centre x, centre y, width, height); --labels names other kinds",
    "polygon": "3 or more corners, x and y of each",
    "mixed": "4 numbers of a box, or 3 or more corners of a polygon",
    "obb": "4 corners, x and y of each",
    "pose": "4 numbers of a box, then those of its keypoints",
}
CHANGED = {"polygon": "box-from-polygon", "mixed": "box-from-polygon", "obb": "box-from-rotated", "pose": "keypoints-dropped"}
NOT_LABELS = {"classes.txt", "labels.txt", "notes.json"}  # other files that labelling tools put into the folder of the label files


class YoloOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn a YOLO dataset into rows: a question for all classes, for one class each, or for those present.

    SOURCE is data.yaml or its folder. Read from it: names (a list, or a mapping by index), path (the folder of the dataset; by
    default that of data.yaml), and the split: a folder of images, a file that lists them, or a list of such. Lines of a list are
    relative to the dataset; those that start with ./ to the list. All images must be inside the dataset, or the folder of --images.
    Labels of .../images/NAME.jpg are in .../labels/NAME.txt, else next to the image.

    \b
    What follows the class on each line (--labels); it is never guessed from the number of numbers:
      box      centre x, centre y, width, height
      polygon  corners of an outline; the box is its axis-aligned bounds
      mixed    4 numbers are a box, more are a polygon
      obb      4 corners of a rotated box; the box is its axis-aligned bounds
      pose     box, then keypoints, which are dropped
    All are fractions of the upright image. Sizes are read from the images, with --no-check-images too.

    A row keeps its image's id as sample_id: its place among the images of the split, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is skipped are as with coco. Also counted: images without
    a label file (they are empty, unless all are without), polygons and rotated boxes, exact repeats of a label.

    \b
    Example:
      groundswift convert yolo set/data.yaml --split val --out val.jsonl --coco-out val.json
    """

    name, summary = "yolo", "YOLO datasets."
    reads, writes = "YOLO: data.yaml, boxes, polygons, rotated boxes, poses", "detection"
    EXAMPLE = {
        "set/data.yaml": "train: images/train\nval: images/val\nnames: {0: cat}\n",
        "set/images/val/a.jpg": EXAMPLE_IMAGE,
        "set/labels/val/a.txt": "0 0.5 0.5 0.25 0.5\n",
    }

    images: Annotated[str | None, images_option("that of the dataset")] = None
    split: Annotated[str, msgspec.Meta(description="The split of data.yaml to read.")] = "train"
    labels: Annotated[Kind, msgspec.Meta(description="What a line of the label files holds, see above.")] = "box"
    label_dir: Annotated[str | None, path_option("Folder of the label files, named after the images.  [default: see above]", "DIR")] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        content = read_data_yaml(self.annotations)
        if self.categories is None and "" in content.names:
            raise error_at(content.path, f"names[{content.names.index('')}] is empty", "a name for every class, or --categories")
        names = content.names if self.categories is None else renamed(self.categories, content.names)
        root = folder_at(self.images, "the folder of the dataset's images").here if self.images else content.root
        image_names, label_folders = split_images(content, self.split, root)
        reader = LabelFiles(root, self.labels, len(names), self.label_dir, content.keypoints)
        labelled = [reader.labelled(name, log) for name in image_names]
        if not any(map(os.path.lexists, reader.read)):
            what = f"{self.split}: none of {len(labelled)} images has a label file, such as {next(iter(reader.read))}"
            raise error_at(content.path, what, "labels (--label-dir sets their folder); an empty file means no objects")
        for folder in [self.label_dir] if self.label_dir else label_folders:
            log_strays(folder, reader.read, root, log)
        images = self.image_folder(default=content.source)
        return labels_reading(labelled, names, self, images, pool, log, fractions=True)


def renamed(path: str, names: Sequence[str]) -> list[str]:
    """The names of --categories in place of those of data.yaml, whose indexes the labels hold."""
    given = [category.name for category in read_categories(path)]
    if len(given) != len(names):
        raise error_at(path, f"{len(given)} classes, but data.yaml has {len(names)}", "a name for each index")
    return given


class LabelFiles:
    """Reads the label files of a dataset; `read`: label file -> the first image that asked for it."""

    def __init__(self, root: str, kind: Kind, classes: int, folder: str | None, keypoints: int | None) -> None:
        self.root, self.kind, self.classes, self.folder, self.keypoints = root, kind, classes, folder, keypoints
        self.read: dict[str, str] = {}

    def labelled(self, name: str, log: IssueLog) -> LabelledImage:
        """An image with the labels of its file; their problems are logged."""
        path = label_path(os.path.join(os.path.abspath(self.root), name))
        path = os.path.abspath(os.path.join(self.folder, os.path.basename(path)) if self.folder else path)
        where = os.path.relpath(path, os.path.abspath(self.root))
        out = LabelledImage(name)
        if self.read.setdefault(path, name) != name:
            log.add(Issue("label-file-two-images", where, f"labels of {self.read[path]} and of {name}", "one image"))
            out.unreadable = True
        elif os.path.lexists(path):
            out.add_lines(path, where, self.label, log)
        else:
            log.count("image-unlabelled-as-empty", name)
        return out

    def label(self, fields: Sequence[str], where: str, log: IssueLog) -> Label:
        """The label of a line, its box as fractions. Raises SkipSample where it has none."""
        values, kind = [number_of(field) for field in fields], self.kind
        if None in values:
            raise not_a_label(where, f"{fields[values.index(None)]!r} is not a number", f"a class and {SHAPES[kind]}")
        rank, *numbers = values
        if not rank.is_integer() or not 0 <= rank < self.classes:
            raise not_a_label(where, f"class {fields[0]}", f"0 to {self.classes - 1}, as data.yaml names them")
        if not self.fits(len(numbers)):
            by_shape = f" ({self.keypoints} by kpt_shape)" if kind == "pose" and self.keypoints else ""
            raise not_a_label(where, f"{len(numbers)} numbers after the class", SHAPES[kind] + by_shape)
        if kind == "pose" or len(numbers) == 4:
            x, y, width, height = numbers[:4]
        else:
            x1, y1, x2, y2 = bounds(numbers[::2], numbers[1::2])
            x, y, width, height = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        if kind != "box" and (kind == "pose" or len(numbers) > 4):
            log.count(CHANGED[kind], where)
        return fraction_label(Label(where, int(rank), (x - width / 2, y - height / 2, width, height)))

    def fits(self, count: int) -> bool:
        """Whether so many numbers may follow the class."""
        if self.kind == "pose":
            return count == 4 + self.keypoints if self.keypoints else count > 4
        corners = count >= 6 and count % 2 == 0
        return {"box": count == 4, "polygon": corners, "mixed": count == 4 or corners, "obb": count == 8}[self.kind]


def log_strays(folder: str, read: dict[str, str], root: str, log: IssueLog) -> None:
    """Log the label files of a folder that belong to no image."""
    for name in files_below(folder, {".txt"}):
        path = os.path.abspath(os.path.join(folder, name))
        if path not in read and os.path.basename(name) not in NOT_LABELS:
            where = os.path.relpath(path, os.path.abspath(root))
            log.add(Issue("label-file-without-image", where, "no image with this name", "an image for each label file"))
