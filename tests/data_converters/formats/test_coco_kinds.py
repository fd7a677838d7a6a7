"""What exporters write in COCO files that is not the plain form: rows and ground truth agree on it, so a perfect answer scores 1.0."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from converted import ap, perfect_ap, refusal
from talk_fixture import outcome

from groundswift.data_converters.formats.coco.parallel_reader import read_pieces
from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.worker_pool import WorkerPool

CASES = Path(__file__).parents[2] / "cases"
PLAIN = {
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}, {"id": 2, "file_name": "b.jpg", "width": 640, "height": 480}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 100, 50], "area": 5000, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [300, 200, 50, 100], "area": 5000, "iscrowd": 0},
        {"id": 3, "image_id": 2, "category_id": 2, "bbox": [30, 40, 60, 70], "area": 4200, "iscrowd": 0},
    ],
}


def changed(**by_part: Any) -> dict[str, Any]:
    """`PLAIN` with further or other entries: annotations are appended, other parts replaced."""
    coco = deepcopy(PLAIN)
    coco["annotations"] += by_part.pop("annotations", [])
    return coco | by_part


def made(path: Path, **options: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(rows, counts by reason) of a COCO file, its images unchecked."""
    return outcome(CocoOptions(annotations=str(path), **({"check_images": False} | options)))


def written(folder: Path, coco: dict[str, Any]) -> Path:
    path = folder / "truth.json"
    path.write_text(json.dumps(coco))
    return path


def boxes(rows: list[dict[str, Any]]) -> list[list[float]]:
    return [box for row in rows for box in row["objects"]["bbox"]]


def test_rotated_boxes_of_the_case(tmp_path):
    path = CASES / "coco_rotation" / "rot.json"
    rows, counts = made(path)
    wanted = [[94.1, 86.4, 505.9, 813.6], [650, 350, 750, 550], [600, 700, 800, 800]]
    assert boxes(rows) == [pytest.approx(box, abs=0.05) for box in wanted]
    assert counts == {"box-from-rotated": 2}
    assert perfect_ap(rows, path, tmp_path) == pytest.approx(1)


SQUARE = [100, 100, 100, 100]
HALF = 50 * math.sqrt(2)
DIAMOND = [150 - HALF, 150 - HALF, 150 + HALF, 150 + HALF]
OUTLINE = [[150, 150 - HALF, 150 + HALF, 150, 150, 150 + HALF, 150 - HALF, 150]]
ROTATIONS = {  # attributes, other fields -> the box, how often counted
    "zero": ({"rotation": 0}, {}, [100, 100, 200, 200], 0),
    "a full turn": ({"rotation": 360.0}, {}, [100, 100, 200, 200], 0),
    "minus two turns": ({"rotation": -720}, {}, [100, 100, 200, 200], 0),
    "null": ({"rotation": None}, {}, [100, 100, 200, 200], 0),
    "negative": ({"rotation": -45.0}, {}, DIAMOND, 1),
    "more than a turn": ({"rotation": 405}, {}, DIAMOND, 1),
    "text": ({"rotation": "45.0"}, {}, DIAMOND, 1),
    "attributes as a list": (["rotation"], {}, [100, 100, 200, 200], 0),
    "an outline that the box bounds": (
        {"rotation": 45},
        {"segmentation": OUTLINE, "bbox": [DIAMOND[0], DIAMOND[1], 2 * HALF, 2 * HALF]},
        DIAMOND,
        0,
    ),
    "the outline of the box itself": ({"rotation": 45}, {"segmentation": [[100, 100, 200, 100, 200, 200, 100, 200]]}, DIAMOND, 1),
    "clipped at the border": ({"rotation": 45}, {"bbox": [0, 100, 100, 100]}, [0, 150 - HALF, 50 + HALF, 150 + HALF], 1),
}


@pytest.mark.parametrize(("attributes", "fields", "box", "count"), ROTATIONS.values(), ids=ROTATIONS)
def test_rotations(tmp_path, attributes, fields, box, count):
    one = {"id": 9, "image_id": 2, "category_id": 1, "bbox": SQUARE, "iscrowd": 0, "attributes": attributes} | fields
    path = written(tmp_path, changed(annotations=[one]))
    rows, counts = made(path)
    assert boxes(rows)[2] == pytest.approx(box, abs=1e-4)
    assert counts.get("box-from-rotated", 0) == count
    assert perfect_ap(rows, path, tmp_path) == pytest.approx(1)


