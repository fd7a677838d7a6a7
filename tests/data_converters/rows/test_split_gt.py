"""`split --gt`: each part's own COCO file, to score a part by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import run, write_lines
from PIL import Image

CATEGORIES = [{"id": 3, "name": "dog", "supercategory": "animal"}, {"id": 9, "name": "never seen"}]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """10 images of which one has no annotation, and the rows that `convert coco` makes of them."""
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        Image.new("RGB", (40, 30)).save(f"{number}.png")
    images = [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 30, "licence": n} for n in range(10)]
    boxes = [{"id": n, "image_id": n // 2, "category_id": 3, "bbox": [n, 2, 5, 6], "area": 30, "iscrowd": 0, "x": n} for n in range(18)]
    coco = {"info": {"year": 2026}, "images": images, "annotations": boxes, "categories": CATEGORIES}
    Path("ann.json").write_text(json.dumps(coco))
    assert run("convert", "coco", "ann.json", "--out", "set.jsonl").exit_code == 0
    return coco


def split(*more: str):
    return run("split", "set.jsonl", "--out", "parts", "--parts", "train=0.7", "val=0.3", "--gt", "ann.json", *more)


def ids(path: str) -> set[str]:
    return {str(json.loads(line)["sample_id"]) for line in Path(path).read_text().splitlines()}


def test_each_part_has_its_own_ground_truth(data):
    done = split("--json")
    assert done.exit_code == 0, done.output
    held = {name: json.loads(Path(f"parts/{name}.json").read_text()) for name in ("train", "val")}
    for name, coco in held.items():
        wanted = ids(f"parts/{name}.jsonl")
        assert coco["images"] == [each for each in data["images"] if str(each["id"]) in wanted]
        assert coco["annotations"] == [each for each in data["annotations"] if str(each["image_id"]) in wanted]
        assert (coco["categories"], coco["info"]) == (CATEGORIES, {"year": 2026})
    assert [len(held[name]["images"]) for name in held] == [7, 3]
    report = json.loads(done.stdout)
    assert [(each["gt_images"], each["gt"]) for each in report["parts"]] == [(7, "parts/train.json"), (3, "parts/val.json")]
    assert sum(each["gt_annotations"] for each in report["parts"]) == 18
    assert report["gt_images_without_row"] == 0


def test_images_without_a_row_are_in_no_part_and_counted(data):
    rows = Path("set.jsonl").read_text().splitlines()
    Path("set.jsonl").write_text("\n".join(rows[:6]) + "\n")
    done = split()
    assert done.exit_code == 0, done.output
    assert "4 images of --gt have no row and are in no part" in done.stdout
    assert sum(len(json.loads(Path(f"parts/{name}.json").read_text())["images"]) for name in ("train", "val")) == 6


@pytest.mark.parametrize("write", [str, float, int], ids=["text", "whole floats", "numbers"])
def test_ids_join_as_they_do_for_the_evaluator(data, write):
    rows = [json.loads(line) for line in Path("set.jsonl").read_text().splitlines()]
    write_lines(Path("set.jsonl"), *(row | {"sample_id": write(row["sample_id"])} for row in rows))
    assert split().exit_code == 0
    assert ids("parts/val.jsonl") == {str(write(each["id"])) for each in json.loads(Path("parts/val.json").read_text())["images"]}


def changed(key: str, value: Any) -> None:
    Path("ann.json").write_text(json.dumps(json.loads(Path("ann.json").read_text()) | {key: value}))


PROBLEMS = {
    "another file": (lambda data: changed("images", [each | {"id": each["id"] + 100} for each in data["images"]]), "is not an image id of"),
    "repeated id": (lambda data: changed("images", data["images"] + data["images"][:1]), "duplicate image id 0; expected each once"),
    "no annotations": (lambda data: Path("ann.json").write_text('{"images": []}'), "no 'annotations'; expected a COCO file"),
    "a list": (lambda data: Path("ann.json").write_text("[]"), "expected a COCO file with images and annotations"),
    "not JSON": (lambda data: Path("ann.json").write_text("{"), "expected a COCO file with images and annotations"),
    "missing": (lambda data: Path("ann.json").unlink(), "ann.json"),
    "half an id": (lambda data: changed("images", [each | {"id": 0.5} for each in data["images"]]), "expected a whole number or text"),
    "no sample_id": (
        lambda data: Path("set.jsonl").write_text(Path("set.jsonl").read_text().replace('"sample_id"', '"other"')),
        "sample_id None is not an image id of",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["write", "dry run"])
def test_problems_are_named_and_nothing_is_written(data, name, dry):
    spoil, message = PROBLEMS[name]
    spoil(data)
    done = split(*dry)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not Path("parts").exists()


def test_one_id_in_two_parts_is_a_problem(data):
    rows = [json.loads(line) for line in Path("set.jsonl").read_text().splitlines()]
    write_lines(Path("set.jsonl"), *(row | {"sample_id": 0} for row in rows))
    done = split()
    assert done.exit_code == 1
    assert "rows of sample_id 0 have different images and are in" in done.stderr
