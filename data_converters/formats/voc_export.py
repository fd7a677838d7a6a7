"""Swift rows -> a Pascal VOC dataset: an XML file for each image, the images, a list of them and of the classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import msgspec

from groundswift.errors import error_at
from groundswift.records import CONTROL, whole
from groundswift.urls import file_name

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, Totals
from ..issues import IssueLog
from ..rows.collect_boxes import ImageBoxes, collect_boxes
from ..rows.dataset_folder import FolderOptions, dataset_folder, put_image, stems_of
from .voc import SIDES

LABEL_MAP = "# label:color_rgb:parts:actions"  # what CVAT and Datumaro need for classes other than VOC's own
DIGITS = 6  # of a number in px: beyond is noise of the arithmetic
Corners = Annotated[
    Literal["pixels", "edges"], msgspec.Meta(description="What the numbers of a box are: first and last pixel, or lines between pixels.")
]
Numbers = tuple[float, float, float, float]


class ToVocOptions(FolderOptions, frozen=True, kw_only=True):
    """Turn swift rows into a Pascal VOC dataset, a new folder.

    It has Annotations/NAME.xml for each image (no object for an image without boxes), ImageSets/Main/train.txt, labels.txt (the
    classes, in the order of --categories, or by first appearance), labelmap.txt (the same for CVAT and Datumaro) and, unless
    --image-files none, JPEGImages/NAME.jpg; only files that open as an image are copied, with --no-check-images too. Rows about
    one image are merged: a box that several of them name is written once.

    \b
    What the numbers of a box are (--corners), to be stated where they are read:
      pixels  the first and the last pixel, counted from 1, as VOC defines: 0 to 10 becomes 1 to 10. A box with fractions
              becomes the smallest one of whole pixels around it (counted)
      edges   lines between pixels, from 0, with their fractions, as most tools write and read such files

    Two images with one name in different folders are refused, because an XML file has only the name.

    \b
    Example:
      groundswift convert to-voc train.jsonl --out VOC2012/
    """

    name, summary = "to-voc", "swift rows to a Pascal VOC dataset."
    reads, writes = "swift rows", "Pascal VOC dataset"
    makes_rows = False
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW | {"images": ["images/a.jpg"]}], "images/a.jpg": EXAMPLE_IMAGE}

    corners: Corners = "pixels"

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        collected = collect_boxes(self, log, progress)
        found = collected.images
        if odd := next((name for name in collected.categories if CONTROL.search(name) or name != name.strip()), None):
            raise error_at(self.annotations, f"class {odd!r}", "a name without control characters, and without spaces at its ends")
        stems = stems_of(found, self.image_files, "Annotations/{}.xml")
        documents = {path: document_of(path, image, self.corners, log) for path, image in found.items()}
        if out is not None:
            with dataset_folder(out) as folder:
                for name in ("Annotations", "ImageSets/Main", *(["JPEGImages"] if self.image_files != "none" else [])):
                    (folder / name).mkdir(parents=True)
                for path, document in documents.items():
                    put_image(path, folder / "JPEGImages", self.image_files)
                    (folder / "Annotations" / f"{stems[path]}.xml").write_bytes(document)
                put_lines(folder / "ImageSets/Main/train.txt", list(stems.values()))
                put_lines(folder / "labels.txt", collected.categories)
                put_lines(folder / "labelmap.txt", [LABEL_MAP, *(f"{name}:::" for name in collected.categories if ":" not in name)])
        return Totals.of([image.boxes.total() for image in found.values()])


def put_lines(path: Path, lines: list[str] | dict[str, object]) -> None:
    """Write a file of lines."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def document_of(path: str, image: ImageBoxes, corners: Corners, log: IssueLog) -> bytes:
    """The XML file of an image, in UTF-8."""
    root = Element("annotation")
    put(root, folder="JPEGImages", filename=file_name(path))
    width, height = image.size_wh
    put(SubElement(root, "size"), width=width, height=height, depth=3)
    put(root, segmented=0)
    for label, *box in image.boxes.elements():
        item = SubElement(root, "object")
        put(item, name=label, pose="Unspecified", truncated=0, difficult=0)
        put(SubElement(item, "bndbox"), **dict(zip(SIDES, numbers_of(box, corners, path, log), strict=True)))
    indent(root)
    return tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def put(parent: Element, **values: object) -> None:
    """Add a child with text for each value."""
    for tag, value in values.items():
        SubElement(parent, tag).text = str(value)


def numbers_of(box_xyxy_px: list[float], corners: Corners, where: str, log: IssueLog) -> Numbers:
    """xmin, ymin, xmax, ymax of a box; what is rounded is counted."""
    x1, y1, x2, y2 = (whole(round(value, DIGITS)) for value in box_xyxy_px)
    if corners == "edges":
        return x1, y1, x2, y2
    if any(value % 1 for value in (x1, y1, x2, y2)):
        log.count("box-rounded", where)
    return math.floor(x1) + 1, math.floor(y1) + 1, math.ceil(x2), math.ceil(y2)
