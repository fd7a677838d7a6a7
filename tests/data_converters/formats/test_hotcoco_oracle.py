"""Labels that our readers parse, against hotcoco's readers: the same boxes, classes and crowd marks, in order.

Equal to the last digit, but for DOTA: hotcoco takes the box around the rectangle closest to the four corners, in other arithmetic.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import hotcoco
import pytest
from PIL import Image

from groundswift.data_converters.file_io.label_files import Stems
from groundswift.data_converters.formats.cvat.source import labelled_images
from groundswift.data_converters.formats.dota import labelled as dota_image
from groundswift.data_converters.formats.openimages import BoxesFile
from groundswift.data_converters.formats.voc import VocFiles
from groundswift.data_converters.formats.yolo.source import LabelFiles
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.tasks.label_files import LabelledImage

Corners = tuple[int, float, float, float, float, bool]  # class, x1, y1, x2, y2, crowd
CLASSES = {"c0": 0, "c1": 1, "c2": 2}
Both = tuple[LabelledImage, hotcoco.COCO]  # what our reader makes of a file, and what hotcoco does


def some_boxes(sides_wh: tuple[float, float], margin: float, seed: int = 0) -> list[Corners]:
    """200 boxes within an image, each side at least `margin` long."""
    rng, out = random.Random(seed), []
    while len(out) < 200:
        (x1, x2), (y1, y2) = (sorted(rng.uniform(margin, side) for _ in range(2)) for side in sides_wh)
        if min(x2 - x1, y2 - y1) > margin:
            out.append((rng.randrange(3), x1, y1, x2, y2, rng.random() < 0.2))
    return out


def yolo(folder: Path) -> Both:
    (folder / "labels").mkdir()
    (folder / "images").mkdir()
    boxes = [(rank, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1) for rank, x1, y1, x2, y2, _ in some_boxes((1, 1), 1e-6)]
    (folder / "labels/a.txt").write_text("".join(f"{rank} {x!r} {y!r} {w!r} {h!r}\n" for rank, x, y, w, h in boxes))
    (folder / "labels/data.yaml").write_text("names: [c0, c1, c2]\n")
    Image.new("L", (1, 1)).save(folder / "images/a.png")
    ours = LabelFiles(str(folder), "box", 3, None, None).labelled("images/a.png", IssueLog())
    return ours, hotcoco.COCO.from_yolo(str(folder / "labels"), str(folder / "images"))


def voc(folder: Path) -> Both:
    sides = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    objects = (
        f"<object><name>c{rank}</name><difficult>{int(crowd)}</difficult><bndbox>{sides.format(*box)}</bndbox></object>"
        for rank, *box, crowd in some_boxes((640, 480), 1)
    )
    size = "<size><width>640</width><height>480</height></size>"
    (folder / "a.xml").write_text(f"<annotation><filename>a.jpg</filename>{size}{''.join(objects)}</annotation>")
    reader = VocFiles(str(folder), Stems(str(folder), ".jpg"), "pixels", True, None)
    reader.classes = dict(CLASSES)
    return reader.labelled(str(folder / "a.xml"), IssueLog()), hotcoco.COCO.from_voc(str(folder))


def cvat(folder: Path) -> Both:
    boxes = some_boxes((640, 480), 1e-3)
    shapes = [f'<box label="c{rank}" xtl="{x1!r}" ytl="{y1!r}" xbr="{x2!r}" ybr="{y2!r}"/>' for rank, x1, y1, x2, y2, _ in boxes]
    shapes += [f'<polygon label="c{rank}" points="{x1!r},{y1!r};{x2!r},{y1!r};{x1!r},{y2!r}"/>' for rank, x1, y1, x2, y2, _ in boxes]
    path = folder / "annotations.xml"
    path.write_text(f'<annotations><image id="0" name="a.jpg" width="640" height="480">{"".join(shapes)}</image></annotations>')
    (ours,) = labelled_images(str(path), None, str(folder), dict(CLASSES), IssueLog())
    return ours, hotcoco.COCO.from_cvat(str(path))


def dota(folder: Path) -> Both:
    lines = (
        f"{x1!r} {y1!r} {x2!r} {y1!r} {x2!r} {y2!r} {x1!r} {y2!r} c{rank} {int(crowd)}\n"
        for rank, x1, y1, x2, y2, crowd in some_boxes((640, 480), 1e-3)
    )
    (folder / "a.txt").write_text("".join(lines))
    ours = dota_image(str(folder), "a.txt", Stems(str(folder), ".png"), True, dict(CLASSES), IssueLog())
    return ours, hotcoco.COCO.from_dota(str(folder))


def openimages(folder: Path) -> Both:
    lines = (f"a,c{rank},{x1!r},{x2!r},{y1!r},{y2!r},{int(crowd)}\n" for rank, x1, y1, x2, y2, crowd in some_boxes((1, 1), 1e-6))
    path = folder / "boxes.csv"
    path.write_text("ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n" + "".join(lines))
    reader = BoxesFile(Stems(str(folder), ".jpg"), None, False)
    reader.met = dict(CLASSES)
    (ours,) = reader.labelled(str(path), IssueLog())
    return ours, hotcoco.COCO.from_oid(str(path))


@pytest.mark.parametrize(("both", "tolerance"), [(yolo, 0), (voc, 0), (cvat, 0), (openimages, 0), (dota, 1e-9)])
def test_hotcoco_reads_the_same(tmp_path, both: Callable[[Path], Both], tolerance):
    ours, oracle = both(tmp_path)
    names = {row["id"]: row["name"] for row in oracle.dataset["categories"]}
    theirs = [(names[row["category_id"]], bool(row["iscrowd"] or row.get("is_group_of"))) for row in oracle.dataset["annotations"]]
    assert len(theirs) >= 200
    crowds = [False] * len(theirs) if both in (yolo, cvat) else [label.crowd for label in ours.labels]
    difficult = [bool(row.get("difficult")) for row in oracle.dataset["annotations"]]
    assert [(f"c{label.rank}", crowd) for label, crowd in zip(ours.labels, crowds, strict=True)] == [
        (name, crowd or hard) for (name, crowd), hard in zip(theirs, difficult, strict=True)
    ]
    boxes = [label.box_xywh for label in ours.labels]
    expected = [tuple(row["bbox"]) for row in oracle.dataset["annotations"]]
    assert boxes == ([pytest.approx(box, abs=tolerance, rel=0) for box in expected] if tolerance else expected)
