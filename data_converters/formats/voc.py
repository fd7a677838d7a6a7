"""Pascal VOC (one XML file per image) -> detection rows."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection
from typing import Annotated, Literal
from xml.etree.ElementTree import Element

import msgspec

from groundswift.boxes import rotated_bounds
from groundswift.errors import error_at
from groundswift.storage import read_text
from groundswift.urls import shown
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, Reading, images_option
from ..file_io.label_files import UNREADABLE_FILE, Stems, bytes_of, files_below, stem_of, xml_root
from ..file_io.remote_folders import Folder, folder_at
from ..issues import Issue, IssueLog, SkipSample
from ..tasks.label_files import Difficult, LabelOptions, labels_reading
from ..tasks.labelled_image import Box, Label, LabelledImage, as_xywh, inverted, not_a_label, number_of, size_of

SIDES = ("xmin", "ymin", "xmax", "ymax")
ROTATED_SIDES = ("cx", "cy", "w", "h", "angle")  # roLabelImg: centre and sides in px from the corner of the image, angle in radians
ASSUMED_PIXELS = "corners-assumed"
EXPECTED = "a VOC annotation"


class VocOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn Pascal VOC annotations into rows: a question for all classes, for one class each, or for those present.

    SOURCE is a dataset (Annotations/*.xml, JPEGImages/) or a folder of XML files, which may be in folders below. An image is
    found by <filename>, with or without a suffix: in the folder of its XML file (JPEGImages/day for Annotations/day), else
    at the root, else the only one of that name. If another image has the name of the XML file, --image-by decides.
    Classes are those of --categories, else of labels.txt in SOURCE, else all that the files name, sorted: two splits may
    then differ.

    \b
    What the numbers of a box are (--corners):
      pixels  the first and the last pixel, counted from 1, as VOC defines: 1 to 10 becomes 0 to 10
      edges   lines between pixels, from 0, as CVAT, Datumaro, Label Studio and others write into such files

    Without --corners they are read as pixels, which is counted; a 0 or a fraction contradicts that and is an error.

    A box with an attribute `rotation` (degrees, as CVAT exports it) and a <robndbox> (roLabelImg) become their axis-aligned
    bounds (counted). Each of several <bndbox> in one object is an object (counted).

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is skipped are as with coco. Objects marked difficult are
    treated as crowd boxes, in --coco-out too; --difficult keep treats them as any other object. Also counted:
    truncated and occluded (the marks are dropped), parts of objects, exact repeats of a label, sizes that only the
    image states.

    \b
    Example:
      groundswift convert voc VOCdevkit/VOC2012 --split val --out val.jsonl --coco-out val.json
    """

    name, summary = "voc", "Pascal VOC."
    reads, writes = "Pascal VOC, a folder of XML files", "detection"
    EXAMPLE = {
        "VOCdevkit/VOC2012/Annotations/a.xml": (
            "<annotation><filename>a.jpg</filename><size><width>8</width><height>6</height></size><object><name>cat</name>"
            "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax></bndbox></object></annotation>"
        ),
        "VOCdevkit/VOC2012/JPEGImages/a.jpg": EXAMPLE_IMAGE,
        "VOCdevkit/VOC2012/ImageSets/Main/val.txt": "a\n",
    }

    split: Annotated[str | None, msgspec.Meta(description="Only what ImageSets/Main/NAME.txt lists.", extra={"metavar": "NAME"})] = None
    images: Annotated[str | None, images_option("JPEGImages/ of SOURCE, else SOURCE")] = None
    corners: Annotated[
        Literal["pixels", "edges"] | None,
        msgspec.Meta(description="What the numbers of a box are, see above.  [default: pixels; an error if a number contradicts it]"),
    ] = None
    image_by: Annotated[
        Literal["filename", "stem"] | None,
        msgspec.Meta(description="What names the image: <filename>, or the XML file.  [default: filename, if unambiguous]"),
    ] = None
    difficult: Difficult = "ignore"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        place = folder_at(self.annotations, "the folder of a VOC dataset, or of XML files")
        source = place.here
        own, usual = os.path.join(source, "Annotations"), os.path.join(source, "JPEGImages")
        folder = own if os.path.isdir(own) else source
        images = self.image_folder(default=place.address_of(usual if os.path.isdir(usual) else source))
        stems = Stems(images.folder, ".jpg", ("Annotations", "JPEGImages"))
        reader = VocFiles(source, stems, self.corners, self.difficult == "ignore", self.image_by)
        found = [each for name in self.files(place, folder, log) if (each := reader.labelled(folder, name, log))]
        if reader.shows_edges:
            expected = "--corners edges (as many tools write), or --corners pixels to read it as pixels anyway"
            raise error_at(reader.shows_edges, "not a pixel counted from 1, as VOC defines boxes", expected)
        return labels_reading(found, list(reader.classes), self, images, pool, log, reader.classes_in_order())

    def files(self, place: Folder, folder: str, log: IssueLog) -> list[str]:
        """The XML files to read. Raises GroundswiftError if there is none."""
        there = {stem_of(name): name for name in files_below(folder, {".xml"})}
        if not there:
            raise error_at(shown(place.address_of(folder)), "no XML file", "a VOC annotation for each image")
        if self.split is None:
            return list(there.values())
        path = os.path.join(place.here, "ImageSets", "Main", f"{self.split}.txt")
        wanted = []
        for number, line in enumerate(read_text(path, "the stems of a split, one per line").splitlines(), 1):
            stem = listed_stem(line, there)
            if stem and stem not in there:
                log.add(Issue("annotation-missing", f"{path}:{number}", f"file not found: {stem}.xml", f"a file in {folder}"))
            elif stem:
                wanted.append(there[stem])
        return list(dict.fromkeys(wanted))


