"""Pascal VOC: its numbers, marks and names, encodings, and every way that a file can be broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from converted import converted, refusal, short
from label_sources import reader
from source_examples import put

from groundswift.data_converters.formats.voc import ASSUMED_PIXELS, VocOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.worker_pool import WorkerPool

SIZE = "<size><width>64</width><height>48</height><depth>3</depth></size>"


def thing(name: str = "dog", box: str = "11 6 30 25", more: str = "") -> str:
    """An object as the VOC development kit writes it; `box`: xmin ymin xmax ymax."""
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=False)
    corners = "".join(f"\t\t\t<{side}>{value}</{side}>\n" for side, value in sides)
    return f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Left</pose>\n{more}\t\t<bndbox>\n{corners}\t\t</bndbox>\n\t</object>\n"


def document(*things: str, name: str | None = "a.jpg", size: str = SIZE, head: str = "") -> str:
    named = "" if name is None else f"\t<filename>{name}</filename>\n"
    source = "\t<source>\n\t\t<database>The VOC2007 Database</database>\n\t</source>\n"
    start = f"{head}<annotation>\n\t<folder>VOC2012</folder>\n{named}{source}\t{size}\n\t<segmented>0</segmented>\n"
    return f"{start}{''.join(things)}</annotation>\n"


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    """A dataset: one image with two objects, one difficult only, one without objects."""
    root = tmp_path / "VOC2012"
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        draw(root / "JPEGImages" / name, (64, 48))
    annotate(root, "a", document(thing("dog"), thing("cat & co".replace("&", "&amp;"), "1 1 64 48", "<truncated>1</truncated>")))
    annotate(root, "b", document(thing("dog", more="<difficult>1</difficult>"), name="b.jpg"))
    annotate(root, "c", document(name="c.jpg"))
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/val.txt").write_text("c\na\n")
    (root / "ImageSets/Main/dog_train.txt").write_text("a  1\r\nb -1\r\n\r\n")
    return root


def annotate(root: Path, stem: str, text: str | bytes) -> None:
    put(root / f"Annotations/{stem}.xml", text)


options = reader(VocOptions)


def test_an_image_labelled_twice_is_read_once(folder, tmp_path, draw):
    draw(folder / "JPEGImages/a.jpg", (48, 64), orientation=6)
    annotate(folder, "a2", document(thing("dog")))
    rows, counts = converted(options(folder, on_error="skip", coco_out=str(tmp_path / "c.json")), tmp_path / "out.jsonl")
    assert [row["sample_id"] for row in rows] == [1, 4]
    assert counts["image-labelled-twice"] == counts["image-rotated-by-exif"] == 1


READ_FIRST = [({}, SIZE, False), ({"coco_out": "c.json"}, SIZE, True), ({}, "", True), ({"check_images": False}, SIZE, False)]


@pytest.mark.parametrize(("more", "size", "first"), READ_FIRST)
def test_when_images_are_read(folder, tmp_path, more, size, first):
    """With their rows, by all workers; before all rows where sizes, or which images are usable, must be known first."""
    annotate(folder, "c", document(name="c.jpg", size=size))
    (folder / "JPEGImages/a.jpg").unlink()
    log, coco_out = IssueLog("skip"), {"coco_out": str(tmp_path / "c.json")} if "coco_out" in more else {}
    reading = options(folder, on_error="skip", **more | coco_out).open(log, WorkerPool())
    assert log.counted.counts["image-missing"] == first
    assert len(list(reading.items)) == 3 - first
    rows = [row for item in reading.items for row in reading.make(item, log)]
    assert [row.sample_id for row in rows] == ([1, 3] if more.get("check_images") is False else [3])
    assert log.counted.counts["image-missing"] == (more.get("check_images") is not False)


A = (1, "a.jpg", (64, 48), [("cat & co", [0, 0, 64, 48]), ("dog", [10, 5, 30, 25])])
C = (3, "c.jpg", (64, 48), [])
MARKS = {"truncated-dropped": 1}
ASSUMED = {ASSUMED_PIXELS: 2}


def test_rows(folder, tmp_path):
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == [A, C]
    assert counts == MARKS | ASSUMED | {"difficult-as-crowd": 1, "crowd-skipped": 1, "image-crowd-only": 1}
    assert rows[0]["messages"][0]["content"] == "<image>Detect every object of these categories: cat & co, dog."
    assert rows[0]["images"] == [str(folder / "JPEGImages/a.jpg")]


def test_edges(folder, tmp_path):
    annotate(folder, "a", document(thing(box="0 0.25 30.125 25.1"), thing("cat", "1e1 5 63.999 48"), thing("hair", "9 9 9.5 20")))
    rows, _ = converted(options(folder, corners="edges"), tmp_path / "out.jsonl")
    assert short(rows[0])[3] == [("cat", [10, 5, 63.999, 48]), ("dog", [0, 0.25, 30.125, 25.1]), ("hair", [9, 9, 9.5, 20])]
    rows, counts = converted(options(folder, corners="pixels"), tmp_path / "pixels.jsonl")
    assert short(rows[0])[3][1] == ("dog", [0, 0, 30.125, 25.1])
    assert counts["box-clipped"] == 1


SHOWS_EDGES = {  # box -> the number that contradicts pixels
    "0 6 30 25": "object 1: xmin is 0",
    "11 0 30 25": "object 1: ymin is 0",
    "11 6 30.5 25": "object 1: xmax is 30.5",
    "11.25 6 30 25": "object 1: xmin is 11.25",
    "1e-3 6 30 25": "object 1: xmin is 0.001",
}


@pytest.mark.parametrize("box", SHOWS_EDGES)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_file_that_counts_edges_is_not_read_as_pixels(folder, tmp_path, box, on_error):
    annotate(folder, "c", document(thing(box=box), name="c.jpg"))
    message = refusal(options(folder, on_error=on_error), tmp_path / "out.jsonl")
    assert f"Annotations/c.xml: {SHOWS_EDGES[box]}: not a pixel counted from 1, as VOC defines boxes; expected --corners edges" in message
    for corners, shift in (("edges", 0), ("pixels", 1)):
        rows, counts = converted(options(folder, corners=corners), tmp_path / f"{corners}.jsonl")
        assert short(rows[-1])[3][0][1][2:] == [float(side) for side in box.split()[2:]]
        assert short(rows[0])[3][1][1] == [11 - shift, 6 - shift, 30, 25]
        assert ASSUMED_PIXELS not in counts


@pytest.mark.parametrize("box", ["11 6 30 25", "11.0 6.0 30.0 25.0", "1 1 64 48", "-2 6 30 25", "1 1 1 1"])
def test_pixels_are_assumed_where_nothing_contradicts(folder, tmp_path, box):
    annotate(folder, "a", document(thing(box=box)))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    x1, y1, x2, y2 = map(float, box.split())
    assert short(rows[0])[3] == [("dog", [max(x1 - 1, 0), y1 - 1, x2, y2])]
    assert counts[ASSUMED_PIXELS] == 2


def rotated(degrees: str, box: str = "11 11 30 20") -> str:
    """As CVAT exports a rotated box to VOC: the box as it was before, and the angle."""
    return thing(box=box, more=f"<attributes><attribute><name>rotation</name><value>{degrees}</value></attribute></attributes>")


def rolabelimg(numbers: str, more: str = "<type>robndbox</type>") -> str:
    """As roLabelImg writes: cx, cy, w, h in px, the angle in radians."""
    sides = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(("cx", "cy", "w", "h", "angle"), numbers.split(), strict=False))
    return f"<object>{more}<name>dog</name><difficult>0</difficult><robndbox>{sides}</robndbox></object>"


HALF_PI = 1.5707963267948966
ROTATIONS = {  # name -> (object, its box)
    "90 degrees": (rotated("90.0"), [15, 5, 25, 25]),
    "-90 degrees": (rotated("-90"), [15, 5, 25, 25]),
    "450 degrees": (rotated("450"), [15, 5, 25, 25]),
    "180 degrees": (rotated("180"), [10, 10, 30, 20]),
    "30 degrees": (rotated("30"), [8.839746, 5.669873, 31.160254, 24.330127]),
    "beyond the image": (rotated("90", "1 11 60 20"), [25, 0, 35, 45]),
    "0 degrees": (rotated("0.0"), [10, 10, 30, 20]),
    "360 degrees": (rotated("360"), [10, 10, 30, 20]),
    "roLabelImg, not rotated": (rolabelimg("20 15 20 10 0"), [10, 10, 30, 20]),
    "roLabelImg": (rolabelimg(f"20 15 20 10 {HALF_PI}"), [15, 5, 25, 25]),
    "roLabelImg, no type": (rolabelimg(f"20 15 20 10 {HALF_PI}", ""), [15, 5, 25, 25]),
    "roLabelImg, both boxes": (
        rolabelimg(f"20 15 20 10 {HALF_PI}").replace("<robndbox>", f"{thing().split('</pose>')[1].partition('</object>')[0]}<robndbox>"),
        [15, 5, 25, 25],
    ),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_a_rotated_box_becomes_the_axis_aligned_one_around_it(folder, tmp_path, name):
    item, box = ROTATIONS[name]
    annotate(folder, "a", document(item))
    rows, counts = converted(options(folder, corners="pixels"), tmp_path / "out.jsonl")
    assert short(rows[0])[3] == [("dog", pytest.approx(box))]
    assert counts.get("box-from-rotated", 0) == (name not in ("0 degrees", "360 degrees", "roLabelImg, not rotated"))


SECOND = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
SEVERAL = {  # name -> (objects, the boxes that are read, reasons)
    "two boxes": ([thing().replace("</object>", SECOND + "</object>")], [[1, 2, 9, 9], [10, 5, 30, 25]], {"object-split": 1}),
    "a box and an empty one": (
        [thing().replace("</object>", "<bndbox/></object>")],
        [[10, 5, 30, 25]],
        {"object-split": 1, "bndbox-empty": 1},
    ),
    "the same name twice": ([thing().replace("<pose>", "<name>dog</name><pose>")], [[10, 5, 30, 25]], {}),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_boxes_in_one_object(folder, tmp_path, name):
    objects, boxes, reasons = SEVERAL[name]
    annotate(folder, "a", document(*objects))
    rows, counts = converted(options(folder, split="val", on_error="skip", corners="pixels"), tmp_path / "out.jsonl")
    assert sorted(box for _, box in short(rows[0])[3]) == boxes
    assert counts == reasons
    if "bndbox-empty" in reasons:
        assert "a <bndbox> without numbers" in refusal(options(folder), tmp_path / "other.jsonl")


IMAGE_NAMES = {  # <filename> -> the image, or part of the error
    "a.jpg": "a.jpg",
    "a": "a.jpg",
    "gone/a.jpg": "image not found",
    "c.jpg": "annotation-two-images",
    "c": "annotation-two-images",
    "C:\\images\\c.jpg": "annotation-two-images",
    "a.png": "image not found",
    "renamed.jpg": "image-of-filename-missing",
}


@pytest.mark.parametrize("name", IMAGE_NAMES)
def test_which_image_a_file_is_about(folder, tmp_path, name):
    annotate(folder, "a", document(thing(), name=name))
    if (expected := IMAGE_NAMES[name]) == "a.jpg":
        assert short(converted(options(folder), tmp_path / "out.jsonl")[0][0])[1] == expected
    else:
        assert expected in refusal(options(folder), tmp_path / "out.jsonl")
    assert short(converted(options(folder, image_by="stem"), tmp_path / "stem.jsonl")[0][0])[1] == "a.jpg"
    if expected == "annotation-two-images" and "\\" not in name:
        rows, _ = converted(options(folder, image_by="filename", on_error="skip"), tmp_path / "name.jsonl")
        assert [short(row)[1] for row in rows] == ["c.jpg"]


def test_splits(folder, tmp_path):
    assert [short(row)[:2] for row in converted(options(folder, split="val"), tmp_path / "a.jsonl")[0]] == [(1, "a.jpg"), (2, "c.jpg")]
    assert [short(row)[:2] for row in converted(options(folder, split="dog_train"), tmp_path / "b.jsonl")[0]] == [(1, "a.jpg")]
    (folder / "ImageSets/Main/val.txt").write_text("a\nz\n")
    assert "val.txt:2: file not found: z.xml" in refusal(options(folder, split="val"), tmp_path / "out.jsonl")
    assert "the stems of a split" in refusal(options(folder, split="gone"), tmp_path / "out.jsonl")


SPLIT_LINES = {"day/a b": 1, '"day/a b"': 1, "day/a b  1": 1, '"day/a b" -1': 1, "a": 2, "a 0": 2}


@pytest.mark.parametrize("line", SPLIT_LINES)
def test_splits_name_files_in_folders_and_with_blanks(folder, tmp_path, draw, line):
    draw(folder / "JPEGImages/day/a b.jpg", (64, 48))
    annotate(folder, "day/a b", document(thing(), name="a b.jpg"))
    (folder / "ImageSets/Main/x.txt").write_text(f"{line}\n")
    rows, _ = converted(options(folder, split="x"), tmp_path / "out.jsonl")
    assert [short(row)[1] for row in rows] == [["", "a b.jpg", "a.jpg"][SPLIT_LINES[line]]]


PATHS = {  # (the XML file, <filename>, more images) -> the image, or part of the error
    ("day/a", "a.jpg", ("day/a.jpg",)): "day/a.jpg",
    ("day/a", "day/a.jpg", ("day/a.jpg",)): "day/a.jpg",
    ("day/a", "a", ("day/a.jpg", "night/a.jpg")): "day/a.jpg",
    ("a", "a.jpg", ("day/a.jpg",)): "a.jpg",
    ("d", "night/d.jpg", ("day/d.jpg", "x/night/d.jpg")): "x/night/d.jpg",
    ("d", "d.jpg", ("day/d.jpg", "night/d.jpg")): "day/d.jpg and night/d.jpg; expected one image of that name, or one in the folder",
    ("x/d", "d", ("day/d.jpg", "night/d.jpg")): "day/d.jpg and night/d.jpg; expected one image of that name, or one in the folder",
    ("d", "gone/d.jpg", ("day/d.jpg",)): "image not found",
}


@pytest.mark.parametrize("case", PATHS)
def test_images_in_folders(folder, tmp_path, draw, case):
    (path, filename, images), expected = case, PATHS[case]
    for name in images:
        draw(folder / "JPEGImages" / name, (64, 48))
    annotate(folder, path, document(thing(), name=filename))
    (folder / "ImageSets/Main/x.txt").write_text(f"{path}\n")
    given = options(folder, split="x")
    if expected.endswith(".jpg"):
        assert converted(given, tmp_path / "out.jsonl")[0][0]["images"] == [str(folder / "JPEGImages" / expected)]
    else:
        assert expected in refusal(given, tmp_path / "out.jsonl")


def test_splits_in_folders(tmp_path, draw):
    """Each with Annotations/ and JPEGImages/ of its own, and the same names."""
    for split in ("train", "val"):
        draw(tmp_path / "VOC" / split / "JPEGImages/a.jpg", (64, 48))
        annotate(tmp_path / "VOC" / split, "a", document(thing(split)))
    rows, _ = converted(options(tmp_path / "VOC"), tmp_path / "out.jsonl")
    assert [(Path(row["images"][0]).parts[-3], row["objects"]["ref"]) for row in rows] == [("train", ["train"]), ("val", ["val"])]


def test_a_flat_folder(folder, tmp_path):
    flat = options(folder / "Annotations", images=str(folder / "JPEGImages"))
    assert list(map(short, converted(flat, tmp_path / "out.jsonl")[0])) == [A, C]


def test_a_size_that_only_the_image_states(folder, tmp_path):
    annotate(folder, "c", document(name="c", size="<size><width>0</width><height>0</height></size>"))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == [A, C]
    assert counts["size-from-image"] == 1


def test_order_of_classes(folder, tmp_path):
    (folder / "labels.txt").write_bytes(b"\xef\xbb\xbfzebra\r\ndog\r\n")
    rows, _ = converted(options(folder), tmp_path / "a.jsonl")
    assert rows[0]["messages"][0]["content"].endswith(": zebra, dog, cat & co.")


NAMES = {  # the text of <name> -> the class
    "&lt;a&gt; &#233;t": "<a> ét",
    "ca<!-- x -->t": "cat",
    "<![CDATA[c<t]]>": "c<t",
    "\n\tbig  cat ": "big  cat",
    "猫": "猫",
}
ENCODED = {  # encoding -> the file of a.jpg
    "latin-1": document(thing("chât"), head='<?xml version="1.0" encoding="ISO-8859-1"?>\n').encode("latin-1"),
    "UTF-16": document(thing("chât"), head='<?xml version="1.0" encoding="UTF-16"?>\n').encode("utf-16"),
}


@pytest.mark.parametrize("text", [*NAMES, *ENCODED])
def test_names_and_encodings(folder, tmp_path, text):
    annotate(folder, "a", ENCODED.get(text, document(thing(text))))
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    assert short(rows[0])[3] == [(NAMES.get(text, "chât"), [10, 5, 30, 25])]


NO, YES = ["0", "0.0", "0.00", "False", "FALSE", "no", "Unspecified", " "], ["1", "1.0", "0.4", "2", "true", "Yes"]


@pytest.mark.parametrize("mark", [*NO, *YES])
def test_marks(folder, tmp_path, mark):
    """0.00 is what tools make of KITTI's: as a mark, it would make every object difficult."""
    more = f"<difficult>{mark}</difficult><truncated>{mark}</truncated>"
    annotate(folder, "a", document(thing(), thing("cat", more=more)))
    rows, counts = converted(options(folder, split="val"), tmp_path / "out.jsonl")
    marked = {"difficult-as-crowd": 1, "truncated-dropped": 1, "crowd-skipped": 1} if mark in YES else {}
    assert [label for label, _ in short(rows[0])[3]] == (["dog"] if marked else ["cat", "dog"])
    assert counts == {ASSUMED_PIXELS: 1} | marked


