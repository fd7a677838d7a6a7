"""A ground truth read in pieces is the one read whole: the same columns, counts and errors, whatever is unusual in the file."""

from __future__ import annotations

import json
import random
from dataclasses import fields
from functools import partial

import numpy as np
import pytest

from groundswift.coco_pieces import read_columns
from groundswift.errors import GroundswiftError
from groundswift.eval import ground_truth
from groundswift.eval.ground_truth import read_truth

ODD = {  # what makes an annotation unusual
    "empty": lambda row, _: row["bbox"].__setitem__(2, 0),
    "three numbers": lambda row, _: row["bbox"].pop(),
    "crosses the border": lambda row, _: row["bbox"].__setitem__(0, -5.5),
    "far outside": lambda row, _: row["bbox"].__setitem__(0, 1e6),
    "unknown image": lambda row, _: row.update(image_id=77),
    "unknown class": lambda row, _: row.update(category_id=78),
    "no area": lambda row, _: row.pop("area"),
    "area null": lambda row, _: row.update(area=None),
    "negative area": lambda row, _: row.update(area=-1),
    "area too large": lambda row, _: row.update(area=1e11),
    "crowd": lambda row, _: row.update(iscrowd=1),
    "crowd true": lambda row, _: row.update(iscrowd=True),
    "crowd 0.5": lambda row, _: row.update(iscrowd=0.5),
    "ignore": lambda row, _: row.update(ignore=1),
    "rotated": lambda row, _: row.update(attributes={"rotation": 30}),
    "rotated by 0": lambda row, _: row.update(attributes={"rotation": 0.0}),
    "rotated by text": lambda row, _: row.update(attributes={"rotation": "left"}),
    "id again": lambda row, _: row.update(id=1),
    "no id": lambda row, _: row.pop("id"),
    "huge id": lambda row, _: row.update(id=1 << 70),
    "id 5.0": lambda row, _: row.update(image_id=float(row["image_id"])),
    "repeated": lambda row, rows: rows.append({**row, "id": 10_000 + len(rows)}),
    "nested": lambda row, _: row.update(parts=[{"a": 1}, {"a": 2}] * 9),
    "text": lambda row, _: row.update(note='"}, {", "annotations": [{'),
}

SEVERAL = ["crosses the border", "repeated", "negative area", "crowd", "no area"]


def document(rng: random.Random, odd: list[str]) -> dict:
    rows = [
        {
            "id": number + 1,
            "image_id": rng.choice((3, 9, 12)),
            "category_id": rng.choice((2, 5)),
            "bbox": [rng.randint(0, 300), round(rng.uniform(0, 200), 2), rng.randint(1, 300), round(rng.uniform(1, 200), 2)],
            "area": round(rng.uniform(1, 9e4), 2),
            "iscrowd": 0,
        }
        for number in range(40)
    ]
    for name in odd:
        ODD[name](rng.choice(rows), rows)
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480} for number in (12, 3, 9)]
    return {"images": images, "annotations": rows, "categories": [{"id": 5, "name": "cat"}, {"id": 2, "name": "dog"}]}


def read(path, **options) -> tuple[str, object]:
    try:
        truth = read_truth(path, **options)
    except GroundswiftError as error:
        return "error", str(error)
    columns = {each.name: getattr(truth, each.name) for each in fields(truth)}
    return "truth", {
        **{name: (value.dtype, value.tolist()) if isinstance(value, np.ndarray) else value for name, value in columns.items()},
        "dropped": (truth.dropped.counts, truth.dropped.lines()),
    }


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize(
    "odd", [[], *([name] for name in ODD), ["crosses the border", "repeated", "negative area", "crowd", "no area"]], ids=str
)
def test_it_is_the_truth_of_the_whole_file(tmp_path, monkeypatch, odd, on_error):
    (path := tmp_path / "truth.json").write_text(json.dumps(document(random.Random(4), odd)))
    monkeypatch.setattr(ground_truth, "read_columns", lambda _: None)
    wanted = read(path, on_error=on_error)
    for piece_bytes in (150, 1 << 20):
        monkeypatch.setattr(ground_truth, "read_columns", partial(read_columns, piece_bytes=piece_bytes))
        assert read(path, on_error=on_error) == wanted


@pytest.mark.parametrize("layout", [{}, {"indent": 1}, {"separators": (",", ":")}], ids=["plain", "indented", "dense"])
@pytest.mark.parametrize("first", ["images", "annotations", "categories"])
@pytest.mark.parametrize("piece_bytes", [1, 99, 1000, 1 << 20])
def test_pieces_of_any_size_hold_the_annotations_of_an_ordinary_file(tmp_path, first, layout, piece_bytes):
    content = document(random.Random(2), ["crowd", "no area"])
    (path := tmp_path / "truth.json").write_text(json.dumps({first: content[first], **content}, **layout))
    found = read_columns(path, piece_bytes)
    assert found is not None
    assert found.annotations.ids.tolist() == [row["id"] for row in content["annotations"]]
    assert found.annotations.boxes_xywh_px.tolist() == [row["bbox"] for row in content["annotations"]]
    assert [image.id for image in found.images] == [12, 3, 9]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"images": []}', '{"annotations": []}', '{"annotations": [}', '{"annotations"   '])
def test_what_is_no_such_file_is_left_to_the_reader_of_whole_files(tmp_path, text):
    (path := tmp_path / "truth.json").write_text(text)
    assert read_columns(path) is None
    assert read_columns(tmp_path) is None
    assert read_columns(tmp_path / "none.json") is None
