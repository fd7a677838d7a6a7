"""ODVG: lines of detection and of grounding, their classes and phrases, every way that a line can be broken, and lines to train on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import converted, detection_row, refusal, short, write_lines
from label_sources import reader

from groundswift.data_converters.formats.odvg import OdvgGroundingOptions, OdvgOptions, ToOdvgOptions
from groundswift.data_converters.issues import IssueLog

SIZE_WH = (64, 48)
detection, grounding = reader(OdvgOptions, "a.jsonl"), reader(OdvgGroundingOptions, "a.jsonl")
CAT, DOG = [10, 20, 30, 40], [1, 2, 9.5, 20]


def line(filename: Any = "a.png", **more: Any) -> dict[str, Any]:
    return {"filename": filename, "height": 48, "width": 64} | more


def objects(*instances: Any, **more: Any) -> dict[str, Any]:
    return line(detection={"instances": list(instances)}, **more)


def instance(bbox: Any = CAT, label: Any = 3, category: Any = "cat") -> dict[str, Any]:
    return {key: value for key, value in {"bbox": bbox, "label": label, "category": category}.items() if value is not None}


def regions(*pairs: tuple[Any, Any], caption: Any = "A cat and two dogs.", **more: Any) -> dict[str, Any]:
    found = [{"phrase": phrase, "bbox": box, "tokens_positive": [[0, 5]]} for phrase, box in pairs]
    return line(grounding={"caption": caption, "regions": found}, **more)


@pytest.fixture
def write(tmp_path: Path, draw):
    def written(*lines: Any) -> Path:
        for name in ("a.png", "sub/b.png"):
            draw(tmp_path / "set" / name, SIZE_WH)
        write_lines(tmp_path / "set/a.jsonl", *lines)
        return tmp_path / "set"

    return written


def test_detection(write, tmp_path):
    """Absent sizes are read from the images; lines of grounding are counted."""
    root = write(objects(instance(), instance(DOG, 1, "dog")), {"filename": "sub/b.png", "detection": {"instances": []}}, regions())
    rows, counts = converted(detection(root), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == [(1, "a.png", SIZE_WH, [("cat", CAT), ("dog", DOG)]), (2, "b.png", SIZE_WH, [])]
    assert counts == {"odvg-other-field": 1}


def test_the_label_map_counts(write, tmp_path):
    """As for the trainers: the name in the line is not read. Its order is that of the classes."""
    names = tmp_path / "map.json"
    names.write_text('{"0": "owl", "1": "dog", "3": "lion"}')
    root = write(objects(instance(), instance(DOG, "1", None)))
    (row,), _ = converted(detection(root, label_map=str(names)), tmp_path / "out.jsonl")
    assert short(row)[3] == [("dog", DOG), ("lion", CAT)]
    assert row["messages"][0]["content"].endswith("owl, dog, lion.")
    names.write_text('{"0": "owl"}')
    assert "a.jsonl:1: instance 1: label 3; expected a label of --label-map" in refusal(
        detection(root, label_map=str(names)), tmp_path / "x"
    )
    for text in ("[]", '{"0": 1}', "{"):
        names.write_text(text)
        assert f"{names}: " in refusal(detection(root, label_map=str(names)), tmp_path / "x")


BROKEN: dict[str, tuple[Any, str]] = {  # name -> (a line, part of the error)
    "a number": (7, "a.jsonl:2: not a row: Expected `object`, got `int`"),
    "not JSON": (b"{", "a.jsonl:2: "),
    "NaN": (
        b'{"filename": "sub/b.png", "detection": {"instances": [{"bbox": [NaN, 1, 2, 3]}]}}',
        "a.jsonl:2: not a row: NaN (byte 64) is not JSON",
    ),
    "no name": (line(None, detection={"instances": []}), "a.jsonl:2: not a row: Expected `str`, got `null` - at `$.filename`"),
    "no class": (
        objects(instance(category=None), filename="sub/b.png"),
        "a.jsonl:2: instance 1: label 3, no category; expected a category",
    ),
    "blank class": (objects(instance(category=" "), filename="sub/b.png"), "a.jsonl:2: instance 1: "),
    "text": (
        objects(instance(["1", 2, 3, 4]), filename="sub/b.png"),
        "Expected `float`, got `str` - at `$.detection.instances[0].bbox",
    ),
    "inverted": (objects(instance([30, 20, 10, 40]), filename="sub/b.png"), "a.jsonl:2: instance 1: bbox [30.0, 20.0, -20.0, 20.0]"),
    "outside": (objects(instance([70, 20, 80, 40]), filename="sub/b.png"), "box-outside"),
    "another size": (objects(instance(), filename="sub/b.png", width=65), "image-size-differs"),
    "missing image": (objects(instance(), filename="gone.png"), "gone.png"),
    "outside the folder": (objects(instance(), filename="../a.png"), "image-path-outside"),
    "twice": (objects(instance(DOG)), "image-labelled-twice"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_of_detection(write, tmp_path, name):
    broken, message = BROKEN[name]
    root = write(objects(instance()), broken)
    refused = refusal(detection(root), tmp_path / "out.jsonl")
    assert message in refused, refused
    rows, counts = converted(detection(root, on_error="skip"), tmp_path / "out.jsonl")
    assert [short(row)[3] for row in rows] == [[("cat", CAT)]]
    assert sum(counts.values()) >= 1


def test_phrase_grounding(write, tmp_path):
    """Regions of a phrase are joined, a list of boxes is read; a caption without regions has no row."""
    first = regions(("A cat", CAT), ("two dogs", [DOG, [50, 2, 70, 20]]), (["A", "cat"], CAT))
    root = write(first, regions(caption="None."), objects(instance()))
    rows, counts = converted(grounding(root), tmp_path / "out.jsonl")
    assert [each["content"] for each in rows[0]["messages"]] == [
        "<image>Give the boxes of the things named in this sentence: A cat and two dogs.",
        "<ref-object><bbox><ref-object><bbox><bbox>",
    ]
    assert rows[0]["objects"] == {"ref": ["A cat", "two dogs"], "bbox": [CAT, DOG, [50, 2, 64, 20]], "bbox_type": "real"}
    assert (len(rows), rows[0]["sample_id"], rows[0]["size_wh"]) == (1, "a/1", [64, 48])
    assert counts == {"odvg-other-field": 1, "box-clipped": 1, "box-repeated-entity": 1, "sentence-without-boxes": 1}


def test_find(write, tmp_path):
    rows, _ = converted(grounding(write(regions(("A cat", CAT), ("two dogs", [DOG, CAT]))), task="find"), tmp_path / "out.jsonl")
    assert [(row["sample_id"], row["objects"]["ref"], row["objects"]["bbox"]) for row in rows] == [
        ("a/1/1", ["A cat"], [CAT]),
        ("a/1/2", ["two dogs"], [DOG, CAT]),
    ]
    assert rows[0]["messages"][0]["content"] == "<image>Find <ref-object>."
    own = grounding(tmp_path / "set", prompt="Where is what {sentence} says?")
    assert converted(own, tmp_path / "out.jsonl")[0][0]["messages"][0]["content"] == "<image>Where is what A cat and two dogs. says?"
    assert "{sentence} in the place" in refusal(grounding(tmp_path / "set", prompt="Where?"), tmp_path / "x")


BROKEN_REGIONS: dict[str, tuple[Any, str]] = {
    "no caption": (regions(("cat", CAT), caption=None), "a.jsonl:2: not a row: Expected `str`, got `null` - at `$.grounding.caption`"),
    "no phrase": (regions((None, CAT)), "a.jsonl:2: region 1: Expected `str | array`, got `null` - at `$.phrase`"),
    "no box": (regions(("cat", None)), "a.jsonl:2: region 1: Expected `array`, got `null` - at `$.bbox[0]`"),
    "text": (regions(("cat", [[1, 2, "3", 4]])), "a.jsonl:2: region 1: Expected `float`, got `str`"),
    "a region": (line(grounding={"caption": "a", "regions": [7]}), "a.jsonl:2: not a row: Expected `object`, got `int`"),
    "inverted": (regions(("cat", [30, 20, 10, 40])), "a.jsonl:2: region 1: box [30.0, 20.0, 10.0, 40.0]"),
    "outside": (regions(("cat", [CAT, [70, 20, 90, 40]])), "box-outside"),
    "a tag": (regions(("a <bbox>", CAT)), "a.jsonl:2: region 1: holds <bbox>, which swift would replace"),
    "a tag in the caption": (regions(("cat", CAT), caption="<image>"), "a.jsonl:2: caption: holds <image>"),
    "another size": (regions(("cat", CAT), width=65), "image-size-differs"),
    "missing image": (regions(("cat", CAT), filename="gone.png"), "gone.png"),
}


@pytest.mark.parametrize("name", BROKEN_REGIONS)
def test_a_broken_line_of_grounding(write, tmp_path, name):
    broken, message = BROKEN_REGIONS[name]
    root = write(regions(("A cat", CAT)), broken)
    refused = refusal(grounding(root), tmp_path / "out.jsonl")
    assert message in refused, refused
    rows, counts = converted(grounding(root, on_error="skip"), tmp_path / "out.jsonl")
    assert [row["sample_id"] for row in rows] == ["a/1"]
    assert sum(counts.values()) >= 1


def test_back(tmp_path, draw):
    """Lines and a label map as the trainers read them, and the same boxes when they are read."""
    for name in ("x/a.png", "y/b.png"):
        draw(tmp_path / name, SIZE_WH)
    boxes = [("dog", [16, 12.25, 48, 36]), ("cat", [0, 0, 1, 48])]
    rows = detection_row(*boxes, image="x/a.png"), detection_row(image="y/b.png", sample_id=2)
    source = write_lines(tmp_path / "rows.jsonl", *rows)
    totals = ToOdvgOptions(annotations=str(source)).write(tmp_path / "back", IssueLog(), progress=False)
    assert (totals.rows, totals.objects, totals.negatives) == (2, 2, 1)
    lines = [json.loads(text) for text in (tmp_path / "back/odvg.jsonl").read_text().splitlines()]
    assert lines[0] == objects(instance([16, 12.25, 48, 36], 0, "dog"), instance([0, 0, 1, 48], 1, "cat"), filename="x/a.png")
    assert json.loads((tmp_path / "back/label_map.json").read_text()) == {"0": "dog", "1": "cat"}
    made, names = str(tmp_path / "back/odvg.jsonl"), str(tmp_path / "back/label_map.json")
    again = OdvgOptions(annotations=made, images=str(tmp_path), label_map=names, order="annotation")
    found, counts = converted(again, tmp_path / "out.jsonl")
    assert list(map(short, found)) == [(1, "a.png", SIZE_WH, boxes), (2, "b.png", SIZE_WH, [])]
    assert counts == {}
