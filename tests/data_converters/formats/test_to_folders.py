"""Rows for swift -> CVAT, DOTA and Open Images, which are folders with the images in them, and back."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from converted import converted, detection_row, refusal, run, short, write_lines
from hypothesis import given
from hypothesis import strategies as st

from groundswift.data_converters.formats.cvat.export import ToCvatOptions
from groundswift.data_converters.formats.cvat.source import CvatOptions
from groundswift.data_converters.formats.dota import DotaOptions, ToDotaOptions, dota_lines
from groundswift.data_converters.formats.openimages import OpenImagesOptions
from groundswift.data_converters.formats.openimages_export import ToOpenImagesOptions, lines_of
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.rows.collect_boxes import ImageBoxes

SIZE_WH = (64, 48)
BOXES = [("traffic_light", [16.25, 12.5, 48, 36.125]), ("猫&co", [0, 0, 64, 48]), ("<b>", [63, 47, 64, 48])]
NAMES = [label for label, _ in BOXES]
DESCRIPTIONS = "annotations/class-descriptions-boxable.csv"
KINDS: dict[str, tuple[Any, Callable[[Path], Any]]] = {  # format -> (its writer, the options that read what it writes)
    "cvat": (ToCvatOptions, lambda out: CvatOptions(annotations=str(out), order="annotation")),
    "dota": (ToDotaOptions, lambda out: DotaOptions(annotations=str(out), order="annotation")),
    "openimages": (
        ToOpenImagesOptions,
        lambda out: OpenImagesOptions(
            annotations=str(out / "annotations/train-annotations-bbox.csv"),
            images=str(out / "images"),
            class_descriptions=str(out / DESCRIPTIONS),
            order="annotation",
        ),
    ),
}


@pytest.mark.parametrize("image_files", ["link", "copy"])
@pytest.mark.parametrize("name", KINDS)
def test_back(rows_of_two_images, tmp_path, name, image_files):
    """The same boxes, images and empty images; Open Images has no place for an empty one, which is counted."""
    writer, reader = KINDS[name]
    log = IssueLog()
    totals = writer(annotations=rows_of_two_images(*BOXES), image_files=image_files).write(tmp_path / "out", log, progress=False)
    assert (totals.rows, totals.objects, totals.negatives) == (2, 3, 1)
    assert dict(log.counted.counts) == ({"image-without-line": 1} if name == "openimages" else {})
    found, _ = converted(reader(tmp_path / "out"), tmp_path / "back.jsonl")
    empty = [] if name == "openimages" else [("b.png", SIZE_WH, [])]
    assert [short(row)[1:] for row in found] == [*empty, ("two words.jpg", SIZE_WH, BOXES)]
    assert all(path.is_symlink() == (image_files == "link") for path in (tmp_path / "out").rglob("*.png"))


@pytest.mark.parametrize("name", KINDS)
def test_without_images(rows_of_two_images, tmp_path, name):
    writer, _ = KINDS[name]
    writer(annotations=rows_of_two_images(*BOXES), image_files="none").write(tmp_path / "out", IssueLog(), progress=False)
    assert {path.suffix for path in (tmp_path / "out").rglob("*.*")} <= {".xml", ".txt", ".csv"}


@pytest.mark.parametrize("name", KINDS)
def test_by_the_command_twice(rows_of_two_images, tmp_path, name):
    """The folder is new: what is there stays."""
    command = ["convert", f"to-{name}", rows_of_two_images(*BOXES), "--out", tmp_path / "out"]
    assert run(*command).exit_code == 0
    again = run(*command)
    assert again.exit_code == 1
    assert again.stderr.startswith("error: ")
    (tmp_path / "x/b.png").write_bytes((tmp_path / "y/b.png").read_bytes())
    source = write_lines(tmp_path / "two.jsonl", detection_row(image="x/b.png"), detection_row(image="y/b.png", sample_id=2))
    assert "expected a different name for each image" in run("convert", f"to-{name}", source, "--out", tmp_path / "new").stderr


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("cvat", "a\tb", "one without control characters, and without spaces at its ends"),
        ("cvat", " cat", "one without control characters, and without spaces at its ends"),
        ("openimages", "cat ", "one without control characters, and without spaces at its ends"),
        ("dota", "two words", "one word (convert with --rename-class)"),
    ],
)
def test_a_class_that_the_format_cannot_hold(rows_of_two_images, tmp_path, name, label, expected):
    message = refusal(KINDS[name][0](annotations=rows_of_two_images((label, [1, 2, 3, 4]))), tmp_path / "out")
    assert message.endswith(f"rows.jsonl: {'class' if name == 'dota' else 'name'} {label!r}; expected {expected}")


def test_the_file_of_cvat(rows_of_two_images, tmp_path):
    """As CVAT's XML format 1.1 has it; all classes of --categories are labels of the task, in their order."""
    (tmp_path / "names.txt").write_text("".join(f"{name}\n" for name in ["other", *NAMES]), encoding="utf-8")
    options = ToCvatOptions(annotations=rows_of_two_images(*BOXES), categories=str(tmp_path / "names.txt"))
    options.write(tmp_path / "out", IssueLog(), progress=False)
    root = ElementTree.parse(tmp_path / "out/annotations.xml").getroot()
    assert (root.tag, root.findtext("version"), root.findtext("meta/task/mode")) == ("annotations", "1.1", "annotation")
    assert [each.text for each in root.iterfind("meta/task/labels/label/name")] == ["other", *NAMES]
    assert [(each.get("id"), each.get("name"), each.get("width"), len(each)) for each in root.iter("image")] == [
        ("0", "two words.jpg", "64", 3),
        ("1", "b.png", "64", 0),
    ]
    box = {"label": "traffic_light", "source": "manual", "occluded": "0", "z_order": "0"}
    assert root.find("image/box").attrib == box | {"xtl": "16.25", "ytl": "12.5", "xbr": "48", "ybr": "36.125"}


