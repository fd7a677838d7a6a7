"""A YOLO dataset: its classes, its splits, and the images of a split."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from groundswift.errors import error_at
from groundswift.row_view import short
from groundswift.storage import read_text

from ...file_io.label_files import files_below
from ...file_io.remote_folders import SUFFIXES
from ...issues import IssueLog

LONGEST = 400  # characters of a path in a message
DATASET = "data.yaml of a YOLO dataset"
SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}  # their names, in any case


class Dataset(NamedTuple):
    """What a dataset says of itself. `path`: the file that names its classes; `root`: its folder, `source` the path or URL of that;
    `splits`: a folder of images, a file that lists them, or a list of such by name; `keypoints`: how many numbers the keypoints of a
    label have, if stated."""

    path: str
    root: str
    source: str
    names: list[str]
    splits: dict[str, Any]
    keypoints: int | None = None

    def stated(self) -> list[str]:
        """The names of its splits: the usual ones, and each NAME with a list NAME.txt, as CVAT has one for each subset."""
        return [name for name, value in self.splits.items() if (name in SPLITS and value) or os.path.basename(str(value)) == f"{name}.txt"]


def with_usual_names(splits: dict[str, Any]) -> dict[str, Any]:
    """The same splits, those of another spelling by their usual name: Train is train, valid and Validation are val."""
    found = dict(splits)
    for split, names in SPLITS.items():
        spelled = [name for name, value in splits.items() if value and str(name).lower() in names]
        if spelled and not found.get(split):
            found[split] = found.pop(spelled[0])
    return found


def split_images(dataset: Dataset, split: str, root: str, log: IssueLog) -> tuple[list[str], list[str]]:
    """(names of the images of a split relative to `root`, folders whose label files belong to these images alone).

    Raises GroundswiftError for an unknown split, or where an entry leaves the dataset or does not exist.
    """
    value = dataset.splits.get(split)
    entries = value if isinstance(value, list) else [value]
    if value in (None, "", []) or not all(isinstance(entry, str) for entry in entries):
        known = ", ".join(map(str, dataset.stated())) or "none"
        expected = f"a folder of images, a file that lists them, or a list ({os.path.basename(dataset.path)} has {known})"
        raise error_at(dataset.path, f"{split} is {short(value)}", expected)
    names, label_folders = [], []
    for entry in entries:
        path = entry_path(dataset.path, dataset.root, entry)
        if os.path.isdir(path):
            found = [os.path.join(path, name) for name in files_below(path, SUFFIXES)]
            if (label := label_path(os.path.join(path, "x"))) != os.path.join(path, "x.txt"):
                label_folders.append(os.path.dirname(label))
        elif os.path.isfile(path) and os.path.splitext(path)[1].lower() in SUFFIXES:
            found = [path]
        elif os.path.isfile(path):
            found = list(listed(path, dataset.root, root, log))
        else:
            raise error_at(dataset.path, f"{split}: file or folder not found: {path[:LONGEST]}", "images, or a list of them")
        names += [inside(root, each, f"{dataset.path}: {split}") for each in found]
    if not names:
        raise error_at(dataset.path, f"{split}: no image in {short(value)}", f"files with a suffix of {' '.join(sorted(SUFFIXES))}")
    return list(dict.fromkeys(names)), label_folders


def entry_path(where: str, root: str, entry: str) -> str:
    """The path of an entry of a split. Raises GroundswiftError where it leaves the dataset.

    `../train/images`, as one large exporter writes for a folder next to data.yaml, is read without its first two dots.
    """
    path = os.path.normpath(os.path.join(root, entry))
    if entry.startswith("../") and not os.path.exists(path):
        path = os.path.normpath(os.path.join(root, entry[3:]))
    if os.path.commonpath([root, path]) != root:
        raise error_at(where, f"{short(entry)} is outside {root}", "images inside the dataset; path: in data.yaml sets its folder")
    return path


def listed(path: str, dataset_root: str, root: str, log: IssueLog) -> Iterator[str]:
    """The images that a file lists, one per line. Raises GroundswiftError where it is not text.

    Tools write paths as they are elsewhere, such as data/images/a.jpg. The folders that lead from there to the first image that is found
    below `root` are removed from all lines that begin with them and are not found as they are (counted).
    """
    foreign = None
    for line in filter(None, map(str.strip, read_text(path, "images, one per line").splitlines())):
        found = os.path.join(os.path.dirname(path) if line.startswith("./") else dataset_root, line)
        if not os.path.lexists(found):
            line = line.replace("\\", "/")
            rest = rest_below(root, line) if foreign is None else line[len(foreign) :] if line.startswith(foreign) else None
            if rest is not None:
                foreign, found = line[: len(line) - len(rest)], os.path.join(root, rest)
            if rest is not None and foreign:
                log.count("listed-path-shortened", line)
        yield found


def rest_below(root: str, path: str) -> str | None:
    """The longest end of a path that exists below `root`; None where there is none."""
    rest = path.lstrip("/")
    while rest and not os.path.lexists(os.path.join(root, rest)):
        rest = rest.partition("/")[2].lstrip("/")
    return rest or None


def inside(root: str, path: str, where: str) -> str:
    """An image's name relative to `root`. Raises GroundswiftError where it is not inside."""
    name = os.path.relpath(path, os.path.abspath(root))
    if name.startswith(os.pardir + os.sep):
        raise error_at(where, f"{path} is outside {root}", "images in the dataset, or --images with the folder that holds all")
    return name


def label_path(image: str) -> str:
    """The label file of an image: below `labels` if the image is below `images` (the last folder of that name), else next to it."""
    before, images, after = image.rpartition(f"{os.sep}images{os.sep}")
    path = f"{before}{os.sep}labels{os.sep}{after}" if images else image
    return os.path.splitext(path)[0] + ".txt"
