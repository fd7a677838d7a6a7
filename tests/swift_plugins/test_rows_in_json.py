"""Rows in the form of ms-swift's documentation, `[{"bbox_2d": <bbox>, "label": "<ref-object>"}, ...]`: every family writes its own text."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
from converted import run, write_lines
from rows import detection, trained_text
from zoo import KINDS

from groundswift import families, parse
from groundswift.errors import GroundswiftError

CASE = Path(__file__).resolve().parents[1] / "cases" / "qwen_new_bbox_form"
MODEL = Path(__file__).resolve().parents[2] / "recipes" / "quickstart" / "model"
OBJECT = '{"bbox_2d": <bbox>, "label": "<ref-object>"}'
FORMS = {
    "box first": f"[{OBJECT}, {OBJECT}]",
    "box first, lines": f"[\n\t{OBJECT},\n\t{OBJECT}\n]",
    "label first": '[{"label": "<ref-object>", "bbox_2d": <bbox>}, {"label": "<ref-object>", "bbox_2d": <bbox>}]',
    "fenced": f"```json\n[{OBJECT}, {OBJECT}]\n```",
    "other keys": '[{"name": "<ref-object>", "box": "<bbox>"}, {"name": "<ref-object>", "box": "<bbox>"}]',
    "point keys": '[{"point_2d": <bbox>, "label": "<ref-object>"}, {"point_2d": <bbox>, "label": "<ref-object>"}]',
    "words, box first": "<bbox>: <ref-object>\n<bbox>: <ref-object>",
    "no separator, box first": "<bbox><ref-object><bbox><ref-object>",
}
BOXES = [[30, 40, 300, 200], [200, 100, 600, 470]]


def row_with(answer: str, image_of_size, labels=("sheep", "cat"), boxes=BOXES, question: str = "<image>find all") -> dict:
    row = detection(image_of_size((640, 480)), labels, boxes, question)
    row["messages"][1]["content"] = answer
    return row


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_writes_its_own_text(zoo, image_of_size, kind):
    expected = zoo[kind].encode(row_with("<ref-object><bbox><ref-object><bbox>", image_of_size))["input_ids"]
    for form, answer in FORMS.items():
        assert zoo[kind].encode(row_with(answer, image_of_size))["input_ids"] == expected, form


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if families()[kind.family].points])
def test_points_are_written_as_the_family_writes_points(zoo, image_of_size, kind):
    points = [[30, 40], [200, 100]]
    plain = row_with("<ref-object><bbox><ref-object><bbox>", image_of_size, boxes=points)
    assert zoo[kind].encode(row_with(FORMS["point keys"], image_of_size, boxes=points))["input_ids"] == zoo[kind].encode(plain)["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_list_is_the_familys_empty_answer(zoo, image_of_size, kind):
    expected = zoo[kind].encode(row_with("None", image_of_size, [], []))["input_ids"]
    for answer in ("[]", "```json\n[]\n```"):
        assert zoo[kind].encode(row_with(answer, image_of_size, [], []))["input_ids"] == expected


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3", "internvl", "glm4v"])
def test_turns_and_questions_with_json(zoo, image_of_size, kind):
    """The question's label and box, an empty answer, and two lists keep their places."""
    row = detection(image_of_size((640, 480)), [], [])
    row["messages"] = [
        {"role": "user", "content": f"<image>What is like {OBJECT}?"},
        {"role": "assistant", "content": f"[{OBJECT}]"},
        {"role": "user", "content": "A <ref-object>?"},
        {"role": "assistant", "content": "[]"},
        {"role": "user", "content": "And all?"},
        {"role": "assistant", "content": f"These:\n```json\n[{OBJECT}, {OBJECT}]\n```"},
    ]
    row["objects"] = {"ref": ["cow", "sheep", "lion", "cat", "dog"], "bbox": [[0, 0, 60, 40], *BOXES, [100, 100, 200, 200]]}
    plain = deepcopy(row)
    plain["messages"][1]["content"], plain["messages"][3]["content"] = "<ref-object><bbox>", "[]"
    family = KINDS[kind].family
    text = zoo[kind].tokenizer.decode(zoo[kind].encode(row)["input_ids"])
    found = [located.label for located in parse(text[text.rindex("These:") :], family).objects]
    assert [label.rpartition("\n")[2] for label in found] == ["cat", "dog"]
    assert families()[family].empty_answer in text
    assert "<bbox>" not in text
    assert "<ref-object>" not in text
    expected = zoo[kind].tokenizer.decode(zoo[kind].encode(plain)["input_ids"])
    assert text == expected


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3"])
@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ('[{"bbox_2d": <bbox>, "label": "<ref-object>", "id": 1}, {"bbox_2d": <bbox>, "label": "<ref-object>"}]', "JSON of another form"),
        (
            '{"objects": [{"bbox_2d": <bbox>, "label": "<ref-object>"}, {"bbox_2d": <bbox>, "label": "<ref-object>"}]}',
            "JSON of another form",
        ),
        ('[{"bbox_2d": <bbox>, "label": "one <ref-object>"}, {"bbox_2d": <bbox>, "label": "<ref-object>"}]', "JSON of another form"),
        ("<bbox> is a <ref-object>, and <bbox> a <ref-object>.", "labels after their boxes"),
        ("<bbox><ref-object><ref-object><bbox>", "not clear"),
    ],
)
def test_what_would_be_trained_as_broken_text_is_an_error(zoo, image_of_size, kind, answer, match):
    with pytest.raises(GroundswiftError, match=f"sample_id 'a/7': assistant message: .*{match}"):
        zoo[kind].encode(row_with(answer, image_of_size) | {"sample_id": "a/7"})


