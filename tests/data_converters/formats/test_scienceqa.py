"""ScienceQA as its authors publish it (problems.json, pid_splits.json, a folder per image) and as the hubs have it (Parquet)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from talk_fixture import check_problem, check_skipped, counted, error_of, image_bytes, made, ours, said, write_parquet

from groundswift.data_converters.formats.scienceqa import ScienceQaOptions

PROBLEM = {
    "question": "Which of these states is farthest north?",
    "choices": ["West Virginia", "Louisiana", "Arizona"],
    "answer": 0,
    "hint": "",
    "image": "image.png",
    "grade": "grade2",
    "lecture": "Maps have four cardinal directions.",
    "solution": "West Virginia is the farthest north.",
    "split": "train",
}
TEXT = PROBLEM | {"question": "Is {x} a solid?", "choices": ["yes", "no"], "answer": 1, "hint": "Water is {question}."}
TEXT |= {"image": None, "solution": "", "split": "val"}


@pytest.fixture
def source(tmp_path: Path):
    """Write the original's files -> the options that read them."""

    def write(problems: Any = None, splits: Any = None, **options: Any) -> ScienceQaOptions:
        (tmp_path / "problems.json").write_text(json.dumps({"1": PROBLEM, "2": TEXT} if problems is None else problems))
        if splits is not None:
            (tmp_path / "pid_splits.json").write_text(json.dumps(splits))
        place = tmp_path / "train/1/image.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(image_bytes(size_wh=(30, 20)))
        return ScienceQaOptions(annotations=str(tmp_path / "problems.json"), **options)

    return write


def test_the_original(source, tmp_path):
    asked = (
        "Which of these states is farthest north?\nA. West Virginia\nB. Louisiana\nC. Arizona\nAnswer with the letter of the right choice."
    )
    other = "Water is {question}.\nIs {x} a solid?\nA. yes\nB. no\nAnswer with the letter of the right choice."
    assert made(source()) == [
        ours(
            f"<image>{asked}",
            "A",
            images=[str(tmp_path / "train/1/image.png")],
            sample_id="scienceqa/train/1",
            size_wh=[30, 20],
            prompt="choose.en.1",
        ),
        ours(other, "B", sample_id="scienceqa/val/2", prompt="choose.en.1", images=None, size_wh=None),
    ]


def test_splits(source, tmp_path):
    splits = {"train": ["1"], "val": ["2"], "trainval": ["2", "1"], "test": ["9"]}
    assert [row["sample_id"] for row in made(source(splits=splits, split="trainval"))] == ["scienceqa/val/2", "scienceqa/train/1"]
    assert [row["sample_id"] for row in made(source(splits=splits, split="val"))] == ["scienceqa/val/2"]
    assert "no split 'dev'; expected train, val, trainval, test" in error_of(source(splits=splits, split="dev"))
    assert "question 9: an id of the split without a question" in error_of(source(splits=splits, split="test"))
    check_skipped(source(splits={"test": ["9", "2"]}, split="test"), "question-unknown")
    assert "question 2: duplicate id in the split; expected each id once" in error_of(source(splits={"test": ["2", "2"]}, split="test"))
    check_skipped(source(splits={"test": ["2", "2"]}, split="test"), "question-repeated")
    (tmp_path / "pid_splits.json").write_text('{"test": [1]}')
    assert "pid_splits.json: unexpected content (Expected `str`, got `int`" in error_of(source(split="test"))
    (tmp_path / "pid_splits.json").unlink()
    assert "pid_splits.json: no such file" in error_of(source(split="train"))


def test_the_solution(source):
    options = source(answer="letter_and_solution")
    first, second = made(options)
    assert said(first)[1] == "assistant: A\nWest Virginia is the farthest north."
    assert first["prompt"] == "choose_and_explain.en.1"
    assert said(first)[0].endswith("\nAnswer with the letter of the right choice, then explain it.")
    assert said(second)[1] == "assistant: B"
    assert second["prompt"] == "choose.en.1"
    assert counted(options) == {"question-without-solution": 1}