@pytest.mark.parametrize("rotation", ["left", True, [45], "nan"])
def test_a_rotation_that_is_not_an_angle_is_a_problem_on_both_sides(tmp_path, rotation):
    one = {"id": 9, "image_id": 2, "category_id": 1, "bbox": SQUARE, "attributes": {"rotation": rotation}}
    path = written(tmp_path, changed(annotations=[one]))
    assert "annotation 9 on image 2 (b.jpg): attributes.rotation is not a number" in refusal(
        CocoOptions(annotations=str(path), check_images=False), tmp_path / "out.jsonl"
    )
    rows, counts = made(path, on_error="skip")
    assert counts == {"rotation-not-angle": 1}
    assert perfect_ap(rows, path, tmp_path, "--on-error", "skip") == pytest.approx(1)


def test_rotations_of_zero_stay_on_the_fast_path(tmp_path):
    coco = deepcopy(PLAIN)
    for row in coco["annotations"]:
        row["attributes"] = {"occluded": False, "rotation": 0.0}
    with WorkerPool(1) as pool:
        assert read_pieces(written(tmp_path, coco), pool) is not None


def copy_of(index: int, **fields: Any) -> dict[str, Any]:
    return PLAIN["annotations"][index] | {"id": 9} | fields


REPEATS = {  # further annotations -> how many are repeats
    "an object twice": ([copy_of(0)], 1),
    "three times": ([copy_of(0), copy_of(0, id=10)], 2),
    "another outline": ([copy_of(0, segmentation=[[10, 20, 110, 20, 110, 70]])], 1),
    "equal once clipped at the border": ([copy_of(0, id=8, bbox=[600, 400, 90, 90]), copy_of(0, bbox=[600, 400, 99, 99])], 1),
    "another between them": ([copy_of(0, id=8, bbox=[10, 20, 90, 50]), copy_of(0)], 1),
    "another class": ([copy_of(0, category_id=2)], 0),
    "another box": ([copy_of(0, bbox=[10, 20, 100, 51])], 0),
    "a crowd of the same box": ([copy_of(0, iscrowd=1)], 0),
}


@pytest.mark.parametrize("order", ["category", "reading", "annotation"])
@pytest.mark.parametrize(("more", "count"), REPEATS.values(), ids=REPEATS)
def test_repeated_objects_are_one_on_both_sides(tmp_path, more, count, order):
    path = written(tmp_path, changed(annotations=more))
    rows, counts = made(path, order=order)
    crowds = sum(row.get("iscrowd", 0) for row in more)
    assert len(boxes(rows)) == 3 + len(more) - count - crowds
    assert counts.get("box-repeated", 0) == count
    if all(row["bbox"][0] < 600 for row in more):  # COCO compares a box beyond the border as it is with a clipped one
        assert perfect_ap(rows, path, tmp_path) == pytest.approx(1)


def test_one_image_under_two_ids(tmp_path):
    coco = changed(annotations=[{"id": 9, "image_id": 3, "category_id": 2, "bbox": [5, 5, 50, 50]}, copy_of(0, id=10, image_id=3)])
    coco["images"].append({"id": 3, "file_name": "a.jpg", "width": 640, "height": 480})
    path = written(tmp_path, coco)
    refused = refusal(CocoOptions(annotations=str(path), check_images=False), tmp_path / "out.jsonl")
    assert "image 3 (a.jpg): image 1 has the same file_name" in refused
    rows, counts = made(path, on_error="skip")
    assert [(row["sample_id"], len(row["objects"]["bbox"])) for row in rows] == [(1, 3), (2, 1)]
    assert counts == {"image-two-ids": 1, "box-repeated": 1}
    assert perfect_ap(rows, path, tmp_path, "--on-error", "skip") == pytest.approx(1)


@pytest.mark.parametrize(
    ("ignored", "objects", "reason"), [("keep", 2, "ignore-kept"), ("crowd", 1, "ignore-as-crowd"), ("skip", 1, "ignore-skipped")]
)
@pytest.mark.parametrize("value", [1, True, 1.0])
def test_objects_marked_ignore(tmp_path, ignored, objects, reason, value):
    coco = json.loads((CASES / "coco_ignore_flag" / "ignore.json").read_text())
    coco["annotations"][1]["ignore"] = value
    path = written(tmp_path, coco)
    rows, counts = made(path, ignored=ignored, coco_out=str(tmp_path / "out.json"))
    assert len(boxes(rows)) == objects
    assert counts[reason] == 1
    assert perfect_ap(rows, path, tmp_path, "--ignored", ignored) == pytest.approx(1)
    assert perfect_ap(rows, tmp_path / "out.json", tmp_path, "--ignored", ignored) == pytest.approx(1)


