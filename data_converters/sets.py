"""A YAML list of named sets, so that `--dataset night_train#500` reads a source file through the converter's own code.

night_train:                            # the name
  format: coco
  annotations: night/annotations.json   # relative to the list
  images: night/images                  # default: the folder of the annotations
  negatives: 200                        # any option of `groundswift convert coco`, `_` for `-`; optional
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path

import msgspec
import yaml

from groundswift.errors import Tally, fault
from groundswift.records import Row

from .coco import CocoOptions, rows_of_coco_file

ENVIRONMENT = "GROUNDSWIFT_DATASETS"  # the variable that names the list
FORBIDDEN = "#/:"  # what swift reads as a sample size, a path or a subset


class CocoSet(CocoOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="format", tag="coco"):
    """One entry of a list, its paths absolute."""

    annotations: str
    images: str | None = None


SetSpec = CocoSet
FORMATS = {"coco": CocoSet}


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error: PyYAML would keep the last and drop the rest."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # the parent says what is wrong with it
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key_node.value!r} stands twice", key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_sets(path: str | Path) -> dict[str, SetSpec]:
    """The sets of a list by name, with absolute paths. Raises GroundswiftError that names the file and the line or entry at fault."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})", "a YAML list of sets") from None
    except UnicodeDecodeError as error:
        raise fault(path, f"not UTF-8 text (byte {error.start})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise fault(f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path, f"not YAML ({error.problem})") from None
    except yaml.YAMLError as error:
        raise fault(path, f"not YAML ({error})") from None
    if not isinstance(content, dict) or not content:
        raise fault(path, "holds no sets", "name: {format: coco, annotations: FILE, images: FOLDER}")
    folder = Path(path).resolve().parent
    return {name: _read_set(f"{path}: {name}", name, entry, folder) for name, entry in content.items()}


def _read_set(where: str, name: object, entry: object, folder: Path) -> SetSpec:
    if not isinstance(name, str) or not name.strip() or any(mark in name for mark in FORBIDDEN):
        raise fault(where, "no name for a set", f"text without any of {FORBIDDEN} (quote numbers and words such as yes)")
    if os.path.exists(name):
        raise fault(where, "a file or folder of this name is in the working directory, and swift would read that", "another name")
    known = ", ".join(FORMATS)
    if not isinstance(entry, dict):
        raise fault(where, f"got {entry!r}", f"format ({known}), annotations and options")
    kind = entry.get("format")
    if not isinstance(kind, str) or kind not in FORMATS:
        raise fault(where, f"format is {kind!r}", known)
    try:
        spec = msgspec.convert(entry, FORMATS[kind])
    except msgspec.ValidationError as error:
        raise fault(where, str(error), "the options of `groundswift convert`, with _ for -") from None
    images = None if spec.images is None else str(folder / spec.images)
    return msgspec.structs.replace(spec, annotations=str(folder / spec.annotations), images=images)


def rows_of_set(spec: SetSpec, progress: bool = True) -> tuple[list[Row], Tally]:
    """All rows of a set, and what was left out; the same as `groundswift convert` writes. Raises GroundswiftError for a faulty source."""
    tally = Tally()
    return list(rows_of_coco_file(spec.annotations, spec.images, spec, tally, progress)), tally