class VocFiles:
    """Reads annotation files. `classes`: the names met so far, whose places are the ranks of the labels; `shows_edges`: the first number
    that contradicts pixels counted from 1, where no option says what numbers are."""

    def __init__(self, source: str, stems: Stems, corners: str | None, ignore: bool, image_by: str | None) -> None:
        self.source, self.stems, self.corners, self.ignore, self.image_by = source, stems, corners, ignore, image_by
        self.classes: dict[str, int] = {}
        self.shows_edges: str | None = None

    def classes_in_order(self) -> list[str]:
        """Those of labels.txt, then the others, sorted. Raises GroundswiftError where that file is not text."""
        path = os.path.join(self.source, "labels.txt")
        listed: list[str] = []
        if os.path.isfile(path):
            listed = list(filter(None, map(str.strip, read_text(path, "classes, one per line").splitlines())))
        return [*listed, *sorted(set(self.classes) - set(listed))]

    def labelled(self, folder: str, file: str, log: IssueLog) -> LabelledImage | None:
        """The image of a file below `folder` with its labels; None, logged, where the file cannot be read."""
        path = os.path.join(folder, file)
        where = os.path.relpath(path, self.source)
        try:
            root = xml_root(bytes_of(path, where, EXPECTED), where, "annotation", UNREADABLE_FILE, EXPECTED)
        except SkipSample as stopped:
            log.add(stopped.issue)
            return None
        name = self.image_name(root, stem_of(file), where, log)
        if name is None:
            return None
        out = LabelledImage(name, [], size_of(text_in(root, "size/width"), text_in(root, "size/height")))
        if out.stated_wh is None:
            log.count("size-from-image", name)
        for number, item in enumerate(root.iter("object"), 1):
            place = f"{where}: object {number}"
            name, boxes = out.attempt(log, name_and_boxes, item, place, log) or ("", {})
            if name:
                self.count_marks(item, place, log)
            labels = [out.attempt(log, self.label, item, box, name, box_place, log) for box_place, box in boxes.items()]
            out.labels += filter(None, labels)
        if out.labels and self.corners is None:
            log.count(ASSUMED_PIXELS, where)
        return out

    def image_name(self, root: Element, path: str, where: str, log: IssueLog) -> str | None:
        """The image of a file, whose `path` is without its suffix; None, logged, where it is not clear."""
        folder, stem = os.path.split(path)
        if self.image_by == "stem":
            return self.stems.name(stem, where, log, folder)
        name = text_in(root, "filename")
        if not name:
            log.add(Issue(UNREADABLE_FILE, where, "no <filename>", "the name of its image (or --image-by stem)"))
            return None
        has_suffix = bool(os.path.splitext(name)[1])
        named = re.split(r"[/\\]", name)[-1]
        named = stem_of(named) if has_suffix else named
        if self.image_by is None and named != stem and stem in self.stems.names:
            there, other = named in self.stems.names, self.stems.names[stem][0]
            what = f"<filename> is {name}{'' if there else ', which is not found'}, but {other} has the name of this file"
            id = "annotation-two-images" if there else "image-of-filename-missing"
            log.add(Issue(id, where, what[:300], "--image-by stem or --image-by filename"))
            return None
        return (self.stems.file if has_suffix else self.stems.name)(name, where, log, folder)

    def label(self, item: Element, box: Element, name: str, where: str, log: IssueLog) -> Label:
        """One box of an object as a label. Raises SkipSample where its numbers cannot be read."""
        tags = ROTATED_SIDES if box.tag == "robndbox" else SIDES
        texts = [text_in(box, tag) for tag in tags]
        numbers, degrees = list(map(number_of, texts)), rotation_of(item)
        if None in numbers:
            side = numbers.index(None)
            shown_text = "nothing" if texts[side] is None else repr(texts[side])
            raise not_a_label(where, f"{name!r} has {shown_text} as {tags[side]}", "a number")
        if degrees is None or not math.isfinite(degrees):
            raise not_a_label(where, f"{name!r} has a rotation that cannot be read", "degrees, a number")
        rank, crowd = self.classes.setdefault(name, len(self.classes)), self.ignore and is_marked(item, "difficult")
        return Label(where, rank, self.box_xywh(box.tag, numbers, degrees, where, log), crowd)

    def box_xywh(self, tag: str, numbers: list[float], degrees: float, where: str, log: IssueLog) -> Box:
        """The axis-aligned box of an object in px. `numbers` as the file has them; inverted ones stay so, for the error to show them."""
        if tag == "robndbox":
            x, y, width, height, radians = numbers
            edges, degrees = (x - width / 2, y - height / 2, x + width / 2, y + height / 2), math.degrees(radians)
        else:
            self.look_for_edges(numbers, where)
            x1, y1, x2, y2 = numbers
            edges = (x1, y1, x2, y2) if self.corners == "edges" else (x1 - 1, y1 - 1, x2, y2)
        if degrees % 360 and not inverted(*edges):
            log.count("box-from-rotated", where)
            return as_xywh(*rotated_bounds(edges, math.radians(degrees)))
        return as_xywh(*numbers if tag == "bndbox" and inverted(*numbers) else edges)

    def look_for_edges(self, numbers: list[float], where: str) -> None:
        """Keep the first number that no pixel counted from 1 has."""
        if self.shows_edges is None and self.corners is None:
            odd = next((place for place, value in enumerate(numbers) if math.isfinite(value) and (value == 0 or value % 1)), None)
            if odd is not None:
                self.shows_edges = f"{where}: {SIDES[odd]} is {numbers[odd]:g}"

    def count_marks(self, item: Element, where: str, log: IssueLog) -> None:
        """Count the marks of an object that rows do not keep."""
        if is_marked(item, "difficult"):
            log.count("difficult-as-crowd" if self.ignore else "difficult-kept", where)
        for mark in ("truncated", "occluded"):
            if is_marked(item, mark):
                log.count(f"{mark}-dropped", where)
        if parts := len(item.findall("part")):
            log.count("part-dropped", where, parts)


