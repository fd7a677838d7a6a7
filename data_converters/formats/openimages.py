"""Open Images (one CSV file of boxes) -> detection rows."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from groundswift.csv_files import csv_records
from groundswift.errors import error_at
from groundswift.urls import is_web, shown
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, Reading, path_option
from ..file_io.label_files import Stems
from ..issues import Issue, IssueLog
from ..tasks.detection import Classes
from ..tasks.label_files import LabelOptions, labels_reading
from ..tasks.labelled_image import UNREADABLE, Label, LabelledImage, as_xywh, fraction_label, not_a_label, number_of

NEEDED = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")
SIDES = NEEDED[2:]
GROUP = "IsGroupOf"
FLAGS = {  # columns of 0, 1 and -1 (not known) -> the id to count
    "IsOccluded": "occluded-dropped",
    "IsTruncated": "truncated-dropped",
    "IsDepiction": "depiction-kept",
    "IsInside": "inside-dropped",
    GROUP: "group-as-crowd",
}
MARKS = {"0": False, "1": True, "-1": False, "": False, "false": False, "true": True}  # as the file has them, or as tools rewrite them
EXPECTED = f"a CSV file of boxes with a header: {', '.join(NEEDED)}"
NAMED = "a CSV file with the code of a class and its name on each line"


class OpenImagesOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn boxes of Open Images into rows: by default a question for the classes that are present in each image.

    SOURCE is a CSV file of boxes, of the full sets or of the challenges; columns are found by name. The image of an ImageID
    is found in DIR and the folders below, an ImageID with folders (day/a1) at the end of a path. Of several, the one at that
    very path counts; else they are a problem. If DIR is on the web, which cannot be listed, it is DIR/<ImageID>.jpg.
    Sizes are read from the images, with --no-check-images too. Classes are those of --categories, else in the order of
    --class-descriptions (only those with boxes), else their codes, sorted.

    Not every object of every class has a box: only classes that were verified in an image were drawn. An answer to
    --classes all or one may therefore say that a class is absent although it is present.

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is skipped are as with coco. Boxes of groups (IsGroupOf) are
    treated as crowd boxes, in --coco-out too. Also counted: depictions, marks that are dropped, boxes without an
    image with --only-present, exact repeats of a label.

    \b
    Example:
      groundswift convert openimages validation-annotations-bbox.csv --images validation/ \\
        --class-descriptions class-descriptions-boxable.csv --only-present --out val.jsonl
    """

    name, summary = "openimages", "Open Images."
    reads, writes = "Open Images, a CSV file of boxes", "detection"
    EXAMPLE = {
        "validation-annotations-bbox.csv": (
            "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
            "a1,xclick,/m/01yrx,1,0.1,0.5,0.1,0.5,0,0,0,0,0\n"
        ),
        "class-descriptions-boxable.csv": "/m/01yrx,Cat\n",
        "validation/a1.jpg": EXAMPLE_IMAGE,
    }

    classes: Classes = "present"
    class_descriptions: Annotated[str | None, path_option("CSV file of class codes and names.")] = None
    only_present: Annotated[bool, msgspec.Meta(description="Skip (and count) boxes whose image is not in DIR.")] = False

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        images = self.image_folder(needed=True)
        if self.only_present and is_web(images.folder):
            raise error_at(
                shown(images.folder), "a folder on the web cannot be listed", "--only-present with a folder that is not on the web"
            )
        name_of = descriptions(self.class_descriptions) if self.class_descriptions else None
        reader = BoxesFile(Stems(images.folder, ".jpg"), name_of, self.only_present)
        labelled = reader.labelled(self.annotations, log)
        order = {code: place for place, code in enumerate(name_of or {})}
        names = sorted(reader.met, key=lambda name: (order.get(reader.code_of[name], 0), name))
        return labels_reading(labelled, list(reader.met), self, images, pool, log, names, fractions=True)


