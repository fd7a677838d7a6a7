"""An image and its text in each row: JSON Lines, lists, CSV and Parquet; paths, and images that rows hold; the schema of LaTeX-OCR."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from talk_fixture import check_problem, error_of, folder_with, image_bytes, made, ours, said, source_of, write_parquet

from groundswift.data_converters.formats.image_text import ImageTextOptions, LatexOcrOptions

GOOD = {"image": "a.png", "text": "A cat, sleeping."}
LATEX = r"\frac{a}{b} \left< x \right>"


folder = folder_with({"a.png": (30, 20), "sub/b.png": (8, 6)})
source = source_of(ImageTextOptions, "pairs.jsonl")


def test_rows_of_paths(source, folder):
    rows = made(source(GOOD, {**GOOD, "text": "The same image again.", "license": 3}, {"image": str(folder / "sub/b.png"), "text": "猫"}))
    assert rows[0] == ours(
        "<image>Describe the picture in one sentence.",
        "A cat, sleeping.",
        images=[str(folder / "a.png")],
        sample_id="pairs/1",
        size_wh=[30, 20],
        prompt="caption.en.1",
    )
    assert [(row["sample_id"], Path(row["images"][0]).name, row["messages"][1]["content"]) for row in rows[1:]] == [
        ("pairs/2", "a.png", "The same image again."),
        ("pairs/3", "b.png", "猫"),
    ]


@pytest.mark.parametrize(
    ("task", "question"), [("ocr", "Read the text in the picture."), ("latex_ocr", "Write the formula in the picture as LaTeX.")]
)
def test_tasks(source, task, question):
    (row,) = made(source(GOOD, task=task))
    assert said(row)[0] == f"user: <image>{question}"


def test_csv(source):
    content = b'id,file,caption\r\n1,a.png,A cat\r\n2,sub/b.png,"Two\nlines, ""quoted"""\r\n\r\n3,a.png,x\r\n'
    rows = made(source(content, name="pairs.csv", image_column="file", text_column="caption"))
    assert [row["sample_id"] for row in rows] == ["pairs/2", "pairs/3", "pairs/6"]
    assert [said(row)[1] for row in rows[:2]] == ["assistant: A cat", 'assistant: Two\nlines, "quoted"']


BAD_CSV = {
    "empty": (b"", "pairs.csv:1: 0 columns named 'image' among none"),
    "names": (b"file,text\na.png,x", "pairs.csv:1: 0 columns named 'image' among file, text; expected a first line that names"),
    "doubled": (b"image,text,text\na.png,x,y", "2 columns named 'text'"),
    "only names": (b"image,text", "nothing to write: the source has no row"),
    "Latin-1": (b"image,text\na.png,\xe4", "not UTF-8 text (byte 0xe4)"),
    "open quote": (b'image,text\na.png,x\na.png,"never closed\n', "pairs.csv:3: not CSV (unexpected end of data)"),
    "text behind a quote": (b'image,text\na.png,"x"y\n', "pairs.csv:2: not CSV ("),
}


@pytest.mark.parametrize(("content", "message"), BAD_CSV.values(), ids=BAD_CSV)
def test_csv_that_cannot_be_read(source, content, message):
    options = source(name="pairs.csv")
    Path(options.annotations).write_bytes(content)
    assert message in error_of(options)


def test_csv_with_a_line_of_another_length(source):
    options = source(b"image,text\na.png\na.png,x,y\na.png,good", name="pairs.csv")
    error = error_of(options)
    assert "pairs.csv:2: 1 fields; expected 2" in error
    assert "pairs.csv:3: 3 fields" in error
    (row,) = made(ImageTextOptions(annotations=options.annotations, on_error="skip"))
    assert row["sample_id"] == "pairs/4"


def test_images_that_rows_hold(folder):
    path = write_parquet(
        folder / "train.parquet",
        {"image": {"bytes": image_bytes(size_wh=(30, 20)), "path": None}, "text": LATEX},
        {"image": {"bytes": image_bytes(form="JPEG"), "path": "7.jpg"}, "text": "x"},
        {"image": {"bytes": None, "path": "a.png"}, "text": "y"},
    )
    rows = made(LatexOcrOptions(annotations=str(path), save_images=str(folder / "kept")))
    assert rows[0] == ours(
        "<image>Write the formula in the picture as LaTeX.",
        LATEX,
        images=[str(folder / "kept/train/1.png")],
        sample_id="train/1",
        size_wh=[30, 20],
        prompt="latex_ocr.en.1",
    )
    assert [row["images"] for row in rows[1:]] == [[str(folder / "kept/train/2.jpg")], [str(folder / "a.png")]]
    assert "row 1: the row holds its image, and swift reads files; expected --save-images DIR" in error_of(
        LatexOcrOptions(annotations=str(path))
    )


def test_images_that_rows_hold_in_json(source, folder):
    held = {"bytes": base64.b64encode(image_bytes()).decode(), "path": None}
    (row,) = made(source({"image": held, "text": "x"}, save_images=str(folder / "kept")))
    assert row["images"] == [str(folder / "kept/pairs/1.png")]


@pytest.mark.parametrize(
    ("bad", "reason", "message"),
    [
        ({**GOOD, "text": " "}, "text-empty", "text ' '; expected a text"),
        ({**GOOD, "text": None}, "text-empty", "text None; expected a text"),
        ({**GOOD, "text": 12}, "text-empty", "text 12; expected a text"),
        ({**GOOD, "text": ["a", "b"]}, "text-empty", "['a', 'b']"),
        ({**GOOD, "text": r"a <bbox> b"}, "text-tag", "the text of assistant holds <bbox>"),
        ({**GOOD, "text": "<video>"}, "text-tag", "holds <video>"),
        ({**GOOD, "image": None}, "image-missing", "image 'None'; expected a path, or the image"),
        ({**GOOD, "image": ""}, "image-missing", "image ''"),
        ({**GOOD, "image": 5}, "image-missing", "image '5'"),
        ({**GOOD, "image": {"bytes": "%", "path": None}}, "image-missing", "expected a path, or the image"),
        ({**GOOD, "image": {}}, "image-embedded", "--save-images"),
    ],
)
def test_problems(source, bad, reason, message):
    check_problem(source(bad, GOOD), reason, "pairs.jsonl:1", message)
