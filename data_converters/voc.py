"""Pascal VOC (an XML file for each picture) -> detection rows, through hotcoco's reader."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from xml.etree.ElementTree import Element

import msgspec

from groundswift.errors import fault
from groundswift.files import read_text
from groundswift.storage import shown

from .by_hotcoco import UNREADABLE, Difficult, HotcocoOptions, Label, Labelled, classes_of, labels_reading, number_of, ranked, refused
from .faults import Fault, NoRow, Notes
from .fitting import pictures_of
from .label_files import UNREADABLE_FILE, Stems, xml_root
from .processes import Hands
from .reading import Reading
from .store_folders import Folder, folder_at

SIDES = ("xmin", "ymin", "xmax", "ymax")


class VocOptions(HotcocoOptions, frozen=True, kw_only=True):
    """Turn Pascal VOC annotations into rows: a question for all classes, for one class each, or for those present.

    SOURCE is a data set (its files are Annotations/*.xml, its pictures JPEGImages/) or a folder of XML files.
    The picture is the one that <filename> names; a name without a suffix finds the one picture of that stem. Classes are those
    of --categories, else of labels.txt in SOURCE, else all that the files name, sorted: two splits may then differ.

    \b
    What the numbers of a box are (--corners):
      pixels  the first and the last pixel, counted from 1, as VOC has them: 1 to 10 becomes 0 to 10
      edges   lines between pixels, from 0, as CVAT and others write into such files

    A row keeps its image's id as sample_id: its place among the pictures of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is left out are as with coco. Objects marked difficult are
    treated as crowd boxes are, and stand so in --coco-out; --difficult keep makes them objects like all others. Counted too:
    truncated and occluded (the marks are not kept), parts of objects, labels that repeat one exactly, sizes that only the
    picture says.

    Faults: a file that is no XML or has entities of its own (DTD), an object without a name or a box, a box that is inverted,
    empty, not finite or outside its image; a picture that is missing, unreadable, of another size or outside DIR.

    \b
    Example:
      groundswift convert voc VOCdevkit/VOC2012 --split val --out val.jsonl --coco-out val.json
    """

    split: Annotated[str | None, msgspec.Meta(description="Only what ImageSets/Main/NAME.txt lists.", extra={"metavar": "NAME"})] = None
    corners: Annotated[Literal["pixels", "edges"], msgspec.Meta(description="What the numbers of a box are, see above.")] = "pixels"
    difficult: Difficult = "ignore"

    def read_by(self, hands: Hands, notes: Notes) -> Reading:
        place = folder_at(self.annotations, "the folder of a VOC data set, or of XML files")
        source = place.here
        own, usual = os.path.join(source, "Annotations"), os.path.join(source, "JPEGImages")
        folder = own if os.path.isdir(own) else source
        images = self.images or place.address_of(usual if os.path.isdir(usual) else source)
        pictures = pictures_of(images, self.annotations, self.check_images)
        reader = VocFiles(source, Stems(pictures.folder, ".jpg"), self.corners == "edges", self.difficult == "ignore")
        found = [reader.labelled(os.path.join(folder, name), notes) for name in self.files(place, folder, notes)]
        names = classes_of(self, reader.classes_in_order(), reader.classes)
        labelled = ranked((each for each in found if each is not None), reader.classes, names)
        return labels_reading(labelled, names, read_voc, self, pictures, hands, notes)

    def files(self, place: Folder, folder: str, notes: Notes) -> list[str]:
        """The XML files to read. Raises GroundswiftError where there is none."""
        there = sorted(name for name in os.listdir(folder) if name.lower().endswith(".xml"))
        if not there:
            raise fault(shown(place.address_of(folder)), "holds no XML file", "a VOC annotation for each picture")
        if self.split is None:
            return there
        path = os.path.join(place.here, "ImageSets", "Main", f"{self.split}.txt")
        text = read_text(path, "the stems of a split, one a line")
        wanted = []
        for number, line in enumerate(text.splitlines(), 1):
            stem = line.split()[0] if line.strip() else None  # lists of one class have 1, 0 or -1 behind it
            if stem and f"{stem}.xml" not in there:
                notes.add(Fault("annotation missing", f"{path}:{number}", f"no file {stem}.xml", f"one in {folder}"))
            elif stem:
                wanted.append(f"{stem}.xml")
        return list(dict.fromkeys(wanted))


class VocFiles:
    """Reads annotation files; `classes` are the names met so far, whose places here are the ranks of the labels until all are known."""

    def __init__(self, source: str, stems: Stems, edges: bool, ignore: bool) -> None:
        self.source, self.stems, self.edges, self.ignore = source, stems, edges, ignore
        self.classes: dict[str, int] = {}

    def classes_in_order(self) -> list[str]:
        """Those of labels.txt, then the others, sorted. Raises GroundswiftError where that file is no text."""
        path = os.path.join(self.source, "labels.txt")
        listed: list[str] = []
        if os.path.isfile(path):
            listed = list(filter(None, map(str.strip, read_text(path, "classes, one a line").splitlines())))
        return [*listed, *sorted(set(self.classes) - set(listed))]

    def labelled(self, path: str, notes: Notes) -> Labelled | None:
        """The picture of a file and its labels; None, and a fault is noted, where the file cannot be read."""
        where = os.path.relpath(path, self.source)
        try:
            root = xml_root(Path(path).read_bytes(), where, "annotation", UNREADABLE_FILE, "a VOC annotation")
        except NoRow as stopped:
            notes.add(stopped.fault)
            return None
        except OSError as error:
            notes.add(Fault(UNREADABLE_FILE, where, f"cannot be read ({error.strerror})", "a VOC annotation"))
            return None
        name = text_in(root, "filename")
        if not name:
            notes.add(Fault(UNREADABLE_FILE, where, "no <filename>", "the name of its picture"))
            return None
        if not os.path.splitext(name)[1]:
            name = self.stems.name(name, where, notes)
            if name is None:
                return None
        out = Labelled(name, [], stated_size(root))
        if out.stated_wh is None:
            notes.count("size not stated, taken from the picture", name)
        for number, item in enumerate(root.iter("object"), 1):
            label = self.label(item, f"{where}: object {number}", notes)
            out.unreadable |= label is None
            if label:
                out.labels.append(label)
        return out

    def label(self, item: Element, where: str, notes: Notes) -> Label | None:
        """One object; None, and a fault is noted, where it has no name or box."""
        name = text_in(item, "name")
        box = item.find("bndbox")
        texts = [text_in(box, side) for side in SIDES] if box is not None else []
        numbers = list(map(number_of, texts))
        if not name:
            what, expected = "no <name>", "the name of a class"
        elif not numbers:
            what, expected = f"{name!r} has no <bndbox>", "a box"
        elif None in numbers:
            side = numbers.index(None)
            what, expected = f"{name!r} has {'nothing' if texts[side] is None else repr(texts[side])} as {SIDES[side]}", "a number"
        else:
            x1, y1, x2, y2 = numbers
            odd = refused(x1, y1, x2, y2)
            if self.edges:  # hotcoco takes 1 from the first two, and refuses what is then narrower than 1 px
                numbers[:2] = x1 + 1, y1 + 1
                odd = refused(*numbers) and (x1, y1, x2 - x1, y2 - y1)
            self.count_marks(item, where, notes)
            ignored = self.ignore and is_marked(item, "difficult")
            text = f"<difficult>{int(ignored)}</difficult><bndbox>" + "".join(
                f"<{side}>{value!r}</{side}>" for side, value in zip(SIDES, numbers, strict=True)
            )
            return Label(where, self.classes.setdefault(name, len(self.classes)), f"{text}</bndbox>", ignored, odd)
        notes.add(Fault(UNREADABLE, where, what[:200], expected))
        return None

    def count_marks(self, item: Element, where: str, notes: Notes) -> None:
        """Count what an object says that no row does."""
        if is_marked(item, "difficult"):
            notes.count("difficult object, treated as a crowd box" if self.ignore else "difficult object, kept as any other", where)
        for mark in ("truncated", "occluded"):
            if is_marked(item, mark):
                notes.count(f"{mark} object, the mark is not kept", where)
        if parts := len(item.findall("part")):
            notes.count("part of an object, left out", where, parts)


def text_in(item: Element, tag: str) -> str | None:
    """The text of a child, blanks at its ends dropped; None where there is none."""
    return (item.findtext(tag) or "").strip() or None


def is_marked(item: Element, tag: str) -> bool:
    """Whether an object has a mark such as difficult; tools write 0 and 1, some words, some how much of it is truncated."""
    text = text_in(item, tag) or "0"
    number = number_of(text)
    return number != 0 if number is not None else text.lower() not in ("false", "no", "unspecified")


def stated_size(root: Element) -> tuple[int, int] | None:
    """The size in px that a file states; None where it states none: nothing, no number, or 0."""
    sides = [number_of(text_in(root, f"size/{side}")) for side in ("width", "height")]
    if all(side is not None and 1 <= side < 1 << 31 and side.is_integer() for side in sides):
        return int(sides[0]), int(sides[1])
    return None


def read_voc(folder: Path, labels: Sequence[Label]) -> Any:
    """What hotcoco reads of some labels, all in one file."""
    from hotcoco import COCO

    def lines() -> Iterator[str]:
        yield "<annotation><filename>all</filename><size><width>1</width><height>1</height></size>\n"
        for label in labels:
            yield f"<object><name>c{label.rank}</name>{label.text}</object>\n"
        yield "</annotation>\n"

    (folder / "all.xml").write_text("".join(lines()), encoding="utf-8")
    return COCO.from_voc(str(folder))
