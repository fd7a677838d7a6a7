"""A YAML list of named sets, so that `--dataset night_train#500` reads a source file through the converter's own code.

night_train:                            # the name
  format: coco
  annotations: night/annotations.json   # relative to the list
  images: night/images                  # default: the folder of the annotations
  negatives: 200                        # any option of `groundswift convert coco`, `_` for `-`; optional

Any format of `groundswift convert` that makes rows can be named so.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from groundswift.errors import error_at
from groundswift.row_view import short
from groundswift.urls import is_url

from .base import Options
from .cli_options import current_field, path_fields
from .file_io.yaml_files import read_yaml
from .registry import FORMATS

ENVIRONMENT = "GROUNDSWIFT_DATASETS"  # the variable that names the list
FORBIDDEN = "#/:"  # what swift reads as a sample size, a path or a subset


def read_sets(path: str | Path) -> dict[str, Options]:
    """The sets of a list by name, with absolute paths. Raises GroundswiftError that names the file and the line or entry."""
    content = read_yaml(str(path), "a YAML list of sets")
    if not isinstance(content, dict) or not content:
        raise error_at(path, "holds no sets", "name: {format: coco, annotations: FILE, images: FOLDER}")
    folder = Path(path).resolve().parent
    return {name: _read_set(f"{path}: {name}", name, entry, folder) for name, entry in content.items()}


def _read_set(where: str, name: object, entry: object, folder: Path) -> Options:
    if not isinstance(name, str) or not name.strip() or any(mark in name for mark in FORBIDDEN):
        raise error_at(where, "no name for a set", f"text without any of {FORBIDDEN} (quote numbers and words such as yes)")
    if os.path.exists(name):
        raise error_at(where, "a file or folder of this name is in the working directory, and swift would read that", "another name")
    known = ", ".join(name for name, each in FORMATS.loaded[0].items() if each.makes_rows)
    if not isinstance(entry, dict):
        raise error_at(where, f"got {short(entry)[:200]}", f"format ({known}), annotations and options")
    kind = entry.get("format")
    if not isinstance(kind, str) or kind not in FORMATS or not FORMATS[kind].makes_rows:
        raise error_at(where, f"format is {short(kind)[:200]}", known)
    struct = FORMATS[kind]
    try:
        spec = msgspec.convert({current_field(key): value for key, value in entry.items() if key != "format"}, struct)
    except msgspec.ValidationError as error:
        raise error_at(where, str(error), "the options of `groundswift convert`, with _ for -") from None
    given = {name: value for name in path_fields(struct) if (value := getattr(spec, name)) is not None}
    return msgspec.structs.replace(spec, **{name: value if is_url(value) else str(folder / value) for name, value in given.items()})
