"""Open Images (a CSV file of boxes) -> detection rows, through hotcoco's reader."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from groundswift.errors import GroundswiftError, fault
from groundswift.storage import is_url, local_copy, shown

from .by_hotcoco import UNREADABLE, HotcocoOptions, Label, Labelled, Stems, classes_of, labels_reading, number_of, refused
from .faults import Fault, Notes
from .fitting import pictures_of
from .reading import Reading
from .voc import ranked

NEEDED = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")
SIDES = NEEDED[2:]
FLAGS = {  # columns of 0, 1 and -1 (not known) -> what is counted
    "IsOccluded": "occluded object, the mark is not kept",
    "IsTruncated": "truncated object, the mark is not kept",
    "IsDepiction": "depiction (a drawing, a statue), kept as an object",
    "IsInside": "picture taken from inside the object, the mark is not kept",
}
EXPECTED = f"a CSV file of boxes with a head: {', '.join(NEEDED)}"


class OpenImagesOptions(HotcocoOptions, frozen=True, kw_only=True):
    """Turn boxes of Open Images into rows: by default a question for the classes that are present in each image.

    SOURCE is a CSV file of boxes, of the full sets or of the challenges; columns are found by name. The picture of an ImageID
    is found in DIR and the folders below. Sizes are read from the pictures, --no-check-images or not. Classes are those of
    --categories, else in the order of --class-descriptions (only those that have boxes), else their codes, sorted.

    Not every object of every class has a box: only classes that were verified to be in an image were drawn. An answer to
    --classes all or one may therefore say that something is absent which is there.

    A row keeps its image's id as sample_id: its place among the pictures of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is left out are as with coco. Boxes of groups (IsGroupOf) are
    treated as crowd boxes, and stand so in --coco-out. Counted too: depictions, marks that are not kept, boxes without a
    picture with --only-present, labels that repeat one exactly.

    Faults: a line with fields missing or no number, a class without a description, a box that is inverted, empty, not finite or
    outside its image, a picture that is missing, unreadable or there twice with different suffixes.

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

    def read(self, notes: Notes) -> Reading:
        pictures = pictures_of(self.images, self.annotations, True)
        if self.only_present and is_url(pictures.folder):
            raise fault(pictures.folder, "a folder at an address cannot be listed", "--only-present with pictures on a local disk")
        name_of = descriptions(self.class_descriptions) if self.class_descriptions else None
        reader = Boxes(Stems(pictures.folder, ".jpg"), name_of, self.only_present)
        labelled = reader.labelled(self.annotations, notes)
        order = {name: place for place, name in enumerate((name_of or {}).values())}
        names = classes_of(self, sorted(reader.met, key=lambda name: (order.get(name, 0), name)), reader.met)
        rank_of = {name: rank for rank, name in enumerate(names)}
        found = [ranked(each, rank_of, reader.met) for each in labelled]
        return labels_reading(found, names, read_open_images, self, pictures, notes, True)


