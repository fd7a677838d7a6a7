"""YOLO datasets (one label file per image) -> detection rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import msgspec

from groundswift.errors import GroundswiftError, error_at
from groundswift.urls import file_name, folder_of, is_url
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading, images_option, path_option
from ...file_io.label_files import files_below
from ...file_io.remote_folders import WHOLE, folder_at
from ...issues import Issue, IssueLog
from ...tasks.category_file import read_categories
from ...tasks.label_files import LabelOptions, labels_reading
from ...tasks.labelled_image import LabelledImage
from .class_files import read_darknet, read_folder, read_names, with_splits_of_folder
from .data_yaml import read_data_yaml
from .dataset import Dataset, label_path, split_images
from .label_lines import Kind, LabelLines

YAML = (".yaml", ".yml")
NAMES = (".names", ".txt", ".labels", ".json")  # suffixes of a file of class names
TEXTS = WHOLE | {".data", ".labels", ".names"}  # suffixes of files that are fetched whole
LISTS = {"train.txt", "val.txt", "valid.txt", "validation.txt", "test.txt"}  # of the images of a split
NOT_LABELS = {"classes.txt", "labels.txt", "notes.json", *LISTS}  # other files that are found in the folder of the label files


class YoloOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn a YOLO dataset into rows: a question for all classes, for one class each, or for those present.

    SOURCE is data.yaml or its folder. Read from it: names (a list, or a mapping by index), path (the folder of the dataset; by
    default that of data.yaml), and the split: a folder of images, a file that lists them, or a list of such. Lines of a list are
    relative to the dataset; those that start with ./ to the list; where the first folders of its lines are those of another
    place (data/images/a.jpg), they are removed (counted). All images must be inside the dataset, or the folder of --images.
    Labels of .../images/NAME.jpg are in .../labels/NAME.txt, else next to the image.

    Without data.yaml: darknet's obj.data (CVAT's "YOLO 1.1"), or a folder with obj.names or classes.txt (Label Studio, LabelImg),
    or any with --categories: class names, one per line, in the order of their indexes. Its splits, and those of a data.yaml that
    names none (supervision), are train.txt, images/train, train/images or train, and so on for val and test; if there is none,
    all images in it are train. CVAT's subsets may have any name: Train is train, Validation is val, others are as they are spelled.

    \b
    What follows the class on each line (--labels); it is never guessed from the number of numbers:
      box      centre x, centre y, width, height
      polygon  corners of an outline; the box is its axis-aligned bounds
      mixed    4 numbers are a box, more are a polygon
      obb      4 corners of a rotated box; the box is its axis-aligned bounds
      pose     box, then keypoints, which are dropped
      track    as mixed, then perhaps the id of a track, which is dropped (Ultralytics YOLO Detection Track of CVAT)
    All are fractions of the upright image. Sizes are read from the images, with --no-check-images too. Where data.yaml has
    kpt_shape, a line with as many numbers is a pose, and a problem for other kinds.

    A row keeps its image's id as sample_id: its place among the images of the split, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is skipped are as with coco. Also counted: images without
    a label file (they are empty, unless all are without), polygons and rotated boxes, exact repeats of a label.

    \b
    Example:
      groundswift convert yolo set/data.yaml --split val --out val.jsonl --coco-out val.json
    """

    name, summary = "yolo", "YOLO datasets."
    reads, writes = "YOLO, with or without data.yaml: boxes, polygons, rotated boxes, poses, tracks", "detection"
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
        images = folder_at(self.images, "the folder of the dataset's images").here if self.images else None
        dataset = read_dataset(self.annotations, self.categories, images)
        if self.categories is None and "" in dataset.names:
            raise error_at(dataset.path, f"names[{dataset.names.index('')}] is empty", "a name for every class, or --categories")
        names = dataset.names if self.categories is None else renamed(self.categories, dataset)
        root = images or dataset.root
        image_names, label_folders = split_images(dataset, self.split, root, log)
        reader = LabelFiles(root, LabelLines(self.labels, len(names), dataset.keypoints), self.label_dir)
        labelled = [reader.labelled(name, log) for name in image_names]
        if not any(map(os.path.lexists, reader.read)):
            raise no_label_file(f"{dataset.path}: {self.split}", root, image_names, next(iter(reader.read)))
        for folder in [self.label_dir] if self.label_dir else label_folders:
            log_strays(folder, reader.read, root, log)
        folder = self.image_folder(default=dataset.source)
        return labels_reading(labelled, names, self, folder, pool, log, fractions=True)


