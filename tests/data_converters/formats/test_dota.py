"""DOTA: bounds, difficulties, heads of files, and every way that a label can be broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from converted import converted, refusal, short
from label_sources import reader
from source_examples import put

from groundswift.data_converters.formats.dota import DotaOptions

HEAD = "imagesource:GoogleEarth\ngsd:0.146343590398\n"
PLANE = "10 10 50 15 55 30 5 40 plane 0\n"  # no rectangle
SHIP = "20.0 10.0 40.0 10.0 40.0 30.0 20.0 30.0 ship 0\n"


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    """A split: one image with two objects, one difficult only, one without any."""
    for name in ("P0001.png", "P0002.png", "P0003.png"):
        draw(tmp_path / "train/images" / name, (64, 48))
    label(tmp_path / "train", "P0001", HEAD + SHIP + PLANE)
    label(tmp_path / "train", "P0002", HEAD + SHIP.replace("ship 0", "ship 1"))
    label(tmp_path / "train", "P0003", "imagesource:GF-2\ngsd:null\n")
    return tmp_path / "train"


def label(root: Path, stem: str, text: str | bytes) -> None:
    put(root / f"labelTxt/{stem}.txt", text)


options = reader(DotaOptions)


ONE = (1, "P0001.png", (64, 48), [("plane", [5, 10, 55, 40]), ("ship", [20, 10, 40, 30])])
THREE = (3, "P0003.png", (64, 48), [])
ROTATED = {"box-from-rotated": 1}


@pytest.mark.parametrize("below", ["", "labelTxt"])
def test_rows(folder, tmp_path, below):
    rows, counts = converted(options(folder / below), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == [ONE, THREE]
    assert counts == ROTATED | {"difficult-as-crowd": 1, "crowd-skipped": 1, "image-crowd-only": 1}
    assert rows[0]["messages"][0]["content"] == "<image>Detect every object of these categories: plane, ship."


FINE = {
    "head in capitals": "imageSource:JL-1\nGSD:1\n" + SHIP,
    "no difficulty": SHIP.replace(" 0\n", "\n"),
    "other start": "40 30 20 30 20 10 40 10 ship 0",
    "a gigantic difficulty": SHIP + SHIP.replace("20.0", "0").replace("ship 0", f"plane {'1' * 5000}"),
}


@pytest.mark.parametrize("name", FINE)
def test_forms(folder, tmp_path, name):
    label(folder, "P0001", FINE[name])
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert short(rows[0]) == (1, "P0001.png", (64, 48), [("ship", [20, 10, 40, 30])])
    assert "box-from-rotated" not in counts


def test_images_without_labels(folder, tmp_path, draw):
    draw(folder / "images/P0004.png", (64, 48))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert len(rows) == 2
    assert counts["image-unlabelled"] == 1


def test_splits_in_folders(folder, tmp_path, draw):
    """The folder of all splits, whose images have the same names; a text that is in no labelTxt holds no labels."""
    draw(tmp_path / "val/images/P0001.png", (64, 48))
    label(tmp_path / "val", "P0001", SHIP)
    put(tmp_path / "val/README.txt", "not a label\n")
    rows, _ = converted(options(tmp_path), tmp_path / "out.jsonl")
    assert [Path(row["images"][0]).relative_to(tmp_path).as_posix() for row in rows] == [
        "train/images/P0001.png",
        "train/images/P0003.png",
        "val/images/P0001.png",
    ]
    assert [len(row["objects"]["bbox"]) for row in rows] == [2, 0, 1]


BROKEN = {  # name -> (the file of P0001, part of the error)
    "7 numbers": ("10 10 50 10 50 30 10 ship 0", "P0001.txt:1: '10 10 50 10 50 30 10 ship 0'; expected x1 y1 x2 y2"),
    "two words": (HEAD + "10 10 50 10 50 30 10 30 big ship 0", "P0001.txt:3: "),
    "no class": ("10 10 50 10 50 30 10 30", "P0001.txt:1: "),
    "bad difficulty": ("10 10 50 10 50 30 10 30 ship -1", "P0001.txt:1: "),
    "not UTF-8": (b"\xff\xfe1", "P0001.txt: not UTF-8 text (byte 0); expected UTF-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_labels(folder, tmp_path, name):
    text, expected = BROKEN[name]
    label(folder, "P0001", text)
    assert expected in refusal(options(folder), tmp_path / "out.jsonl")
    label(folder, "P0002", SHIP)
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert [short(row)[1] for row in rows] == ["P0002.png", "P0003.png"]
    assert counts["image-label-unreadable"] == 1


def test_nothing_there(tmp_path):
    assert "no such folder" in refusal(options(tmp_path / "gone"), tmp_path / "out.jsonl")
    assert "no label file" in refusal(options(tmp_path), tmp_path / "out.jsonl")
