"""data.yaml of a YOLO dataset: its classes, its splits, and the images of a split."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from groundswift.errors import error_at
from groundswift.row_view import short
from groundswift.storage import read_text
from groundswift.urls import file_name, folder_of, is_url

from ...file_io.label_files import files_below
from ...file_io.remote_folders import SUFFIXES, folder_at
from ...file_io.yaml_files import OnceEachLoader, read_yaml

LONGEST = 400  # characters of a path in a message
DATASET = "data.yaml of a YOLO dataset"
INDEX = re.compile("[0-9]{1,9}")  # of a class


class AsWritten(OnceEachLoader):
    """YAML as its author wrote it: a number that Python spells otherwise is text (010 stays 010, 0.10 stays 0.10)."""

    def number(self, node: yaml.ScalarNode) -> int | float | str:
        """A number, or its text."""
        read = self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float
        value = read(node)
        return value if str(value) == node.value else node.value


for kind in ("int", "float"):
    AsWritten.add_constructor(f"tag:yaml.org,2002:{kind}", AsWritten.number)


class DataYaml(NamedTuple):
    """The content of data.yaml. `path`: the file; `root`: the folder of the dataset, `source` its path or URL; `splits`: all other keys;
    `keypoints`: how many numbers the keypoints of a label have, if stated."""

    path: str
    root: str
    source: str
    names: list[str]
    splits: dict[str, Any]
    keypoints: int | None


def read_data_yaml(path: str) -> DataYaml:
    """Read data.yaml, or that of a folder. Raises GroundswiftError where it cannot be read or is not valid."""
    place = None
    if is_url(path):
        inside = file_name(path) if os.path.splitext(file_name(path))[1].lower() in (".yaml", ".yml") else ""
        place = folder_at(folder_of(path) if inside else path, "a YOLO dataset")
        path = os.path.join(place.here, inside)
    if os.path.isdir(path):
        found = sorted(name for name in os.listdir(path) if name.endswith((".yaml", ".yml")))
        if len(found) != 1 and "data.yaml" not in found:
            raise error_at(path, f"found {', '.join(found) or 'no YAML file'}", "data.yaml")
        path = os.path.join(path, "data.yaml" if "data.yaml" in found else found[0])
    content = read_yaml(path, DATASET, AsWritten)
    if not isinstance(content, dict):
        raise error_at(path, f"got {type(content).__name__}", "a mapping with names and the splits train, val, test")
    names = class_names(path, content.get("names"), content.get("nc"))
    own = content.get("path")
    if own is not None and not isinstance(own, str):
        raise error_at(path, f"path is {short(own)}", "the folder of the dataset")
    root = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(path)), own or ""))
    if not os.path.isdir(root):
        what = f"path is {short(own)}, but the folder does not exist: {root[:LONGEST]}"
        raise error_at(path, what, "the folder of the dataset, relative to that of data.yaml")
    shape = content.get("kpt_shape")
    known = isinstance(shape, list) and len(shape) == 2 and all(type(side) is int and side > 0 for side in shape)
    return DataYaml(path, root, place.address_of(root) if place else root, names, content, shape[0] * shape[1] if known else None)


def class_names(path: str, names: object, count: object) -> list[str]:
    """`names` of data.yaml in the order of their indexes. Raises GroundswiftError for a gap, or a name that YAML does not read as text."""
    if isinstance(names, dict):
        if odd := [key for key in names if not INDEX.fullmatch(str(key))]:
            raise error_at(path, f"names has the key {short(odd[0])}, which is not an index", "class names by index: 0, 1, ...")
        by_index = {int(key): name for key, name in names.items()}
        if len(by_index) != len(names) or sorted(by_index) != list(range(len(by_index))):
            raise error_at(path, f"names has the indexes {', '.join(str(key)[:20] for key in list(names)[:20])}", "0, 1, 2, ..., each once")
        names = [by_index[index] for index in range(len(by_index))]
    if not isinstance(names, list) or not names:
        raise error_at(path, f"names is {short(names)}", "a list of class names, or a mapping by index")
    for index, name in enumerate(names):
        if isinstance(name, bool) or not isinstance(name, str | int | float):
            raise error_at(path, f"names[{index}] is {short(name)}", "text; quote words such as yes, no, null")
    if type(count) is int and count != len(names):
        raise error_at(path, f"nc is {short(count)}, but names has {len(names)}", "one number")
    return [str(name).strip() for name in names]


def split_images(content: DataYaml, split: str, root: str) -> tuple[list[str], list[str]]:
    """(names of the images of a split relative to `root`, folders whose label files belong to these images alone).

    Raises GroundswiftError for an unknown split, or where an entry leaves the dataset or does not exist.
    """
    value = content.splits.get(split)
    entries = value if isinstance(value, list) else [value]
    if value in (None, "", []) or not all(isinstance(entry, str) for entry in entries):
        known = ", ".join(name for name in ("train", "val", "test") if content.splits.get(name)) or "none"
        expected = f"a folder of images, a file that lists them, or a list (data.yaml has {known})"
        raise error_at(content.path, f"{split} is {short(value)}", expected)
    names, label_folders = [], []
    for entry in entries:
        path = entry_path(content.path, content.root, entry)
        if os.path.isdir(path):
            found = [os.path.join(path, name) for name in files_below(path, SUFFIXES)]
            if (label := label_path(os.path.join(path, "x"))) != os.path.join(path, "x.txt"):
                label_folders.append(os.path.dirname(label))
        elif os.path.isfile(path):
            found = list(listed(path, content.root))
        else:
            raise error_at(content.path, f"{split}: file or folder not found: {path[:LONGEST]}", "images, or a list of them")
        names += [inside(root, each, f"{content.path}: {split}") for each in found]
    if not names:
        raise error_at(content.path, f"{split}: no image in {short(value)}", f"files with a suffix of {' '.join(sorted(SUFFIXES))}")
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


def listed(path: str, root: str) -> Iterator[str]:
    """The images that a file lists, one per line. Raises GroundswiftError where it is not text."""
    for line in filter(None, map(str.strip, read_text(path, "images, one per line").splitlines())):
        yield os.path.join(os.path.dirname(path) if line.startswith("./") else root, line)


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