@pytest.mark.parametrize("ignored", ["crowd", "skip"])
def test_no_row_says_that_an_ignored_object_is_absent(tmp_path, ignored):
    coco = json.loads((CASES / "coco_ignore_flag" / "ignore.json").read_text())
    coco["annotations"][1]["category_id"] = 2
    rows, _ = made(written(tmp_path, coco), ignored=ignored, classes="one", absent=5)
    assert [row["messages"][0]["content"] for row in rows] == ["<image>Detect every a."]


def asked(rows: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    return [(row["messages"][0]["content"].removeprefix("<image>Detect every "), row["objects"]["ref"]) for row in rows]


@pytest.mark.parametrize("name", ["lv.json", "lv2.json"])
@pytest.mark.parametrize(
    ("classes", "questions"),
    [
        ("all", [("object of these categories: apple, cup.", ["apple"])]),
        ("one", [("apple.", ["apple"]), ("cup.", [])]),
        ("present", [("object of these categories: apple.", ["apple"])]),
    ],
)
def test_only_classes_that_were_looked_for_are_asked_for(tmp_path, name, classes, questions):
    rows, counts = made(CASES / "lvis_federated" / name, classes=classes, absent=5)
    assert asked(rows) == questions
    assert rows[0]["images"][0].endswith("/val2017/000000397133.jpg")
    assert counts == ({} if classes == "present" else {"image-federated": 1})


FEDERATED = {  # fields of the image, its annotations -> the questions of --classes one --absent 9
    "nothing was looked for": ({"neg_category_ids": [], "not_exhaustive_category_ids": []}, [], []),
    "only absent classes": ({"neg_category_ids": [1, 2]}, [], [("cat.", []), ("dog.", [])]),
    "not every object has a box": ({"neg_category_ids": [], "not_exhaustive_category_ids": [1]}, [1], [("cat.", ["cat"])]),
    "absent, and yet boxed": ({"neg_category_ids": [1]}, [1], [("cat.", ["cat"])]),
    "absent, and yet not exhaustive": ({"neg_category_ids": [1, 2], "not_exhaustive_category_ids": [1]}, [], [("dog.", [])]),
}


@pytest.mark.parametrize(("fields", "category_ids", "questions"), FEDERATED.values(), ids=FEDERATED)
def test_federated_images(tmp_path, fields, category_ids, questions):
    coco = deepcopy(PLAIN)
    coco["images"][0] |= {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    coco["images"][1] |= fields
    coco["annotations"] = coco["annotations"][:1] + [
        {"id": 5, "image_id": 2, "category_id": number, "bbox": [1, 2, 30, 40]} for number in category_ids
    ]
    rows, _ = made(written(tmp_path, coco), classes="one", absent=9)
    assert asked(rows)[1:] == questions


def floats(coco: dict[str, Any]) -> dict[str, Any]:
    """Every id and size as a whole float."""
    for part in ("images", "annotations", "categories"):
        for each in coco[part]:
            each |= {key: float(value) for key, value in each.items() if isinstance(value, int)}
    return coco


TYPES = {
    "iscrowd false": lambda coco: [row.update(iscrowd=False) for row in coco["annotations"]],
    "iscrowd 0.0": lambda coco: [row.update(iscrowd=0.0) for row in coco["annotations"]],
    "whole floats": floats,
    "backslashes": lambda coco: [image.update(file_name="sub\\" + image["file_name"]) for image in coco["images"]],
    "a point first": lambda coco: [image.update(file_name="./" + image["file_name"]) for image in coco["images"]],
    "absolute": lambda coco: [image.update(file_name="/data/set/" + image["file_name"]) for image in coco["images"]],
}


@pytest.mark.parametrize("change", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_types_that_exporters_write(tmp_path, change, on_error):
    coco = deepcopy(PLAIN)
    change(coco)
    path = written(tmp_path, coco)
    rows, _ = made(path, on_error=on_error, images="/data/set")
    assert [row["sample_id"] for row in rows] == [1, 2]
    assert all(type(row["sample_id"]) is int for row in rows)
    folder = "/data/set/sub" if "\\" in coco["images"][0]["file_name"] else "/data/set"
    assert {row["images"][0] for row in rows} == {f"{folder}/a.jpg", f"{folder}/b.jpg"}
    assert perfect_ap(rows, path, tmp_path) == pytest.approx(1)


def test_iscrowd_true_is_a_crowd(tmp_path):
    path = written(tmp_path, changed(annotations=[copy_of(0, bbox=[1, 1, 9, 9], iscrowd=True)]))
    rows, counts = made(path)
    assert (len(boxes(rows)), counts) == (3, {"crowd-skipped": 1})


def test_masks_of_cvat_are_crowds_that_can_be_kept(tmp_path):
    path = CASES / "crowd_only" / "crowd.json"
    assert "image with crowd boxes only" in refusal(CocoOptions(annotations=str(path), check_images=False), tmp_path / "none.jsonl")
    rows, counts = made(path, crowds="keep", coco_out=str(tmp_path / "out.json"))
    assert (boxes(rows), counts) == ([[10, 10, 110, 60]] * 2, {"crowd-kept": 2})
    assert perfect_ap(rows, tmp_path / "out.json", tmp_path) == pytest.approx(1)


MARKS = [{"iscrowd": 1}, {"iscrowd": True}, {"iscrowd": 1, "attributes": {"rotation": 90}}]  # the last is not read in columns


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("crowds", ["skip", "keep"])
def test_crowds(tmp_path, mark, crowds):
    extra = [copy_of(0, id=8, bbox=[1, 1, 9, 9], **mark), copy_of(2, id=9, image_id=1, bbox=[1, 1, 9, 9], **mark)]
    path = written(tmp_path, changed(annotations=extra))
    rows, counts = made(path, crowds=crowds, coco_out=str(tmp_path / "out.json"), classes="one", absent=9)
    assert counts.pop("box-from-rotated", 0) == (2 if "attributes" in mark else 0)
    assert counts == ({"crowd-skipped": 2, "class-crowd-only": 1} if crowds == "skip" else {"crowd-kept": 2})
    assert ([1, 1, 10, 10] in boxes(rows)) == (crowds == "keep")
    assert len(rows) == (3 if crowds == "skip" else 4)  # no row about a dog of image 1, of which there is a crowd
    marks = [bool(row["iscrowd"]) for row in json.loads((tmp_path / "out.json").read_text())["annotations"]]
    assert sum(marks) == (2 if crowds == "skip" else 0)


@pytest.mark.parametrize("name", ["/etc/a.jpg", "..\\a.jpg", "..\\..\\a.jpg", "/data/set/../a.jpg"])
def test_names_outside_the_folder_stay_refused(tmp_path, name):
    coco = deepcopy(PLAIN)
    coco["images"][0]["file_name"] = name
    path = written(tmp_path, coco)
    options = CocoOptions(annotations=str(path), check_images=False, images="/data/set")
    assert "image-path-outside" in refusal(options, tmp_path / "out.jsonl")


def test_a_root_of_the_name_of_its_class(tmp_path):
    coco = deepcopy(PLAIN)
    root = {"id": 0, "name": "cat", "supercategory": "none"}
    coco["categories"] = [root, *(each | {"supercategory": "cat"} for each in coco["categories"])]
    path = written(tmp_path, coco)
    rows, counts = made(path)
    assert "categories: cat, dog." in rows[0]["messages"][0]["content"]
    assert counts == {"root-class-skipped": 1}
    assert perfect_ap(rows, path, tmp_path) == pytest.approx(1)


def test_a_file_of_which_no_image_can_be_read_says_so(tmp_path):
    coco = deepcopy(PLAIN)
    for image in coco["images"]:
        image["id"] = str(image["id"])
    path = written(tmp_path, coco)
    refused = refusal(CocoOptions(annotations=str(path), check_images=False, on_error="skip"), tmp_path / "out.jsonl")
    assert "no image can be read" in refused
    assert "2  image-entry-unreadable" in refused
    assert "0 images" not in refused


@pytest.mark.parametrize("number", [1, 1.0])
def test_predictions_with_whole_floats(tmp_path, number):
    whole = [{key: row[key] * number for key in ("image_id", "category_id")} for row in PLAIN["annotations"]]
    found = [row | ids | {"score": 0.9} for row, ids in zip(PLAIN["annotations"], whole, strict=True)]
    (tmp_path / "found.json").write_text(json.dumps(found))
    assert ap(tmp_path, written(tmp_path, PLAIN), "--predictions", tmp_path / "found.json") == pytest.approx(1)
