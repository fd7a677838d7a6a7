"""data.yaml of a YOLO dataset."""

from __future__ import annotations

import os
import re

import yaml

from groundswift.errors import error_at
from groundswift.row_view import short

from ...file_io.yaml_files import OnceEachLoader, read_yaml
from .dataset import DATASET, LONGEST, Dataset, with_usual_names

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


def read_data_yaml(path: str) -> Dataset:
    """Read data.yaml. Raises GroundswiftError where it cannot be read or is not valid."""
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
    return Dataset(path, root, root, names, with_usual_names(content), shape[0] * shape[1] if known else None)


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
