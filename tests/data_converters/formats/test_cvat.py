"""CVAT for images 1.1: shapes and their bounds, labels, subsets, and every way that a file can be broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from converted import converted, refusal, run, short
from label_sources import reader
from source_examples import put

from groundswift.data_converters.formats.cvat.source import CvatOptions

LABELS = "<labels><label><name>dog</name><color>#a</color><attributes/></label><label><name>cat</name></label></labels>"
META = f"<meta><task><id>1</id><name>t</name><size>3</size>{LABELS}</task><dumped>2024-01-01</dumped></meta>"
DOG = '<box label="dog" source="manual" occluded="0" xtl="10.00" ytl="5.50" xbr="30.25" ybr="25.00" z_order="0">\n    </box>'


def image(*shapes: str, name: str = "a.jpg", number: int = 0, more: str = "") -> str:
    inner = "".join(f"    {shape}\n" for shape in shapes)
    return f'  <image id="{number}" name="{name}" width="64" height="48"{more}>\n{inner}  </image>\n'


def document(*images: str, meta: str = META, head: str = '<?xml version="1.0" encoding="utf-8"?>\n') -> str:
    return f"{head}<annotations>\n  <version>1.1</version>\n  {meta}\n{''.join(images)}</annotations>\n"


def box(label: str = "dog", corners: str = "10 5 30 25", more: str = "") -> str:
    sides = " ".join(f'{side}="{value}"' for side, value in zip(("xtl", "ytl", "xbr", "ybr"), corners.split(), strict=False))
    return f'<box label="{label}" {sides} occluded="0"{more}></box>'


def mask(rle: str, frame: str = "10 5 4 6", more: str = "") -> str:
    """`frame`: left, top, width, height."""
    sides = " ".join(f'{side}="{value}"' for side, value in zip(("left", "top", "width", "height"), frame.split(), strict=True))
    return f'<mask label="dog" rle="{rle}" {sides}{more}/>'


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    """An unpacked export: annotations.xml, images/."""
    for name in ("a.jpg", "b.jpg", "night/c.jpg"):
        draw(tmp_path / "export/images" / name, (64, 48))
    images = image(DOG, name="night/c.jpg"), image(name="b.jpg", number=1), image(box("cat"), DOG, number=2)
    write(tmp_path / "export", document(*images))
    return tmp_path / "export"


def write(root: Path, text: str | bytes) -> None:
    put(root / "annotations.xml", text)


options = reader(CvatOptions, "annotations.xml")


ROWS = [
    (1, "a.jpg", (64, 48), [("dog", [10, 5.5, 30.25, 25]), ("cat", [10, 5, 30, 25])]),
    (2, "b.jpg", (64, 48), []),
    (3, "c.jpg", (64, 48), [("dog", [10, 5.5, 30.25, 25])]),
]


def test_rows(folder, tmp_path):
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert (list(map(short, rows)), counts) == (ROWS, {})
    assert rows[0]["messages"][0]["content"] == "<image>Detect every object of these categories: dog, cat."
    assert rows[2]["images"] == [str(folder / "images/night/c.jpg")]
    assert converted(CvatOptions(annotations=str(folder)), tmp_path / "again.jsonl")[0] == rows


CUBOID = "".join(f' x{side}{face}="{20 + 5 * face}" y{side}{face}="{10 + face}"' for side in ("tl", "bl", "tr") for face in (1, 2))
SHAPES = {  # name -> (shape, box, count)
    "polygon": ('<polygon label="dog" points="1.5,2;10,2;10,20.5" z_order="0"/>', [1.5, 2, 10, 20.5], "box-from-polygon"),
    "spaced polygon": ('<polygon label="dog" points="1.5, 2; 10, 2; 10, 20.5"/>', [1.5, 2, 10, 20.5], "box-from-polygon"),
    "rotated": (box(corners="10 10 30 20", more=' rotation="90.00"'), [15, 5, 25, 25], "box-from-rotated"),
    "by a half": (box(corners="10 10 30 20", more=' rotation="180"'), [10, 10, 30, 20], "box-from-rotated"),
    "not rotated": (box(corners="10 10 30 20", more=' rotation="0.00"'), [10, 10, 30, 20], None),
    "ellipse": ('<ellipse label="dog" cx="30" cy="20" rx="10" ry="5"/>', [20, 15, 40, 25], "box-from-ellipse"),
    "rotated ellipse": ('<ellipse label="dog" cx="30" cy="20" rx="10" ry="5" rotation="90"/>', [25, 10, 35, 30], "box-from-ellipse"),
    "mask": (mask("9, 2, 2, 2, 9"), [11, 7, 13, 9], "box-from-mask"),
    "mask of one run over rows": (mask("7, 2, 15"), [10, 6, 14, 8], "box-from-mask"),
    "mask that fills its frame": (mask("0, 24"), [10, 5, 14, 11], "box-from-mask"),
    "mask in the frame of its image": (mask("65, 2, 3005", "0 0 64 48"), [1, 1, 3, 2], "box-from-mask"),
    "mask of two spots": (mask("0,1,22,1"), [10, 5, 14, 11], "box-from-mask"),
    "cuboid": (f'<cuboid label="dog"{CUBOID} xbr1="40" ybr1="30" xbr2="41" ybr2="31"/>', [25, 11, 41, 31], "box-from-cuboid"),
    "occluded": (box().replace('occluded="0"', 'occluded="1"'), [10, 5, 30, 25], "occluded-dropped"),
    "attribute": (box().replace("></box>", '><attribute name="a">b</attribute></box>'), [10, 5, 30, 25], "attribute-dropped"),
    "with a tag": (box() + '<tag label="dog"/>', [10, 5, 30, 25], "image-tag-dropped"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(folder, tmp_path, name):
    shape, expected, count = SHAPES[name]
    write(folder, document(image(shape)))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert short(rows[0])[3] == [("dog", expected)]
    assert counts == ({count: 1} if count else {})


def test_an_empty_mask_is_an_empty_box(folder, tmp_path):
    write(folder, document(image(mask("24"), DOG)))
    assert "box-empty" in refusal(options(folder), tmp_path / "out.jsonl")
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert short(rows[0])[3] == [("dog", [10, 5.5, 30.25, 25])]
    assert counts["box-empty"] == 1


def test_a_frame_of_any_size_needs_no_memory(folder, tmp_path):
    side = 1 << 28
    write(folder, document(image(mask(f"0, 2, {side * side - 2}", f"0 0 {side} {side}"))))
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    assert short(rows[0])[3] == [("dog", [0, 0, 2, 1])]


def polygon(points: str, group: int) -> str:
    return f'<polygon label="dog" points="{points}" group_id="{group}"/>'


GROUP, LEFT, RIGHT = ' group_id="1"', "1,1;5,1;5,6", "20,10;30,10;30,25"
GROUPS = {  # name -> (shapes, boxes, outlines that count as parts)
    "a polygon and its box": ([polygon(LEFT, 1), box(corners="1 1 5 6", more=GROUP)], [[1, 1, 5, 6]], 1),
    "the box first": ([box(corners="1 1 5 6", more=GROUP), polygon(LEFT, 1)], [[1, 1, 5, 6]], 1),
    "two polygons and the box around both": (
        [polygon(LEFT, 1), polygon(RIGHT, 1), box(corners="1 1 30 25", more=GROUP)],
        [[1, 1, 30, 25]],
        2,
    ),
    "a mask and its box": ([mask("9, 2, 2, 2, 9", more=GROUP), box(corners="11 7 13 9", more=GROUP)], [[11, 7, 13, 9]], 1),
    "another group": ([polygon(LEFT, 2), box(corners="2 1 5 6", more=GROUP)], [[1, 1, 5, 6], [2, 1, 5, 6]], 0),
    "no group": ([polygon(LEFT, 0), box(corners="2 1 5 6")], [[1, 1, 5, 6], [2, 1, 5, 6]], 0),
    "grouped by a person": ([polygon(LEFT, 1), box(corners="20 10 30 25", more=GROUP)], [[1, 1, 5, 6], [20, 10, 30, 25]], 0),
    "two boxes": ([box(corners="1 1 5 6", more=GROUP), box(corners="2 1 5 6", more=GROUP)], [[1, 1, 5, 6], [2, 1, 5, 6]], 0),
    "two objects, each with its box": (
        [polygon(LEFT, 1), polygon(RIGHT, 1), box(corners="1 1 5 6", more=GROUP), box(corners="20 10 30 25", more=GROUP)],
        [[1, 1, 5, 6], [20, 10, 30, 25]],
        2,
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_an_outline_and_its_box_are_one_object(folder, tmp_path, name):
    shapes, boxes, parts = GROUPS[name]
    write(folder, document(image(*shapes)))
    rows, counts = converted(options(folder, order="reading"), tmp_path / "out.jsonl")
    assert sorted(found for _, found in short(rows[0])[3]) == boxes
    assert counts.get("outline-merged", 0) == parts


@pytest.mark.parametrize(
    "shape",
    [
        '<polyline label="dog" points="1,2;3,4"/>',
        '<points label="dog" points="1,2"/>',
        '<skeleton label="dog"><points label="1" points="1,2"/></skeleton>',
    ],
)
def test_shapes_without_bounds_are_not_absent(folder, tmp_path, shape):
    write(folder, document(image(shape), image(shape, box("cat"), name="b.jpg"), image(name="night/c.jpg")))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert [short(row)[0] for row in rows] == [2, 3]
    assert counts[f"{shape[1:].split()[0]}-dropped"] == 2
    assert counts["image-crowd-only"] == 1
    one = json.loads(run("convert", "cvat", folder, "--classes", "one", "--absent", 9, "--dry-run", "--json").stdout)
    assert (one["rows"], one["counts"]["class-crowd-only"]) == (3, 1)  # cat of b; dog and cat of c


def test_names(folder, tmp_path):
    meta = META.replace("dog", "a &amp; b")
    write(folder, document(image(box("a &amp; b"), box("&#233;t&#xE9;", "1 1 9 9")), meta=meta))
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    assert [label for label, _ in short(rows[0])[3]] == ["a & b", "été"]
    assert rows[0]["messages"][0]["content"].endswith(": a & b, cat, été.")


@pytest.mark.parametrize("level", ["project", "job", "task"])
def test_where_labels_may_be(folder, tmp_path, level):
    joint = "<label><name>knee</name><type>points</type><parent>dog</parent></label>"
    meta = META.replace("task>", f"{level}>").replace("</labels>", f"{joint}</labels>")
    write(folder, document(image(box("bird")), meta=meta))
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    assert rows[0]["messages"][0]["content"].endswith(": dog, cat, bird.")


def test_export_of_a_project(folder, tmp_path, draw):
    """Images are in folders by subset, and two subsets may have the same name; a subset that leaves the folder is ignored."""
    draw(folder / "images/Train/a.jpg", (64, 48))
    draw(folder / "images/Val/a.jpg", (64, 48))
    subsets = (' subset="Train"', DOG), (' subset="Val"', ""), (' subset="../images"', "")
    images = [image(shape, name=name, more=more) for (more, shape), name in zip(subsets, ("a.jpg", "a.jpg", "b.jpg"), strict=True)]
    write(folder, document(*images))
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    assert [row["images"][0].removeprefix(f"{folder}/images/") for row in rows] == ["Train/a.jpg", "Val/a.jpg", "b.jpg"]
    assert [len(short(row)[3]) for row in rows] == [1, 0, 0]


def test_subset(folder, tmp_path):
    write(folder, document(image(DOG, more=' subset="Train"'), image(name="b.jpg", more=' subset="Val"')))
    assert [short(row)[:2] for row in converted(options(folder, subset="Val"), tmp_path / "out.jsonl")[0]] == [(1, "b.jpg")]
    assert "no image of subset Test" in refusal(options(folder, subset="Test"), tmp_path / "other.jsonl")


def test_an_encoding_of_its_own(folder, tmp_path):
    write(folder, document(image(box("chât")), meta="", head='<?xml version="1.0" encoding="ISO-8859-1"?>').encode("latin-1"))
    assert short(converted(options(folder), tmp_path / "b.jsonl")[0][0])[3] == [("chât", [10, 5, 30, 25])]


STOPS = {  # what stops with skip too
    "not UTF-8": (document(image(box("ch\xe2t"))).encode("latin-1"), "not XML (not well-formed (invalid token))"),
    "unknown encoding": (document(head='<?xml version="1.0" encoding="klingon"?>'), "not XML"),
    "DTD": (document(image(box("&x;")), head='<!DOCTYPE a [<!ENTITY x "boom">]>'), "a DTD or its own entities; expected plain XML"),
    "fetching DTD": (document(head='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), "a DTD or its own entities"),
    "other XML": ("<annotation/>", "XML of <annotation>; expected CVAT for images 1.1"),
    "no image": (document(), "no image; expected CVAT"),
}


@pytest.mark.parametrize("name", STOPS)
def test_broken_files(folder, tmp_path, name):
    text, expected = STOPS[name]
    write(folder, text)
    assert expected in refusal(options(folder, on_error="skip"), tmp_path / "out.jsonl")


FAULTY = {  # name -> (image a.jpg, part of the error)
    "no label": (image(box("")), "image 0 (a.jpg): box 1: '': no label; expected a label, and the numbers"),
    "no ybr": (image(box(corners="1 2 3")), "box 1: 'dog': ybr is missing or not a number"),
    "bad rotation": (image(box(more=' rotation="inf"')), "'dog': rotation is 'inf'"),
    "bad points": (image('<polygon label="dog" points="1,2;a,2;3,4"/>'), "polygon 1: 'dog': points are not x,y;x,y;..."),
    "no points": (image('<polygon label="dog"/>'), "points are not x,y"),
    "two points": (image('<polygon label="dog" points="1,2;3,4"/>'), "a polygon of 2 points, fewer than 3"),
    "new shape": (image('<blob label="dog"/>'), "blob 1: 'dog': unknown shape"),
    "mask without runs": (image('<mask label="dog" left="1" top="1" width="2" height="2"/>'), "no rle"),
    "mask with too few pixels": (image(mask("9, 2, 2")), "rle counts 13 of the 24 pixels"),
    "mask with too many pixels": (image(mask("9, 2, 2, 2, 9, 1")), "rle counts 25 of the 24 pixels"),
    "mask with words": (image(mask("9, two, 13")), "rle holds 'two'"),
    "mask with a run below 0": (image(mask("9, -2, 17")), "rle holds '-2'"),
    "mask with empty runs": (image(mask("")), "rle holds ''"),
    "mask with a gigantic run": (image(mask("1" * 5000)), "rle holds '11111111111111111111'"),
    "mask between pixels": (image(mask("0, 6", "1.5 2 2 3")), "masks have whole pixels"),
    "mask without a frame": (image(mask("0, 6", "1 2 -2 -3")), "masks have whole pixels"),
    "NaN corner": (image('<polygon label="dog" points="1,2;nan,2;3,4"/>'), "box-not-finite"),
    "inverted and rotated": (image(box(corners="30 2 3 4", more=' rotation="45"')), "box-inverted"),
    "flat ellipse": (image('<ellipse label="dog" cx="30" cy="20" rx="-1" ry="5"/>'), "box-inverted"),
    "no width": (
        image(DOG).replace('width="64" ', ""),
        "image 0 (a.jpg): name='a.jpg', width=None, height='48'; expected name, width and height",
    ),
    "no name": (image(DOG, name=""), "image 0 (): name=''"),
    "size 0": (image(DOG).replace('"64"', '"0"'), "width='0'"),
    "outside the folder": (image(DOG, name="../../a.jpg"), "file_name '../../a.jpg'"),
    "twice": (image(DOG, name="b.jpg"), "image-labelled-twice"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_problems(folder, tmp_path, name):
    text, expected = FAULTY[name]
    write(folder, document(image(name="b.jpg", number=1), text))
    assert expected in refusal(options(folder), tmp_path / "out.jsonl")
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert ([short(row)[1:] for row in rows], bool(counts)) == ([ROWS[1][1:]], True)
