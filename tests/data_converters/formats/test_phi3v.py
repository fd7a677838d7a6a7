"""Phi-3-vision's fine-tuning rows in the forms that its trainers read (LLaVA's, ms-swift's, the cookbook's), to ours and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import write_lines
from talk_fixture import check_problem, counted, folder_with, made, ours, said, source_of

from groundswift import parse
from groundswift.data_converters.engine.convert import RunOptions, convert_to_file
from groundswift.data_converters.formats.phi3v import Phi3vOptions, ToPhi3vOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.errors import GroundswiftError


def llava(*texts: str, image: Any = "a.jpg", id: Any = "x", names: tuple[str, str] = ("human", "gpt")) -> dict[str, Any]:
    row = {"id": id, "image": image, "conversations": [{"from": names[index % 2], "value": text} for index, text in enumerate(texts)]}
    return {key: value for key, value in row.items() if value is not None}


def swift(*texts: str) -> dict[str, Any]:
    return llava(*texts, image=None, id=None, names=("user", "assistant"))


def cookbook(*turns: tuple[list[str], str, str], id: Any = "val-0000000300", **more: Any) -> dict[str, Any]:
    return {"id": id, **more, "conversations": [{"images": images, "user": asked, "assistant": answer} for images, asked, answer in turns]}


GOOD = llava("<|image_1|>\nWhat?", "A cat.", id="good")


folder = folder_with({"a.jpg": (64, 48), "sub/b.jpg": (40, 30)})
source = source_of(Phi3vOptions, "phi.json")


def back(folder: Path, *rows: Any, name: str = "back.json", **options: Any) -> list[dict[str, Any]]:
    """Write rows of ours -> what they become in a file of this name."""
    settings = ToPhi3vOptions(annotations=str(write_lines(folder / "rows.jsonl", *rows)), **options)
    convert_to_file(settings, folder / name, RunOptions(progress=False), IssueLog(settings.on_error))
    text = (folder / name).read_bytes()
    return json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]


def test_numbered_placeholders(source, folder):
    row = llava("<|image_1|>\nWhat?", "A cat.", "And?", "No.", id=33471)
    assert made(source(row)) == [
        ours("<image>\nWhat?", "A cat.", "And?", "No.", images=[str(folder / "a.jpg")], sample_id="33471", size_wh=[64, 48])
    ]


def test_numbers_say_which_image(source, folder):
    (row,) = made(source(llava("<|image_2|> or", "First", "<|image_1|>?", "Second", image=["a.jpg", "sub/b.jpg"])))
    assert said(row) == ["user: <image> or", "assistant: First", "user: <image>?", "assistant: Second"]
    assert row["images"] == [str(folder / "sub/b.jpg"), str(folder / "a.jpg")]
    assert row["size_wh"] == [40, 30]


def test_llavas_placeholders_and_none(source):
    first, second = made(source(llava("<image>\nQ", "A", names=("user", "assistant")), llava("Q", "A", id="y", image=["a.jpg", "a.jpg"])))
    assert said(first)[0] == "user: <image>\nQ"
    assert said(second)[0] == "user: <image><image>Q"


def test_ms_swifts_form(source, folder):
    rows = made(
        source(
            swift("<img>a.jpg</img>11111", "22222"),
            swift("<img>a.jpg</img><img>sub/b.jpg</img>aaaaa", "bbbbb", f"<img>{folder}/a.jpg</img>ccccc", "ddddd"),
            swift("AAAAA", "BBBBB"),
        )
    )
    assert [row["sample_id"] for row in rows] == ["phi/1", "phi/2", "phi/3"]
    assert said(rows[1]) == ["user: <image><image>aaaaa", "assistant: bbbbb", "user: <image>ccccc", "assistant: ddddd"]
    assert rows[1]["images"] == [str(folder / name) for name in ("a.jpg", "sub/b.jpg", "a.jpg")]
    assert "images" not in rows[2]


def test_the_cookbooks_form(source, folder):
    options = source(cookbook((["a.jpg", "sub/b.jpg"], "Which class?", "BabyCrawling"), ([], "Sure?", "Yes"), source="ucf101"))
    (row,) = made(options)
    assert said(row) == ["user: <image><image>\nWhich class?", "assistant: BabyCrawling", "user: Sure?", "assistant: Yes"]
    assert row["sample_id"] == "val-0000000300"
    assert counted(options) == {"column-dropped": 1}


THERE_AND_BACK = {
    "numbered": [
        GOOD,
        llava("<|image_1|><|image_2|>\nQ", "A", "<|image_3|>Q", "A", id="5", image=["a.jpg", "sub/b.jpg", "a.jpg"]),
        llava("Hello", "Hi", image=None, id="t"),
    ],
    "llava": [llava("<image>\nQ", "A"), llava("Q <image> and <image>", "A", id="y", image=["a.jpg", "sub/b.jpg"])],
    "swift": [swift("<img>a.jpg</img>Q", "A"), swift("Q<img>a.jpg</img>Q<img>sub/b.jpg</img>", "A", "Q", "A"), swift("Q", "A")],
    "cookbook": [cookbook((["a.jpg", "sub/b.jpg"], "\nQ", "A"), ([], "\nQ", "A"), (["a.jpg"], "Q", "A")), cookbook(([], "Q", "A"), id="u")],
}


@pytest.mark.parametrize("name", ["back.json", "back.jsonl"])
@pytest.mark.parametrize("form", THERE_AND_BACK)
def test_there_and_back(source, folder, form, name):
    rows = THERE_AND_BACK[form]
    assert back(folder, *made(source(*rows)), form=form, images=str(folder), name=name) == rows


def test_boxes_become_text_as_swift_writes_them(folder):
    objects = {"ref": ["dog"], "bbox": [[64, 48, 320, 240]], "bbox_type": "real"}
    found, described = back(
        folder,
        ours("<image>Find all.", "<ref-object><bbox>", objects=objects),
        ours("<image>Describe <bbox>.", "a dog", objects={**objects, "ref": []}, sample_id=8),
    )
    assert [turn["value"] for turn in found["conversations"]] == ["<|image_1|>Find all.", "dog[(100,100),(500,500)]"]
    assert described["conversations"][0]["value"] == "<|image_1|>Describe [(100,100),(500,500)]."
    (read,) = parse("dog[(100,100),(500,500)]", "phi3_vision").objects
    assert (read.label, read.box) == ("dog", (100, 100, 500, 500))


@pytest.mark.parametrize(
    ("bad", "reason", "message"),
    [
        (llava("<|image_2|>Q", "A"), "image-tags-differ", "placeholders numbered 2, and 1 images; expected 1 to the number"),
        (llava("<|image_1|><|image_1|>Q", "A"), "image-tags-differ", "numbered 1, 1, and 1 images"),
        (llava("<|image_1|>Q", "A", image=None), "image-tags-differ", "and 0 images"),
        (llava("<|image_1|>Q", "A", image=["a.jpg", "a.jpg"]), "image-tags-differ", "and 2 images"),
        (llava("Q", "<|image_1|>"), "placeholder-outside-question", "in a text of assistant"),
        (llava("<|image_1|>Q", "<image>"), "placeholder-outside-question", "in a text of assistant"),
        (swift("<img>a.jpg</img>Q", "<image>"), "placeholder-outside-question", "in a text of assistant"),
        (llava("<|image_1|><image>Q", "A"), "placeholders-mixed", "<image> and <|image_1|>; expected one kind"),
        (llava("<image><image>Q", "A"), "image-count", "2 <image> and 1 images"),
        (llava("<img>a.jpg</img>Q", "A"), "image-two-places", "a column image, and paths in the text"),
        (llava("Q", "A", names=("human", "bot")), "role-unknown", "turn 1: role 'bot'"),
        ({"id": "x"}, "roles-order", "roles none"),
        (llava("<|image_1|>Q", "<bbox>"), "text-tag", "holds <bbox>"),
        ({**GOOD, "video": "v.mp4"}, "row-with-video", "video 'v.mp4'"),
        ({"conversations": [{"from": "user"}, {"value": "A"}]}, "turn-malformed", "turn 0: a turn without from or value"),
        (cookbook((["a.jpg"], "<image>Q", "A")), "placeholder-with-images", "turn 0: a placeholder in the text"),
        (cookbook((["a.jpg"], "Q", "A"), image="a.jpg"), "image-two-places", "a column image, and images in turns"),
        ({"conversations": [{"images": ["a.jpg"], "user": "Q"}]}, "turn-malformed", "turn 0: a turn without user and assistant"),
    ],
)
def test_problems(source, bad, reason, message):
    check_problem(source(bad, GOOD), reason, "phi.json: row 1", message)


BOX = {"ref": [], "bbox": [[1, 2, 3, 4]]}


def with_system(*texts: str, **changes: Any) -> dict[str, Any]:
    row = ours(*texts, **changes)
    return {**row, "messages": [{"role": "system", "content": "S"}, *row["messages"]]}


@pytest.mark.parametrize(
    ("bad", "form", "reason", "message"),
    [
        (with_system("<image>Q", "A"), "numbered", "system-unsupported", "expected user and assistant only"),
        (ours("Q", "<image>A"), "numbered", "placeholder-outside-question", "<image> in a text of assistant"),
        (ours("<image>Q <|image_1|>", "A"), "numbered", "text-placeholder-phi3", "turn 0: holds <|image_1|>"),
        (ours("<image>Q", "<img>"), "swift", "text-placeholder-phi3", "turn 1: holds <img>"),
        (ours("<image>Q", "A", images=["/data/a<b.jpg"]), "swift", "image-path-bracket", "image '/data/a<b.jpg'"),
        (ours("Q <image>", "A"), "cookbook", "image-within-text", "<image> after other text of a question"),
        (ours("<video>Q", "A", videos=["v.mp4"]), "llava", "row-with-video", "expected images"),
        (ours("<image>Q", "<bbox>", objects=BOX, size_wh=None), "numbered", "image-missing", "image 0 (/data/a.jpg): image not found"),
        (
            ours("<image><image>Q", "<bbox>", images=["/a", "/b"], objects=BOX | {"image_id": [1]}),
            "numbered",
            "image-missing",
            "image 1 (/b): image not found",
        ),
        (ours("<image>Q"), "numbered", "roles-order", "roles user"),
    ],
)
def test_problems_of_the_way_back(folder, bad, form, reason, message):
    path = write_lines(folder / "rows.jsonl", bad, ours("<image>Q", "A"))
    check_problem(ToPhi3vOptions(annotations=str(path), form=form), reason, "rows.jsonl:1", message)


def test_a_size_that_is_not_stated_is_read_from_the_image(folder, draw):
    """Of each image that boxes are on; size_wh is of the first."""
    draw(folder / "two.jpg", (100, 50))
    boxes = {"ref": [], "bbox": [[64, 48, 320, 240], [10, 10, 50, 25]], "image_id": [0, 1]}
    rows = [ours("<image><image>Q", "<bbox><bbox>", images=["/data/a.jpg", "two.jpg"], objects=boxes)]
    assert back(folder, *rows)[0]["conversations"][1]["value"] == "[(100,100),(500,500)]\n[(100,200),(500,500)]"


def test_a_system_text_in_swifts_form(folder):
    (row,) = back(folder, with_system("<image>Q", "A"), form="swift")
    assert row["conversations"][0] == {"from": "system", "value": "S"}
    (folder / "data").mkdir()
    again = Phi3vOptions(annotations=str(folder / "back.json"), check_images=False)
    assert said(made(again)[0]) == ["system: S", "user: <image>Q", "assistant: A"]


def test_many_rows_are_one_list(folder):
    rows = [ours("<image>Q", f"A{number}", sample_id=number) for number in range(600)]
    assert [row["id"] for row in back(folder, *rows)] == list(range(600))
    assert [row["id"] for row in back(folder, *rows, limit=300)] == list(range(300))


def test_nothing_left_is_an_error(folder):
    with pytest.raises(GroundswiftError, match="nothing to write: every row was dropped"):
        back(folder, ours("Q"), on_error="skip")
    assert not (folder / "back.json").exists()