def read_dataset(source: str, categories: str | None, images: str | None) -> Dataset:
    """The dataset of SOURCE, a folder or one of its files. `images`: the folder of --images.

    Raises GroundswiftError where it cannot be read, or nothing says which classes it has.
    """
    place, path = None, source
    if is_url(source):
        inside = file_name(source) if os.path.splitext(file_name(source))[1].lower() in (*YAML, *NAMES, ".data") else ""
        place = folder_at(folder_of(source) if inside else source, "a YOLO dataset", TEXTS)
        path = os.path.join(place.here, inside)
    if os.path.isdir(path):
        found = sorted(name for name in os.listdir(path) if name.endswith(YAML))
        if len(found) > 1 and "data.yaml" not in found:
            raise error_at(path, f"found {', '.join(found)}", "data.yaml")
        path = os.path.join(path, "data.yaml" if "data.yaml" in found else found[0]) if found else path
    suffix = os.path.splitext(path)[1].lower()
    if os.path.isdir(path):
        dataset = read_folder(path, categories, images)
    elif suffix == ".data":
        dataset = read_darknet(path, categories)
    elif suffix in NAMES:
        dataset = read_names(path, os.path.dirname(path), categories, images)
    else:
        dataset = read_data_yaml(path)
        if not dataset.stated():
            dataset = with_splits_of_folder(dataset, images)
    return dataset._replace(source=place.address_of(dataset.root)) if place else dataset


def renamed(path: str, dataset: Dataset) -> list[str]:
    """The names of --categories in place of those of the dataset, whose indexes the labels hold."""
    given = [category.name for category in read_categories(path)]
    if len(given) != len(dataset.names):
        what = f"{len(given)} classes, but {os.path.basename(dataset.path)} has {len(dataset.names)}"
        raise error_at(path, what, "a name for each index")
    return given


def no_label_file(where: str, root: str, names: Sequence[str], label: str) -> GroundswiftError:
    """The error of a split without any label file, or, if that is so, without any image. `label`: the path of the first label file."""
    if not any(os.path.lexists(os.path.join(root, name)) for name in names):
        what = f"none of {len(names)} images is there, such as {os.path.join(root, names[0])}"
        return error_at(where, what, "the images (--images sets their folder)")
    what = f"none of {len(names)} images has a label file, such as {label}"
    return error_at(where, what, "labels (--label-dir sets their folder); an empty file means no objects")


class LabelFiles:
    """Reads the label files of a dataset; `read`: label file -> the first image that asked for it."""

    def __init__(self, root: str, lines: LabelLines, folder: str | None) -> None:
        self.root, self.lines, self.folder = root, lines, folder
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
            out.add_lines(path, where, self.lines.label, log)
        else:
            log.count("image-unlabelled-as-empty", name)
        return out


def log_strays(folder: str, read: dict[str, str], root: str, log: IssueLog) -> None:
    """Log the label files of a folder that belong to no image."""
    for name in files_below(folder, {".txt"}):
        path = os.path.abspath(os.path.join(folder, name))
        if path not in read and os.path.basename(name).lower() not in NOT_LABELS:
            where = os.path.relpath(path, os.path.abspath(root))
            log.add(Issue("label-file-without-image", where, "no image with this name", "an image for each label file"))
