"""Labels that our readers parse, against hotcoco's readers: the same boxes, classes and crowd marks, in order.

Equal to the last digit, but for DOTA: hotcoco takes the box around the rectangle closest to the four corners, in other arithmetic.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import hotcoco
import pytest
from label_sources import CLASSES, SIZE_WH, Item, write_source
from PIL import Image

from groundswift.data_converters.file_io.box_checks import ImageFolder
from groundswift.data_converters.file_io.label_files import Stems
from groundswift.data_converters.formats.cvat.source import labelled_images
from groundswift.data_converters.formats.dota import label as dota_label
from groundswift.data_converters.formats.openimages import BoxesFile
from groundswift.data_converters.formats.voc import VocFiles
from groundswift.data_converters.formats.yolo.label_lines import LabelLines
from groundswift.data_converters.formats.yolo.source import LabelFiles
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.tasks.labelled_image import LabelledImage
from groundswift.data_converters.tasks.text_labels import labelled as text_image

RANKS = {name: rank for rank, name in enumerate(CLASSES)}
Both = tuple[LabelledImage, hotcoco.COCO]  # what our reader makes of a file, and what hotcoco does


def some_items() -> list[Item]:
    """200 labels within an image, each side more than 1 px long."""
    rng, out = random.Random(0), []
    while len(out) < 200:
        (x1, x2), (y1, y2) = (sorted(rng.uniform(1, side) for _ in range(2)) for side in SIZE_WH)
        if min(x2 - x1, y2 - y1) > 1:
            out.append(Item(rng.choice(CLASSES), f"{x1!r} {y1!r} {x2!r} {y2!r}", rng.random() < 0.2))
    return out


def yolo(root: Path) -> Both:
    (root / "data.yaml").rename(root / "labels/data.yaml")
    Image.new("L", (1, 1)).save(root / "images/a.png")
    ours = LabelFiles(str(root), LabelLines("box", len(CLASSES)), None).labelled("images/a.png", IssueLog())
    return ours, hotcoco.COCO.from_yolo(str(root / "labels"), str(root / "images"))


def voc(root: Path) -> Both:
    folder = str(root / "Annotations")
    reader = VocFiles(folder, Stems(folder, ".jpg"), "pixels", True, None)
    reader.classes = dict(RANKS)
    return reader.labelled(folder, "a.xml", IssueLog()), hotcoco.COCO.from_voc(folder)


def cvat(root: Path) -> Both:
    path = root / "annotations.xml"
    polygon = '<polygon label="{0}" points="{1},{2};{3},{2};{1},{4}"/>'
    polygons = "".join(polygon.format(item.label, *item.box.split()) for item in some_items())
    path.write_text(path.read_text().replace("</image>", f"{polygons}</image>"))
    (ours,) = labelled_images(str(path), None, ImageFolder(str(root)), {}, IssueLog())
    return ours, hotcoco.COCO.from_cvat(str(path))


def dota(root: Path) -> Both:
    folder = str(root / "labelTxt")
    ours = text_image(folder, "a.txt", Stems(folder, ".png"), partial(dota_label, True, dict(RANKS)), IssueLog())
    return ours, hotcoco.COCO.from_dota(folder)


def openimages(root: Path) -> Both:
    reader = BoxesFile(Stems(str(root), ".jpg"), None, False)
    reader.met = dict(RANKS)
    (ours,) = reader.labelled(str(root / "boxes.csv"), IssueLog())
    return ours, hotcoco.COCO.from_oid(str(root / "boxes.csv"))


@pytest.mark.parametrize(("both", "tolerance"), [(yolo, 0), (voc, 0), (cvat, 0), (openimages, 0), (dota, 1e-9)])
def test_hotcoco_reads_the_same(tmp_path, both: Callable[[Path], Both], tolerance):
    ours, oracle = both(write_source(both.__name__, tmp_path, {"a": some_items()}))
    names = {row["id"]: row["name"] for row in oracle.dataset["categories"]}
    rows = oracle.dataset["annotations"]
    assert len(rows) >= 200
    marks = [both not in (yolo, cvat) and bool(row["iscrowd"] or row.get("is_group_of") or row.get("difficult")) for row in rows]
    assert [(CLASSES[label.rank], label.crowd) for label in ours.labels] == [
        (names[row["category_id"]], mark) for row, mark in zip(rows, marks, strict=True)
    ]
    boxes, expected = [label.box_xywh for label in ours.labels], [tuple(row["bbox"]) for row in rows]
    assert boxes == ([pytest.approx(box, abs=tolerance, rel=0) for box in expected] if tolerance else expected)
