"""Conversations as LLaVA's sets have them, with the oddities of those sets -> rows."""

from __future__ import annotations

import pytest
from talk_fixture import check_problem, counted, folder_with, image_bytes, made, ours, said, source_of, turns, write_parquet

from groundswift.data_converters.formats.llava import LlavaOptions

GOOD = {"id": "ok", "image": "a.jpg", "conversations": turns("<image>\nWhat?", "A cat.")}


folder = folder_with({"a.jpg": (64, 48), "coco/b.jpg": (40, 30)})
source = source_of(LlavaOptions, "instruct.json")


def test_one_image_several_turns(source, folder):
    row = {
        "id": "000000033471",
        "image": "coco/b.jpg",
        "conversations": turns("<image>\nWhat colour?", "White [0.1, 0.2, 0.3, 0.4].", "And behind?", "An advertisement."),
        "model": "",
    }
    assert made(source(row)) == [
        ours(
            "<image>\nWhat colour?",
            "White [0.1, 0.2, 0.3, 0.4].",
            "And behind?",
            "An advertisement.",
            images=[str(folder / "coco/b.jpg")],
            sample_id="000000033471",
            size_wh=[40, 30],
        )
    ]


def test_text_alone_a_system_text_and_several_images(source, folder):
    system = {"from": "system", "value": "Be brief."}
    text, plain, several = made(
        source(
            {"id": 7, "conversations": turns("Hello", "Hi")},
            {"id": "s", "image": None, "conversations": [system, *turns("Hello", "Hi")]},
            {"id": "m", "image": ["a.jpg", "coco/b.jpg"], "conversations": turns("<image>\nFirst?", "Yes", "<image> and this?", "No")},
        )
    )
    assert text == ours("Hello", "Hi", sample_id="7", images=None, size_wh=None)
    assert said(plain) == ["system: Be brief.", "user: Hello", "assistant: Hi"]
    assert several["images"] == [str(folder / "a.jpg"), str(folder / "coco/b.jpg")]
    assert several["size_wh"] == [64, 48]
    assert said(several)[2] == "user: <image> and this?"


def test_placeholders_that_are_not_there_come_first(source):
    (row,) = made(source({"image": ["a.jpg", "a.jpg"], "conversations": [{"from": "system", "value": "S"}, *turns("Same?", "Yes")]}))
    assert said(row) == ["system: S", "user: <image><image>Same?", "assistant: Yes"]


def test_images_that_rows_hold(folder):
    """As LLaVA-OneVision-Data and LLaVA-NeXT-Data have them."""
    held = {**GOOD, "image": {"bytes": image_bytes(size_wh=(30, 20)), "path": "x/ai2d_1.png"}, "data_source": "ai2d(gpt4v)"}
    rows = [held, {**held, "image": None, "conversations": turns("Hello", "Hi")}, {**held, "image": {"bytes": None, "path": "a.jpg"}}]
    path = write_parquet(folder / "train.parquet", *rows)
    options = LlavaOptions(annotations=str(path), save_images=str(folder / "kept"))
    first, second, third = made(options)
    assert (first["images"], first["size_wh"]) == ([str(folder / "kept/train/1.png")], [30, 20])
    assert said(first)[0] == "user: <image>\nWhat?"
    assert "images" not in second
    assert third["images"] == [str(folder / "a.jpg")]


def test_ids_are_unique(source):
    ids = ["x", "x", 5, "5", None, "x/2", "x", "y/2", "y", "y"]
    rows = made(source(*({**GOOD, "id": each} for each in ids)))
    assert [row["sample_id"] for row in rows] == ["x", "x/2", "5", "5/2", "instruct/5", "x/2/2", "x/3", "y/2", "y", "y/3"]


def test_a_rotated_image_has_its_upright_size_and_is_counted(source):
    options = source({**GOOD, "image": "turned.jpg"})
    assert made(options)[0]["size_wh"] == [40, 60]
    assert counted(options) == {"image-rotated-by-exif": 1}


def test_box_text_of_a_model_is_counted(source):
    options = source({**GOOD, "conversations": turns("<image>Where?", "<|box_start|>(1,2),(3,4)<|box_end|>")})
    assert counted(options) == {"native-boxes-kept": 1}


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"conversations": turns("<image><image>?", "A")}, "image-count", "2 <image> and 1 images; expected as many"),
        ({"image": None}, "image-count", "1 <image> and 0 images"),
        ({"image": ["a.jpg", "a.jpg"]}, "image-count", "1 <image> and 2 images"),
        ({"conversations": turns("Q", "<image>")}, "placeholder-outside-question", "<image> in a text of assistant"),
        ({"conversations": turns("Q", "A", "Q")}, "roles-order", "roles user, assistant, user; expected an optional system message"),
        ({"conversations": turns("A", "Q", names=("gpt", "human"))}, "roles-order", "roles assistant, user"),
        ({"conversations": []}, "roles-order", "roles none"),
        ({"conversations": turns("Q", "A", names=("human", "bot"))}, "role-unknown", "turn 1: role 'bot'; expected human, gpt, system"),
        ({"conversations": turns("Q", " \n")}, "answer-empty", "turn 1: answer ' \\n'; expected a text"),
        ({"conversations": turns("Q", "at <bbox>")}, "text-tag", "turn 1: the text of assistant holds <bbox>"),
        ({"conversations": turns("<video>Q", "A")}, "text-tag", "holds <video>, which swift would replace"),
        ({"image": None, "conversations": turns("<img>x</img>Q", "A")}, "text-tag", "holds <img>"),
        ({"video": "v.mp4"}, "row-with-video", "video 'v.mp4'; expected images"),
        ({"image": {"bytes": None, "path": "no.jpg"}}, "image-missing", "image 0 (no.jpg): image not found"),
        ({"image": {"bytes": "AAAA"}}, "image-embedded", "swift reads files; expected --save-images DIR"),
        ({"image": ""}, "image-path-outside", "image '' with"),
    ],
)
def test_problems(source, change, reason, message):
    check_problem(source({**GOOD, **change}, GOOD), reason, "instruct.json: row 1", message)
