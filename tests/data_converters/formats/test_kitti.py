"""KITTI: boxes, marks, DontCare regions, every way that a line can be broken, and the files that are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import converted, detection_row, refusal, short, write_lines
from label_sources import reader
from source_examples import put

from groundswift.data_converters.formats.kitti import KittiOptions, ToKittiOptions
from groundswift.data_converters.issues import IssueLog

SIZE_WH = (64, 48)
options = reader(KittiOptions)
CAR = "Car 0.00 0 -1.57 10.00 20.50 30.00 40.00 1.48 1.60 3.69 1.84 1.47 8.41 0.01\n"
VAN = CAR.replace("Car", "Van")
FAR = "DontCare -1 -1 -10 40.00 1.00 60.00 9.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
ONE = ("Car", [10, 20.5, 30, 40])


@pytest.fixture
def write(tmp_path: Path, draw):
    """Write label files by stem, and an image for each and one more -> the folder training/."""

    def written(**files: str | bytes) -> Path:
        for stem, text in files.items():
            put(tmp_path / f"training/label_2/{stem}.txt", text)
            draw(tmp_path / f"training/image_2/{stem}.png", SIZE_WH)
        return tmp_path / "training"

    return written


def read(root: Path, tmp_path: Path, **more: Any) -> tuple[list[Any], dict[str, int]]:
    rows, counts = converted(options(root, **more), tmp_path / "out.jsonl")
    return [short(row)[1::2] for row in rows], counts


@pytest.mark.parametrize("below", ["", "label_2"])
def test_rows(write, tmp_path, draw, below):
    """Marks are counted, a score is dropped, an image without a file is skipped, one with an empty file is empty."""
    root = write(a=CAR.replace("0.00 0", "0.35 2") + VAN.replace("0.01", "0.01 0.99"), b="")
    draw(root / "image_2/c.png", SIZE_WH)
    rows, counts = read(root / below, tmp_path)
    assert rows == [("a.png", [ONE, ("Van", ONE[1])]), ("b.png", [])]
    assert counts == {"truncated-dropped": 1, "occluded-dropped": 1, "image-unlabelled": 1}


def test_a_region_of_dont_care_is_a_crowd_of_every_class(write, tmp_path):
    root, truth = write(a=CAR + FAR, b=FAR, c=VAN), tmp_path / "truth.json"
    rows, counts = read(root, tmp_path, coco_out=str(truth))
    assert rows == [("a.png", [ONE]), ("c.png", [("Van", ONE[1])])]
    assert counts == {"kitti-dont-care": 2, "crowd-skipped": 4, "image-crowd-only": 1}
    crowds = [(each["image_id"], each["category_id"]) for each in json.loads(truth.read_bytes())["annotations"] if each["iscrowd"]]
    assert crowds == [(1, 1), (1, 2), (2, 1), (2, 2)]
    rows, _ = converted(options(root, classes="one", absent=9), tmp_path / "out.jsonl")
    assert [(short(row)[1], row["asked"], len(row["objects"]["ref"])) for row in rows] == [
        ("a.png", ["Car"], 1),
        ("c.png", ["Car"], 0),
        ("c.png", ["Van"], 1),
    ]
    rows, counts = read(root, tmp_path, dont_care="drop")
    assert (rows[1], counts) == (("b.png", []), {"kitti-dont-care": 2})


BROKEN: dict[str, tuple[str | bytes, str]] = {  # name -> (the second file, part of the error)
    "14 columns": (CAR.replace(" 0.01", ""), "b.txt:1: 14 columns; expected type truncated occluded alpha left top right bottom"),
    "tracking": ("0 1 " + CAR, "b.txt:1: 17 columns"),
    "text": (CAR.replace("20.50", "x"), "b.txt:1: 'Car 0.00 0 -1.57 10.00 x"),
    "nan": (CAR.replace("20.50", "nan"), "box-not-finite"),
    "huge": (CAR.replace("30.00", "1e12"), "box-too-large"),
    "inverted": (CAR.replace("30.00", "3.00"), "box-inverted"),
    "empty": (CAR.replace("30.00", "10.00"), "box-empty"),
    "outside": (CAR.replace("10.00", "70.00").replace("30.00", "90.00"), "box-outside"),
    "not UTF-8": (b"\xff\xfe1", "b.txt: not UTF-8 text (byte 0)"),
}
ALONE = {"nan", "huge", "inverted", "empty", "outside"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line(write, tmp_path, name):
    text, message = BROKEN[name]
    root = write(a=CAR, b=text)
    refused = refusal(options(root), tmp_path / "out.jsonl")
    assert message in refused, refused
    rows, counts = read(root, tmp_path, on_error="skip")
    assert rows == [("a.png", [ONE])]
    assert counts["image-all-skipped" if name in ALONE else "image-label-unreadable"] == 1


def test_nothing_there(tmp_path):
    missing = "gone: no such folder; expected a folder of KITTI labels, or a folder with label_2"
    assert missing in refusal(options(tmp_path / "gone"), tmp_path / "x")
    assert "no label file" in refusal(options(tmp_path), tmp_path / "x")


def test_back(tmp_path, draw):
    """Files as the devkit reads them, and the same boxes to a hundredth of a pixel."""
    for name in ("x/a.png", "y/b.png"):
        draw(tmp_path / name, SIZE_WH)
    boxes = [("Van", [16, 12.25, 48, 36]), ("Car", [0, 0, 1, 48])]
    rows = detection_row(*boxes, image="x/a.png"), detection_row(image="y/b.png", sample_id=2)
    source = write_lines(tmp_path / "rows.jsonl", *rows)
    totals = ToKittiOptions(annotations=str(source)).write(tmp_path / "back", IssueLog(), progress=False)
    assert (totals.rows, totals.objects, totals.negatives) == (2, 2, 1)
    assert (tmp_path / "back/label_2/a.txt").read_text().splitlines() == [
        "Van -1 -1 -10 16.00 12.25 48.00 36.00 -1 -1 -1 -1000 -1000 -1000 -10",
        "Car -1 -1 -10 0.00 0.00 1.00 48.00 -1 -1 -1 -1000 -1000 -1000 -10",
    ]
    found, counts = converted(options(tmp_path / "back", order="annotation"), tmp_path / "out.jsonl")
    assert list(map(short, found)) == [(1, "a.png", SIZE_WH, boxes), (2, "b.png", SIZE_WH, [])]
    assert counts == {}


@pytest.mark.parametrize("name", ["big car", "DontCare"])
def test_a_class_that_the_format_cannot_hold_is_refused(tmp_path, draw, name):
    draw(tmp_path / "a.jpg", SIZE_WH)
    source = write_lines(tmp_path / "rows.jsonl", detection_row((name, [1, 2, 3, 4])))
    message = refusal(ToKittiOptions(annotations=str(source)), tmp_path / "back")
    assert f"rows.jsonl: class {name!r}; expected one word, other than DontCare" in message
