"""Swift rows -> a YOLO dataset: data.yaml, a label file for each image, and the images or their list."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import yaml

from groundswift.urls import file_name

from ...base import EXAMPLE_IMAGE, EXAMPLE_ROW, Totals
from ...file_io.remote_folders import SUFFIXES
from ...issues import IssueLog
from ...rows.collect_boxes import Collector, ImageBoxes, collect_boxes
from ...rows.dataset_folder import FolderOptions, dataset_folder, fraction, put_image, stems_of

HEAD = "# One split: `train` and `val` name the same images, because trainers want both. Replace one of them by another folder or list.\n"


class ToYoloOptions(FolderOptions, frozen=True, kw_only=True):
    """Turn swift rows into a YOLO dataset, a new folder.

    It has data.yaml (class names by index), labels/NAME.txt (a line per box: class, centre x, centre y, width, height as
    fractions of the image; empty for an image without boxes), images.txt (the list of images) and, unless --image-files
    none, images/NAME.jpg, the folder that data.yaml names; only files that open as an image are copied, with --no-check-images
    too. Rows about one image are merged: a box that several of them name is written once. Classes are in the order of
    --categories, or by first appearance.

    Two images with one name in different folders are refused, because a label file has only the name.

    \b
    Example:
      groundswift convert to-yolo train.jsonl --out yolo/
    """

    name, summary = "to-yolo", "swift rows to a YOLO dataset."
    reads, writes = "swift rows", "YOLO dataset"
    makes_rows = False
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW | {"images": ["images/a.jpg"]}], "images/a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        found = collect_boxes(self, log, progress)
        stems = stems_of(found.images, self.image_files, "labels/{}.txt")
        if out is not None:
            with dataset_folder(out) as folder:
                fill(folder, found, stems, self.image_files)
        return Totals.of([image.boxes.total() for image in found.images.values()])


def yolo_lines(image: ImageBoxes, index_of: dict[str, int]) -> str:
    """The label file of an image, a line per box: class, centre, width and height as fractions."""
    width, height = image.size_wh
    lines = []
    for label, x1, y1, x2, y2 in image.boxes.elements():
        fractions = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        lines.append(f"{index_of[label]} {' '.join(map(fraction, fractions))}\n")
    return "".join(lines)


def split_of(images: Iterable[str], image_files: str) -> str:
    """What data.yaml names: the folder, which every reader takes; the list where there is none, or a suffix that readers pass over."""
    known = all(os.path.splitext(file_name(path))[1].lower() in SUFFIXES for path in images)
    return "images" if known and image_files != "none" else "images.txt"


def fill(folder: Path, found: Collector, stems: dict[str, str], image_files: str) -> None:
    """Write the files of the dataset into a new folder."""
    names = list(found.categories)
    index_of = {name: index for index, name in enumerate(names)}
    split = split_of(found.images, image_files)
    content = {"train": split, "val": split, "names": dict(enumerate(names))}
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    (folder / "data.yaml").write_text(HEAD + text, encoding="utf-8")
    (folder / "labels").mkdir()
    listed = []
    if image_files != "none":
        (folder / "images").mkdir()
    for path, image in found.images.items():
        (folder / "labels" / f"{stems[path]}.txt").write_text(yolo_lines(image, index_of), encoding="utf-8")
        name = put_image(path, folder / "images", image_files)
        listed.append(path if image_files == "none" else f"./images/{name}")
    (folder / "images.txt").write_text("".join(f"{path}\n" for path in listed), encoding="utf-8")
