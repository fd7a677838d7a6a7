"""COCO captions: which ones are taken, how their text is cleaned, and every way that a file can be broken."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from converted import converted, refusal
from label_sources import reader

from groundswift.data_converters.formats.coco.captions import CocoCaptionsOptions

CAPTIONS = {
    "info": {"year": 2014},
    "images": [
        {"license": 5, "file_name": "a.jpg", "height": 48, "width": 64, "id": 57870},
        {"file_name": "turned.jpg", "height": 60, "width": 40, "id": 384029},
        {"file_name": "none.jpg", "height": 48, "width": 64, "id": 7},
    ],
    "licenses": [],
    "annotations": [
        {"image_id": 384029, "id": 48, "caption": "A cat."},
        {"image_id": 57870, "id": 787980, "caption": "A restaurant has modern wooden tables and chairs."},
        {"image_id": 57870, "id": 789366, "caption": " A long table \nwith chairs. "},
    ],
}


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    draw(tmp_path / "a.jpg", (64, 48))
    draw(tmp_path / "none.jpg", (64, 48))
    draw(tmp_path / "turned.jpg", (60, 40), orientation=6)
    (tmp_path / "captions.json").write_text(json.dumps(CAPTIONS))
    return tmp_path


options = reader(CocoCaptionsOptions, "captions.json")


def said(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["sample_id"], row["messages"][1]["content"]) for row in rows]


ALL = [
    ("57870/787980", "A restaurant has modern wooden tables and chairs."),
    ("57870/789366", "A long table with chairs."),
    ("384029/48", "A cat."),
]
CLEANED = "caption-whitespace"
COUNTS = {CLEANED: 1, "image-rotated-by-exif": 1, "image-without-caption": 1}


def test_all(folder, tmp_path):
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert (said(rows), counts) == (ALL, COUNTS)
    assert rows[0] == {
        "messages": [
            {"role": "user", "content": "<image>Describe the picture in one sentence."},
            {"role": "assistant", "content": ALL[0][1]},
        ],
        "images": [str(folder / "a.jpg")],
        "sample_id": "57870/787980",
        "size_wh": [64, 48],
        "prompt": "caption.en.1",
    }
    assert rows[2]["size_wh"] == [40, 60]


def test_first_and_sampled(folder, tmp_path):
    assert said(converted(options(folder, captions="first"), tmp_path / "a.jsonl")[0]) == [ALL[0], ALL[2]]
    seen = set()
    for seed in range(8):
        rows = said(converted(options(folder, captions="sampled", seed=seed), tmp_path / f"{seed}.jsonl")[0])
        assert (len(rows), rows[1]) == (2, ALL[2])
        seen.add(rows[0])
    assert seen == set(ALL[:2])


def test_questions(folder, tmp_path):
    rows, _ = converted(options(folder, language="zh"), tmp_path / "a.jsonl")
    assert {row["messages"][0]["content"] for row in rows} == {"<image>用一句话描述这张图片。"}
    rows, _ = converted(options(folder, prompt="What is it?"), tmp_path / "b.jsonl")
    assert (rows[0]["messages"][0]["content"], rows[0]["prompt"]) == ("<image>What is it?", "own")
    rows, _ = converted(options(folder, prompts="sampled", language="both"), tmp_path / "c.jsonl")
    assert len({row["prompt"] for row in rows}) > 1


def test_no_sizes_stated(folder, tmp_path):
    content = deepcopy(CAPTIONS)
    for image in content["images"]:
        del image["width"], image["height"]
    (folder / "captions.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content, indent=1).replace("\n", "\r\n").encode())
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    assert [row["size_wh"] for row in rows] == [[64, 48], [64, 48], [40, 60]]


def test_sizes_that_no_image_has(folder, tmp_path):
    """With --no-check-images nothing else would find it."""
    content = deepcopy(CAPTIONS)
    content["images"][1] |= {"width": -1}
    (folder / "captions.json").write_text(json.dumps(content))
    message = refusal(options(folder, check_images=False), tmp_path / "out.jsonl")
    assert "image 384029 (" in message
    assert "size -1x60; expected 1 to 2147483647 px per side" in message
    rows, counts = converted(options(folder, check_images=False, on_error="skip"), tmp_path / "out.jsonl")
    assert said(rows) == ALL[:2]
    assert (counts["image-without-size"], counts["caption-image-skipped"]) == (1, 1)


FAULTY = {  # name -> (changes of the caption 48, of its image, part of the error)
    "empty": ({"caption": " \n"}, {}, "caption 48 of image 384029: ' \\n'; expected a sentence"),
    "image-unknown": ({"image_id": 1}, {}, "caption 48: image_id 1; expected the id of an image"),
    "id-repeated": ({"id": 787980}, {}, "an earlier caption has this id"),
    "swift's tag": ({"caption": "see <image>"}, {}, "caption 48 of image 384029: holds <image>"),
    "missing": ({}, {"file_name": "z.jpg"}, "image 384029 (z.jpg): image not found"),
    "outside": ({}, {"file_name": "../a.jpg"}, "file_name '../a.jpg'"),
    "another size": ({}, {"width": 41}, "annotated as 41x60 px, but the image is 40x60 px"),
    "stored size": ({}, {"width": 60, "height": 40}, "annotation refers to the stored image"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_problems(folder, tmp_path, name):
    caption, image, message = FAULTY[name]
    content = deepcopy(CAPTIONS)
    content["annotations"][0] |= caption
    content["images"][1] |= image
    if name == "id-repeated":
        content["annotations"].append(content["annotations"].pop(0))
    (folder / "captions.json").write_text(json.dumps(content))
    assert message in refusal(options(folder), tmp_path / "out.jsonl")
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert said(rows) == ALL[:2]
    assert sum(counts.values()) > 2


STOPS = {
    "instances": ('{"images": [], "annotations": [{"id": 1, "image_id": 1, "bbox": []}]}', "1  caption-entry-unreadable"),
    "image id twice": (json.dumps(CAPTIONS).replace("384029", "57870"), "duplicate image id 57870"),
    "no rows": ('{"images": [], "annotations": []}', "nothing to write: the source has no image"),
}


ENTRIES = {
    "no caption": ('"caption": "A cat."', '"text": "A cat."', "missing required field `caption`"),
    "a number": ('"A cat."', "3", "Expected `str`, got `int` - at `$.caption`"),
    "null": ('"A cat."', "null", "Expected `str`, got `null` - at `$.caption`"),
    "no list": ('"caption": "A cat."}', '"caption": "A cat."}, 7', "Expected `object`, got `int`"),
}


@pytest.mark.parametrize(("old", "new", "message"), ENTRIES.values(), ids=ENTRIES)
def test_an_entry_that_cannot_be_read(folder, tmp_path, old, new, message):
    text = json.dumps(CAPTIONS)
    assert text.count(old) == 1
    (folder / "captions.json").write_text(text.replace(old, new))
    refused = refusal(options(folder), tmp_path / "out.jsonl")
    assert "captions.json: caption entry " in refused
    assert message in refused
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert counts["caption-entry-unreadable"] == 1
    assert len(rows) == len(ALL) - (old != '"caption": "A cat."}')


@pytest.mark.parametrize("name", STOPS)
def test_broken_files(folder, tmp_path, name):
    text, message = STOPS[name]
    (folder / "captions.json").write_text(text)
    assert message in refusal(options(folder, on_error="skip"), tmp_path / "out.jsonl")
