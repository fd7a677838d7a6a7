"""Swift rows -> CVAT for images 1.1: one XML file, and the images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from groundswift.errors import error_at
from groundswift.records import CONTROL, whole
from groundswift.urls import file_name

from ...base import EXAMPLE_IMAGE, EXAMPLE_ROW, Totals
from ...issues import IssueLog
from ...rows.collect_boxes import ImageBoxes, collect_boxes
from ...rows.dataset_folder import FolderOptions, dataset_folder, put_image, stems_of
from ...tasks.label_files import DIGITS
from .shapes import SHAPES


class ToCvatOptions(FolderOptions, frozen=True, kw_only=True):
    """Turn swift rows into CVAT for images 1.1, a new folder.

    It has annotations.xml (the classes in the order of --categories, or by first appearance, then each image with its boxes) and,
    unless --image-files none, images/NAME.jpg; only files that open as an image are copied, with --no-check-images too. Rows about
    one image are merged: a box that several of them name is written once. To upload the boxes to a task of CVAT that has these
    images and classes, give annotations.xml to "Upload annotations", CVAT 1.1.

    Two images with one name in different folders are refused, because CVAT finds an image by its name.

    \b
    Example:
      groundswift convert to-cvat train.jsonl --out cvat/
    """

    name, summary = "to-cvat", "swift rows to CVAT for images 1.1."
    reads, writes = "swift rows", "CVAT for images 1.1: annotations.xml and the images"
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW | {"images": ["images/a.jpg"]}], "images/a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        collected = collect_boxes(self, log, progress)
        found = collected.images
        names = [file_name(path) for path in found]
        if odd := next((name for name in [*collected.categories, *names] if CONTROL.search(name) or name != name.strip()), None):
            raise error_at(self.annotations, f"name {odd!r}", "one without control characters, and without spaces at its ends")
        stems_of(found, self.image_files, "{}")
        if out is not None:
            document = document_of(collected.categories, names, list(found.values()))
            with dataset_folder(out) as folder:
                (folder / "annotations.xml").write_bytes(document)
                if self.image_files != "none":
                    (folder / "images").mkdir()
                for path in found:
                    put_image(path, folder / "images", self.image_files)
        return Totals.of([image.boxes.total() for image in found.values()])


def document_of(classes: Iterable[str], names: Sequence[str], images: Sequence[ImageBoxes]) -> bytes:
    """The XML file, in UTF-8."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    for tag, text in (("name", "groundswift"), ("size", str(len(images))), ("mode", "annotation")):
        SubElement(task, tag).text = text
    labels = SubElement(task, "labels")
    for name in classes:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        SubElement(label, "attributes")
    for number, (name, image) in enumerate(zip(names, images, strict=True)):
        width, height = map(str, image.size_wh)
        item = SubElement(root, "image", id=str(number), name=name, width=width, height=height)
        for label, *box in image.boxes.elements():
            sides = {side: str(whole(round(value, DIGITS))) for side, value in zip(SHAPES["box"], box, strict=True)}
            SubElement(item, "box", label=label, source="manual", occluded="0", **sides, z_order="0")
    indent(root)
    return tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
