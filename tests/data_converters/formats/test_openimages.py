"""Open Images: classes by their codes, groups and depictions, missing images, and broken lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from converted import converted, refusal, short
from source_examples import put

from groundswift.data_converters.formats.openimages import OpenImagesOptions

HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
NAMES = '/m/011k07,Tortoise\n/m/0199g,"Bicycle, old"\n/m/01g317,Person\n'
TORTOISE, BICYCLE, PERSON = "/m/011k07", "/m/0199g", "/m/01g317"


def line(image: str, code: str = TORTOISE, box: str = "0.125,0.5,0.25,0.75", flags: str = "0,0,0,0,0") -> str:
    """A line of the full sets; `box`: XMin, XMax, YMin, YMax; `flags`: occluded, truncated, group, depiction, inside."""
    return f"{image},xclick,{code},1,{box},{flags}\n"


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    for name in ("0001eeaf.jpg", "validation/0002.jpg", "0003.jpg"):
        draw(tmp_path / "images" / name, (64, 48))
    (tmp_path / "names.csv").write_text(NAMES)
    lines = (
        line("0002", PERSON, "0,1,0,1", "1,1,-1,0,1"),
        line("0001eeaf"),
        line("0002", flags="0,0,0,1,0"),
        line("0003", flags="0,0,1,0,0"),
    )
    (tmp_path / "boxes.csv").write_text(HEAD + "".join(lines))
    return tmp_path


def options(root: Path, **more: Any) -> OpenImagesOptions:
    given = {"images": str(root / "images"), "class_descriptions": str(root / "names.csv")} | more
    return OpenImagesOptions(annotations=str(root / "boxes.csv"), **given)


BOX = [8, 12, 32, 36]
ROWS = [
    (1, "0001eeaf.jpg", (64, 48), [("Tortoise", BOX)]),
    (3, "0002.jpg", (64, 48), [("Tortoise", BOX), ("Person", [0, 0, 64, 48])]),
]
MARKS = {
    "occluded-dropped": 1,
    "truncated-dropped": 1,
    "inside-dropped": 1,
    "depiction-kept": 1,
    "group-as-crowd": 1,
    "crowd-skipped": 1,
    "image-crowd-only": 1,
}


def test_rows(folder, tmp_path):
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert (list(map(short, rows)), counts) == (ROWS, MARKS)
    asked = [row["messages"][0]["content"].split(": ")[1] for row in rows]
    assert asked == ["Tortoise.", "Tortoise, Person."]


def test_ids_with_folders(folder, tmp_path, draw):
    """Of images with one name the path decides; an id without folders means the one at the root."""
    for name in ("0002.jpg", "day/0002.jpg", "x/day/0003.jpg"):
        draw(folder / "images" / name, (64, 48))
    (folder / "boxes.csv").write_text(HEAD + line("0002") + line("validation/0002") + line("day/0003") + line("day/0001eeaf"))
    assert "day/0001eeaf" in refusal(options(folder), tmp_path / "out.jsonl")
    rows, counts = converted(options(folder, only_present=True), tmp_path / "out.jsonl")
    assert [str(Path(row["images"][0]).relative_to(folder / "images")) for row in rows] == [
        "0002.jpg",
        "validation/0002.jpg",
        "x/day/0003.jpg",
    ]
    assert counts == {"box-without-image": 1}


FORMS = {
    "challenge": ("ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n0001eeaf,/m/011k07,0.125,0.5,0.25,0.75,0\n", NAMES),
    "few columns, another order": ("YMax,YMin,XMax,XMin,LabelName,ImageID\n0.75,0.25,0.5,0.125,/m/011k07,0001eeaf\n", NAMES),
    "names with a head": (HEAD + line("0001eeaf"), "LabelName,DisplayName\n" + NAMES),
    "blank lines": (HEAD + "\n" + line("0001eeaf") + "\n", NAMES + "\n"),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(folder, tmp_path, name):
    boxes, names = FORMS[name]
    (folder / "boxes.csv").write_bytes(boxes.encode())
    (folder / "names.csv").write_bytes(names.encode())
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == ROWS[:1]
    assert counts == {}


@pytest.mark.parametrize("group", ["1", "1.0", "True", "true"])
def test_groups_as_tools_write_them(folder, tmp_path, group):
    """A table with gaps makes 1.0 of 1; taken for 0, the box of a group would be an object."""
    (folder / "boxes.csv").write_text(HEAD + line("0001eeaf") + line("0002", flags=f"0.0,-1.0,{group},False,"))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert [short(row)[1] for row in rows] == ["0001eeaf.jpg"]
    assert counts["group-as-crowd"] == 1


def test_two_classes_of_one_name(folder, tmp_path):
    """The full list of names has classes without boxes: those may share a name."""
    (folder / "names.csv").write_text(NAMES + "/m/9,Tortoise\n/m/8,Plum\n/m/7,Plum\n")
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == ROWS
    (folder / "boxes.csv").write_text(HEAD + line("0001eeaf") + line("0002", "/m/9"))
    assert "boxes.csv:3: classes '/m/9' and '/m/011k07' have the same name 'Tortoise'" in refusal(options(folder), tmp_path / "other.jsonl")


def test_classes_without_descriptions(folder, tmp_path):
    rows, _ = converted(options(folder, class_descriptions=None, classes="all"), tmp_path / "out.jsonl")
    assert rows[0]["messages"][0]["content"].endswith(": /m/011k07, /m/01g317.")


def test_only_present(folder, tmp_path):
    with open(folder / "boxes.csv", "a") as file:
        file.write(line("0009") + line("0009") + line("../0001eeaf"))
    refused = refusal(options(folder), tmp_path / "out.jsonl")
    assert re.search(r"\(0009, labelled at .*boxes.csv:\d+\): image not found", refused)
    rows, counts = converted(options(folder, only_present=True), tmp_path / "out.jsonl")
    assert (list(map(short, rows)), counts) == (ROWS, MARKS | {"box-without-image": 3})


FAULTY = {  # name -> (a line of 0001eeaf, part of the error)
    "few fields": ("0001eeaf,xclick,/m/011k07\n", "boxes.csv:2: 3 fields; expected 13, as in the header"),
    "a field too many": (line("0001eeaf", flags="0,0,1,0,0,0"), "boxes.csv:2: 14 fields"),
    "a mark that is none": (line("0001eeaf", flags="0,0,maybe,0,0"), "boxes.csv:2: IsGroupOf is 'maybe'; expected 0, 1 or -1"),
    "unknown class": (line("0001eeaf", "/m/zzz"), "boxes.csv:2: class '/m/zzz'; expected a class of --class-descriptions"),
    "no class": (line("0001eeaf", ""), "boxes.csv:2: no LabelName"),
    "no image": (line(""), "boxes.csv:2: no ImageID"),
    "image elsewhere": (line("../0001eeaf"), "file_name '../0001eeaf'"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_broken_lines(folder, tmp_path, name):
    text, expected = FAULTY[name]
    (folder / "boxes.csv").write_text(HEAD + text + line("0002"))
    assert expected in refusal(options(folder), tmp_path / "out.jsonl")
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert [short(row)[1] for row in rows] == ["0002.jpg"]
    assert counts


STOPS = {  # name -> (boxes, names, part of the error)
    "empty": ("", NAMES, "boxes.csv:1: no column ImageID, LabelName"),
    "no head": (line("0001eeaf"), NAMES, "boxes.csv:1: no column"),
    "head only": (HEAD, NAMES, "nothing to write: no image is labelled"),
    "image labels": ("ImageID,Source,LabelName,Confidence\n", NAMES, "no column XMin, XMax, YMin, YMax"),
    "not UTF-8": (b"ImageID,\xff\n", NAMES, "boxes.csv:1 or below: not UTF-8 text (byte 0xff)"),
    "names: one column": (HEAD, "/m/1\n", "names.csv:1: got /m/1; expected"),
    "names: code twice": (HEAD, "/m/1,a\n/m/1,b\n", "names.csv:2: /m/1 is called 'b', but 'a' above; expected one name"),
    "names: not UTF-8": (HEAD, b"/m/1,\xff\n", "not UTF-8 text (byte 0xff); expected a CSV file with the code of a class and its name"),
    "open quotation mark": (HEAD + line("0001eeaf", '"/m/1') + line("0002"), NAMES, "boxes.csv:2: a quotation mark that is not closed"),
}


@pytest.mark.parametrize("name", STOPS)
def test_broken_files(folder, tmp_path, name):
    *texts, expected = STOPS[name]
    for file, text in zip(("boxes.csv", "names.csv"), texts, strict=True):
        put(folder / file, text)
    text = refusal(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert expected in text.replace("'/m/1'", "/m/1")
