"""ODGT: the three boxes of a person, what is ignored, and every way that a line can be broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import converted, refusal, short
from label_sources import reader

from groundswift.data_converters.formats.odgt import OdgtOptions

SIZE_WH = (64, 48)
options = reader(OdgtOptions, "a.odgt")


def person(tag: Any = "person", **more: Any) -> dict[str, Any]:
    boxes = {"fbox": [10, 20, 20, 30], "vbox": [10, 20, 20, 10], "hbox": [12, 20, 5, 6]}
    return {"tag": tag} | boxes | {"extra": {"box_id": 0, "occ": 1}, "head_attr": {"ignore": 0, "occ": 0, "unsure": 0}} | more


MASK = {"tag": "mask", "fbox": [0, 0, 9, 9], "vbox": [0, 0, 9, 9], "hbox": [0, 0, 9, 9], "extra": {"ignore": 1}}


@pytest.fixture
def write(tmp_path: Path, draw):
    def written(*lines: Any) -> Path:
        for name in ("273271,c9.jpg", "sub/b.jpg"):
            draw(tmp_path / "set" / name, SIZE_WH)
        (tmp_path / "set/a.odgt").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return tmp_path / "set"

    return written


def line(*boxes: Any, id: Any = "273271,c9") -> dict[str, Any]:
    return {"ID": id, "gtboxes": list(boxes)}


def read(root: Path, tmp_path: Path, **more: Any) -> tuple[list[Any], dict[str, int]]:
    rows, counts = converted(options(root, **more), tmp_path / "out.jsonl")
    return [short(row)[1::2] for row in rows], counts


BOXES = {"fbox": ("person", [10, 20, 30, 48]), "vbox": ("person", [10, 20, 30, 30]), "hbox": ("head", [12, 20, 17, 26])}


@pytest.mark.parametrize("kind", BOXES)
def test_boxes(write, tmp_path, kind):
    root = write(line(person()), line(id="b"))
    rows, counts = read(root, tmp_path, box=kind)
    assert rows == [("273271,c9.jpg", [BOXES[kind]]), ("b.jpg", [])]
    assert counts == ({"box-clipped": 1} if kind == "fbox" else {})


IGNORED = {  # name -> (the other object, its count for fbox, for hbox)
    "mask": (MASK, "odgt-mask", "odgt-mask"),
    "mask without a mark": (MASK | {"extra": {}}, "odgt-mask", "odgt-mask"),
    "ignored": (person(vbox=[1, 1, 3, 3], extra={"ignore": 1}), "odgt-ignored", "odgt-ignored"),
    "head ignored": (person(fbox=[1, 1, 3, 3], head_attr={"ignore": 1}), None, "odgt-ignored"),
}


@pytest.mark.parametrize("name", IGNORED)
@pytest.mark.parametrize("kind", ["fbox", "hbox"])
def test_what_is_ignored_is_a_crowd(write, tmp_path, name, kind):
    other, *ids = IGNORED[name]
    root, truth = write(line(person(fbox=[10, 20, 20, 20]), other)), tmp_path / "truth.json"
    rows, counts = read(root, tmp_path, box=kind, coco_out=str(truth))
    id = ids[kind == "hbox"]
    assert len(rows[0][1]) == (2 if id is None else 1)
    assert counts == ({} if id is None else {id: 1, "crowd-skipped": 1})
    assert sorted(each["iscrowd"] for each in json.loads(truth.read_bytes())["annotations"]) == [0, int(id is not None)]


BROKEN: dict[str, tuple[Any, str]] = {  # name -> (a line, part of the error)
    "a list": ([1], "a.odgt:2: not a row: Expected `object`, got `array`"),
    "no ID": ({"gtboxes": []}, "a.odgt:2: not a row: Object missing required field `ID`"),
    "a number": (line(person(), id=7), "a.odgt:2: not a row: Expected `str`, got `int` - at `$.ID`"),
    "text": (line(person(fbox=["1", 2, 3, 4]), id="b"), "Expected `float`, got `str` - at `$.gtboxes[0].fbox[0]`"),
    "three numbers": (line(person(fbox=[1, 2, 3]), id="b"), "Expected `array` of length 4"),
    "NaN": (line(person(fbox=[float("nan"), 2, 3, 4]), id="b"), "a.odgt:2: not a row: NaN (byte 51) is not JSON"),
    "no box": (line(person(fbox=None), id="b"), "a.odgt:2: gtbox 1: no fbox; expected a tag, and x, y, width, height in px"),
    "empty tag": (line(person(" "), id="b"), "a.odgt:2: gtbox 1: empty tag"),
    "negative": (line(person(fbox=[9, 9, -3, 4]), id="b"), "a.odgt:2: gtbox 1: "),
    "huge": (line(person(fbox=[0, 0, 1e12, 9]), id="b"), "box-too-large"),
    "outside": (line(person(fbox=[99, 9, 3, 4]), id="b"), "box-outside"),
    "missing image": (line(person(), id="gone"), "gone"),
    "outside the folder": (line(person(), id="../../a"), "a.odgt"),
    "twice": (line(person()), "image-labelled-twice"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line(write, tmp_path, name):
    broken, message = BROKEN[name]
    root = write(line(person(fbox=[10, 20, 20, 20])), broken)
    refused = refusal(options(root), tmp_path / "out.jsonl")
    assert message in refused, refused
    rows, counts = read(root, tmp_path, on_error="skip")
    assert rows == [("273271,c9.jpg", [("person", [10, 20, 30, 40])])]
    assert sum(counts.values()) >= 1
