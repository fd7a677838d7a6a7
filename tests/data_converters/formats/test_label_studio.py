"""Label Studio: every kind of region, which annotation is taken, where an image is, what is broken, and tasks to import."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from converted import converted, detection_row, refusal, run, short, write_lines
from hypothesis import given
from hypothesis import strategies as st
from label_sources import reader
from PIL import Image

from groundswift.data_converters.formats.label_studio.brush import brush_bounds
from groundswift.data_converters.formats.label_studio.export import ToLabelStudioOptions
from groundswift.data_converters.formats.label_studio.source import LabelStudioOptions, names_of
from groundswift.data_converters.issues import IssueLog

SIZE_WH = (64, 32)
options, RECTANGLE = reader(LabelStudioOptions, "tasks.json"), {"x": 25, "y": 50, "width": 50, "height": 25}
ONE = ("cat", [16, 16, 48, 24])


def region(kind: str = "rectangle", labels: Any = ("cat",), id: str = "r", **value: Any) -> dict[str, Any]:
    given = value or (RECTANGLE if kind == "rectangle" else {})
    head = {"id": id, "type": f"{kind}labels", "from_name": "label", "to_name": "image", "image_rotation": 0}
    return head | {"original_width": 64, "original_height": 32, "value": given | {f"{kind}labels": labels}}


def annotation(*regions: Any, **more: Any) -> dict[str, Any]:
    head = {"id": 1, "completed_by": 1, "was_cancelled": False, "ground_truth": False, "created_at": "2026-01-01T00:00:00Z"}
    return head | {"result": regions, "lead_time": 1.5} | more


def task(*annotations: Any, id: int = 1, image: str = "a.png", **more: Any) -> dict[str, Any]:
    return {"id": id, "data": {"image": image}, "annotations": annotations, "predictions": [], "project": 3} | more


@pytest.fixture
def write(tmp_path: Path, draw):
    def written(*tasks: Any, images: tuple[str, ...] = ("a.png",)) -> Path:
        for name in images:
            draw(tmp_path / "set" / name, SIZE_WH)
        (tmp_path / "set/tasks.json").write_text(json.dumps(tasks))
        return tmp_path / "set"

    return written


def read(root: Path, tmp_path: Path, **more: Any) -> tuple[list[Any], dict[str, int]]:
    rows, counts = converted(options(root, **more), tmp_path / "out.jsonl")
    return [(Path(row["images"][0]).name, short(row)[3]) for row in rows], counts


def png_of(*box: int, size: tuple[int, int] = SIZE_WH) -> str:
    """A mask as the BitMask tag writes it: black pixels in a box (x1, y1, x2, y2) on a transparent ground."""
    mask, file = Image.new("RGBA", size), BytesIO()
    if box:
        mask.paste((0, 0, 0, 255), box)
    mask.save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def bitmask(url: str) -> dict[str, Any]:
    return region("bitmask", imageDataURL=url)


REGIONS = {  # name -> (regions, labels and boxes, what is counted)
    "rectangle": ([region()], [ONE], {}),
    "no rotation": ([region(**RECTANGLE, rotation=0)], [ONE], {}),
    # its corner at (50, 5) px, 20x10 px; a quarter clockwise about it: 40..50 across, 5..25 down
    "a quarter": (
        [region(x=78.125, y=15.625, width=31.25, height=31.25, rotation=90)],
        [("cat", [40, 5, 50, 25])],
        {"box-from-rotated": 1},
    ),
    "minus a quarter": (
        [region(x=78.125, y=81.25, width=31.25, height=31.25, rotation=-90)],
        [("cat", [50, 6, 60, 26])],
        {"box-from-rotated": 1},
    ),
    "polygon": (
        [region("polygon", points=[[25, 50], [75, 50], [50, 75.0]], closed=True)],
        [ONE],
        {"box-from-polygon": 1},
    ),
    "ellipse": ([region("ellipse", x=50, y=50, radiusX=25, radiusY=25, rotation=0)], [("cat", [16, 8, 48, 24])], {"box-from-ellipse": 1}),
    "ellipse of a quarter": (
        [region("ellipse", x=50, y=50, radiusX=12.5, radiusY=12.5, rotation=90)],
        [("cat", [28, 8, 36, 24])],
        {"box-from-ellipse": 1},
    ),
    "two labels": ([region(labels=["cat", "old"])], [ONE, ("old", ONE[1])], {"label-studio-several-labels": 1}),
    "drawn and named": (
        [
            {"id": "q", "type": "rectangle", "value": RECTANGLE},
            {"id": "q", "type": "labels", "value": RECTANGLE | {"labels": ["cat"]}},
            {"id": "p", "type": "polygon", "value": {"points": [[0, 0], [50, 0], [50, 50]]}},
            {"id": "p", "type": "labels", "value": {"points": [[0, 0], [50, 0], [50, 50]], "labels": ["dog"]}},
        ],
        [ONE, ("dog", [0, 0, 32, 16])],
        {"box-from-polygon": 1},
    ),
    "choices": (
        [
            region(),
            {"id": "r", "type": "choices", "value": RECTANGLE | {"choices": ["blurred"]}},
            {"id": "c", "type": "choices", "value": {"choices": ["night"]}},
            {"id": "t", "type": "textarea", "value": {"text": ["a text"]}},
            {"type": "relation", "from_id": "r", "to_id": "r", "direction": "right"},
        ],
        [ONE],
        {"attribute-dropped": 2, "image-tag-dropped": 2},
    ),
    "bit mask": ([bitmask(png_of(16, 8, 48, 24))], [("cat", [16, 8, 48, 24])], {"box-from-mask": 1}),
    "beyond the image": ([region(x=-25, y=50, width=100, height=25)], [("cat", [0, 16, 48, 24])], {"box-clipped": 1}),
    "no size": ([region() | {"original_width": None, "original_height": None}], [ONE], {}),
}


def rle_of(pixels: list[int], runs: bool = True) -> list[int]:
    """Alpha of each pixel as Label Studio's brush has it: RGBA values, runs of up to 8 with one value, or each with its own."""
    values = [value for alpha in pixels for value in (0, 0, 0, alpha)]
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{width:04b}" for width in (2, 3, 4, 5))
    at = 0
    while at < len(values):
        count = 1
        while count < 8 and at + count < len(values) and (not runs or values[at + count] == values[at]):
            count += 1
        said = f"{values[at]:08b}" if runs else "".join(f"{value:08b}" for value in values[at : at + count])
        bits += f"{int(runs)}00{count - 1:03b}{said}"
        at += count
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=6), st.booleans())
def test_the_bounds_of_a_brush(drawn, runs):
    pixels = [255 * ((place % 7, place // 7) in drawn) for place in range(35)]
    xs, ys = zip(*drawn, strict=True)
    assert brush_bounds(rle_of(pixels, runs), (7, 5)) == (min(xs), min(ys), max(xs) + 1, max(ys) + 1)


def test_a_brush(write, tmp_path):
    pixels = [255 * (16 <= place % 64 < 48 and 16 <= place // 64 < 24) for place in range(64 * 32)]
    brush = region("brush", format="rle", rle=rle_of(pixels))
    drawn = {"id": "q", "type": "brush", "value": {"format": "rle", "rle": rle_of(pixels)}}
    named = {"id": "q", "type": "labels", "value": drawn["value"] | {"labels": ["dog"]}, "original_width": 64, "original_height": 32}
    rows, counts = read(write(task(annotation(brush, drawn, named))), tmp_path)
    assert (rows, counts) == ([("a.png", [ONE, ("dog", ONE[1])])], {"box-from-mask": 2})
    root = write(task(annotation(region("brush", rle=rle_of([0] * 2048)))), images=("a.png",))
    assert "result 1: an empty mask; expected the mask of an image of 64x32 px" in refusal(options(root), tmp_path / "none.jsonl")


@pytest.mark.parametrize("name", REGIONS)
def test_regions(write, tmp_path, name):
    regions, found, counts = REGIONS[name]
    assert read(write(task(annotation(*regions))), tmp_path) == ([("a.png", found)], counts)


def test_key_points_make_no_class_absent(write, tmp_path):
    point = {"x": 50.0, "y": 50.0, "width": 0.5}
    others = [region("keypoint", ["dog"], **point), {"id": "k", "type": "labels", "value": {"x": 1, "y": 1, "labels": ["owl"]}}]
    rows, counts = read(write(task(annotation(region(), *others))), tmp_path, classes="one", absent=9)
    assert (rows, counts["points-dropped"]) == ([("a.png", [ONE])], 2)


DOG = region(labels=["dog"])
CHOICE = {  # name -> (annotations, options, the label of the row or None, what is counted)
    "newest": ([annotation(DOG, created_at="2026-01-02"), annotation(region())], {}, "dog", {"label-studio-unused": 1}),
    "last of equals": ([annotation(region()), annotation(DOG)], {}, "dog", {"label-studio-unused": 1}),
    "ground truth": (
        [annotation(region(), ground_truth=True), annotation(DOG, created_at="2027")],
        {},
        "cat",
        {"label-studio-unused": 1},
    ),
    "cancelled": ([annotation(region()), annotation(DOG, was_cancelled=True)], {}, "cat", {"label-studio-cancelled": 1}),
    "all cancelled": (
        [annotation(region(), was_cancelled=True)],
        {},
        None,
        {"label-studio-cancelled": 1, "label-studio-unlabelled": 1},
    ),
    "none": ([], {}, None, {"label-studio-unlabelled": 1}),
    "annotator": ([annotation(DOG, completed_by=7), annotation(region())], {"annotator": "7"}, "dog", {}),
    "annotator's mail": (
        [annotation(DOG, completed_by={"id": 7, "email": "a@b.org"}), annotation(region())],
        {"annotator": "a@b.org"},
        "dog",
        {"label-studio-unlabelled": 1},
    ),
    "another annotator": ([annotation(DOG)], {"annotator": "7"}, None, {"label-studio-unlabelled": 1}),
    "predictions": ([annotation(region())], {"use": "predictions"}, "owl", {"label-studio-unused": 1}),
    "empty": ([annotation()], {}, "", {}),
}


@pytest.mark.parametrize("name", CHOICE)
def test_which_annotation_is_taken(write, tmp_path, name):
    annotations, more, label, counts = CHOICE[name]
    guessed = [{"id": n, "model_version": "v", "score": 0.5, "result": [region(labels=[text])]} for n, text in enumerate(("fox", "owl"))]
    root = write(
        task(*annotations, predictions=guessed),
        task(annotation(region(), completed_by=7), id=2, image="b.png", predictions=guessed),
        images=("a.png", "b.png"),
    )
    rows, found = converted(options(root, **more), tmp_path / "out.jsonl")
    labels = {Path(row["images"][0]).name: row["objects"]["ref"] for row in rows}
    assert labels.get("a.png") == (None if label is None else [label] if label else [])
    twice = 2 if "use" in more else 1
    assert {id: count for id, count in found.items() if id.startswith("label-studio")} == {id: twice * n for id, n in counts.items()}


PATHS = {  # what data has -> the file in the folder of the images
    "/data/local-files/?d=one/two/a%20b.png": "two/a b.png",
    "/data/local-files/?d=one%5Ctwo%5Ca.png": "one/two/a.png",
    "/data/upload/3/0a1b2c3d-a.png": "3/0a1b2c3d-a.png",
    "/data/upload/4/0a1b2c3d-a.png": "a.png",
    "upload/5/0a1b2c3d-c.png": "0a1b2c3d-c.png",
    "/storage-data/uploaded/?filepath=upload/3/0a1b2c3d-d.png": "d.png",
    "https://example.org/x/e%20e.png?X-Amz-Signature=1": "x/e e.png",
    "s3://bucket/y/f.png": "f.png",
    "g.png": "g.png",
}


@pytest.mark.parametrize("value", PATHS)
def test_where_an_image_is(write, tmp_path, value):
    root = write(task(annotation(region()), image=value), images=(f"media/{PATHS[value]}",))
    rows, counts = converted(options(root, images=str(root / "media")), tmp_path / "out.jsonl")
    assert ([row["images"] for row in rows], counts) == ([[str(root / "media" / PATHS[value])]], {})


def test_a_url_is_used_where_no_folder_is_given(write, tmp_path):
    url = "https://example.org/a.png"
    root = write(task(annotation(region()), image=url))
    arguments = ["convert", "label-studio", root / "tasks.json", "--no-check-images", "--out", tmp_path / "out.jsonl"]
    assert run(*arguments).exit_code == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["images"] == [url]


@pytest.mark.parametrize("value", ["../../etc/a.png", "/data/local-files/?d=../../a.png", "/data/upload/../../a.png"])
def test_no_path_leaves_the_folder(write, tmp_path, value):
    write(task(annotation(region()), image=value), images=("../a.png",))
    assert not any(Path(name).is_absolute() for name in names_of(value))
    assert "1 problem" in refusal(options(tmp_path / "set"), tmp_path / "out.jsonl")


def test_a_name_with_a_percent_sign(write, tmp_path):
    """One that Label Studio has quoted, and one that is the name itself."""
    root = write(task(annotation(region()), image="a%20b.png"), images=("a%20b.png",))
    assert read(root, tmp_path)[0] == [("a%20b.png", [ONE])]
    write(task(annotation(region()), image="a%20b.png"), images=("a b.png",))
    assert read(root, tmp_path)[0] == [("a b.png", [ONE])]


def test_the_key_of_the_image(write, tmp_path):
    more = {"data": {"photo": "a.png", "id": 7, "text": "a cat"}}
    assert read(write(task(annotation(region()), **more)), tmp_path)[0] == [("a.png", [ONE])]
    root = write(task(annotation(region()), data={"left": "a.png", "right": "b.png"}))
    assert "data has 'left', 'right'; expected an image (--image-key)" in refusal(options(root), tmp_path / "none.jsonl")
    assert read(root, tmp_path, image_key="left")[0] == [("a.png", [ONE])]


BROKEN: dict[str, tuple[Any, str]] = {  # name -> (a task, part of the error)
    "a number": (7, "tasks.json: row 2: not a row: Expected `object`, got `int`"),
    "no data": ({"id": 2, "annotations": []}, "tasks.json: row 2: task 2: no data, as in JSON-MIN; expected the export called JSON"),
    "JSON-MIN": (
        {"image": "b.png", "id": 2, "label": [RECTANGLE]},
        "tasks.json: row 2: task 2: no data, as in JSON-MIN; expected the export",
    ),
    "tasks only": ({"id": 2, "data": {"image": "b.png"}}, "row 2: task 2: no annotations; expected the export called JSON"),
    "no image": (task(annotation(region()), id=2, data={}), "row 2: task 2: data has nothing"),
    "a gone image": (task(annotation(region()), id=2, image="gone.png"), "gone.png"),
    "no labels": (task(annotation(region(labels=[])), id=2, image="b.png"), "task 2: result 1: rectanglelabels without a label"),
    "blank label": (task(annotation(region(labels=[" "])), id=2, image="b.png"), "task 2: result 1: empty label"),
    "unnamed": (task(annotation({"id": "q", "type": "rectangle", "value": RECTANGLE}), id=2, image="b.png"), "rectangle without a label"),
    "text": (
        task(annotation(region(**RECTANGLE | {"x": "1"})), id=2, image="b.png"),
        "task 2: result 1: Expected `float | null`, got `str`",
    ),
    "no height": (task(annotation(region(x=1, y=2, width=3)), id=2, image="b.png"), "without x, y, width, height"),
    "two points": (task(annotation(region("polygon", points=[[1, 2], [3, 4]])), id=2, image="b.png"), "a polygon of 2 points"),
    "short brush": (
        task(annotation(region("brush", rle=[1])), id=2, image="b.png"),
        "result 1: run lengths end early; expected the",
    ),
    "brush of another size": (
        task(annotation(region("brush", rle=[0] * 9)), id=2, image="b.png"),
        "a mask of 0 values, not 8192; ",
    ),
    "no byte": (task(annotation(region("brush", rle=[256])), id=2, image="b.png"), "Expected `int` <= 255 - at `$.value.rle[0]`"),
    "video": (
        task(annotation(region("videorectangle", sequence=[])), id=2, image="b.png"),
        "result 1: type 'videorectanglelabels'; expected",
    ),
    "no bit mask": (task(annotation(bitmask("data:,")), id=2, image="b.png"), "imageDataURL is 'data:,', not a PNG as base64; expected"),
    "no PNG": (task(annotation(bitmask("data:image/png;base64,AAAA")), id=2, image="b.png"), "imageDataURL: not a readable image ("),
    "a broken PNG": (task(annotation(bitmask(png_of(1, 1, 9, 9)[:-40])), id=2, image="b.png"), "a mask that cannot be decoded ("),
    "no base64": (
        task(annotation(bitmask("data:image/png;base64,A")), id=2, image="b.png"),
        "Invalid base64-encoded string",
    ),
    "an empty bit mask": (
        task(annotation(bitmask(png_of())), id=2, image="b.png"),
        "an empty mask; expected the mask of",
    ),
    "a small bit mask": (
        task(annotation(bitmask(png_of(size=(9, 9)))), id=2, image="b.png"),
        "a mask of 9x9 px; expected the mask of",
    ),
    "turned": (
        task(annotation(region() | {"image_rotation": 90}), id=2, image="b.png"),
        "image_rotation 90; expected an image that was not",
    ),
    "rotated, no size": (
        task(annotation(region(**RECTANGLE, rotation=9) | {"original_width": None}), id=2, image="b.png"),
        "rotation 9 without a size",
    ),
    "pixels": (task(annotation(region(x=0, y=0, width=640, height=480)), id=2, image="b.png"), "reaches to 6.4 times the side"),
    "another size": (task(annotation(region() | {"original_width": 65}), id=2, image="b.png"), "image-size-differs"),
    "outside": (task(annotation(region(x=120, y=0, width=9, height=9)), id=2, image="b.png"), "box-outside"),
    "empty": (task(annotation(region(x=10, y=0, width=0, height=9)), id=2, image="b.png"), "box-empty"),
    "no URL": (task(annotation(region()), id=2, image="//[b.png"), "task 2: '//[b.png': Invalid IPv6 URL; expected the path or URL"),
    "not a result": (task(annotation(7), id=2, image="b.png"), "task 2: result 1: Expected `object`, got `int`"),
    "twice": (task(annotation(region()), id=2), "image-labelled-twice"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_task(write, tmp_path, name):
    broken, message = BROKEN[name]
    root = write(task(annotation(region())), broken, images=("a.png", "b.png"))
    refused = refusal(options(root), tmp_path / "out.jsonl")
    assert message in refused, refused
    rows, counts = read(root, tmp_path, on_error="skip")
    assert rows == [("a.png", [ONE])]
    assert sum(counts.values()) >= 1


START = '[{"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": [{"type": "'
TEXTS = [START.encode() + b"\xff" + b'"}]}]}]', START.encode() + b'a", "value": {"x": NaN}}]}]}]', b"[1e999]", b'{"a": 1}']


@pytest.mark.parametrize("text", TEXTS)
def test_a_file_that_is_not_an_export(write, tmp_path, text):
    (write() / "tasks.json").write_bytes(text)
    assert "tasks.json" in refusal(options(tmp_path / "set"), tmp_path / "out.jsonl")


@pytest.mark.parametrize("form", ["predictions", "annotations"])
def test_back(tmp_path, draw, form):
    """Tasks as Label Studio imports them, and the same boxes when they are read."""
    for name in ("x/a b.png", "y/c.png"):
        draw(tmp_path / name, SIZE_WH)
    boxes = [("<dog>", [16, 12.25, 48, 30]), ("cat", [0, 0, 1, 32])]
    rows = detection_row(*boxes, image="x/a b.png", size_wh=[64, 32]), detection_row(image="y/c.png", sample_id=2, size_wh=[64, 32])
    source = write_lines(tmp_path / "rows.jsonl", *rows)
    totals = ToLabelStudioOptions(annotations=str(source), form=form).write(tmp_path / "back", IssueLog(), progress=False)
    assert (totals.rows, totals.objects, totals.negatives) == (2, 2, 1)
    tasks = json.loads((tmp_path / "back/tasks.json").read_text())
    assert [each["data"]["image"] for each in tasks] == ["/data/local-files/?d=x/a%20b.png", "/data/local-files/?d=y/c.png"]
    config = ElementTree.fromstring((tmp_path / "back/label_config.xml").read_text())
    assert [each.get("value") for each in config.iter("Label")] == ["<dog>", "cat"]
    ((said,),) = [each[form] for each in tasks[:1]]
    assert (said["result"][0]["from_name"], said["result"][0]["to_name"]) == (config[1].get("name"), config[0].get("name"))
    arguments = ["convert", "label-studio", tmp_path / "back/tasks.json", "--images", tmp_path, "--order", "annotation", "--use", form]
    done = run(*arguments, "--out", tmp_path / "out.jsonl", "--json")
    assert done.exit_code == 0, done.stderr
    again = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert list(map(short, again)) == [(1, "a b.png", SIZE_WH, boxes), (2, "c.png", SIZE_WH, [])]
