"""MIMIC-IT as its README describes it: instructions by id, images in base64 or in a folder, related instructions as history."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from talk_fixture import check_problem, check_skipped, error_of, image_bytes, made, ours, said

from groundswift.data_converters.formats.otter import OtterOptions

V = ["DC_IMG_v_0000", "DC_IMG_v_0001"]
BOTH = ["DC_INS_00002", "DC_INS_00003"]
DATA = {
    "DC_INS_00001": {"instruction": "Who is in focus?", "answer": "A police officer.", "image_ids": V, "rel_ins_ids": BOTH},
    "DC_INS_00002": {"instruction": "Where?", "answer": "On a street.", "image_ids": V, "rel_ins_ids": ["DC_INS_00001"]},
    "DC_INS_00003": {"instruction": "What else?", "answer": "A car.", "image_ids": ["DC_IMG_w_0000"], "rel_ins_ids": []},
    "DC_INS_00004": {"instruction": "Say hello.", "answer": "Hello."},
}
IMAGES = {"DC_IMG_v_0000": ("red", (8, 6)), "DC_IMG_v_0001": ("green", (8, 6)), "DC_IMG_w_0000": ("blue", (20, 10))}


def encoded(**changes: Any) -> dict[str, Any]:
    return {name: base64.b64encode(image_bytes(*drawn, "JPEG")).decode() for name, drawn in IMAGES.items()} | changes


@pytest.fixture
def source(tmp_path: Path):
    """Write a task -> the options that read it; images in base64 next to it, unless `images` is given."""

    def write(data: Any = DATA, held: Any = None, **options: Any) -> OtterOptions:
        path = tmp_path / "DC_instructions.json"
        content = {"meta": {"version": "0.0.1", "time": "2023-06", "author": "ntu"}, "data": data}
        path.write_text(json.dumps(content), encoding="utf-8")
        (tmp_path / "DC.json").write_text(json.dumps(encoded() if held is None else held), encoding="utf-8")
        return OtterOptions(annotations=str(path), **({"save_images": str(tmp_path / "kept")} | options))

    return write


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for (name, drawn), (form, suffix) in zip(IMAGES.items(), [("JPEG", ".jpg"), ("PNG", ".png"), ("JPEG", ".jpeg")], strict=True):
        (folder / f"{name}{suffix}").write_bytes(image_bytes(*drawn, form))
    return folder


def test_images_in_base64(source, tmp_path):
    rows = made(source())
    assert rows[0] == ours(
        "<image><image>Who is in focus?",
        "A police officer.",
        images=[str(tmp_path / "kept/DC_IMG_v_0000.jpg"), str(tmp_path / "kept/DC_IMG_v_0001.jpg")],
        sample_id="DC_INS_00001",
        size_wh=[8, 6],
    )
    assert rows[3] == ours("Say hello.", "Hello.", sample_id="DC_INS_00004", images=None, size_wh=None)
    assert (tmp_path / "kept/DC_IMG_w_0000.jpg").read_bytes() == image_bytes("blue", (20, 10), "JPEG")


def test_images_in_a_folder_whatever_their_suffix(source, frames):
    rows = made(source(images=str(frames)))
    names = [[Path(image).name for image in row.get("images", [])] for row in rows]
    assert names == [["DC_IMG_v_0000.jpg", "DC_IMG_v_0001.png"]] * 2 + [["DC_IMG_w_0000.jpeg"], []]
    assert rows[2]["size_wh"] == [20, 10]


def test_related_instructions_as_history(source, frames):
    rows = made(source(images=str(frames), related="history"))
    assert said(rows[0]) == [
        "user: <image><image>Where?",
        "assistant: On a street.",
        "user: <image>What else?",
        "assistant: A car.",
        "user: <image><image>Who is in focus?",
        "assistant: A police officer.",
    ]
    assert [Path(image).stem[7:] for image in rows[0]["images"]] == ["v_0000", "v_0001", "w_0000", "v_0000", "v_0001"]
    assert said(rows[1]) == [
        "user: <image><image>Who is in focus?",
        "assistant: A police officer.",
        "user: Where?",
        "assistant: On a street.",
    ]
    assert len(rows[1]["images"]) == 2


def test_the_file_of_what_to_train_on(source, frames, tmp_path):
    train = tmp_path / "DC_train.json"
    train.write_text(json.dumps({"DC_INS_00003": ["DC_INS_00004"], "DC_INS_00001": []}))
    rows = made(source(images=str(frames), related="history", train=str(train)))
    assert [row["sample_id"] for row in rows] == ["DC_INS_00003", "DC_INS_00001"]
    assert said(rows[0]) == ["user: Say hello.", "assistant: Hello.", "user: <image>What else?", "assistant: A car."]
    assert said(made(source(images=str(frames), train=str(train)))[0]) == ["user: <image>What else?", "assistant: A car."]
    train.write_text(json.dumps({"nobody": [], "DC_INS_00001": []}))
    options = source(images=str(frames), train=str(train))
    assert "no instruction 'nobody'; expected an instruction of the file" in error_of(options)
    check_skipped(options, "instruction-unknown")
    train.write_text('{"DC_INS_00001": ["DC_INS_00002"], "DC_INS_00001": []}')
    assert "DC_train.json: unexpected content (duplicate key 'DC_INS_00001'" in error_of(options)
    train.write_text("[]")
    assert "DC_train.json: unexpected content (Expected `object`, got `array`)" in error_of(options)


def test_base64_in_lines(source, tmp_path):
    data = image_bytes("blue", (200, 100), "JPEG")
    (row,) = made(source({"i": {"instruction": "Q", "answer": "A", "image_ids": ["one"]}}, {"one": base64.encodebytes(data).decode()}))
    assert row["size_wh"] == [200, 100]
    assert (tmp_path / "kept/one.jpg").read_bytes() == data


def test_one_image_as_a_text_and_a_data_url(source):
    held = {"one": "data:image/png;base64," + base64.b64encode(image_bytes()).decode()}
    (row,) = made(source({"i": {"instruction": "Q", "answer": "A", "image_ids": "one"}}, held))
    assert [Path(image).name for image in row["images"]] == ["one.png"]


ONE = {"instruction": "Q", "answer": "A", "image_ids": ["DC_IMG_v_0000"]}


@pytest.mark.parametrize(
    ("bad", "held", "reason", "message"),
    [
        ({**ONE, "image_ids": ["none"]}, {}, "image-missing", "image 0 (none): no such id in"),
        (ONE, {"DC_IMG_v_0000": "%%"}, "image-unreadable", "not base64"),
        (ONE, {"DC_IMG_v_0000": "AAAA"}, "image-unreadable", "expected an image that Pillow can open"),
        (ONE, {"DC_IMG_v_0000": encoded()["DC_IMG_v_0000"][:40]}, "image-unreadable", "DC_IMG_v_0000"),
        (ONE, {"DC_IMG_v_0000": 7}, "row-unreadable", "image: Expected `str`, got `int`; expected its base64"),
        ({**ONE, "image_ids": ["../up"]}, {"../up": encoded()["DC_IMG_v_0000"]}, "image-path-outside", "name '../up'"),
        ({**ONE, "answer": ""}, {}, "answer-empty", "answer ''"),
        ({**ONE, "answer": "<image>"}, {}, "text-tag", "assistant holds <image>"),
        ({**ONE, "instruction": "<bbox>?"}, {}, "text-tag", "user holds <bbox>"),
        ({"instruction": "<img>a</img>", "answer": "A"}, {}, "text-tag", "user holds <img>"),
        ({"instruction": "Q"}, {}, "row-unreadable", "missing required field `answer`"),
        ([1], {}, "row-unreadable", "Expected `object`, got `array`"),
        ({**ONE, "rel_ins_ids": ["bad"]}, {}, "instruction-self-related", "rel_ins_ids names it"),
        ({**ONE, "rel_ins_ids": ["nobody"]}, {}, "instruction-unknown", "no instruction 'nobody'; expected a related instruction"),
    ],
)
def test_problems(source, bad, held, reason, message):
    check_problem(
        source({"bad": bad, "good": DATA["DC_INS_00004"]}, encoded(**held), related="history"), reason, "DC_instructions.json: bad", message
    )


def test_images_of_a_folder_at_problem(source, frames):
    (frames / "DC_IMG_v_0000.jpg").unlink()
    (frames / "DC_IMG_w_0000.jpeg").write_bytes(image_bytes()[:20])
    error = error_of(source({"a": ONE, "b": DATA["DC_INS_00003"]}, images=str(frames)))
    assert "1  image-missing" in error
    assert "DC_instructions.json: a, image 0 (DC_IMG_v_0000.jpg): image not found" in error
    assert "1  image-unreadable" in error
    outside = source({"a": {**ONE, "image_ids": ["../DC"]}, "b": DATA["DC_INS_00004"]}, images=str(frames))
    check_skipped(outside, "image-path-outside")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"data": {"i": {"instruction": "Q", "answer": "A"}, "i": {}}}', "duplicate key 'i' - at `key` in `$.data`"),
        (b'{"data": {}}', "nothing to write: the source has no instruction"),
    ],
)
def test_files(tmp_path, content, message):
    path = tmp_path / "LA_instructions.json"
    path.write_bytes(content)
    error = error_of(OtterOptions(annotations=str(path)))
    assert str(path) in error
    assert message in error


def test_a_file_of_images_needs_a_place_for_them(source, tmp_path):
    assert "DC.json: holds the images themselves, and swift reads files; expected --save-images DIR" in error_of(source(save_images=None))
    options = source()
    (tmp_path / "DC.json").write_text("[]")
    assert "DC.json: unexpected content" in error_of(options)
    (tmp_path / "DC.json").write_text('{"a": "AAAA", "a": "BBBB"}')
    assert "DC.json: unexpected content (duplicate key 'a'" in error_of(options)