@pytest.mark.parametrize("template", ["qwen3_vl_grounding", "qwen2_5_vl_grounding", "qwen2_vl_grounding"])
def test_the_case_shows_as_its_family_and_scores_one_when_trained_on(tmp_path, monkeypatch, template):
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.jpg").write_bytes((CASE / "a.jpg").read_bytes())
    monkeypatch.chdir(tmp_path)
    family = template.removesuffix("_grounding")
    for line in range(1, 4):
        arguments = ("--model", MODEL, "--model-type", "qwen2_vl", "--template", template, "--row", line, "--json")
        shown = json.loads(run("show", CASE / "newv.jsonl", *arguments).stdout)
        (answer,) = shown["answers"]
        assert (answer["status"], answer["reasons"]) == ("ok", [])
        assert [located.label for located in parse(answer["text"], family).objects] == ["sheep", "cat"]
        assert not any(mark["differs"] for mark in shown["boxes"])
        result = write_lines(tmp_path / f"{line}.jsonl", {"response": answer["text"], "sample_id": 1})
        limits = ("--min-pixels", "default", "--max-pixels", "default") if template.startswith("qwen2_5") else ()
        options = ("--gt", CASE / "nf.json", "--family", family, *limits, "--json", "--no-report")
        scored = run("eval", "coco-map", result, *options, "--out", tmp_path / str(line))
        assert json.loads(scored.stdout)["AP"] == pytest.approx(1), scored.output


def test_the_case_with_a_label_in_its_question(zoo, image_of_size):
    row = json.loads((CASE / "newf.jsonl").read_text())
    row["images"] = [str(image_of_size((640, 480)))]
    text = trained_text(zoo["qwen3_vl"], zoo["qwen3_vl"].encode(row))
    assert [(located.label, located.box) for located in parse(text, "qwen3_vl").objects] == [
        ("sheep", (142, 335, 211, 443)),
        ("sheep", (564, 793, 773, 902)),
    ]
    assert '{"bbox_2d": [142, 335, 211, 443], "label": "sheep"}' in text


ALIKE = [
    *FORMS.values(),
    "<bbox><ref-object><bbox><ref-object>",
    "<bbox><ref-object><ref-object><bbox>",
    "[<bbox>, <bbox>] <ref-object><ref-object>",
]
ALIKE += ["<bbox> is a <ref-object>, <bbox> a <ref-object>", "a <ref-object> <bbox> and <ref-object> <bbox>", f"{{{OBJECT}}}, {OBJECT}"]
ALIKE += ["A <ref-object> and a <ref-object> at <bbox> and <bbox>", f"<think>{OBJECT}</think>{OBJECT}", f"[{OBJECT}] [{OBJECT}, 1]"]


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen3_vl"])
def test_lint_says_of_each_row_what_the_template_does(zoo, image_of_size, tmp_path, kind):
    rows = [row_with(answer, image_of_size) | {"size_wh": [640, 480], "sample_id": index} for index, answer in enumerate(ALIKE)]
    document = json.loads(run("lint", write_lines(tmp_path / "rows.jsonl", *rows), "--json", "--examples", 99).stdout)
    wrong = {each["line"] for rule in document["rules"].values() if rule["severity"] == "error" for each in rule["examples"]}
    refused = set()
    for line, each in enumerate(rows, 1):
        try:
            zoo[kind].encode(each)
        except GroundswiftError:
            refused.add(line)
    assert wrong == refused != set()
