"""YOLO data sets (data.yaml, a label file for each picture) -> detection rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec

from groundswift.errors import fault
from groundswift.worker_pool import WorkerPool

from ...base import Reading
from ...file_io.box_checks import pictures_of
from ...file_io.label_files import files_below, text_of
from ...file_io.remote_folders import folder_at
from ...issues import Issue, IssueLog
from ...tasks.category_file import read_categories
from ...tasks.label_files import UNREADABLE, Box, Label, LabelledImage, LabelOptions, bounds, labels_reading, number_of
from .data_yaml import label_path, read_data_yaml, split_pictures

Kind = Literal["box", "polygon", "mixed", "obb", "pose"]
SHAPES = {  # what follows the class on a line of each kind
    "box": "4 numbers (centre x, centre y, width, height); --labels says if it is something else",
    "polygon": "3 or more corners, x and y of each",
    "mixed": "4 numbers of a box, or 3 or more corners of a polygon",
    "obb": "4 corners, x and y of each",
    "pose": "4 numbers of a box, then those of its keypoints",
}
NO_LABELS = {"classes.txt", "labels.txt", "notes.json"}  # what labelling tools put beside the label files


class YoloOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn a YOLO data set into rows: a question for all classes, for one class each, or for those present.

    SOURCE is data.yaml or the folder that holds it. Read of it: names (a list, or a
    mapping by index), path (the folder of the data set; by default that of data.yaml), and the split: a folder of pictures, a
    file that lists them, or a list of such. A list's lines are relative to the data set; those that start with ./ to the list.
    All pictures must lie in the data set, or in the folder of --images. Labels of .../images/NAME.jpg are .../labels/NAME.txt,
    else beside the picture.

    \b
    What follows the class on each line (--labels); nothing is told from the number of numbers:
      box      centre x, centre y, width, height
      polygon  corners of an outline; its envelope is the box
      mixed    4 numbers are a box, more are a polygon
      obb      4 corners of a rotated box; its envelope is the box
      pose     box, then keypoints, which are left out
    All are fractions of the upright picture. Sizes are read from the pictures, --no-check-images or not.

    A row keeps its image's id as sample_id: its place among the pictures of the split, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is left out are as with coco. Counted too: pictures without
    a label file (they are empty, unless all are without), envelopes, labels that repeat one exactly.

    Faults: a line of another shape, a class that data.yaml does not name, a label file without a picture or that is no
    text, a box that is inverted, empty, not finite or outside its image, a picture that is missing or unreadable.

    \b
    Example:
      groundswift convert yolo set/data.yaml --split val --out val.jsonl --coco-out val.json
    """

    split: Annotated[str, msgspec.Meta(description="The split of data.yaml to read.")] = "train"
    labels: Annotated[Kind, msgspec.Meta(description="What a line of the label files holds, see above.")] = "box"
    label_dir: Annotated[
        str | None,
        msgspec.Meta(
            description="Folder of the label files, named after the pictures.  [default: see above]",
            extra={"path": True, "metavar": "DIR"},
        ),
    ] = None

    def read_by(self, pool: WorkerPool, log: IssueLog) -> Reading:
        content = read_data_yaml(self.annotations)
        names = content.names if self.categories is None else renamed(self.categories, content.names)
        root = folder_at(self.images, "the folder of the data set's pictures").here if self.images else content.root
        names_of_pictures, twins = split_pictures(content, self.split, root)
        reader = LabelFiles(root, self.labels, len(names), self.label_dir, content.keypoints)
        labelled = [reader.labelled(name, log) for name in names_of_pictures]
        if not any(map(os.path.lexists, reader.read)):
            what = f"{self.split}: no picture of {len(labelled)} has a label file, such as {next(iter(reader.read))}"
            raise fault(content.path, what, "labels (--label-dir says where); an empty file says that a picture has no objects")
        for folder in [self.label_dir] if self.label_dir else twins:
            note_strays(folder, reader.read, root, log)
        pictures = pictures_of(self.images or content.address, self.annotations, self.check_images)
        return labels_reading(labelled, names, self, pictures, pool, log, fractions=True)


