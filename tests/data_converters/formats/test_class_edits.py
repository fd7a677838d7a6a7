"""Classes dropped, renamed and merged: rows, counts, ground truth to score by, and requests that cannot be met."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import converted, perfect_ap, refusal, run, short
from label_sources import Item, source_options, write_source

from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.data_converters.tasks.class_edits import DROPPED, MERGED, RENAMED, ROOT

CATEGORIES = [{"id": 3, "name": "car"}, {"id": 5, "name": "van"}, {"id": 8, "name": "a=b"}, {"id": 9, "name": "dog, wet"}]
BOXES = [(1, 3, [1, 2, 10, 12]), (1, 5, [20, 3, 9, 9]), (1, 8, [30, 4, 5, 5]), (2, 9, [4, 4, 20, 10])]


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    """2 images, 4 classes, a box of each; as COCO and as YOLO."""
    for number in (1, 2):
        draw(tmp_path / f"images/{number}.jpg", (64, 48))
    write_coco(tmp_path)
    return tmp_path


def write_coco(folder: Path, **more: Any) -> None:
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 48} for n in (1, 2)]
    annotations = [{"id": k, "image_id": i, "category_id": c, "bbox": box, "area": 7, "note": k} for k, (i, c, box) in enumerate(BOXES)]
    coco = {"images": images, "annotations": annotations, "categories": CATEGORIES, "info": {"a": 1}} | more
    (folder / "ann.json").write_text(json.dumps(coco))


def options(folder: Path, **more: Any) -> CocoOptions:
    return CocoOptions(annotations=str(folder / "ann.json"), images=str(folder / "images"), **more)


EDITS: dict[str, tuple[dict[str, tuple[str, ...]], str, list[list[str]], dict[str, int]]] = {  # -> names, labels by row, counts
    "drop": ({"drop_class": ("van",)}, 'car, a=b, "dog, wet"', [["car", "a=b"], ["dog, wet"]], {DROPPED: 1}),
    "drop what an image is about": ({"drop_class": ("dog, wet",)}, "car, van, a=b", [["car", "van", "a=b"], []], {DROPPED: 1}),
    "drop two": ({"drop_class": ("van", "car")}, 'a=b, "dog, wet"', [["a=b"], ["dog, wet"]], {DROPPED: 2}),
    "rename": ({"rename_class": ("car=auto",)}, 'auto, van, a=b, "dog, wet"', [["auto", "van", "a=b"], ["dog, wet"]], {RENAMED: 1}),
    "rename a name with the sign": (
        {"rename_class": ("a=b=c=d",)},
        'car, van, c=d, "dog, wet"',
        [["car", "van", "c=d"], ["dog, wet"]],
        {RENAMED: 1},
    ),
    "swap": ({"rename_class": ("car=van", "van=car")}, 'van, car, a=b, "dog, wet"', [["van", "car", "a=b"], ["dog, wet"]], {RENAMED: 2}),
    "rename to the name of a dropped one": (
        {"rename_class": ("car=van",), "drop_class": ("van",)},
        'van, a=b, "dog, wet"',
        [["van", "a=b"], ["dog, wet"]],
        {RENAMED: 1, DROPPED: 1},
    ),
    "merge into another": ({"merge_class": ("van=car",)}, 'car, a=b, "dog, wet"', [["car", "car", "a=b"], ["dog, wet"]], {RENAMED: 1}),
    "merge two into a new one": (
        {"merge_class": ("car,van=vehicle",)},
        'vehicle, a=b, "dog, wet"',
        [["vehicle", "vehicle", "a=b"], ["dog, wet"]],
        {RENAMED: 2},
    ),
    "merge a name with a comma": (
        {"merge_class": ("dog, wet=animal", "car=animal")},
        "van, a=b, animal",
        [["van", "a=b", "animal"], ["animal"]],
        {RENAMED: 2},
    ),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("faulty", [False, True], ids=["columns", "one by one"])
def test_rows_counts_and_ground_truth(folder, tmp_path, name, faulty):
    edits, names, labels, counts = EDITS[name]
    if faulty:  # an annotation without an id, which columns cannot hold
        coco = json.loads((folder / "ann.json").read_text())
        del coco["annotations"][0]["id"]
        (folder / "ann.json").write_text(json.dumps(coco))
    rows, found = converted(options(folder, coco_out=str(tmp_path / "gt.json"), **edits), tmp_path / "out.jsonl")
    assert [sorted(label for label, _ in short(row)[3]) for row in rows] == [sorted(each) for each in labels]
    assert rows[0]["messages"][0]["content"].endswith(f": {names}.")
    assert found == counts
    assert perfect_ap(rows, tmp_path / "gt.json", tmp_path) == pytest.approx(1)
    truth = json.loads((tmp_path / "gt.json").read_text())
    assert (truth["info"], {each["area"] for each in truth["annotations"]}) == ({"a": 1}, {7})


def test_other_sources_edit_their_classes_too(tmp_path):
    items = [Item("cat", "16 12 48 36"), Item("dog", "16 12 48 36"), Item("owl", "4 3 8 6")]
    root = write_source("yolo", tmp_path / "yolo", {"1": items, "2": items})
    found = source_options("yolo", root, coco_out=str(tmp_path / "gt.json"), merge_class=("dog=cat",), drop_class=("owl",))
    rows, counts = converted(found, tmp_path / "out.jsonl")
    assert {label for row in rows for label, _ in short(row)[3]} == {"cat"}
    assert rows[0]["messages"][0]["content"].endswith(": cat.")
    assert [each["name"] for each in json.loads((tmp_path / "gt.json").read_text())["categories"]] == ["cat"]
    assert counts == {RENAMED: 2, DROPPED: 2, MERGED: 2}


@pytest.mark.parametrize("ids", [True, False], ids=["columns", "one by one"])
def test_a_box_in_two_classes_is_one_object_once_they_are_merged(folder, tmp_path, ids):
    both = [{"id": n, "image_id": 1, "category_id": c, "bbox": [1, 2, 10, 12]} for n, c in enumerate((3, 5))]
    write_coco(folder, annotations=both if ids else [{key: each[key] for key in each if key != "id"} for each in both])
    assert len(short(converted(options(folder), tmp_path / "apart.jsonl")[0][0])[3]) == 2
    rows, counts = converted(options(folder, merge_class=("van=car",)), tmp_path / "out.jsonl")
    assert short(rows[0])[3] == [("car", [1, 2, 11, 14])]
    assert counts == {RENAMED: 1, MERGED: 1}


WRONG = {
    "unknown": ({"drop_class": ("vans",)}, "--drop-class: unknown class 'vans'; expected a class such as 'van'"),
    "unknown to rename": ({"rename_class": ("Car=x",)}, "--rename-class: unknown class 'Car'; expected a class such as 'car'"),
    "unknown to merge": ({"merge_class": ("car,bus=x",)}, "--merge-class: unknown class 'bus'"),
    "no sign": ({"rename_class": ("car",)}, "--rename-class 'car': expected A=B"),
    "no new name": ({"rename_class": ("car=",)}, "--rename-class 'car=': expected"),
    "a name that is taken": ({"rename_class": ("car=van",)}, "another class has this name; expected --merge-class car=van"),
    "two edits of one": ({"rename_class": ("car=x",), "drop_class": ("car",)}, "'car' is dropped, renamed or merged more than once"),
    "all dropped": ({"drop_class": ("car", "van", "a=b", "dog, wet")}, "every class is dropped; expected at least one class"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_done_is_named(folder, tmp_path, name):
    edits, message = WRONG[name]
    assert message in refusal(options(folder, **edits), tmp_path / "out.jsonl")


def test_the_options_of_the_command(folder, tmp_path):
    more = ["--drop-class", "van", "--drop-class", "a=b", "--rename-class", "car=auto", "--dry-run", "--json"]
    done = run("convert", "coco", folder / "ann.json", "--images", folder / "images", *more)
    assert json.loads(done.stdout)["counts"] == {DROPPED: 2, RENAMED: 1}


ROOTS = {  # categories (name, supercategory) -> the classes that are asked for
    "Roboflow's root": ([("things", "none"), ("car", "things"), ("van", "things")], "car, van"),
    "its own supercategory": ([("van", "van"), ("car", "car")], "van, car"),
    "a root with boxes": ([("car", "none"), ("van", "car")], "car, van"),
    "an empty class that is nobody's": ([("bus", "vehicle"), ("car", "vehicle")], "bus, car"),
    "two roots": ([("a", ""), ("b", None), ("car", "a"), ("van", "b")], "car, van"),
}


@pytest.mark.parametrize("name", ROOTS)
def test_an_empty_class_above_others_is_not_asked_for(folder, tmp_path, name):
    pairs, asked = ROOTS[name]
    categories = [{"id": n, "name": each, "supercategory": above} for n, (each, above) in enumerate(pairs)]
    car = next(each["id"] for each in categories if each["name"] == "car")
    annotations = [{"id": 1, "image_id": 1, "category_id": car, "bbox": [1, 2, 10, 12]}]
    write_coco(folder, categories=categories, annotations=annotations)
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert rows[0]["messages"][0]["content"].endswith(f": {asked}.")
    assert counts.get(ROOT, 0) == len(pairs) - len(asked.split(", "))