def test_parts_are_no_objects(folder, tmp_path):
    part = "<part><name>head</name><bndbox><xmin>12</xmin><ymin>7</ymin><xmax>15</xmax><ymax>9</ymax></bndbox></part>"
    annotate(folder, "a", document(thing(more=part)))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert short(rows[0])[3] == [("dog", [10, 5, 30, 25])]
    assert counts["part-dropped"] == 1


BROKEN = {  # name -> (the file of a.jpg, what is wrong)
    "empty": ("", "a.xml:1:1: not XML (no element found)"),
    "not UTF-8": (document(thing("ch\xe2t")).encode("latin-1"), "not XML (not well-formed (invalid token))"),
    "unknown encoding": (document(head='<?xml version="1.0" encoding="klingon"?>'), "not XML"),
    "DTD": (document(thing("&x;"), head='<!DOCTYPE a [<!ENTITY x "boom">]>'), "a DTD or its own entities; expected plain XML"),
    "fetching DTD": (document(thing(), head='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), "a DTD or its own entities"),
    "other XML": ("<annotations/>", "XML of <annotations>; expected <annotation>"),
    "no filename": (document(name=None), "a.xml: no <filename>"),
    "no name": (document(thing("")), "a.xml: object 1: no <name>; expected the name of a class"),
    "two names": (document(thing().replace("<pose>", "<name>cat</name><pose>")), "object 1: 2 <name>: dog, cat; expected one <name>"),
    "a rotation in words": (document(rotated("a bit")), "'dog' has a rotation that cannot be read"),
    "no rotation": (document(rotated("nan")), "'dog' has a rotation that cannot be read"),
    "roLabelImg without an angle": (document(rolabelimg("20 15 20 10")), "'dog' has nothing as angle"),
    "no box": (document("<object><name>dog</name></object>"), "object 1: 'dog' has no <bndbox>"),
    "no ymax": (document(thing(box="1 2 3")), "object 1: 'dog' has nothing as ymax; expected a number"),
    "image missing": (
        document(name="z.jpg"),
        "<filename> is z.jpg, which is not found, but a.jpg has the name of this file; expected --image-by stem",
    ),
    "image outside": (document(name="../a.jpg"), "file_name '../a.jpg' with"),
    "image of another file": (document(thing(), name="c.jpg"), "a.xml: <filename> is c.jpg, but a.jpg has the name"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(folder, tmp_path, name):
    text, expected = BROKEN[name]
    annotate(folder, "a", text)
    assert expected in refusal(options(folder), tmp_path / "out.jsonl")
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert short(rows[-1])[1] == "c.jpg"
    assert all(short(row)[1] != "a.jpg" for row in rows)
    assert counts


def test_nothing_there(tmp_path):
    assert "no such folder" in refusal(options(tmp_path / "gone"), tmp_path / "out.jsonl")
    assert "no XML file" in refusal(options(tmp_path), tmp_path / "out.jsonl")
    assert "no such folder" in refusal(VocOptions(annotations="memory://nowhere/voc"), tmp_path / "out.jsonl")
    assert (
        refusal(VocOptions(annotations="https://host/voc"), tmp_path / "out.jsonl")
        == "https://host/voc: a folder on the web cannot be listed; expected a local folder, or one in an object store such as s3://"
    )
