"""LabelMe: every kind of shape, groups, where an image is found, embedded images, and every way that a file can be broken."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from converted import converted, detection_row, refusal, short, write_lines
from label_sources import reader
from PIL import Image

from groundswift.data_converters.formats.labelme import LabelmeOptions, ToLabelmeOptions, names_of
from groundswift.data_converters.issues import IssueLog

SIZE_WH = (64, 48)
options, CORNERS = reader(LabelmeOptions), [[10, 20], [30, 40]]
ONE = ("cat", [10, 20, 30, 40])


def shape(kind: str | None = "rectangle", points: Any = CORNERS, label: Any = "cat", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}} | more


def document(*shapes: Any, **more: Any) -> dict[str, Any]:
    head = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": "a.png", "imageData": None, "imageHeight": 48, "imageWidth": 64}
    return head | more


@pytest.fixture
def write(tmp_path: Path, draw):
    """Write a label file, and an image where it has a name -> the folder."""

    def written(content: dict[str, Any] | bytes, file: str = "a.json", image: str | None = "a.png") -> Path:
        path = tmp_path / "set" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        if image:
            draw(tmp_path / "set" / image, SIZE_WH)
        return tmp_path / "set"

    return written


def read(root: Path, tmp_path: Path, **more: Any) -> tuple[list[Any], dict[str, int]]:
    rows, counts = converted(options(root, **more), tmp_path / "out.jsonl")
    return [(Path(row["images"][0]).name, short(row)[3]) for row in rows], counts


SHAPES = {  # name -> (a shape, its box, what is counted)
    "two corners": (shape(), [10, 20, 30, 40], {}),
    "corners in another order": (shape(points=[[30, 20], [10, 40]]), [10, 20, 30, 40], {}),
    "four corners": (shape(points=[[10, 20], [30, 20], [30, 40], [10, 40]]), [10, 20, 30, 40], {}),
    "rotated": (shape("rotation", [[20, 10], [30, 20], [20, 30], [10, 20]]), [10, 10, 30, 30], {"box-from-rotated": 1}),
    "oriented": (shape("oriented_rectangle", [[20, 10], [30, 20], [20, 30], [10, 20]]), [10, 10, 30, 30], {"box-from-rotated": 1}),
    "polygon": (shape("polygon", [[10, 20], [30.5, 25], [20, 40]]), [10, 20, 30.5, 40], {"box-from-polygon": 1}),
    "polygon of four": (shape("polygon", [[10, 20], [30, 25], [20, 40], [11, 30]]), [10, 20, 30, 40], {"box-from-polygon": 1}),
    "no kind": (shape(None, [[10, 20], [30, 25], [20, 40]]), [10, 20, 30, 40], {"box-from-polygon": 1}),
    "circle": (shape("circle", [[20, 20], [23, 24]]), [15, 15, 25, 25], {"box-from-ellipse": 1}),
    "mask": (shape("mask", [[10.0, 20.0], [29.0, 39.0]], mask="iVBORw0K"), [10, 20, 30, 40], {"box-from-mask": 1}),
    "beyond the image": (shape(points=[[-9, 20], [30, 40]]), [0, 20, 30, 40], {"box-clipped": 1}),
    "flags": (shape(flags={"occluded": True, "dirty": False}), [10, 20, 30, 40], {"attribute-dropped": 1}),
    "X-AnyLabeling": (shape(score=0.5, difficult=False, attributes={}, kie_linking=[], description=None), [10, 20, 30, 40], {}),
    "attributes": (shape(attributes={"color": "red", "note": ""}), [10, 20, 30, 40], {"attribute-dropped": 1}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(write, tmp_path, name):
    given, box, counts = SHAPES[name]
    assert read(write(document(given)), tmp_path) == ([("a.png", [("cat", box)])], counts)


def test_a_class_with_a_control_character(write, tmp_path):
    expected = "holds a control character; expected printable text (--rename-class)"
    assert expected in refusal(options(write(document(shape(label="c\0t")))), tmp_path / "out.jsonl")


def test_difficult(write, tmp_path):
    """Of X-AnyLabeling, as of VOC: no target, and no class that is said to be absent."""
    root = write(document(shape(difficult=True), shape("circle", [[20, 20], [23, 24]], "owl")))
    counts = {"difficult-as-crowd": 1, "crowd-skipped": 1, "box-from-ellipse": 1}
    assert read(root, tmp_path) == ([("a.png", [("owl", [15, 15, 25, 25])])], counts)
    assert read(root, tmp_path, difficult="keep")[1] == {"difficult-kept": 1, "box-from-ellipse": 1}


def test_the_sample_of_the_tool(write, tmp_path):
    """Two classes, an image without objects, one without a file of labels; tags of an image."""
    root = write(document(shape(label="owl"), shape(), shape(), flags={"night": True}))
    write(document(imagePath="b.png"), "b.json", "b.png")
    write(b"", "readme.txt", "c.png")
    truth = tmp_path / "truth.json"
    found = read(root, tmp_path, coco_out=str(truth))
    assert found == ([("a.png", [ONE, ("owl", ONE[1])]), ("b.png", [])], {"box-repeated": 1, "image-tag-dropped": 1, "image-unlabelled": 1})
    coco = json.loads(truth.read_bytes())
    assert [each["file_name"] for each in coco["images"]] == ["a.png", "b.png"]
    assert [(each["image_id"], each["bbox"]) for each in coco["annotations"]] == [(1, [10, 20, 20, 20])] * 2


def test_shapes_of_a_group_are_one_object(write, tmp_path):
    parts = [shape("polygon", [[x, 5], [x + 9, 5], [x, 20]], group_id=3) for x in (10, 30)]
    others = [shape("polygon", parts[0]["points"], "dog", group_id=3), shape(group_id=3), shape(points=[[1, 1], [9, 9]], group_id=3)]
    rows, counts = read(write(document(*parts, *others)), tmp_path)
    assert rows == [("a.png", [("cat", [1, 1, 9, 9]), ("cat", [10, 5, 39, 20]), ONE, ("dog", [10, 5, 19, 20])])]
    assert counts == {"box-from-polygon": 3, "labelme-group-merged": 1}


@pytest.mark.parametrize(
    ("kind", "points"), [("line", CORNERS), ("linestrip", [*CORNERS, [1, 1]]), ("point", [[1, 1]]), ("points", [[1, 1], [2, 2]])]
)
def test_what_bounds_no_object_makes_no_class_absent(write, tmp_path, kind, points):
    root = write(document(shape(), shape(kind, points, "dog"), shape(kind, points, "dog")))
    rows, counts = read(root, tmp_path, classes="one", absent=9)
    assert rows == [("a.png", [ONE])]  # no question for dog, answered None
    assert counts["polyline-dropped" if "line" in kind else "points-dropped"] == 2
    assert "on an image without imageWidth" in refusal(options(write(document(shape(kind, points), imageWidth=None))), tmp_path / "x")


WINDOWS = "C:\\data\\img\\a.png"
PATHS = [  # imagePath, its file in the folder of the images
    ("../img/a.png", "img/a.png"),
    ("..\\img\\a.png", "img/a.png"),
    ("../../a.png", "a.png"),
    (WINDOWS, "img/a.png"),
    ("/data/me/img/a.png", "a.png"),
    ("old name.png", "sub/b.png"),
    ("old name.png", "b.png"),
]


@pytest.mark.parametrize(("path", "file"), PATHS)
@pytest.mark.parametrize("sized", [True, False])
def test_where_an_image_is(write, tmp_path, draw, path, file, sized):
    more = {} if sized else {"imageHeight": None, "imageWidth": None}
    write(document(shape(), imagePath=path, **more), "sub/b.json", None)
    draw(tmp_path / "pictures" / file, SIZE_WH)
    rows, counts = converted(options(tmp_path / "set", images=str(tmp_path / "pictures")), tmp_path / "out.jsonl")
    assert ([row["images"] for row in rows], counts) == ([[str(tmp_path / "pictures" / file)]], {})


def test_names_are_tried_from_the_longest():
    assert names_of("../x/a.png", "s/t/b.json") == ["s/x/a.png", "x/a.png", "a.png", "s/t/b.png", "b.png"]


def png(size_wh: tuple[int, int] = SIZE_WH) -> str:
    with io.BytesIO() as file:
        Image.new("L", size_wh).save(file, "PNG")
        return b64encode(file.getvalue()).decode()


def test_embedded_images(write, tmp_path):
    """They are used only if a folder is given; other images stay where they are."""
    root = write(document(shape(), imagePath="gone.jpg", imageData=png()), "sub/a.json", None)
    write(document(shape(), imagePath="b.png"), "b.json", "b.png")
    assert "gone.jpg" in refusal(options(root), tmp_path / "out.jsonl")
    saved = tmp_path / "saved"
    rows, counts = converted(options(root, save_images=str(saved)), tmp_path / "out.jsonl", workers=2)
    assert [row["images"][0] for row in rows] == [str(saved / "sub/a.png"), str(root / "b.png")]
    assert (counts, [short(row)[3] for row in rows]) == ({}, [[ONE], [ONE]])
    for data, problem in (("%%%", "not base64"), ("a", "not base64"), (png((9, 9)), "size"), ("bm8=", "sub/a: cannot be read")):
        write(document(shape(), imageData=data), "sub/a.json", None)
        refused = refusal(options(root, save_images=str(tmp_path / problem)), tmp_path / "none.jsonl")
        assert problem in refused, refused


BROKEN: dict[str, tuple[Any, str]] = {  # name -> (the file, part of the error)
    "empty": (b"", "a.json: Input data was truncated; expected a JSON file of LabelMe"),
    "a list": (b"[]", "a.json: Expected `object`, got `array`"),
    "COCO": (b'{"images": [], "annotations": []}', "a.json: Object missing required field `shapes`"),
    "not UTF-8": (b'{"shapes": [], "imagePath": "\xff"}', "label-file-unreadable"),
    "deep": (b'{"shapes": ' + b"[" * 100_000, "a.json: "),
    "NaN": (b'{"shapes": [{"label": "a", "points": [[NaN, 1]]}], "imagePath": "a.png"}', "a.json: JSON is malformed"),
    "1e999": (
        b'{"shapes": [{"label": "a", "points": [[1e999, 1]]}], "imagePath": "a.png"}',
        "a.json: Number out of range - at",
    ),
    "no label": (document(shape(label=None)), "a.json: Expected `str`, got `null` - at `$.shapes[0].label`"),
    "blank label": (document(shape(label=" ")), "a.json: shape 1: empty label; expected the name of a class"),
    "text as number": (document(shape(points=[["1", 2], [3, 4]])), "a.json: Expected `float`, got `str` - at `$.shapes[0].points[0][0]`"),
    "three numbers": (document(shape(points=[[1, 2, 3], [3, 4]])), "a.json: Expected `array` of length 2"),
    "one corner": (document(shape(points=[[1, 2]])), "a.json: shape 1: 'rectangle' of 1 points; expected one of rectangle, "),
    "no point": (document(shape("polygon", [])), "a.json: shape 1: 'polygon' of 0 points"),
    "unknown kind": (document(shape("cuboid")), "a.json: shape 1: 'cuboid' of 2 points"),
    "no image": (document(shape(), imagePath=None), "a.json: no imagePath"),
    "embedded, no image": (document(shape(), imagePath="", imageData="a"), "or --save-images DIR"),
    "missing image": (document(shape(), imagePath="gone.jpg"), "gone.jpg"),
    "missing, embedded": (
        document(shape(), imagePath="gone.jpg", imageData="a"),
        "a.json: image not found: gone.jpg; expected the image file, or --save-images DIR, which takes imageData",
    ),
    "another size": (document(shape(), imageWidth=65), "image-size-differs"),
    "huge": (document(shape(points=[[1, 2], [1e12, 4]])), "a.json: shape 1: "),
    "empty box": (document(shape(points=[[9, 9], [9, 20]])), "a.json: shape 1: "),
    "outside": (document(shape(points=[[90, 9], [99, 20]])), "a.json: shape 1: "),
}
ALONE = {"huge": "box-too-large", "empty box": "box-empty", "outside": "box-outside"}  # a box is dropped, its image stays


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file(write, tmp_path, name):
    content, message = BROKEN[name]
    root = write(document(shape("circle", [[20, 20], [23, 24]], "owl"), imagePath="b.png"), "b.json", "b.png")
    write(content)
    refused = refusal(options(root), tmp_path / "out.jsonl")
    assert message in refused, refused
    rows, counts = read(root, tmp_path, on_error="skip")
    assert rows == [("b.png", [("owl", [15, 15, 25, 25])])]
    assert sum(counts.values()) > 1
    assert ALONE.get(name) is None or counts[ALONE[name]] == 1


def test_two_files_of_one_image(write, tmp_path):
    write(document(shape()))
    root = write(document(shape("circle", [[20, 20], [23, 24]])), "b.json")
    assert "image-labelled-twice" in refusal(options(root), tmp_path / "out.jsonl")
    assert read(root, tmp_path, on_error="skip") == ([("a.png", [ONE])], {"image-labelled-twice": 1, "box-from-ellipse": 1})


def test_nothing_there(tmp_path):
    assert "no such folder" in refusal(options(tmp_path / "gone"), tmp_path / "out.jsonl")
    (tmp_path / "notes.txt").touch()
    expected = f"notes.txt: a file, not a folder; expected a folder of LabelMe's JSON files, such as {tmp_path}"
    assert expected in refusal(options(tmp_path / "notes.txt"), tmp_path / "out.jsonl")
    assert "no JSON file; expected a JSON file of LabelMe for each image" in refusal(options(tmp_path), tmp_path / "out.jsonl")


def test_one_file(write, tmp_path):
    write(document(shape()))
    rows, counts = read(write(document(shape()), "b.json", None) / "a.json", tmp_path)
    assert (rows, counts) == ([("a.png", [ONE])], {})


def test_back(tmp_path, draw):
    """A file per image, as LabelMe writes it, and the same boxes when it is read."""
    for name in ("a.jpg", "sub/b.png"):
        draw(tmp_path / name, SIZE_WH)
    rows = detection_row(("dog", [16, 12.25, 48, 36]), ("cat", [0, 0, 1, 48])), detection_row(image="sub/b.png", sample_id=2)
    source = write_lines(tmp_path / "rows.jsonl", *rows)
    totals = ToLabelmeOptions(annotations=str(source)).write(tmp_path / "back", IssueLog(), progress=False)
    assert (totals.rows, totals.objects, totals.negatives) == (2, 2, 1)
    boxes = [("dog", [16, 12.25, 48, 36]), ("cat", [0, 0, 1, 48])]
    shapes = [shape(points=[box[:2], box[2:]], label=label, description="") for label, box in boxes]
    assert json.loads((tmp_path / "back/a.json").read_text()) == document(*shapes, imagePath="a.jpg") | {"shapes": shapes}
    found, counts = converted(options(tmp_path / "back", order="annotation"), tmp_path / "out.jsonl")
    assert list(map(short, found)) == [(1, "a.jpg", SIZE_WH, boxes), (2, "b.png", SIZE_WH, [])]
    assert counts == {}
