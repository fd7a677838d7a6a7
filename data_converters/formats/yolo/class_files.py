"""YOLO datasets without data.yaml: darknet's obj.data, as CVAT's "YOLO 1.1" writes it too, or a folder with a file of class names, as
Label Studio and LabelImg write it.

The splits of such a folder are what is there: train.txt, images/train, train/images or train, and so on for val and test; where there is
none, all its images are `train`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from groundswift.errors import error_at
from groundswift.file_guard import path_inside
from groundswift.row_view import short
from groundswift.storage import read_text

from ...prompts import UNPRINTABLE
from ...tasks.category_file import read_categories
from .data_yaml import class_names
from .dataset import LONGEST, SPLITS, Dataset, rest_below, with_usual_names

NAMES = ("obj.names", "classes.txt", "_darknet.labels", "notes.json")  # files of class names, the first that exists
EXPECTED = "data.yaml, obj.data, obj.names or classes.txt, or --categories with the class names in the order of their indexes"
LINES = "class names, one per line, in the order of their indexes"
DATA = "darknet's obj.data: names = FILE, train = FILE, valid = FILE"
OTHER = re.compile(r"\s*[\[<]")  # how a file of JSON or XML begins
KEYS = {name for names in SPLITS.values() for name in names}  # of a split in obj.data, besides those of other lists
PLACES = ("{}.txt", "images/{}", "{}/images", "{}")  # of a split, the first that exists


def read_folder(root: str, categories: str | None, images: str | None) -> Dataset:
    """A folder without data.yaml; `images`: another folder, where its images are.

    Raises GroundswiftError where no file names its classes, or it cannot be read.
    """
    found = sorted(name for name in os.listdir(root) if not os.path.isdir(os.path.join(root, name)))
    if data := the_one(root, found, ("obj.data",), ".data"):
        return read_darknet(data, categories)
    named = the_one(root, found, NAMES, ".names")
    if named is None and categories is None:
        raise error_at(root, "nothing names the classes", EXPECTED)
    return read_names(named, root, categories, images)


def the_one(root: str, found: Sequence[str], names: Sequence[str], suffix: str) -> str | None:
    """The first of some names that a folder has, else its only file of a suffix. Raises GroundswiftError where it has several."""
    ours = [name for name in names if name in found] or [name for name in found if name.endswith(suffix)]
    if len(ours) > 1 and ours[0] not in names:
        raise error_at(root, f"found {', '.join(ours[:5])}", "one of them as SOURCE")
    return os.path.join(root, ours[0]) if ours else None


def read_names(path: str | None, root: str, categories: str | None, images: str | None) -> Dataset:
    """A folder with a file of class names, `path`, or only those of --categories."""
    names = names_of(path) if path else names_of(categories)
    return with_splits_of_folder(Dataset(path or categories, root, root, names, {}), images)


def with_splits_of_folder(dataset: Dataset, images: str | None) -> Dataset:
    """A dataset that names no split, with those that its folder has; `images`: another folder, where its images are."""
    root, splits = dataset.root, splits_of(dataset.root)
    if not splits:
        root, splits = images or root, {"train": "images" if images is None and os.path.isdir(os.path.join(root, "images")) else "."}
    root = os.path.abspath(root)
    return dataset._replace(root=root, source=root, splits=splits)


def splits_of(root: str) -> dict[str, str]:
    """The splits that a folder has, by name: a list of images, or a folder of them."""
    found = {}
    for split, names in SPLITS.items():
        places = (place.format(name) for place in PLACES for name in names)
        if here := next((place for place in places if os.path.exists(os.path.join(root, place))), None):
            found[split] = here
    return found


def read_darknet(path: str, categories: str | None) -> Dataset:
    """obj.data: lines of `key = value`, which are the file of the names, and a list of images for each split. Its paths may be those of
    another folder: they are searched in its own by their ends.

    Raises GroundswiftError where it cannot be read, names no file of names, or that is not there.
    """
    root, content = os.path.dirname(os.path.abspath(path)), {}
    for number, line in enumerate(read_text(path, DATA).splitlines(), 1):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        key, equals, value = (part.strip() for part in line.partition("#")[0].partition("="))
        if not equals or not key or key in content:
            raise error_at(f"{path}:{number}", f"got {short(line)}", "key = value, each key once")
        content[key] = value
    named, count = content.get("names"), content.get("classes")
    if not named and categories is None:
        raise error_at(path, "no names", f"{DATA}, or --categories")
    if named and (found := path_inside(root, rest_below(root, named.replace("\\", "/")) or "")) is None:
        raise error_at(path, f"names: file not found: {named[:LONGEST]}", f"a file in {root}")
    names = names_of(found if named else categories)
    if count is not None and count != str(len(names)):
        raise error_at(path, f"classes is {short(count)}, but there are {len(names)} names", "one number")
    lists = {key: value for key, value in content.items() if value and (value.endswith(".txt") or key in KEYS)}
    splits = {key: rest_below(root, value.replace("\\", "/")) or value for key, value in lists.items()}
    return Dataset(path, root, root, names, with_usual_names(splits))


def names_of(path: str) -> list[str]:
    """The class names of a file by index: names by line; the categories of JSON by id from 0, if they have such ids, else in order.

    Raises GroundswiftError where it cannot be read, or a name is missing.
    """
    text = read_text(path, LINES)
    if text.lstrip()[:1] == "{":
        categories = read_categories(path)
        by_id = {each.id: each.name for each in categories}
        from_0 = sorted(by_id) == list(range(len(by_id)))
        return class_names(path, by_id if from_0 else list(by_id.values()), None)
    if path.lower().endswith(".json"):
        raise error_at(path, "not a JSON object", "categories, as Label Studio writes them")
    if odd := OTHER.match(text) or UNPRINTABLE.search(text):
        raise error_at(path, f"found {odd[0].strip()!r}", LINES)
    return named_lines(path, [line.strip() for line in text.splitlines()])


def named_lines(path: str, lines: Sequence[str]) -> list[str]:
    """The lines but the empty ones at the end. Raises GroundswiftError for another empty one, whose index would be that of the next."""
    lines = list(lines)
    while lines and not lines[-1]:
        lines.pop()
    if not lines or "" in lines:
        number = lines.index("") + 1 if lines else 1
        raise error_at(f"{path}:{number}", "no class name", LINES)
    return lines
