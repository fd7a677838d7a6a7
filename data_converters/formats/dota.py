"""DOTA (one text file of rotated boxes per image) <-> detection rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from groundswift.records import whole
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, Reading, Totals, images_option
from ..issues import IssueLog
from ..rows.collect_boxes import ImageBoxes
from ..rows.dataset_folder import FolderOptions, label_folder
from ..tasks.label_files import DIGITS, Difficult, LabelOptions, labels_reading
from ..tasks.labelled_image import Label, as_xywh, corners_box, not_a_label, number_of
from ..tasks.text_labels import text_labelled

HEAD = ("imagesource:", "gsd:")
FIELDS = "x1 y1 x2 y2 x3 y3 x4 y4 category difficulty"


class DotaOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn DOTA labels into rows: a question for all classes, for one class each, or for those present.

    SOURCE is a folder of label files (NAME.txt) or a folder with labelTxt/; the images are in images/ next to them, or in
    --images, found by NAME (on the web, which cannot be listed, NAME.png). Both may be in folders below: of images with the
    same NAME, the one in the folder of the label counts (train/images for train/labelTxt). A box is the axis-aligned bounds of the four
    corners of a label. Lines with imagesource and gsd are ignored. Classes are those of --categories, else all that the
    files name, sorted: two splits may then differ. Sizes are read from the images, with --no-check-images too.

    A row keeps its image's id as sample_id: its place among the label files, sorted by the names of their images, from 1.
    --coco-out writes a COCO file with the same ids. Rows, order and what is skipped are as with coco. Objects of difficulty
    1 or more are treated as crowd boxes, in --coco-out too; --difficult keep treats them as any other object.
    Also counted: rotated boxes, images without a label file (skipped), exact repeats of a label.

    \b
    Example:
      groundswift convert dota train/labelTxt --images train/images --out train.jsonl --classes present
    """

    name, summary = "dota", "DOTA."
    reads, writes = "DOTA, a folder of text files of rotated boxes", "detection"
    EXAMPLE = {"train/labelTxt/P1.txt": "imagesource:x\ngsd:0.1\n1 1 4 1 4 5 1 5 ship 0\n", "train/images/P1.png": EXAMPLE_IMAGE}

    images: Annotated[str | None, images_option("images/ in SOURCE or next to it, else SOURCE")] = None
    difficult: Difficult = "ignore"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        met: dict[str, int] = {}
        read = partial(label, self.difficult == "ignore", met)
        found, images = text_labelled(self, ("labelTxt", "images"), ".png", read, log, HEAD)
        return labels_reading(found, list(met), self, images, pool, log, sorted(met))


def label(ignore: bool, met: dict[str, int], fields: list[str], where: str, log: IssueLog) -> Label:
    """The label of a line. Raises SkipSample if it has another form."""
    corners = list(map(number_of, fields[:8]))
    difficulty = fields[9] if len(fields) == 10 else "0"
    if len(fields) not in (9, 10) or None in corners or not (difficulty.isascii() and difficulty.isdigit()):
        raise not_a_label(where, repr(" ".join(fields)), FIELDS)
    difficult = bool(difficulty.strip("0"))
    if difficult:
        log.count("difficult-as-crowd" if ignore else "difficult-kept", where)
    box = corners_box(corners[::2], corners[1::2], where, log)
    return Label(where, met.setdefault(fields[8], len(met)), as_xywh(*box), ignore and difficult)


class ToDotaOptions(FolderOptions, frozen=True, kw_only=True):
    """Turn swift rows into a DOTA dataset, a new folder.

    It has labelTxt/NAME.txt for each image (a line per box: its four corners, its class and difficulty 0; empty for an image
    without boxes) and, unless --image-files none, images/NAME.png; only files that open as an image are copied, with
    --no-check-images too. Rows about one image are merged: a box that several of them name is written once.

    Two images with one name in different folders, and classes with spaces, are refused.

    \b
    Example:
      groundswift convert to-dota train.jsonl --out train/
    """

    name, summary = "to-dota", "swift rows to a DOTA dataset."
    reads, writes = "swift rows", "DOTA dataset"
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW | {"images": ["images/a.jpg"]}], "images/a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        return label_folder(self, out, ("labelTxt", "images"), dota_lines, log, progress)


def dota_lines(image: ImageBoxes) -> str:
    """The label file of an image."""
    lines = []
    for name, x1, y1, x2, y2 in image.boxes.elements():
        corners = (x1, y1, x2, y1, x2, y2, x1, y2)
        lines.append(f"{' '.join(str(whole(round(value, DIGITS))) for value in corners)} {name} 0\n")
    return "".join(lines)
