"""Rows whose boxes come before their labels: every exporter, the split and the lint pair them as the row says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from converted import run, write_lines

CASE = Path(__file__).resolve().parents[2] / "cases" / "to_coco_box_before_label"
BOXES = [[10, 10, 60, 60], [200, 10, 260, 90], [400, 300, 500, 400]]
PAIRS = [("hen", [10, 10, 50, 50]), ("pig", [200, 10, 60, 80]), ("hen", [400, 300, 100, 100])]
OBJECT = '{"bbox_2d": <bbox>, "label": "<ref-object>"}'
ANSWERS = {
    "JSON, box first": f"[{OBJECT}, {OBJECT}, {OBJECT}]",
    "JSON, fenced": f"```json\n[\n{OBJECT},\n{OBJECT},\n{OBJECT}\n]\n```",
    "JSON, label first": '[{"label": "<ref-object>", "box": <bbox>},' * 1 + '{"label": "<ref-object>", "box": <bbox>},' * 2 + "]",
    "JSON, an object a line": f"{OBJECT}\n{OBJECT}\n{OBJECT}",
    "words, box first": "<bbox>: <ref-object>\n<bbox>: <ref-object>\n<bbox>: <ref-object>",
    "box first": "<bbox><ref-object><bbox><ref-object><bbox><ref-object>",
    "label first": "<ref-object><bbox><ref-object><bbox><ref-object><bbox>",
    "all labels, then all boxes": "<ref-object>, <ref-object>, <ref-object>: <bbox>, <bbox>, <bbox>",
    "a sentence": "One <ref-object> at <bbox>, a <ref-object> at <bbox>, a <ref-object> at <bbox>.",
}


def row(answer: str, refs=("hen", "pig", "hen"), boxes=BOXES, question: str = "<image>find all", **more) -> dict:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    objects = {"ref": list(refs), "bbox": boxes}
    return {"messages": messages, "images": ["img/a.jpg"], "objects": objects, "sample_id": 1, "size_wh": [640, 480], **more}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the image of the case."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.jpg").write_bytes((CASE / "a.jpg").read_bytes())
    return tmp_path


def coco_pairs(path: Path) -> list[tuple[str, list[float]]]:
    """(class, xywh) of every annotation, in order."""
    coco = json.loads(path.read_text())
    names = {each["id"]: each["name"] for each in coco["categories"]}
    return [(names[each["category_id"]], each["bbox"]) for each in coco["annotations"]]


@pytest.mark.parametrize("name", ["br", "rb", "plain"])
def test_the_case(folder, name):
    done = run("convert", "to-coco", CASE / f"{name}.jsonl", "--images", folder, "--out", folder / "out.json")
    assert "without a label" not in done.output
    assert coco_pairs(folder / "out.json") == PAIRS
    found = json.loads(run("lint", CASE / f"{name}.jsonl", "--no-check-images", "--json").stdout)
    assert {each["label"]: each["boxes"] for each in found["classes"]} == {"hen": 2, "pig": 1}
    run("convert", "to-yolo", CASE / f"{name}.jsonl", "--images", folder, "--out", folder / "yolo")
    classes = [line.split()[0] for line in (folder / "yolo" / "labels" / "a.txt").read_text().splitlines()]
    assert classes == ["0", "1", "0"]


@pytest.mark.parametrize("name", ANSWERS)
def test_every_form_pairs_alike(folder, name):
    data = write_lines(folder / "rows.jsonl", row(ANSWERS[name]))
    assert run("convert", "to-coco", data, "--out", folder / "out.json").exit_code == 0
    assert coco_pairs(folder / "out.json") == PAIRS


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "all labels, then all boxes"])
def test_the_split_spreads_the_labels_of_boxes(folder, name):
    """A label that only the question names is no class."""
    asked = [
        row(ANSWERS[name], ["cow", "hen", "pig", "hen"], BOXES, "<image>all but <ref-object>", images=[f"{index}.jpg"])
        for index in range(4)
    ]
    data = write_lines(folder / "rows.jsonl", *asked)
    report = json.loads(run("split", data, "--parts", "a=0.5", "b=0.5", "--dry-run", "--json").stdout)
    assert {each["label"]: each["parts"] for each in report["classes"]} == {"hen": [2, 2], "pig": [2, 2]}


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "a sentence"])
def test_text_formats_write_the_label_before_its_boxes(folder, name):
    data = write_lines(folder / "rows.jsonl", row(ANSWERS[name]))
    assert run("convert", "to-glm4v", data, "--out", folder / "glm.jsonl").exit_code == 0
    labelled_first = json.loads((folder / "glm.jsonl").read_text())["messages"][1]["content"]
    assert labelled_first == run_plain("to-glm4v", folder)["messages"][1]["content"]
    assert run("convert", "to-phi3v", data, "--out", folder / "phi.jsonl").exit_code == 0
    assert json.loads((folder / "phi.jsonl").read_text()) == run_plain("to-phi3v", folder)
    assert run("convert", "to-shikra", data, "--out", folder / "shikra.jsonl").exit_code == 0
    shikra = json.loads((folder / "shikra.jsonl").read_text())
    assert shikra["target"]["boxes"] == BOXES
    turn = shikra["conversations"][1]
    assert turn["boxes_seq"] == [[0], [1], [2]]
    assert [each.strip(" ,:\n") for each in turn["value"].split("<boxes>")][:3] == ["hen", "pig", "hen"]


def run_plain(form: str, folder: Path) -> dict:
    """What a format makes of the same row with its labels first."""
    data = write_lines(folder / "plain.jsonl", row(ANSWERS["label first"]))
    assert run("convert", form, data, "--out", folder / "plain.out.jsonl").exit_code == 0
    return json.loads((folder / "plain.out.jsonl").read_text())


def test_a_label_of_the_question_is_not_counted_as_a_class(folder):
    """The form of ms-swift's documentation names the class in its question, too."""
    data = write_lines(folder / "rows.jsonl", row(f"[{OBJECT}, {OBJECT}]", ["hen"] * 3, BOXES[:2], "<image>find <ref-object>"))
    found = json.loads(run("lint", data, "--json").stdout)
    assert found["counts"]["error"] == 0
    assert found["classes"] == [{"label": "hen", "boxes": 2, "rows": 1}]
    run("convert", "to-coco", data, "--out", folder / "out.json")
    assert coco_pairs(folder / "out.json") == [("hen", [10, 10, 50, 50]), ("hen", [200, 10, 60, 80])]