def test_a_question_of_ones_own_and_chinese(source):
    assert said(made(source(prompt="{question} {choices}"))[1])[0] == "user: Is {x} a solid? A. yes\nB. no"
    assert "unknown field {answer}" in error_of(source(prompt="{answer}"))
    assert said(made(source(language="zh"))[1])[0].endswith("请回答正确选项的字母。")


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"answer": 3}, "answer-not-choice", "answer 3 of 3 choices; expected the index of a choice, from 0"),
        ({"answer": -1}, "answer-not-choice", "answer -1 of 3 choices"),
        ({"answer": "A"}, "row-unreadable", "Expected `int`, got `str` - at `$.answer`"),
        ({"choices": ["a"]}, "choices-count", "1 choices; expected 2 to 26"),
        ({"choices": ["a"] * 27}, "choices-count", "27 choices"),
        ({"question": " "}, "question-empty", "question ' '"),
        ({"choices": ["<image>", "b"]}, "text-tag", "the text of user holds <image>"),
        ({"hint": "<bbox>"}, "text-tag", "holds <bbox>"),
        ({"split": None}, "row-unreadable", "no split"),
        ({"split": "test"}, "image-missing", "image not found"),
        ({"split": "/train"}, "image-path-outside", "'/train/1/image.png'"),
        ({"split": "../.."}, "image-path-outside", "'../../1/image.png'"),
        ({"image": {"bytes": None, "path": "x"}}, "image-malformed", "image is not a name"),
        ({"question": 5}, "row-unreadable", "question: Expected `str`, got `int`"),
        ({"choices": "ab"}, "row-unreadable", "Expected `array`, got `str`"),
    ],
)
def test_problems(source, change, reason, message):
    check_problem(source({"1": {**PROBLEM, **change}, "2": TEXT}), reason, "problems.json: question 1", message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "nothing to write: the source has no question"),
        (json.dumps({"2": TEXT})[:-1].encode() + b', "2": {}}', "duplicate key '2'"),
        (json.dumps({"1": {**PROBLEM, "answer": 10**40}}).encode(), "question 1"),
    ],
)
def test_files(tmp_path, content, message):
    path = tmp_path / "problems.json"
    path.write_bytes(content)
    error = error_of(ScienceQaOptions(annotations=str(path)))
    assert str(path) in error
    assert message in error


def test_the_hubs_rows(tmp_path):
    hub = {key: value for key, value in PROBLEM.items() if key != "split"}
    with_image = {**hub, "image": {"bytes": image_bytes(size_wh=(30, 20)), "path": "image.png"}}
    path = write_parquet(tmp_path / "train.parquet", with_image, {**hub, **TEXT, "image": None}, with_image)
    options = ScienceQaOptions(annotations=str(path), save_images=str(tmp_path / "kept"))
    rows = made(options)
    assert [row["sample_id"] for row in rows] == ["train/1", "train/2", "train/3"]
    assert rows[0]["images"] == [str(tmp_path / "kept/train/1.png")]
    assert rows[0]["size_wh"] == [30, 20]
    assert "images" not in rows[1]
    assert said(rows[0])[1] == "assistant: A"
    with_problem = write_parquet(
        tmp_path / "bad.parquet", {**with_image, "image": {"bytes": b"no", "path": None}}, {**hub, **TEXT, "image": None}
    )
    check_skipped(ScienceQaOptions(annotations=str(with_problem), save_images=str(tmp_path / "kept")), "image-unreadable")
    unsaved = ScienceQaOptions(annotations=str(path))
    assert "train.parquet: row 1: the row holds its image, and swift reads files; expected --save-images DIR" in error_of(unsaved)
    assert "rows of the hubs have no split" in error_of(ScienceQaOptions(annotations=str(path), split="train"))


def test_the_hubs_rows_as_a_json_list(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([TEXT, {**PROBLEM, "image": "image.png"}]))
    options = ScienceQaOptions(annotations=str(path))
    assert "rows.json: row 2: image 'image.png'; expected the image itself" in error_of(options)
    check_skipped(options, "image-malformed")
