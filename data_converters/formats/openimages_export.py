"""Swift rows -> Open Images: a CSV file of boxes, one of the classes, and the images."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from groundswift.errors import error_at
from groundswift.records import CONTROL

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, Totals
from ..issues import IssueLog
from ..rows.collect_boxes import ImageBoxes, collect_boxes
from ..rows.dataset_folder import FolderOptions, dataset_folder, fraction, put_image, stems_of

FLAGS = {"IsOccluded": "-1", "IsTruncated": "-1", "IsGroupOf": "0", "IsDepiction": "0", "IsInside": "-1"}  # -1: not known
COLUMNS = ("ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax", *FLAGS)
WITHOUT_BOXES = "image-without-line"


class ToOpenImagesOptions(FolderOptions, frozen=True, kw_only=True):
    """Turn swift rows into a dataset of Open Images, a new folder.

    It has annotations/train-annotations-bbox.csv (a line per box, its sides as fractions of the image), annotations/
    class-descriptions-boxable.csv (the classes, in the order of --categories, or by first appearance; the code of each is its name)
    and, unless --image-files none, images/train/NAME.jpg; only files that open as an image are copied, with --no-check-images too.
    ImageID is the name of the image without its suffix. Rows about one image are merged: a box that several of them name is
    written once. An image without boxes has no line in such a file (counted).

    Two images with one name in different folders are refused, because a line has only the name.

    \b
    Example:
      groundswift convert to-openimages train.jsonl --out openimages/
    """

    name, summary = "to-openimages", "swift rows to Open Images."
    reads, writes = "swift rows", "Open Images: CSV files of boxes and of classes, and the images"
    issues = {WITHOUT_BOXES: "image without boxes, of which the file of boxes has no line"}
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW | {"images": ["images/a.jpg"]}], "images/a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        collected = collect_boxes(self, log, progress)
        found, classes = collected.images, collected.categories
        stems = stems_of(found, self.image_files, "{}")
        if odd := next((name for name in [*classes, *stems.values()] if CONTROL.search(name) or name != name.strip()), None):
            raise error_at(self.annotations, f"name {odd!r}", "one without control characters, and without spaces at its ends")
        for path, image in found.items():
            if not image.boxes:
                log.count(WITHOUT_BOXES, path)
        if out is not None:
            with dataset_folder(out) as folder:
                (folder / "annotations").mkdir()
                write_csv(folder / "annotations/class-descriptions-boxable.csv", ((name, name) for name in classes))
                lines = (line for path, image in found.items() for line in lines_of(stems[path], image))
                write_csv(folder / "annotations/train-annotations-bbox.csv", (COLUMNS, *lines))
                if self.image_files != "none":
                    (folder / "images/train").mkdir(parents=True)
                for path in found:
                    put_image(path, folder / "images/train", self.image_files)
        return Totals.of([image.boxes.total() for image in found.values()])


def lines_of(stem: str, image: ImageBoxes) -> Iterator[tuple[str, ...]]:
    """The lines of an image; `xclick` is a box that a person drew."""
    width, height = image.size_wh
    for label, x1, y1, x2, y2 in image.boxes.elements():
        yield (stem, "xclick", label, "1", *map(fraction, (x1 / width, x2 / width, y1 / height, y2 / height)), *FLAGS.values())


def write_csv(path: Path, lines: Iterable[Iterable[str]]) -> None:
    """Write a CSV file in UTF-8."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