UNCLEAR = {
    "a list": ("<bbox><ref-object><bbox><bbox><ref-object><bbox><ref-object><bbox>", "list-unclear"),
    "a sentence": ("At <bbox> is a <ref-object>, a <ref-object>, and <bbox>; a <ref-object> at <bbox>.", "label-unsure"),
    "other JSON": ('{"hens": [<bbox>, <bbox>, <bbox>], "label": ["<ref-object>", "<ref-object>", "<ref-object>"]}', "placeholder-json"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_is_not_clear_is_a_problem_and_not_a_class(folder, name):
    answer, rule = UNCLEAR[name]
    boxes = [[index, 10, 60, 60] for index in range(answer.count("<bbox>"))]
    data = write_lines(folder / "rows.jsonl", row(answer, boxes=boxes))
    assert rule in json.loads(run("lint", data, "--json").stdout)["rules"]
    done = run("convert", "to-coco", data, "--out", folder / "out.json")
    assert done.exit_code == 1
    assert "expected each label before its boxes" in done.output
    assert not (folder / "out.json").exists()
    done = run("convert", "to-coco", data, "--out", folder / "out.json", "--on-error", "skip")
    assert f"{len(boxes)}  label-unsure" in done.output
    assert coco_pairs(folder / "out.json") == []