class Boxes:
    """Reads a CSV file of boxes; `met` are the names of the classes met so far, whose places are the ranks until all are known."""

    def __init__(self, stems: Stems, name_of: dict[str, str] | None, only_present: bool) -> None:
        self.stems, self.name_of, self.only_present = stems, name_of, only_present
        self.met: dict[str, int] = {}

    def labelled(self, path: str, notes: Notes) -> list[Labelled]:
        """The pictures of a file with their labels. Raises GroundswiftError where it cannot be read."""
        by_id: dict[str, Labelled | None] = {}
        rows = csv_rows(path)
        _, head = next(rows, (0, []))
        columns = {name.strip().lower(): index for index, name in enumerate(head)}
        if missing := [name for name in NEEDED if name.lower() not in columns]:
            raise fault(f"{shown(path)}:1", f"no column {', '.join(missing)}", EXPECTED)
        file = os.path.basename(shown(path))
        places = {name: columns[name.lower()] for name in (*NEEDED, *FLAGS, "IsGroupOf") if name.lower() in columns}
        for number, fields in rows:
            self.add(
                {name: fields[index].strip() for name, index in places.items() if index < len(fields)}, f"{file}:{number}", by_id, notes
            )
        return [each for each in by_id.values() if each is not None]

    def add(self, row: dict[str, str], where: str, by_id: dict[str, Labelled | None], notes: Notes) -> None:
        """One line: its label goes to its picture in `by_id`, None there for one that is passed over."""
        stem = row.get("ImageID")
        if not stem:
            notes.add(Fault(UNREADABLE, where, "no ImageID", EXPECTED))
            return
        if stem not in by_id:
            missing = self.only_present and stem not in self.stems.names
            name = None if missing else self.stems.name(stem, where, notes)
            by_id[stem] = None if name is None else Labelled(name, [])
        picture = by_id[stem]
        if picture is None:
            if self.only_present and stem not in self.stems.names:
                notes.count("box without a picture, passed over", where)
            return
        label = self.label(row, where, notes)
        if label is None:
            picture.unreadable = True
        else:
            picture.labels.append(label)

    def label(self, row: dict[str, str], where: str, notes: Notes) -> Label | None:
        """The label of a line; None, and a fault is noted, where it has none."""
        code, numbers = row.get("LabelName"), [number_of(row.get(side)) for side in SIDES]
        name = code if self.name_of is None else self.name_of.get(code or "")
        if not code:
            what, expected = "no LabelName", "the code of a class"
        elif None in numbers:
            side = SIDES[numbers.index(None)]
            what, expected = f"{side} is {row.get(side)!r}", "a number from 0 to 1"
        elif name is None:
            what, expected = f"class {code!r}", "one that --class-descriptions names"
        else:
            for flag, reason in FLAGS.items():
                if row.get(flag) == "1":
                    notes.count(reason, where)
            group = row.get("IsGroupOf") == "1"
            if group:
                notes.count("box of a group, treated as a crowd box", where)
            text = ",".join(map(repr, numbers)) + f",{int(group)}"
            x1, x2, y1, y2 = numbers
            return Label(where, self.met.setdefault(name, len(self.met)), text, group, refused(x1, y1, x2, y2))
        notes.add(Fault(UNREADABLE, where, what[:200], expected))
        return None


def csv_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, by the number of their last line, a byte order mark passed over.

    Raises GroundswiftError where it cannot be read.
    """
    name = shown(path)
    try:
        with open(local_copy(path), encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            try:
                for fields in rows:
                    if fields:
                        yield rows.line_num, fields
            except csv.Error as error:
                raise fault(f"{name}:{rows.line_num}", f"not CSV ({error})", EXPECTED) from None
            except UnicodeDecodeError as error:
                raise fault(f"{name}:{rows.line_num + 1}", f"not UTF-8 text ({error.reason})", EXPECTED) from None
    except GroundswiftError:
        raise
    except OSError as error:
        raise fault(name, f"cannot be read ({error.strerror})", EXPECTED) from None


def descriptions(path: str) -> dict[str, str]:
    """Code of a class -> its name, in the order of the file, whose head, if it has one, is passed over.

    Raises GroundswiftError for a line of another shape, a code that stands twice, and a name of two codes.
    """
    names: dict[str, str] = {}
    code_of: dict[str, str] = {}
    for number, fields in csv_rows(path):
        where = f"{shown(path)}:{number}"
        code, name = (fields[0].strip(), fields[1].strip()) if len(fields) == 2 else ("", "")
        if number == 1 and code.lower() == "labelname":
            continue
        if not code or not name:
            raise fault(where, f"got {','.join(fields)!r}"[:200], "the code of a class and its name")
        if code in names or code_of.setdefault(name, code) != code:
            raise fault(where, f"{code} or {name!r} stands twice", "each once")
        names[code] = name
    if not names:
        raise fault(shown(path), "names no class", "a code and a name on each line")
    return names


def read_open_images(folder: Path, labels: Sequence[Label]) -> Any:
    """What hotcoco reads of some labels, all of one image. It is shown no picture, so that what comes back are fractions."""
    from hotcoco import COCO

    lines = (f"all,c{label.rank},{label.text}\n" for label in labels)
    path = folder / "all.csv"
    path.write_text("ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n" + "".join(lines), encoding="utf-8")
    return COCO.from_oid(str(path))
