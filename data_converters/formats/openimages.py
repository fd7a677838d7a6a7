"""Open Images (a CSV file of boxes) -> detection rows."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from groundswift.errors import GroundswiftError, fault
from groundswift.storage import local_copy
from groundswift.urls import is_web, shown
from groundswift.worker_pool import WorkerPool

from ..base import Reading
from ..file_io.box_checks import pictures_of
from ..file_io.label_files import Stems
from ..issues import Issue, IssueLog
from ..tasks.label_files import UNREADABLE, Label, LabelledImage, LabelOptions, as_xywh, classes_of, labels_reading, number_of

NEEDED = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")
SIDES = NEEDED[2:]
GROUP = "IsGroupOf"
FLAGS = {  # columns of 0, 1 and -1 (not known) -> what is counted
    "IsOccluded": "occluded-dropped",
    "IsTruncated": "truncated-dropped",
    "IsDepiction": "depiction-kept",
    "IsInside": "inside-dropped",
}
MARKS = {"0": False, "1": True, "-1": False, "": False, "false": False, "true": True}  # as the file has them, or what tools make of them
EXPECTED = f"a CSV file of boxes with a head: {', '.join(NEEDED)}"
NAMED = "a CSV file with the code of a class and its name on each line"


class OpenImagesOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn boxes of Open Images into rows: by default a question for the classes that are present in each image.

    SOURCE is a CSV file of boxes, of the full sets or of the challenges; columns are found by name. The picture of an ImageID
    is found in DIR and the folders below; where DIR is on the web, which is not listed, it is DIR/<ImageID>.jpg.
    Sizes are read from the pictures, --no-check-images or not. Classes are those of --categories, else in the order of
    --class-descriptions (only those that have boxes), else their codes, sorted.

    Not every object of every class has a box: only classes that were verified to be in an image were drawn. An answer to
    --classes all or one may therefore say that something is absent which is there.

    A row keeps its image's id as sample_id: its place among the pictures of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is left out are as with coco. Boxes of groups (IsGroupOf) are
    treated as crowd boxes, and stand so in --coco-out. Counted too: depictions, marks that are not kept, boxes without a
    picture with --only-present, labels that repeat one exactly.

    Faults: a line with fields missing or no number, a class without a description or with that of another, a box that is
    inverted, empty, not finite or outside its image, a picture that is missing, unreadable or there twice with different suffixes.

    \b
    Example:
      groundswift convert openimages validation-annotations-bbox.csv --images validation/ \\
        --class-descriptions class-descriptions-boxable.csv --only-present --out val.jsonl
    """

    classes: Annotated[
        Literal["all", "one", "present"],
        msgspec.Meta(description="A question for all classes of the file, for one class each, or for those present in the image."),
    ] = "present"
    class_descriptions: Annotated[
        str | None,
        msgspec.Meta(description="CSV file of class codes and names.", extra={"path": True, "metavar": "FILE"}),
    ] = None
    only_present: Annotated[bool, msgspec.Meta(description="Whether to pass over (and count) boxes whose picture is not in DIR.")] = False

    def read_by(self, pool: WorkerPool, log: IssueLog) -> Reading:
        pictures = pictures_of(self.images, self.annotations, True)
        if self.only_present and is_web(pictures.folder):
            raise fault(shown(pictures.folder), "a folder on the web cannot be listed", "--only-present with another folder of pictures")
        name_of = descriptions(self.class_descriptions) if self.class_descriptions else None
        reader = Boxes(Stems(pictures.folder, ".jpg"), name_of, self.only_present)
        labelled = reader.labelled(self.annotations, log)
        order = {code: place for place, code in enumerate(name_of or {})}
        names = classes_of(self, sorted(reader.met, key=lambda name: (order.get(reader.code_of[name], 0), name)), reader.met)
        return labels_reading(labelled, names, self, pictures, pool, log, reader.met, fractions=True)


