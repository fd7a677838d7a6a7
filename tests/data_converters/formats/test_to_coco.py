"""Rows back to a COCO file: round trips, merged rows, and problems."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from converted import detection_row as row
from converted import run, write_lines

from groundswift.data_converters.engine.convert import RunOptions, convert_to_file
from groundswift.data_converters.formats.coco.export import ToCocoOptions
from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.rows.dataset_folder import common_folder
from groundswift.errors import GroundswiftError

SIZE_WH = (64, 48)


def talk(*turns: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in zip(("user", "assistant") * len(turns), turns, strict=False)]


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    for name in ("a.jpg", "sub/b.jpg", "c.png"):
        draw(tmp_path / name, SIZE_WH)
    return tmp_path


@pytest.fixture
def source(folder: Path):
    """Write rows -> the path of the file."""
    return lambda *rows: write_lines(folder / "rows.jsonl", *rows)


def coco_of(path: Path, on_error: str = "stop", **options: Any) -> tuple[dict[str, Any], dict[str, int]]:
    """(the COCO file, the counts by reason)."""
    log, out = IssueLog(on_error), path.with_name("out.json")
    ToCocoOptions(annotations=str(path), on_error=on_error, **options).write(out, log, progress=False)
    return json.loads(out.read_bytes()), dict(log.counted.counts)


def boxes(coco: dict[str, Any]) -> list[tuple[int, str, list[float]]]:
    names = {each["id"]: each["name"] for each in coco["categories"]}
    return [(each["image_id"], names[each["category_id"]], each["bbox"]) for each in coco["annotations"]]


def test_one_row(source):
    coco, counts = coco_of(source(row(("dog", [1, 2, 30.5, 40]), ("cat", [0, 0, 64, 48]), sample_id=7)))
    assert coco == {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 29.5, 38], "area": 1121, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 64, 48], "area": 3072, "iscrowd": 0},
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
        "info": {},
        "licenses": [],
    }
    assert counts == {}


def test_rows_about_one_image_are_merged(source):
    dog, cat = ("dog", [1, 2, 30, 40]), ("cat", [5, 5, 9, 9])
    coco, _ = coco_of(source(row(dog, dog), row(cat), row(sample_id=2, image="sub/b.jpg"), row(dog, cat)))
    assert boxes(coco) == [(1, "dog", [1, 2, 29, 38]), (1, "dog", [1, 2, 29, 38]), (1, "cat", [5, 5, 4, 4])]
    assert [each["file_name"] for each in coco["images"]] == ["a.jpg", "sub/b.jpg"]


def test_ids(source):
    numbered = row(sample_id=40, image="sub/b.jpg"), row(sample_id=None, image="c.png")
    coco, _ = coco_of(source(row(sample_id="x/1"), row(sample_id="x/2"), *numbered))
    assert [(each["id"], each.get("sample_id")) for each in coco["images"]] == [(41, ["x/1", "x/2"]), (40, None), (42, None)]


def test_an_image_whose_rows_have_numbers_of_their_own_is_numbered(source):
    coco, _ = coco_of(source(row(sample_id=1), row(sample_id=2), row(sample_id=3, image="c.png")))
    assert [(each["id"], each.get("sample_id")) for each in coco["images"]] == [(4, [1, 2]), (3, None)]


def test_several_images_a_row(source, folder):
    made = row(
        ("dog", [1, 2, 30, 40]),
        ("cat", [5, 5, 9, 9]),
        images=["a.jpg", "sub/b.jpg"],
        messages=talk("<image><image>Find.", "<ref-object><bbox><ref-object><bbox>"),
    )
    made["objects"]["image_id"] = [1, 0]
    coco, _ = coco_of(source(made))
    assert boxes(coco) == [(1, "cat", [5, 5, 4, 4]), (2, "dog", [1, 2, 29, 38])]
    assert [each["sample_id"] for each in coco["images"]] == [1, 1]  # of a row, so of no one image


def test_an_image_by_two_spellings_is_one(source, folder):
    detour = f"{folder}/sub/../a.jpg"
    coco, _ = coco_of(source(row(("dog", [1, 2, 30, 40])), row(("cat", [5, 5, 9, 9]), image=detour), row(image=f"{folder}//a.jpg")))
    assert [each["file_name"] for each in coco["images"]] == ["a.jpg"]
    assert boxes(coco) == [(1, "dog", [1, 2, 29, 38]), (1, "cat", [5, 5, 4, 4])]


LABELS = {
    "one label, several boxes": (["Find <ref-object>.", "<bbox><bbox>"], ["dog"], ["dog", "dog"]),
    "in a sentence": (["Tell.", "A <ref-object><bbox><bbox> and <ref-object>"], ["dog", "cat"], ["dog", "dog"]),
    "what is there": (["What is at <bbox> and <bbox>?", "<ref-object>, <ref-object>"], ["dog", "cat"], ["dog", "cat"]),
    "labels first": (["Find <ref-object> and <ref-object>.", "<bbox><bbox>"], ["dog", "cat"], ["dog", "cat"]),
}


@pytest.mark.parametrize(("turns", "refs", "labels"), LABELS.values(), ids=LABELS)
def test_the_label_of_a_box(source, turns, refs, labels):
    objects = {"ref": refs, "bbox": [[1, 2, 30, 40], [5, 5, 9, 9]]}
    coco, _ = coco_of(source(row(messages=talk(f"<image>{turns[0]}", turns[1]), objects=objects)))
    assert [label for _, label, _ in boxes(coco)] == labels


def test_norm1(source):
    objects = {"ref": ["dog"], "bbox": [[0.25, 0.5, 0.75, 1]], "bbox_type": "norm1"}
    coco, _ = coco_of(source(row(("dog", []), objects=objects)))
    assert coco["annotations"][0]["bbox"] == [16, 24, 32, 24]


def test_what_is_dropped(source):
    describe = talk("<image>Describe the object at <bbox>.", "a dog")
    rows = [
        row(messages=describe, objects={"ref": [], "bbox": [[1, 2, 30, 40]]}),
        row(messages=talk("<image>Point.", "<ref-object><bbox>"), objects={"ref": ["dog"], "bbox": [[3, 4]]}),
        row(("dog", [-0.5, 2, 30, 50])),
        row(images=None, videos=["a.mp4"], objects=None, size_wh=None),
        row(images=None, objects=None, size_wh=None),
    ]
    coco, counts = coco_of(source(*rows))
    assert boxes(coco) == [(1, "dog", [0, 2, 30, 46])]
    assert counts == dict.fromkeys(("box-without-label", "point-dropped", "box-clipped", "row-videos-only", "row-without-image"), 1)


def test_results_of_an_inference_are_rows_too(source, folder):
    made = row(("dog", [1, 2, 30, 40]), images=[{"bytes": None, "path": str(folder / "a.jpg")}], videos=None)
    coco, _ = coco_of(source(made | {"response": "no boxes", "labels": "<ref-object><bbox>", "logprobs": None}), truth=True)
    assert boxes(coco) == [(1, "dog", [1, 2, 29, 38])]


def test_the_size_is_looked_up(source):
    coco, _ = coco_of(source(row(("dog", [1, 2, 30, 40]), size_wh=None)))
    assert (coco["images"][0]["width"], coco["images"][0]["height"]) == SIZE_WH
    coco, _ = coco_of(source(row(size_wh=[100, 200], image="nowhere.jpg")), check_images=False)
    assert (coco["images"][0]["width"], coco["images"][0]["height"]) == (100, 200)
    with pytest.raises(GroundswiftError, match=r"image 0 \(.*nowhere\.jpg\): size -1x0; expected 1 to 2147483647 px per side"):
        coco_of(source(row(size_wh=[-1, 0], image="nowhere.jpg")), check_images=False)
    with pytest.raises(GroundswiftError, match=r"size 10+; expected 1 to 2147483647 px per side"):
        coco_of(source(row(size_wh=[10**400, 1], image="nowhere.jpg")), check_images=False)


@pytest.mark.parametrize("kind", ["names", "coco"])
def test_given_categories(source, folder, kind):
    content = {
        "names": "\ufeffcat\r\n\r\n dog \r\n",
        "coco": '{"categories": [{"id": 17, "name": "cat", "supercategory": "animal"}, {"id": 3, "name": "dog"}]}',
    }
    (folder / "classes").write_text(content[kind], encoding="utf-8")
    coco, _ = coco_of(source(row(("dog", [1, 2, 30, 40]))), categories=str(folder / "classes"))
    expected = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    if kind == "coco":
        expected = [{"id": 17, "name": "cat", "supercategory": "animal"}, {"id": 3, "name": "dog"}]
    assert coco["categories"] == expected
    assert coco["annotations"][0]["category_id"] == expected[1]["id"]


BAD_CATEGORIES = {
    "missing": (None, "cannot be read"),
    "empty": (b"\n\n", "no class"),
    "not UTF-8": (b"\xff\xfe", "not UTF-8 text"),
    "a name twice": (b"dog\ncat\ndog\n", "duplicate category name 'dog'"),
    "an id twice": (b'{"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}', "duplicate category id 1"),
    "no categories": (b'{"images": []}', "missing required field `categories`"),
    "bad JSON": (b'{"categories": [', "truncated"),
}


@pytest.mark.parametrize(("content", "message"), BAD_CATEGORIES.values(), ids=BAD_CATEGORIES)
def test_categories_that_cannot_be_used(source, folder, content, message):
    if content is not None:
        (folder / "classes").write_bytes(content)
    with pytest.raises(GroundswiftError, match=f"classes: .*{message}"):
        coco_of(source(row()), categories=str(folder / "classes"))


FAULTY: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "NaN": (b'{"objects": {"bbox": [[NaN, 1, 2, 3]]}}', r"rows\.jsonl:1: not a row"),
    "a size of three": (row(size_wh=[1, 2, 3]), r"Expected `array` of length 2.* - at `\$\.size_wh`"),
    "no messages": (row(messages=None), r"rows\.jsonl:1: the row has .*; expected messages"),
    "objects of 2.x": (row(objects="[]"), r"rows\.jsonl:1: objects is text; expected \{ref"),
    "no bbox": (row(objects={"ref": ["a"]}), r"objects has \['ref'\]; expected bbox too"),
    "flat bbox": (row(objects={"ref": ["a"], "bbox": [1, 2, 3, 4]}), r"bbox is one flat list of numbers"),
    "another bbox_type": (row(objects={"ref": ["a"], "bbox": [[1, 2, 3, 4]], "bbox_type": "norm1000"}), r"bbox_type 'norm1000'; expected"),
    "three numbers": (row(("dog", [1, 2, 3])), r"rows\.jsonl:1, box 0: bbox \[1, 2, 3\]; expected x1, y1, x2, y2, or a point"),
    "true in a box": (row(("dog", [True, 2, 3, 4])), r"box 0: bbox \[True, 2, 3, 4\]; expected x1, y1, x2, y2"),
    "an inverted box": (row(("dog", [9, 2, 3, 4])), r"box 0: box \[9, 2, 3, 4\]; expected x1 below x2"),
    "another size": (row(size_wh=[10, 20]), r"image 0 \(.*a\.jpg\): annotated as 10x20 px, but the image is 64x48 px"),
    "image missing": (row(image="none.jpg"), r"image 0 \(.*none\.jpg\): image not found"),
    "truncated image": (row(image="cut.jpg"), r"image 0 \(.*cut\.jpg\): .*not a readable image"),
    "path that leaves": (row(image="../a.jpg"), r"image '\.\./a\.jpg' with .*; expected an absolute path"),
    "path with a zero byte": (row(image="/a\0b.jpg"), r"an image of 8 characters, '/a\\x00b\.jpg'\.\.\.; expected a path to a file"),
    "several images, no image_id": (row(("dog", [1, 2, 3, 4]), images=["a.jpg", "c.png"]), r"2 images and no image_id"),
}


@pytest.mark.parametrize(("bad", "message"), FAULTY.values(), ids=FAULTY)
def test_problems(source, folder, bad, message):
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:3])
    path = source(bad, row(("dog", [1, 2, 30, 40]), sample_id=2))
    with pytest.raises(GroundswiftError, match=message) as stopped:
        coco_of(path)
    assert "1 problem, nothing written" in str(stopped.value)
    assert not (folder / "out.json").exists()
    coco, counts = coco_of(path, on_error="skip")
    assert len(coco["annotations"]) == 1
    assert counts


REFUSED = {  # what is wrong -> (rows, --categories, what is said)
    "a label that is not a category": (
        [row(("dog", [1, 2, 3, 4]))],
        "classes",
        r"rows\.jsonl:1, box 0: label 'dog'; expected one of --cat",
    ),
    "an image of two sizes": ([row(), row(size_wh=[64, 40])], None, r"rows\.jsonl:2, image 0: size_wh \[64, 40\], but \[64, 48\] in an"),
    "one id for two images": ([row(), row(image="c.png")], None, r"sample_id 1 of both .*a\.jpg and .*c\.png"),
    "nothing left": ([row(images=None, videos=["a.mp4"], objects=None, size_wh=None)], None, "row-videos-only"),
}


@pytest.mark.parametrize(("rows", "categories", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(source, folder, rows, categories, message):
    (folder / "classes").write_text("cat\n")
    with pytest.raises(GroundswiftError, match=message):
        coco_of(source(*rows), categories=categories and str(folder / categories))


def test_an_image_outside_the_folder(source, folder):
    with pytest.raises(GroundswiftError, match=r"a\.jpg: not inside .*sub; expected all images below --images"):
        coco_of(source(row(image=str(folder / "a.jpg"))), images=str(folder / "sub"))


def test_common_folder():
    assert common_folder(["/data/a/x.jpg", "/data/ab/y.jpg"]) == "/data"
    assert common_folder(["/data/a/x.jpg"]) == "/data/a"
    assert common_folder(["s3://b/p/x.jpg", "s3://b/p/q/y.jpg"]) == "s3://b/p"
    assert common_folder(["s3://b/x.jpg", "/data/x.jpg"]) == common_folder(["/a/x.jpg", "/b/x.jpg"]) == ""


@pytest.mark.parametrize("asked", ["all", "one", "present"])
@pytest.mark.parametrize("seed", range(3))
def test_a_coco_file_comes_back(tmp_path, asked, seed):
    """Ids, names, sizes and boxes to the last decimal, of a file with gaps in its ids and empty images; of equal boxes one."""
    some = random.Random(seed)
    images = [{"id": i * 7 + 3, "file_name": f"{i % 3}/{i}.jpg", "width": 640, "height": 480} for i in range(40)]
    names = [{"id": i * 3 + 1, "name": f"class {i}"} for i in range(5)]
    annotations = []
    for image in images[:35]:
        for _ in range(some.randint(1, 6)):
            x, y = round(some.uniform(0, 600), 2), round(some.uniform(0, 440), 2)
            box = [x, y, round(some.uniform(1, 640 - x), 2), round(some.uniform(1, 480 - y), 2)]
            annotations += [{"image_id": image["id"], "category_id": some.choice(names)["id"], "bbox": box}] * some.choice([1, 1, 1, 2])
    first = {"images": images, "annotations": [row | {"id": i} for i, row in enumerate(annotations)], "categories": names}
    (tmp_path / "first.json").write_text(json.dumps(first))
    options = CocoOptions(annotations=str(tmp_path / "first.json"), check_images=False, classes=asked)
    convert_to_file(options, tmp_path / "rows.jsonl", RunOptions(progress=False), IssueLog())
    back, counts = coco_of(tmp_path / "rows.jsonl", images=str(tmp_path), check_images=False, categories=str(tmp_path / "first.json"))
    assert counts == {}
    assert back["categories"] == names
    boxed = {row["image_id"] for row in annotations}
    kept = [image for image in images if asked != "present" or image["id"] in boxed]
    assert back["images"] == kept

    def found(rows):
        return sorted((row["image_id"], row["category_id"], row["bbox"]) for row in rows)

    distinct = {str((row["image_id"], row["category_id"], row["bbox"])): row for row in annotations}
    assert len(distinct) < len(annotations)
    assert found(back["annotations"]) == found(distinct.values())


def test_pycocotools_reads_it(source, folder):
    hotcoco = pytest.importorskip("hotcoco")
    coco_of(source(row(("dog", [1, 2, 30, 40]), sample_id=7)))
    read = hotcoco.COCO(str(folder / "out.json"))
    assert (read.getImgIds(), read.getCatIds(), len(read.getAnnIds())) == ([7], [1], 1)


def test_a_failed_run_leaves_the_earlier_file(source, folder):
    (folder / "gt.json").write_text("earlier")
    done = run("convert", "to-coco", str(source(row(image="none.jpg"))), "--out", folder / "gt.json")
    assert done.exit_code != 0
    assert (folder / "gt.json").read_text() == "earlier"
    assert run("convert", "to-coco", str(source(row())), "--dry-run").exit_code == 0
