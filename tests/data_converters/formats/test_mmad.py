"""MMAD: questions with letters, normal images before the query image, and files that are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import converted, refusal
from PIL import Image

from groundswift.data_converters.formats.mmad import MmadOptions

GOOD, BAD, NORMAL = "DS-MVTec/bottle/image/good/000.png", "VisA/pcb1/test/bad/001.JPG", "MVTec-AD/bottle/train/good/1.png"
DETECTION = {
    "Question": "Is there any defect in the object?",
    "Answer": "B",
    "Options": {"A": "Yes.", "B": "No."},
    "type": "Anomaly Detection",
}
TYPE = {"Question": "Which {x}?", "Answer": "D", "Options": {"A": "a", "B": "b", "C": "c", "D": "d"}, "type": "Defect Classification"}
FILE = {
    GOOD: {"mask_path": "", "random_templates": [NORMAL, NORMAL], "similar_templates": [GOOD], "conversation": [DETECTION]},
    BAD: {
        "mask_path": "m.png",
        "random_templates": [NORMAL],
        "similar_templates": [GOOD],
        "conversation_2": [DETECTION | {"Answer": "A"}, TYPE],
    },
}


@pytest.fixture
def source(tmp_path: Path):
    """Write mmad.json and its images -> the options that read them."""

    def write(content: Any = FILE, **options: Any) -> MmadOptions:
        (tmp_path / "mmad.json").write_text(json.dumps(content))
        for number, name in enumerate((GOOD, BAD, NORMAL)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20 + number, 10)).save(tmp_path / name)
        return MmadOptions(annotations=str(tmp_path / "mmad.json"), **options)

    return write


def test_questions_become_rows(source, tmp_path):
    rows, counts = converted(source(), tmp_path / "out.jsonl")
    assert counts == {}
    assert rows[0] == {
        "messages": [
            {
                "role": "user",
                "content": "<image>Is there any defect in the object?\nA. Yes.\nB. No.\nAnswer with the letter of the right choice.",
            },
            {"role": "assistant", "content": "B"},
        ],
        "images": [str(tmp_path / GOOD)],
        "sample_id": f"mmad/{GOOD}/0",
        "size_wh": [20, 10],
        "prompt": "choose.en.1",
        "subtask": "Anomaly Detection",
        "dataset": "DS-MVTec",
        "class_name": "bottle",
        "verdict": "normal",
    }
    assert [(row["subtask"], row["messages"][1]["content"], row["verdict"]) for row in rows[1:]] == [
        ("Anomaly Detection", "A", "anomaly"),
        ("Defect Classification", "D", "anomaly"),
    ]
    assert "Which {x}?" in rows[2]["messages"][0]["content"]


def test_normal_images_come_first(source, tmp_path):
    rows, _ = converted(source(shots=1), tmp_path / "out.jsonl")
    assert [row["images"] for row in rows] == [[str(tmp_path / NORMAL), str(tmp_path / name)] for name in (GOOD, BAD, BAD)]
    assert rows[0]["messages"][0]["content"].startswith("<image><image>The first 1 images show normal products")
    rows, _ = converted(source(shots=1, templates="similar", language="zh"), tmp_path / "out.jsonl")
    assert {row["images"][0] for row in rows} == {str(tmp_path / GOOD)}
    assert rows[0]["messages"][0]["content"].startswith("<image><image>前 1 张")
    assert "images-too-few" in refusal(source(shots=2), tmp_path / "no.jsonl")


BROKEN = {
    "no conversation": ({GOOD: {"mask_path": ""}}, "question-empty"),
    "no object": ({GOOD: []}, "expected an object"),
    "no list": ([DETECTION], "{path of an image"),
    "another letter": ({GOOD: {"conversation": [DETECTION | {"Answer": "E"}]}}, "answer-not-choice"),
    "no options": ({GOOD: {"conversation": [{"Question": "x", "Answer": "A"}]}}, "Options"),
    "no question": ({GOOD: {"conversation": [DETECTION | {"Question": " "}]}}, "question-empty"),
    "no image": ({"gone.png": {"conversation": [DETECTION]}}, "image-missing"),
    "outside": ({"../a.png": {"conversation": [DETECTION]}}, "image-path-outside"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(source, tmp_path, name):
    content, expected = BROKEN[name]
    assert expected in refusal(source(content), tmp_path / "out.jsonl")
    if isinstance(content, dict):
        rows, counts = converted(source(FILE | {"x": {"conversation": []}} | content, on_error="skip"), tmp_path / "out.jsonl")
        assert len(rows) in (2, 3)
        assert counts
