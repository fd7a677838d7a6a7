"""CreateML: boxes by their centre, older keys, a folder of Roboflow, what is broken, and the file that is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import converted, detection_row, refusal, short, write_lines
from label_sources import reader

from groundswift.data_converters.formats.createml import CreatemlOptions, ToCreatemlOptions
from groundswift.data_converters.issues import IssueLog

SIZE_WH = (64, 48)
options = reader(CreatemlOptions, "_annotations.createml.json")
ONE = ("cat", [10, 20, 30, 40.5])


def annotation(label: Any = "cat", **changes: Any) -> dict[str, Any]:
    return {"label": label, "coordinates": {"x": 20, "y": 30.25, "width": 20, "height": 20.5} | changes}


def entry(*annotations: Any, image: Any = "a.jpg", **more: Any) -> dict[str, Any]:
    return {"image": image, "annotations": list(annotations)} | more


@pytest.fixture
def write(tmp_path: Path, draw):
    def written(*entries: Any) -> Path:
        for name in ("a.jpg", "sub/b.jpg"):
            draw(tmp_path / "set" / name, SIZE_WH)
        (tmp_path / "set/_annotations.createml.json").write_text(json.dumps(entries))
        return tmp_path / "set"

    return written


def read(given: CreatemlOptions, tmp_path: Path) -> tuple[list[Any], dict[str, int]]:
    rows, counts = converted(given, tmp_path / "out.jsonl")
    return [short(row)[1::2] for row in rows], counts


@pytest.mark.parametrize("folder", [True, False])
def test_rows(write, tmp_path, folder):
    """x and y are those of the centre; an entry without objects is an empty image."""
    root = write(entry(annotation(), annotation("dog", x=0, width=20)), entry(image="sub/b.jpg"))
    given = reader(CreatemlOptions)(root) if folder else options(root)
    assert read(given, tmp_path) == ([("a.jpg", [ONE, ("dog", [0, 20, 10, 40.5])]), ("b.jpg", [])], {"box-clipped": 1})


def test_older_keys(write, tmp_path):
    assert read(options(write({"imagefilename": "a.jpg", "annotation": [annotation()]})), tmp_path) == ([("a.jpg", [ONE])], {})


def test_fractions_are_refused(write, tmp_path):
    """An option says that the numbers are fractions, which the files do not state."""
    root = write(entry(annotation(x=0.5, y=0.5, width=0.25, height=0.5)))
    assert "all 1 boxes are between 0 and 1; expected pixels, or --units normalized" in refusal(options(root), tmp_path / "out.jsonl")


ANCHORS = {"center": (20, 30.25), "top-left": (10, 20), "bottom-left": (10, 40.5)}


@pytest.mark.parametrize("anchor", ANCHORS)
def test_other_points_and_units(write, tmp_path, anchor):
    """What Create ML is configured for, and its file does not state."""
    x, y = ANCHORS[anchor]
    assert read(options(write(entry(annotation(x=x, y=y))), anchor=anchor), tmp_path)[0] == [("a.jpg", [ONE])]
    width, height = SIZE_WH
    root = write(entry(annotation(x=x / width, y=y / height, width=20 / width, height=20.5 / height)))
    assert read(options(root, anchor=anchor, units="normalized"), tmp_path)[0] == [("a.jpg", [ONE])]


def test_pixels_are_no_fractions(write, tmp_path):
    root = write(entry(annotation(x=0, y=0, width=40, height=30)))
    assert "reaches to 20 times the side" in refusal(options(root, units="normalized"), tmp_path / "out.jsonl")


def test_names_with_backslashes(write, tmp_path):
    assert read(options(write(entry(annotation(), image="sub\\b.jpg"))), tmp_path) == ([("b.jpg", [ONE])], {"file-name-backslashes": 1})


def test_nothing_there(write, tmp_path):
    (tmp_path / "none").mkdir()
    expected = "none: no _annotations.createml.json; expected that file, or the JSON file itself as SOURCE"
    assert expected in refusal(reader(CreatemlOptions)(tmp_path / "none"), tmp_path / "out.jsonl")
    assert "json: nothing to write: no image is labelled" in refusal(options(write()), tmp_path / "out.jsonl")
    assert "json: no class, because no image has objects; expected --categories" in refusal(options(write(entry())), tmp_path / "out.jsonl")


BROKEN: dict[str, tuple[Any, str]] = {  # name -> (an entry, part of the error)
    "a number": (7, "json: row 2: not a row: Expected `object`, got `int`"),
    "NaN": (entry(annotation(x=float("nan")), image="sub/b.jpg"), "json: row 2: not a row: JSON is malformed"),
    "text": (entry(annotation(x="1"), image="sub/b.jpg"), "Expected `float`, got `str` - at `$.annotations[0].coordinates.x`"),
    "no box": (entry({"label": "cat"}, image="sub/b.jpg"), "Object missing required field `coordinates` - at `$.annotations[0]`"),
    "no image": (entry(annotation(), image=None), "json: row 2: no image; expected"),
    "another key": ({"name": "b.jpg", "annotations": []}, "no image; expected an object with image (the name of the file) and annotations"),
    "no annotations": ({"image": "sub/b.jpg"}, "json: row 2: no annotations; expected"),
    "empty label": (entry(annotation(" "), image="sub/b.jpg"), "json: row 2: annotation 1: empty label; expected label, and coordinates"),
    "negative": (entry(annotation(width=-20), image="sub/b.jpg"), "box-inverted"),
    "empty": (entry(annotation(width=0), image="sub/b.jpg"), "box-empty"),
    "outside": (entry(annotation(x=99), image="sub/b.jpg"), "box-outside"),
    "huge": (entry(annotation(width=1e12), image="sub/b.jpg"), "box-too-large"),
    "missing image": (entry(annotation(), image="gone.jpg"), "gone.jpg"),
    "outside the folder": (entry(annotation(), image="../a.jpg"), "image-path-outside"),
    "twice": (entry(annotation("dog")), "image-labelled-twice"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_entry(write, tmp_path, name):
    broken, message = BROKEN[name]
    root = write(entry(annotation()), broken)
    refused = refusal(options(root), tmp_path / "out.jsonl")
    assert message in refused, refused
    rows, counts = read(options(root, on_error="skip"), tmp_path)
    assert rows == [("a.jpg", [ONE])]
    assert sum(counts.values()) >= 1


def test_back(tmp_path, draw):
    """Names relative to the folder of all images, and the same boxes when they are read."""
    for name in ("x/a.jpg", "y/b.jpg"):
        draw(tmp_path / name, SIZE_WH)
    boxes = [("dog", [16, 12.25, 48, 36]), ("cat", [0, 0, 1, 48])]
    rows = detection_row(*boxes, image="x/a.jpg"), detection_row(image="y/b.jpg", sample_id=2)
    source = write_lines(tmp_path / "rows.jsonl", *rows)
    totals = ToCreatemlOptions(annotations=str(source)).write(tmp_path / "back.json", IssueLog(), progress=False)
    assert (totals.rows, totals.objects, totals.negatives) == (2, 2, 1)
    written = annotation("dog", x=32, y=24.125, width=32, height=23.75), annotation("cat", x=0.5, y=24, width=1, height=48)
    assert json.loads((tmp_path / "back.json").read_text()) == [entry(*written, image="x/a.jpg"), entry(image="y/b.jpg")]
    found, counts = converted(CreatemlOptions(annotations=str(tmp_path / "back.json"), order="annotation"), tmp_path / "out.jsonl")
    assert list(map(short, found)) == [(1, "a.jpg", SIZE_WH, boxes), (2, "b.jpg", SIZE_WH, [])]
    assert counts == {}