class BoxesFile:
    """Reads a CSV file of boxes. `met`: the classes met so far, whose places are the ranks of the labels; `columns`: index by name of the
    columns that are read; `width`: how many columns the header has."""

    def __init__(self, stems: Stems, name_of: dict[str, str] | None, only_present: bool) -> None:
        self.stems, self.name_of, self.only_present = stems, name_of, only_present
        self.met: dict[str, int] = {}
        self.code_of: dict[str, str] = {}
        self.columns: dict[str, int] = {}
        self.width = 0

    def labelled(self, path: str, log: IssueLog) -> list[LabelledImage]:
        """The images of a file with their labels. Raises GroundswiftError where it cannot be read."""
        by_id: dict[str, LabelledImage | None] = {}
        rows = csv_records(path, EXPECTED, multiline=False)
        _, header = next(rows, (0, []))
        found = {name.strip().lower(): index for index, name in enumerate(header)}
        if missing := [name for name in NEEDED if name.lower() not in found]:
            raise error_at(f"{shown(path)}:1", f"no column {', '.join(missing)}", EXPECTED)
        file = os.path.basename(shown(path))
        self.columns = {name: found[name.lower()] for name in (*NEEDED, *FLAGS) if name.lower() in found}
        self.width = len(header)
        for number, fields in rows:
            self.add([field.strip() for field in fields], f"{file}:{number}", by_id, log)
        return [each for each in by_id.values() if each is not None]

    def add(self, fields: list[str], where: str, by_id: dict[str, LabelledImage | None], log: IssueLog) -> None:
        """One line: its label goes to its image in `by_id`, None there for an image that is skipped."""
        column = self.columns["ImageID"]
        stem = fields[column] if column < len(fields) else ""
        if not stem:
            log.add(Issue(UNREADABLE, where, "no ImageID", EXPECTED))
            return
        missing = self.only_present and not self.stems.images(stem)
        if stem not in by_id:
            name = None if missing else self.stems.name(stem, where, log)
            by_id[stem] = None if name is None else LabelledImage(name)
        image = by_id[stem]
        if image is None:
            if missing:
                log.count("box-without-image", where)
            return
        if label := image.attempt(log, self.label, fields, where, log):
            image.labels.append(label)

    def label(self, fields: list[str], where: str, log: IssueLog) -> Label:
        """The label of a line. Raises SkipSample where it has none."""
        if len(fields) != self.width:
            raise not_a_label(where, f"{len(fields)} fields", f"{self.width}, as in the header")
        row = {name: fields[index] for name, index in self.columns.items()}
        code, box = row["LabelName"], [number_of(row[side]) for side in SIDES]
        name = code if self.name_of is None else self.name_of.get(code)
        marks = {flag: MARKS.get(plain(row.get(flag, ""))) for flag in FLAGS}
        odd = next((flag for flag, mark in marks.items() if mark is None), None)
        if not code:
            raise not_a_label(where, "no LabelName", "the code of a class")
        if None in box:
            side = SIDES[box.index(None)]
            raise not_a_label(where, f"{side} is {row[side]!r}", "a number from 0 to 1")
        if odd:
            raise not_a_label(where, f"{odd} is {row[odd]!r}", "0, 1 or -1")
        if name is None:
            raise not_a_label(where, f"class {code!r}", "a class of --class-descriptions")
        if (other := self.code_of.setdefault(name, code)) != code:
            raise not_a_label(where, f"classes {code!r} and {other!r} have the same name {name!r}", "a different name for each class")
        for flag, id in FLAGS.items():
            if marks[flag]:
                log.count(id, where)
        x1, x2, y1, y2 = box
        return fraction_label(Label(where, self.met.setdefault(name, len(self.met)), as_xywh(x1, y1, x2, y2), marks[GROUP]))


def plain(mark: str) -> str:
    """0, 1 and -1 without decimals, which a table with gaps gives them; words in lower case."""
    number = number_of(mark)
    return mark.lower() if number is None else f"{number:g}"


def descriptions(path: str) -> dict[str, str]:
    """Code of a class -> its name, in the order of the file, whose header, if any, is skipped.

    Raises GroundswiftError for a line in another form, and a code with two names.
    """
    names: dict[str, str] = {}
    for number, fields in csv_records(path, NAMED, multiline=False):
        where = f"{shown(path)}:{number}"
        code, name = (fields[0].strip(), fields[1].strip()) if len(fields) == 2 else ("", "")
        if number == 1 and code.lower() == "labelname":
            continue
        if not code or not name:
            raise error_at(where, f"got {','.join(fields)!r}"[:200], "the code of a class and its name")
        if names.setdefault(code, name) != name:
            raise error_at(where, f"{code} is called {name!r}, but {names[code]!r} above", "one name")
    if not names:
        raise error_at(shown(path), "no class", "a code and a name on each line")
    return names
