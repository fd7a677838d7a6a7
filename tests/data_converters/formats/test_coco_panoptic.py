"""COCO panoptic: boxes of things, stuff by option, and all that can be wrong with a file of segments."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from converted import converted, perfect_ap, refusal, short

from groundswift.data_converters.formats.coco.panoptic import CocoPanopticOptions
from groundswift.data_converters.formats.coco.source import CocoOptions

PERSON, DOG, SKY = (
    {"id": 1, "name": "person", "isthing": 1, "supercategory": "person", "color": [220, 20, 60]},
    {"id": 18, "name": "dog", "isthing": 1},
    {"id": 187, "name": "sky-other-merged", "isthing": 0},
)


def segment(number: int, category: int, box: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "category_id": category, "iscrowd": 0, "bbox": box, "area": 100, **more}


def entry(image: int, *segments: dict[str, Any]) -> dict[str, Any]:
    return {"image_id": image, "file_name": f"{image}.png", "segments_info": list(segments)}


PANOPTIC = {  # 1: two things and stuff; 4: stuff alone; 7: a crowd alone
    "info": {},
    "licenses": [],
    "images": [{"id": number, "file_name": f"{number}.jpg", "width": 64, "height": 48, "license": 1} for number in (4, 1, 7)],
    "annotations": [
        entry(1, segment(3226956, 18, [10, 20, 30, 10]), segment(6979964, 1, [1, 2, 3, 4]), segment(3103374, 187, [0, 0, 64, 20])),
        entry(4, segment(3226956, 187, [0, 0, 64, 48])),
        entry(7, segment(5, 1, [5, 5, 20, 20], iscrowd=1)),
    ],
    "categories": [PERSON, DOG, SKY],
}


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    for number in (1, 4, 7):
        draw(tmp_path / f"{number}.jpg", (64, 48))
    return tmp_path


def options(folder: Path, content: Any = PANOPTIC, **more: Any) -> CocoPanopticOptions:
    path = folder / "panoptic.json"
    path.write_text(json.dumps(content))
    return CocoPanopticOptions(annotations=str(path), **more)


def changed(change: Any) -> Any:
    """The file with a change applied to it."""
    content = deepcopy(PANOPTIC)
    change(content)
    return content


ONE = (1, "1.jpg", (64, 48), [("person", [1, 2, 4, 6]), ("dog", [10, 20, 40, 30])])
FOUR = (4, "4.jpg", (64, 48), [])


def test_things(folder, tmp_path):
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == [FOUR, ONE]
    assert rows[1]["messages"][0]["content"] == "<image>Detect every object of these categories: person, dog."
    assert counts == {"stuff-skipped": 2, "crowd-skipped": 1, "image-crowd-only": 1}


def test_stuff(folder, tmp_path):
    rows, counts = converted(options(folder, stuff="keep"), tmp_path / "out.jsonl")
    stuff = "sky-other-merged"
    assert [short(row)[3] for row in rows] == [[(stuff, [0, 0, 64, 48])], [*ONE[3], (stuff, [0, 0, 64, 20])]]
    assert counts == {"crowd-skipped": 1, "image-crowd-only": 1}


@pytest.mark.parametrize("stuff", ["skip", "keep"])
def test_ground_truth(folder, tmp_path, stuff):
    """It has the ids of the rows, and a perfect answer scores 1."""
    truth = tmp_path / "truth.json"
    rows, _ = converted(options(folder, stuff=stuff, coco_out=str(truth)), tmp_path / "out.jsonl")
    coco = json.loads(truth.read_bytes())
    assert [image["id"] for image in coco["images"]] == [4, 1, 7]
    assert [each["category_id"] for each in coco["annotations"]] == {"skip": [18, 1, 1], "keep": [187, 18, 1, 187, 1]}[stuff]
    assert [each["iscrowd"] for each in coco["annotations"]][-1] == 1
    assert perfect_ap(rows, truth, tmp_path) == pytest.approx(1)


def test_marks_and_names_of_other_tools(folder, tmp_path):
    def change(content: Any) -> None:
        content["categories"] = [{"id": 1, "name": "person", "is_thing": True}, {**DOG, "isthing": 1.0}, {**SKY, "isthing": False}]
        content["annotations"][2]["segments_info"][0]["iscrowd"] = True

    rows, counts = converted(options(folder, changed(change)), tmp_path / "out.jsonl")
    assert (list(map(short, rows)), counts["crowd-skipped"]) == ([FOUR, ONE], 1)


def test_classes_are_edited_before_rows_are_made(folder, tmp_path):
    rows, counts = converted(options(folder, merge_class=("dog=person",)), tmp_path / "out.jsonl")
    assert [label for label, _ in short(rows[1])[3]] == ["person", "person"]
    assert counts["class-renamed"] == 1


def segments(content: Any) -> list[dict[str, Any]]:
    return content["annotations"][0]["segments_info"]


WRONG: dict[str, tuple[Any, str, list[int]]] = {  # what is changed, part of the error, the images that are left
    "no bbox": (lambda file: segments(file)[0].pop("bbox"), "annotation entry 0: Object missing required field `bbox`", [4]),
    "a bbox of null": (lambda file: segments(file)[0].update(bbox=None), "Expected `array`, got `null` - at `$.segments_info", [4]),
    "a bbox of three": (lambda file: segments(file)[0].update(bbox=[1, 2, 3]), "Expected `array` of length 4", [4]),
    "no area": (lambda file: segments(file)[0].update(bbox=[1, 2, 0, 3]), "expected width and height above 0", [4, 1]),
    "outside": (lambda file: segments(file)[0].update(bbox=[70, 2, 5, 3]), "segment 3226956 of image 1 (1.jpg)", [4, 1]),
    "an unknown class": (
        lambda file: segments(file)[0].update(category_id=99),
        "category_id 99; expected the id of",
        [4, 1],
    ),
    "an id twice": (lambda file: segments(file)[1].update(id=3226956), "an earlier segment of the image has this id", [4, 1]),
    "a huge id": (lambda file: segments(file)[0].update(category_id=10**30), "annotation entry 0: ", [4]),
    "an unknown image": (
        lambda file: file["annotations"].append(entry(5)),
        "segments of image 5: image_id 5; expected the id",
        [4, 1],
    ),
    "two entries": (lambda file: file["annotations"].append(entry(1)), "segments of image 1: a second entry of this image", [4, 1]),
    "an instance": (lambda file: file["annotations"].append({"id": 1, "image_id": 4, "bbox": [1, 2, 3, 4]}), "`segments_info`", [1]),
    "an image without a size": (lambda file: file["images"][0].pop("width"), "image entry 0: ", [1]),
}


@pytest.mark.parametrize("name", WRONG)
def test_problems(folder, tmp_path, name):
    change, message, left = WRONG[name]
    assert message in refusal(options(folder, changed(change)), tmp_path / "out.jsonl")
    rows, _ = converted(options(folder, changed(change), on_error="skip"), tmp_path / "out.jsonl")
    assert [row["sample_id"] for row in rows] == left


def test_an_image_without_an_entry_is_not_empty(folder, tmp_path):
    rows, counts = converted(options(folder, changed(lambda file: file["annotations"].pop(1))), tmp_path / "out.jsonl")
    assert [row["sample_id"] for row in rows] == [1]
    assert counts["image-unlabelled"] == 1


def test_what_is_lost_with_an_image_is_counted(folder, tmp_path):
    def change(content: Any) -> None:
        content["images"][1].pop("width")
        segments(content)[0].pop("bbox")

    _, counts = converted(options(folder, changed(change), on_error="skip"), tmp_path / "out.jsonl")
    assert (counts["image-entry-unreadable"], counts["annotation-entry-unreadable"]) == (1, 1)
    _, counts = converted(options(folder, changed(lambda file: segments(file)[0].pop("bbox")), on_error="skip"), tmp_path / "b.jsonl")
    assert counts["image-annotation-unreadable"] == 1
    _, counts = converted(options(folder, changed(lambda file: file["images"][1].pop("width")), on_error="skip"), tmp_path / "c.jsonl")
    assert counts["annotation-image-skipped"] == 3


REFUSED: dict[str, tuple[Any, str]] = {
    "no isthing": (
        lambda file: file["categories"][1].pop("isthing"),
        "category 18 (dog) has no isthing; expected 0 or 1",
    ),
    "a category without a name": (lambda file: file["categories"][1].pop("name"), "a category cannot be read (Object missing"),
    "no categories": (lambda file: file.pop("categories"), "3 images and 0 categories; expected at least one of each"),
    "stuff alone": (lambda file: file.update(categories=[SKY]), "0 categories"),
    "nothing": (lambda file: file.update(images=[], annotations=[]), "0 images and 2 categories"),
    "duplicate image ids": (lambda file: file["images"].append(file["images"][0]), "duplicate image id 4"),
    "duplicate names": (lambda file: file["categories"].append({**DOG, "id": 19}), "duplicate category name 'dog'"),
    "no annotations": (lambda file: file.pop("annotations"), "COCO panoptic: images, categories, and annotations"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_file_that_cannot_be_used(folder, tmp_path, name, on_error):
    change, message = REFUSED[name]
    assert message in refusal(options(folder, changed(change), on_error=on_error), tmp_path / "out.jsonl")


def test_the_reader_of_instances_names_this_one(folder, tmp_path):
    path = options(folder).annotations
    assert "a panoptic file (it has segments_info); expected groundswift convert coco-panoptic" in refusal(
        CocoOptions(annotations=path), tmp_path / "out.jsonl"
    )
