"""DOTA: bounds, difficulties, heads of files, and every way that a label can be broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from converted import converted, refusal, short

from groundswift.data_converters.engine.convert import rows_of
from groundswift.data_converters.formats.dota import DotaOptions
from groundswift.data_converters.issues import IssueLog

HEAD = "imagesource:GoogleEarth\ngsd:0.146343590398\n"
PLANE = "10 10 50 15 55 30 5 40 plane 0\n"  # no rectangle
SHIP = "20.0 10.0 40.0 10.0 40.0 30.0 20.0 30.0 ship 0\n"


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    """A split: one picture with two objects, one difficult only, one without any."""
    for name in ("P0001.png", "P0002.png", "P0003.png"):
        draw(tmp_path / "train/images" / name, (64, 48))
    label(tmp_path / "train", "P0001", HEAD + SHIP + PLANE)
    label(tmp_path / "train", "P0002", HEAD + SHIP.replace("ship 0", "ship 1"))
    label(tmp_path / "train", "P0003", "imagesource:GF-2\ngsd:null\n")
    return tmp_path / "train"


def label(root: Path, stem: str, text: str | bytes) -> None:
    (root / "labelTxt").mkdir(exist_ok=True)
    (root / f"labelTxt/{stem}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())


def options(root: Path, **more: Any) -> DotaOptions:
    return DotaOptions(annotations=str(root), **more)


ONE = (1, "P0001.png", (64, 48), [("plane", [5, 10, 55, 40]), ("ship", [20, 10, 40, 30])])
THREE = (3, "P0003.png", (64, 48), [])
ROTATED = {"box-from-rotated": 1}


@pytest.mark.parametrize("below", ["", "labelTxt"])
def test_rows(folder, tmp_path, below):
    rows, counts = converted(options(folder / below), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == [ONE, THREE]
    assert counts == ROTATED | {"difficult-as-crowd": 1, "crowd-skipped": 1, "image-crowd-only": 1}
    assert rows[0]["messages"][0]["content"] == "<image>Detect every object of these categories: plane, ship."


@pytest.mark.parametrize("difficulty", ["2", "1" * 5000], ids=["2", "gigantic"])
def test_difficult_kept(folder, tmp_path, difficulty):
    label(folder, "P0002", SHIP.replace("ship 0", f"ship {difficulty}"))
    rows, counts = converted(options(folder, difficult="keep"), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == [ONE, (2, "P0002.png", (64, 48), [("ship", [20, 10, 40, 30])]), THREE]
    assert counts == ROTATED | {"difficult-kept": 1}


FINE = {
    "no head": SHIP,
    "head in capitals": "imageSource:JL-1\nGSD:1\n" + SHIP,
    "BOM and CRLF": "\ufeff" + (HEAD + SHIP).replace("\n", "\r\n"),
    "no difficulty": SHIP.replace(" 0\n", "\n"),
    "other start": "40 30 20 30 20 10 40 10 ship 0",
    "blank lines": "\n\n" + SHIP + "\n",
}


@pytest.mark.parametrize("name", FINE)
def test_forms(folder, tmp_path, name):
    label(folder, "P0001", FINE[name])
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert short(rows[0]) == (1, "P0001.png", (64, 48), [("ship", [20, 10, 40, 30])])
    assert "box-from-rotated" not in counts


def test_coco_out_and_classes(folder, tmp_path):
    (tmp_path / "names.txt").write_text("ship\nplane\nharbor\n")
    more = {"coco_out": str(tmp_path / "truth.json"), "categories": str(tmp_path / "names.txt"), "classes": "one", "absent": 9}
    rows = list(map(msgspec.to_builtins, rows_of(options(folder, **more), IssueLog())))
    coco = json.loads((tmp_path / "truth.json").read_bytes())
    assert [(each["image_id"], each["category_id"], each["bbox"], each["iscrowd"]) for each in coco["annotations"]] == [
        (1, 1, [20, 10, 20, 20], 0),
        (1, 2, [5, 10, 50, 30], 0),
        (2, 1, [20, 10, 20, 20], 1),
    ]
    asked = [
        (row["sample_id"], row["messages"][0]["content"].removeprefix("<image>Detect every "), len(row["objects"]["ref"])) for row in rows
    ]
    # of the second picture, with a difficult ship only, nothing is asked: it has no object to name, and is not empty
    assert asked == [(1, "ship.", 1), (1, "plane.", 1), (1, "harbor.", 0), (3, "ship.", 0), (3, "plane.", 0), (3, "harbor.", 0)]


def test_a_rotated_image(folder, tmp_path, draw):
    draw(folder / "images/P0001.png", (48, 64), orientation=8)
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert short(rows[0]) == ONE
    assert counts["image-rotated-by-exif"] == 1


def test_images_without_labels(folder, tmp_path, draw):
    draw(folder / "images/P0004.png", (64, 48))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert len(rows) == 2
    assert counts["image-unlabelled"] == 1


BROKEN = {  # name -> (the file of P0001, part of the error, whether its image is skipped)
    "7 numbers": ("10 10 50 10 50 30 10 ship 0", "P0001.txt:1: '10 10 50 10 50 30 10 ship 0'; expected x1 y1 x2 y2", True),
    "two words": (HEAD + "10 10 50 10 50 30 10 30 big ship 0", "P0001.txt:3: ", True),
    "no class": ("10 10 50 10 50 30 10 30", "P0001.txt:1: ", True),
    "a word": ("10 10 50 10 50 30 10 x ship 0", "P0001.txt:1: ", True),
    "bad difficulty": ("10 10 50 10 50 30 10 30 ship -1", "P0001.txt:1: ", True),
    "not UTF-8": (b"\xff\xfe1", "P0001.txt: not UTF-8 text (byte 0); expected UTF-8", True),
    "NaN": ("nan 10 50 10 50 30 10 30 ship 0", "P0001.txt:1: bbox [nan", False),
    "gigantic": ("10 10 1e999 10 50 30 10 30 ship 0", "box-not-finite", False),
    "a line": ("10 10 50 10 50 10 10 10 ship 0", "P0001.txt:1: bbox [10.0, 10.0, 40.0, 0.0]", False),
    "outside": ("100 10 150 10 150 30 100 30 ship 0", "P0001.txt:1: bbox", False),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_labels(folder, tmp_path, name):
    text, expected, unreadable = BROKEN[name]
    label(folder, "P0001", text)
    assert expected in refusal(options(folder), tmp_path / "out.jsonl")
    label(folder, "P0002", SHIP)
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert [short(row)[1] for row in rows] == ["P0002.png", "P0003.png"]
    assert counts["image-label-unreadable" if unreadable else "image-all-skipped"] == 1


def test_bad_images(folder, tmp_path, draw):
    draw(folder / "images/P0001.jpg", (64, 48))
    (folder / "images/P0002.png").unlink()
    (folder / "images/P0003.png").write_bytes(b"")
    text = refusal(options(folder), tmp_path / "out.jsonl")
    for each in ("3 problems, nothing written", "P0001.txt: P0001.jpg and P0001.png", "(P0002): ", "(P0003.png): "):
        assert each in text
    assert "every image was dropped" in refusal(options(folder, on_error="skip"), tmp_path / "out.jsonl")


def test_nothing_there(tmp_path):
    assert "no such folder" in refusal(options(tmp_path / "gone"), tmp_path / "out.jsonl")
    assert "no label file" in refusal(options(tmp_path), tmp_path / "out.jsonl")