def name_and_boxes(item: Element, where: str, log: IssueLog) -> tuple[str, dict[str, Element]]:
    """(the class of an object, place -> each of its boxes that is not blank). Boxes are <bndbox>, or <robndbox> where it is the only one or
    <type> says so. Raises SkipSample where it has no class, several, or no box."""
    names = list(dict.fromkeys(filter(None, (name.strip() for each in item.findall("name") if (name := each.text)))))
    boxes, rotated = item.findall("bndbox"), item.findall("robndbox")
    if rotated and (not boxes or text_in(item, "type") == "robndbox"):
        boxes = rotated
    if not names:
        raise not_a_label(where, "no <name>", "the name of a class")
    if not boxes:
        raise not_a_label(where, f"{names[0]!r} has no <bndbox>", "a box")
    if len(names) > 1:
        raise not_a_label(where, f"{len(names)} <name>: {', '.join(names)}", "one <name>")
    if len(boxes) == 1:
        return names[0], {where: boxes[0]}
    log.count("object-split", where)
    for _ in range(sum(not len(box) for box in boxes)):
        log.add(Issue("bndbox-empty", where, "a <bndbox> without numbers", "xmin, ymin, xmax, ymax"))
    return names[0], {f"{where}, box {number}": box for number, box in enumerate(boxes, 1) if len(box)}


def listed_stem(line: str, there: Collection[str]) -> str:
    """The stem in a line of a split, perhaps quoted; in the list of a class 1, 0 or -1 follows."""
    whole = line.strip().strip('"')
    return whole if whole in there or not whole else re.sub(r'"?\s+-?[01]$', "", whole)


def rotation_of(item: Element) -> float | None:
    """The attribute `rotation` of an object, in degrees; 0 without one, None for text that is not a number. Source: CVAT's VOC export."""
    for attribute in item.iter("attribute"):
        if (text_in(attribute, "name") or "").lower() == "rotation":
            return number_of(text_in(attribute, "value"))
    return 0.0


def text_in(item: Element, tag: str) -> str | None:
    """The text of a child without blanks at its ends; None if there is none."""
    return (item.findtext(tag) or "").strip() or None


def is_marked(item: Element, tag: str) -> bool:
    """Whether an object has a mark such as difficult; tools write 0 and 1, words, or the truncated fraction."""
    text = text_in(item, tag)
    number = number_of(text)
    return number != 0 if number is not None else text is not None and text.lower() not in ("false", "no", "unspecified")
