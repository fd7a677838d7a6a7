"""data.yaml of a YOLO data set: its classes, its splits, and which pictures a split has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from groundswift.errors import fault
from groundswift.row_view import short
from groundswift.storage import read_text
from groundswift.urls import file_name, folder_of, is_url

from ...file_io.label_files import files_below
from ...file_io.remote_folders import SUFFIXES, folder_at
from ...file_io.yaml_files import OnceEachLoader, read_yaml

LONGEST = 400  # characters of a path in a message
INDEX = re.compile("[0-9]{1,9}")  # of a class


class AsWritten(OnceEachLoader):
    """YAML as its author wrote it: a number that Python spells otherwise is text (010 is no 8, 0.10 no 0.1)."""

    def number(self, node: yaml.ScalarNode) -> int | float | str:
        """A number, or its text."""
        read = self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float
        value = read(node)
        return value if str(value) == node.value else node.value


for kind in ("int", "float"):
    AsWritten.add_constructor(f"tag:yaml.org,2002:{kind}", AsWritten.number)


class DataYaml(NamedTuple):
    """What data.yaml says. `path`: of the file; `root`: the folder of the data set; `splits`: everything else that it holds.

    `address`: that of the folder; `keypoints`: how many numbers the keypoints of a label are, where it says.
    """

    path: str
    root: str
    address: str
    names: list[str]
    splits: dict[str, Any]
    keypoints: int | None


def read_data_yaml(path: str) -> DataYaml:
    """Read data.yaml, or that of a folder. Raises GroundswiftError that names the file and what is wrong with it."""
    place = None
    if is_url(path):
        inside = file_name(path) if os.path.splitext(file_name(path))[1].lower() in (".yaml", ".yml") else ""
        place = folder_at(folder_of(path) if inside else path, "a YOLO data set")
        path = os.path.join(place.here, inside)
    if os.path.isdir(path):
        found = sorted(name for name in os.listdir(path) if name.endswith((".yaml", ".yml")))
        if len(found) != 1 and "data.yaml" not in found:
            raise fault(path, f"holds {', '.join(found) or 'no YAML file'}", "data.yaml")
        path = os.path.join(path, "data.yaml" if "data.yaml" in found else found[0])
    content = read_yaml(path, "data.yaml of a YOLO data set", AsWritten)
    if not isinstance(content, dict):
        raise fault(path, f"holds {type(content).__name__}", "names, and the splits train, val, test")
    names = class_names(path, content.get("names"), content.get("nc"))
    own = content.get("path")
    if own is not None and not isinstance(own, str):
        raise fault(path, f"path is {short(own)}", "the folder of the data set")
    root = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(path)), own or ""))
    if not os.path.isdir(root):
        what = f"path is {short(own)}, and there is no folder {root[:LONGEST]}"
        raise fault(path, what, "the folder of the data set, seen from that of data.yaml")
    shape = content.get("kpt_shape")
    known = isinstance(shape, list) and len(shape) == 2 and all(type(side) is int and side > 0 for side in shape)
    return DataYaml(path, root, place.address_of(root) if place else root, names, content, shape[0] * shape[1] if known else None)


def class_names(path: str, names: object, count: object) -> list[str]:
    """`names` of data.yaml in the order of their indexes. Raises GroundswiftError for a gap, or a name that YAML does not take for text."""
    if isinstance(names, dict):
        if odd := [key for key in names if not INDEX.fullmatch(str(key))]:
            raise fault(path, f"names has the key {short(odd[0])}, which is no index", "class names by index: 0, 1, ...")
        by_index = {int(key): name for key, name in names.items()}
        if len(by_index) != len(names) or sorted(by_index) != list(range(len(by_index))):
            raise fault(path, f"names has the indexes {', '.join(str(key)[:20] for key in list(names)[:20])}", "0, 1, 2, ..., each once")
        names = [by_index[index] for index in range(len(by_index))]
    if not isinstance(names, list) or not names:
        raise fault(path, f"names is {short(names)}", "a list of class names, or a mapping by index")
    for index, name in enumerate(names):
        if isinstance(name, bool) or not isinstance(name, str | int | float):
            raise fault(path, f"names[{index}] is {short(name)}", "text; quote words such as yes, no, null")
    if type(count) is int and count != len(names):
        raise fault(path, f"nc is {short(count)}, and names has {len(names)}", "one number")
    return [str(name).strip() for name in names]


def split_pictures(content: DataYaml, split: str, root: str) -> tuple[list[str], list[str]]:
    """(names of the pictures of a split relative to `root`, folders that hold label files of these pictures alone).

    Raises GroundswiftError where there is no such split, or an entry leaves the data set or leads nowhere.
    """
    value = content.splits.get(split)
    entries = value if isinstance(value, list) else [value]
    if value in (None, "", []) or not all(isinstance(entry, str) for entry in entries):
        known = ", ".join(name for name in ("train", "val", "test") if content.splits.get(name))
        raise fault(
            content.path,
            f"{split} is {short(value)}",
            f"a folder of pictures, a file that lists them, or a list (it has {known or 'none'})",
        )
    names, twins = [], []
    for entry in entries:
        path = entry_path(content.path, content.root, entry)
        if os.path.isdir(path):
            found = [os.path.join(path, name) for name in files_below(path, SUFFIXES)]
            if (twin := label_path(os.path.join(path, "x"))) != os.path.join(path, "x.txt"):
                twins.append(os.path.dirname(twin))
        elif os.path.isfile(path):
            found = list(listed(path, content.root))
        else:
            raise fault(content.path, f"{split}: no file or folder {path[:LONGEST]}", "pictures, or a list of them")
        names += [inside(root, each, f"{content.path}: {split}") for each in found]
    if not names:
        raise fault(
            content.path, f"{split}: {short(value)} holds no picture", f"files with one of the suffixes {' '.join(sorted(SUFFIXES))}"
        )
    return list(dict.fromkeys(names)), twins


def entry_path(where: str, root: str, entry: str) -> str:
    """Where an entry of a split leads. Raises GroundswiftError where it leaves the data set.

    `../train/images`, as one large exporter writes for what lies beside data.yaml, is read without its first two dots.
    """
    path = os.path.normpath(os.path.join(root, entry))
    if entry.startswith("../") and not os.path.exists(path):
        path = os.path.normpath(os.path.join(root, entry[3:]))
    if os.path.commonpath([root, path]) != root:
        raise fault(where, f"{short(entry)} leaves {root}", "pictures inside the data set; path: in data.yaml names its folder")
    return path


def listed(path: str, root: str) -> Iterator[str]:
    """The pictures that a file lists, one a line. Raises GroundswiftError where it is no text."""
    for line in filter(None, map(str.strip, read_text(path, "pictures, one a line").splitlines())):
        yield os.path.join(os.path.dirname(path) if line.startswith("./") else root, line)


def inside(root: str, path: str, where: str) -> str:
    """A picture's name relative to `root`. Raises GroundswiftError where it does not lie there."""
    name = os.path.relpath(path, os.path.abspath(root))
    if name.startswith(os.pardir + os.sep):
        raise fault(where, f"{path} lies outside {root}", "pictures in the data set, or --images with the folder that holds all")
    return name


def label_path(picture: str) -> str:
    """The label file of a picture: below `labels` where the picture lies below `images` (the last of that name), else beside it."""
    before, images, after = picture.rpartition(f"{os.sep}images{os.sep}")
    path = f"{before}{os.sep}labels{os.sep}{after}" if images else picture
    return os.path.splitext(path)[0] + ".txt"
