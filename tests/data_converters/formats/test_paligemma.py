"""PaliGemma's prefix and suffix: classes, boxes of both divisors, masks, plain text, what is broken, and lines to train on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import converted, detection_row, refusal, write_lines
from hypothesis import given
from hypothesis import strategies as st
from label_sources import reader

from groundswift.data_converters.formats.paligemma import PaligemmaOptions, ToPaligemmaOptions, suffix_of
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.rows.collect_boxes import Counter, ImageBoxes
from groundswift.grammars.registry import grammar_of

SIZE_WH = (1023, 341)
options = reader(PaligemmaOptions, "annotations.jsonl")
CAT, DOG = "<loc0102><loc0051><loc0513><loc0307> cat", "<loc0000><loc0000><loc1023><loc1023> big dog"


@pytest.fixture
def write(tmp_path: Path, draw):
    def written(*lines: Any, images: tuple[str, ...] = ("a.jpg",)) -> Path:
        for name in images:
            draw(tmp_path / "set" / name, SIZE_WH)
        write_lines(tmp_path / "set/annotations.jsonl", *lines)
        return tmp_path / "set"

    return written


def line(suffix: Any = CAT, prefix: Any = "detect cat ; big dog", image: Any = "a.jpg") -> dict[str, Any]:
    return {"image": image, "prefix": prefix, "suffix": suffix}


SUFFIXES = {  # name -> (prefix, suffix, labels, boxes, what is counted)
    "one": ("detect cat ; big dog", CAT, ["cat"], [[51, 34, 307, 171]], {}),
    "two": ("detect cat ; big dog", f"{CAT} ; {DOG}", ["cat", "big dog"], [[51, 34, 307, 171], [0, 0, 1023, 341]], {}),
    "tight, with an end": (
        "<image>detect cat;big dog\n",
        f"{CAT};{DOG}<eos>",
        ["cat", "big dog"],
        [[51, 34, 307, 171], [0, 0, 1023, 341]],
        {},
    ),
    "none": ("detect cat", "", [], [], {}),
    "segment": (
        "segment cat",
        CAT.replace(" ", "<seg001><seg127>" * 8 + " "),
        ["cat"],
        [[51, 34, 307, 171]],
        {"paligemma-mask-dropped": 1},
    ),
}


@pytest.mark.parametrize("name", SUFFIXES)
def test_boxes(write, tmp_path, name):
    prefix, suffix, labels, boxes, expected = SUFFIXES[name]
    (row,), counts = converted(options(write(line(suffix, prefix))), tmp_path / "out.jsonl")
    assert (row["objects"]["ref"], row["objects"]["bbox"], counts) == (labels, boxes, expected)
    classes = "cat, big dog" if "dog" in prefix else "cat"
    assert row["messages"][0]["content"] == f"<image>Detect every object of these categories: {classes}."
    assert row["asked"] == classes.split(", ")
    assert (row["sample_id"], row["size_wh"], Path(row["images"][0]).name) == ("annotations/1", [1023, 341], "a.jpg")


def test_a_box_that_is_named_twice(write, tmp_path):
    (row,), counts = converted(options(write(line(f"{CAT} ; {CAT}"))), tmp_path / "out.jsonl")
    assert (row["objects"]["ref"], counts) == (["cat"], {"box-repeated": 1})


def test_a_divisor_of_1024(write, tmp_path):
    """Nothing is guessed: 1024 is refused until the option says so."""
    root = write(line("<loc0512><loc0256><loc1024><loc1024> cat"))
    assert "number-out-of-range); expected <locNNNN> 4 times and a class, joined by ;, or --divisor 1024" in refusal(
        options(root), tmp_path / "none.jsonl"
    )
    (row,), _ = converted(options(root, divisor="1024"), tmp_path / "out.jsonl")
    assert row["objects"]["bbox"] == [[255.75, 170.5, 1023, 341]]


def test_other_prefixes_are_questions(write, tmp_path):
    rows, _ = converted(options(write(line("A cat.", "caption en"), line("two", "How many?"))), tmp_path / "out.jsonl")
    assert [[each["content"] for each in row["messages"]] for row in rows] == [["<image>caption en", "A cat."], ["<image>How many?", "two"]]
    assert all("objects" not in row for row in rows)


BROKEN: dict[str, tuple[Any, str]] = {  # name -> (a line, part of the error)
    "a list": ([1], "annotations.jsonl:2: not a row: Expected `object`, got `array`"),
    "not JSON": (b'{"image": "a.jpg", "prefix": NaN}', "annotations.jsonl:2: not a row: NaN (byte 29) is not JSON"),
    "no suffix": ({"image": "a.jpg", "prefix": "detect cat"}, "annotations.jsonl:2: not a row: Object missing required field `suffix`"),
    "a number": (line(7), "annotations.jsonl:2: not a row: Expected `str`, got `int` - at `$.suffix`"),
    "three numbers": (line("<loc0102><loc0051><loc0513> cat"), "(malformed-box); expected <locNNNN> 4 times and a class"),
    "text": (line("a cat sits"), "(no-box)"),
    "inverted": (line("<loc0513><loc0051><loc0102><loc0307> cat"), "(box-inverted)"),
    "out of range": (line("<loc0102><loc0051><loc9999><loc0307> cat"), "number-out-of-range)"),
    "no area": (line("<loc0102><loc0051><loc0102><loc0307> cat"), "annotations.jsonl:2: box 1: box "),
    "no class": (line("<loc0102><loc0051><loc0513><loc0307>"), "annotations.jsonl:2: label ''; expected one of the prefix (big dog, cat)"),
    "another class": (line(CAT, "detect dog"), "annotations.jsonl:2: label 'cat'; expected one of the prefix (dog)"),
    "a tag": (line("", "detect <bbox>"), "annotations.jsonl:2: prefix: holds <bbox>"),
    "a tag in a question": (line("yes", "Is <image> good?"), "annotations.jsonl:2"),
    "boxes without a question": (
        line(CAT, "locate cat"),
        "with the prefix 'locate cat', which asks for no boxes; expected a prefix of detect",
    ),
    "a box in a question": (line("A cat.", "describe <loc0001><loc0001><loc0009><loc0009>"), "<loc0001> with the prefix"),
    "no answer": (line(" ", "caption en"), "annotations.jsonl:2: blank; expected a text"),
    "no question": (line("A cat.", " "), "annotations.jsonl:2: blank; expected a text"),
    "missing image": (line(image="gone.jpg"), "gone.jpg"),
    "outside the folder": (line(image="..\\..\\a.jpg"), "image-path-outside"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line(write, tmp_path, name):
    broken, message = BROKEN[name]
    root = write(line(), broken)
    refused = refusal(options(root), tmp_path / "out.jsonl")
    assert message in refused, refused
    rows, counts = converted(options(root, on_error="skip"), tmp_path / "out.jsonl")
    assert [row["objects"]["ref"] for row in rows] == [["cat"]]
    assert sum(counts.values()) == 1


def test_own_question(write, tmp_path):
    root = write(line())
    (row,), _ = converted(options(root, prompt="Boxes of {categories}, please."), tmp_path / "out.jsonl")
    assert row["messages"][0]["content"] == "<image>Boxes of cat, big dog, please."
    assert "does not contain {categories}" in refusal(options(root, prompt="Boxes, please."), tmp_path / "none.jsonl")


def test_back(tmp_path, draw):
    """Lines as Roboflow writes them, and the same boxes within half a part of a side when they are read."""
    for name in ("x/a.jpg", "y/b.jpg"):
        draw(tmp_path / name, SIZE_WH)
    boxes = [("big dog", [10, 20, 1000, 300]), ("cat", [0, 0, 1023, 341])]
    rows = detection_row(*boxes, image="x/a.jpg", size_wh=[1023, 341]), detection_row(image="y/b.jpg", sample_id=2, size_wh=[1023, 341])
    source = write_lines(tmp_path / "rows.jsonl", *rows)
    totals = ToPaligemmaOptions(annotations=str(source)).write(tmp_path / "back.jsonl", IssueLog(), progress=False)
    assert (totals.rows, totals.objects, totals.negatives) == (2, 2, 1)
    lines = [json.loads(text) for text in (tmp_path / "back.jsonl").read_text().splitlines()]
    suffix = "<loc0060><loc0010><loc0900><loc1000> big dog ; <loc0000><loc0000><loc1023><loc1023> cat"
    assert lines == [line(suffix, "detect big dog ; cat", "x/a.jpg"), line("", "detect big dog ; cat", "y/b.jpg")]
    found, counts = converted(PaligemmaOptions(annotations=str(tmp_path / "back.jsonl")), tmp_path / "out.jsonl")
    assert [row["objects"]["bbox"] for row in found] == [[box for _, box in boxes], []]
    assert counts == {}


def test_a_class_with_a_separator_is_refused(tmp_path, draw):
    draw(tmp_path / "a.jpg", SIZE_WH)
    source = write_lines(tmp_path / "rows.jsonl", detection_row(("a;b", [1, 2, 3, 4]), size_wh=[1023, 341]))
    message = refusal(ToPaligemmaOptions(annotations=str(source)), tmp_path / "back.jsonl")
    assert "class 'a;b'; expected a class without ;, which separates classes" in message


PARTS = st.integers(0, 1022)


@given(st.lists(st.tuples(st.sampled_from(["cat", "big dog"]), PARTS, PARTS, st.integers(1, 99), st.integers(1, 99)), max_size=5))
def test_what_is_written_is_read(drawn):
    """Boxes in whole parts of a side come back as they are."""
    named = {(label, x, y / 3, min(x + width, 1023), min(y + height, 1023) / 3) for label, x, y, width, height in drawn}
    answer = grammar_of("paligemma").parse(suffix_of(ImageBoxes("a.jpg", SIZE_WH, boxes=Counter(named))), 1023)
    found = {(each.label, each.box[0], each.box[1] / 3, each.box[2], each.box[3] / 3) for each in answer.objects}
    assert (found, answer.reasons) == (named, [])