def test_the_files_of_open_images(rows_of_two_images, tmp_path):
    ToOpenImagesOptions(annotations=rows_of_two_images(*BOXES)).write(tmp_path / "out", IssueLog(), progress=False)
    with open(tmp_path / "out/annotations/train-annotations-bbox.csv", encoding="utf-8", newline="") as file:
        first, *_ = lines = list(csv.DictReader(file))
    assert len(lines) == 3
    assert ",".join(first.values()) == "two words,xclick,traffic_light,1,0.25390625,0.75,0.260416667,0.752604167,-1,-1,0,0,-1"
    assert list(first)[-5:] == ["IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"]
    assert (tmp_path / "out" / DESCRIPTIONS).read_text(encoding="utf-8").splitlines() == [f"{name},{name}" for name in NAMES]


SIDES = st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 4))


@given(st.lists(st.tuples(st.sampled_from(NAMES), SIDES, SIDES, SIDES, SIDES), max_size=4), st.integers(1, 9999), st.integers(1, 9999))
def test_numbers_are_exact_to_a_thousandth_of_a_pixel(drawn, width, height):
    boxes = Counter((label, *(side * value for side, value in zip((width, height) * 2, sides, strict=True))) for label, *sides in drawn)
    image = ImageBoxes("a.jpg", (width, height), boxes=boxes)
    texts = [line.split() for line in dota_lines(image).splitlines()]
    lines = list(lines_of("a", image))
    for (label, *box), fields, line in zip(boxes.elements(), texts, lines, strict=True):
        assert (fields[8], line[2]) == (label, label)
        assert [*map(float, fields[:2]), *map(float, fields[4:6])] == pytest.approx(box, abs=1e-3)
        x1, x2, y1, y2 = map(float, line[4:8])
        assert [x1 * width, y1 * height, x2 * width, y2 * height] == pytest.approx(box, abs=1e-3)