class Boxes:
    """Reads a CSV file of boxes; `met` are the names of the classes met so far, whose places are the ranks until all are known.

    `places`: the columns that are read; `width`: how many the head has.
    """

    def __init__(self, stems: Stems, name_of: dict[str, str] | None, only_present: bool) -> None:
        self.stems, self.name_of, self.only_present = stems, name_of, only_present
        self.met: dict[str, int] = {}
        self.code_of: dict[str, str] = {}
        self.places: dict[str, int] = {}
        self.width = 0

    def labelled(self, path: str, log: IssueLog) -> list[LabelledImage]:
        """The pictures of a file with their labels. Raises GroundswiftError where it cannot be read."""
        by_id: dict[str, LabelledImage | None] = {}
        rows = csv_rows(path, EXPECTED)
        _, head = next(rows, (0, []))
        columns = {name.strip().lower(): index for index, name in enumerate(head)}
        if missing := [name for name in NEEDED if name.lower() not in columns]:
            raise fault(f"{shown(path)}:1", f"no column {', '.join(missing)}", EXPECTED)
        file = os.path.basename(shown(path))
        self.places = {name: columns[name.lower()] for name in (*NEEDED, *FLAGS, GROUP) if name.lower() in columns}
        self.width = len(head)
        for number, fields in rows:
            self.add([field.strip() for field in fields], f"{file}:{number}", by_id, log)
        return [each for each in by_id.values() if each is not None]

    def add(self, fields: list[str], where: str, by_id: dict[str, LabelledImage | None], log: IssueLog) -> None:
        """One line: its label goes to its picture in `by_id`, None there for one that is passed over."""
        place = self.places["ImageID"]
        stem = fields[place] if place < len(fields) else ""
        if not stem:
            log.add(Issue(UNREADABLE, where, "no ImageID", EXPECTED))
            return
        if stem not in by_id:
            missing = self.only_present and stem not in self.stems.names
            name = None if missing else self.stems.name(stem, where, log)
            by_id[stem] = None if name is None else LabelledImage(name, [])
        picture = by_id[stem]
        if picture is None:
            if self.only_present and stem not in self.stems.names:
                log.count("box-without-image", where)
            return
        label = self.label(fields, where, log)
        if label is None:
            picture.unreadable = True
        else:
            picture.labels.append(label)

    def label(self, fields: list[str], where: str, log: IssueLog) -> Label | None:
        """The label of a line; None, and a fault is noted, where it has none."""
        wrong = self.wrong(fields)
        if wrong:
            log.add(Issue(UNREADABLE, where, wrong[0][:200], wrong[1]))
            return None
        row = self.row(fields)
        for flag, reason in FLAGS.items():
            if MARKS[plain(row.get(flag, ""))]:
                log.count(reason, where)
        group = MARKS[plain(row.get(GROUP, ""))]
        if group:
            log.count("group-as-crowd", where)
        x1, x2, y1, y2 = (number_of(row[side]) for side in SIDES)
        return Label(where, self.met.setdefault(self.name(row), len(self.met)), as_xywh(x1, y1, x2, y2), group)

    def row(self, fields: list[str]) -> dict[str, str]:
        """The columns that are read, by name."""
        return {name: fields[index] for name, index in self.places.items()}

    def name(self, row: dict[str, str]) -> str | None:
        """What a class is called; None where nothing says."""
        code = row["LabelName"]
        return code if self.name_of is None else self.name_of.get(code)

    def wrong(self, fields: list[str]) -> tuple[str, str] | None:
        """What is wrong with a line, and what was expected; None where it can be read."""
        if len(fields) != self.width:
            return f"{len(fields)} fields", f"{self.width}, as the head has"
        row = self.row(fields)
        code, name = row["LabelName"], self.name(row)
        if not code:
            return "no LabelName", "the code of a class"
        if side := next((side for side in SIDES if number_of(row[side]) is None), None):
            return f"{side} is {row[side]!r}", "a number from 0 to 1"
        if flag := next((flag for flag in (*FLAGS, GROUP) if plain(row.get(flag, "")) not in MARKS), None):
            return f"{flag} is {row[flag]!r}", "0, 1 or -1"
        if name is None:
            return f"class {code!r}", "one that --class-descriptions names"
        if (other := self.code_of.setdefault(name, code)) != code:
            return f"class {code!r} is called {name!r}, as {other!r} is", "a name for each class of the boxes"
        return None


def plain(mark: str) -> str:
    """0, 1 and -1 without decimals, which a table with gaps gives them; words in small letters."""
    number = number_of(mark)
    return mark.lower() if number is None else f"{number:g}"


def csv_rows(path: str, expected: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, by the number of their line, a byte order mark passed over.

    Raises GroundswiftError where it cannot be read, and for a quotation mark that is open at the end of its line: it would take in the
    lines behind it.
    """
    name, line = shown(path), 0
    try:
        with open(local_copy(path), encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            try:
                for fields in rows:
                    line += 1
                    if rows.line_num != line:
                        raise fault(f"{name}:{line}", "a quotation mark that is not closed on its line", expected)
                    if fields:
                        yield rows.line_num, fields
            except csv.Error as error:
                raise fault(f"{name}:{rows.line_num}", f"not CSV ({error})", expected) from None
            except UnicodeDecodeError as error:
                raise fault(f"{name}:{rows.line_num + 1}", f"not UTF-8 text ({error.reason})", expected) from None
    except GroundswiftError:
        raise
    except OSError as error:
        raise fault(name, f"cannot be read ({error.strerror})", expected) from None


def descriptions(path: str) -> dict[str, str]:
    """Code of a class -> its name, in the order of the file, whose head, if it has one, is passed over.

    Two classes may have one name; see `Boxes.wrong`. Raises GroundswiftError for a line of another shape, and a code of two names.
    """
    names: dict[str, str] = {}
    for number, fields in csv_rows(path, NAMED):
        where = f"{shown(path)}:{number}"
        code, name = (fields[0].strip(), fields[1].strip()) if len(fields) == 2 else ("", "")
        if number == 1 and code.lower() == "labelname":
            continue
        if not code or not name:
            raise fault(where, f"got {','.join(fields)!r}"[:200], "the code of a class and its name")
        if names.setdefault(code, name) != name:
            raise fault(where, f"{code} is called {name!r}, and {names[code]!r} above", "one name")
    if not names:
        raise fault(shown(path), "names no class", "a code and a name on each line")
    return names