def renamed(path: str, names: Sequence[str]) -> list[str]:
    """The names of --categories in place of those of data.yaml, whose indexes the labels hold."""
    given = [category.name for category in read_categories(path)]
    if len(given) != len(names):
        raise fault(path, f"holds {len(given)} classes, and data.yaml {len(names)}", "a name for each index")
    return given


class LabelFiles:
    """Reads the label files of a data set; `read` are those that have been asked for, by the picture that asked first."""

    def __init__(self, root: str, kind: Kind, classes: int, folder: str | None, keypoints: int | None) -> None:
        self.root, self.kind, self.classes, self.folder, self.keypoints = root, kind, classes, folder, keypoints
        self.read: dict[str, str] = {}

    def labelled(self, name: str, log: IssueLog) -> LabelledImage:
        """A picture with the labels of its file; what is wrong with them is noted."""
        path = label_path(os.path.join(os.path.abspath(self.root), name))
        if self.folder:
            path = os.path.join(self.folder, os.path.basename(path))
        path = os.path.abspath(path)
        where = os.path.relpath(path, os.path.abspath(self.root))
        if self.read.setdefault(path, name) != name:
            log.add(Issue("label-file-two-images", where, f"it belongs to {self.read[path]} and {name}", "one picture"))
            return LabelledImage(name, [], None, True)
        if not os.path.lexists(path):
            log.count("image-unlabelled-as-empty", name)
            return LabelledImage(name, [])
        text = text_of(path, where)
        if isinstance(text, Issue):
            log.add(text)
            return LabelledImage(name, [], None, True)
        out = LabelledImage(name, [])
        for number, line in enumerate(text.split("\n"), 1):
            if not (parts := line.split()):
                continue
            place = f"{where}:{number}"
            read = read_line(parts, self.kind, self.classes, self.keypoints)
            if isinstance(read, Wrong):
                log.add(Issue(UNREADABLE, place, *read))
                out.unreadable = True
                continue
            if read.changed:
                log.count(read.changed, place)
            out.labels.append(Label(place, read.rank, read.box_xywh))
        return out


class Wrong(NamedTuple):
    """What is wrong with a line, and what was expected."""

    what: str
    expected: str


class Line(NamedTuple):
    """One label: rank of its class, its box as fractions; `changed`: what was lost for that."""

    rank: int
    box_xywh: Box
    changed: str | None = None


def read_line(parts: Sequence[str], kind: Kind, classes: int, keypoints: int | None = None) -> Line | Wrong:
    """One label of a kind, split at its blanks."""
    values = [number_of(part) for part in parts]
    if None in values:
        return Wrong(f"{parts[values.index(None)]!r} is no number"[:200], f"a class and {SHAPES[kind]}")
    rank, numbers = values[0], values[1:]
    if not rank.is_integer() or not 0 <= rank < classes:
        return Wrong(f"class {parts[0]}", f"0 to {classes - 1}, as data.yaml names them")
    count = len(numbers)
    corners = count >= 6 and count % 2 == 0
    right = {
        "box": count == 4,
        "polygon": corners,
        "mixed": count == 4 or corners,
        "obb": count == 8,
        "pose": count == 4 + keypoints if keypoints else count > 4,
    }
    if not right[kind]:
        return Wrong(
            f"{count} numbers after the class", SHAPES[kind] + (f" ({keypoints} by kpt_shape)" if kind == "pose" and keypoints else "")
        )
    if kind == "pose" or count == 4:
        return Line(int(rank), around(*numbers[:4]), "keypoints-dropped" if kind == "pose" else None)
    x1, y1, x2, y2 = bounds(numbers[::2], numbers[1::2])
    box = around((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
    return Line(int(rank), box, "box-from-rotated" if kind == "obb" else "box-from-polygon")


def around(x: float, y: float, width: float, height: float) -> Box:
    """A box given by its centre as x, y of its corner, width, height."""
    return x - width / 2, y - height / 2, width, height


def note_strays(folder: str, read: dict[str, str], root: str, log: IssueLog) -> None:
    """Note the label files of a folder that no picture has."""
    for name in files_below(folder, {".txt"}):
        path = os.path.abspath(os.path.join(folder, name))
        if path not in read and os.path.basename(name) not in NO_LABELS:
            where = os.path.relpath(path, os.path.abspath(root))
            log.add(Issue("label-file-without-image", where, "no picture of this name", "a picture for each label file"))
