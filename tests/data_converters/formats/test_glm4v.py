"""GLM-4V's fine-tuning rows, as the README of GLM-4's fine-tuning has them, to ours and back; boxes as GLM's text."""

from __future__ import annotations

from typing import Any

import pytest
from talk_fixture import check_problem, counted, error_of, folder_with, made, ours, said, source_of

from groundswift import parse, to_original_px
from groundswift.data_converters.formats.glm4v import Glm4vOptions, ToGlm4vOptions


def glm(*texts: str, image: str | None = "a.jpg", system: str | None = None) -> dict[str, Any]:
    """A conversation in GLM's form, the image in its first question."""
    messages = [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(texts)]
    if image is not None:
        messages[0]["image"] = image
    return {"messages": ([{"role": "system", "content": system}] if system else []) + messages}


def objects(refs: list[str], *boxes: list[float], **more: Any) -> dict[str, Any]:
    return {"ref": refs, "bbox": list(boxes), "bbox_type": "real", **more}


GOOD = glm("What?", "A cat.")


folder = folder_with({"a.jpg": (64, 48), "b.jpg": (40, 30)})
source = source_of(Glm4vOptions, "glm.jsonl")
back = source_of(ToGlm4vOptions, "rows.jsonl")


def test_one_question_about_an_image(source, folder):
    assert made(source(glm("Question", "Answer"))) == [
        ours("<image>Question", "Answer", images=[str(folder / "a.jpg")], sample_id="glm/1", size_wh=[64, 48])
    ]


def test_system_texts_turns_and_text_alone(source, folder):
    later = glm("Hello", "Hi", "\nAnd here?", "A dog.", image=None, system="S")
    later["messages"][3]["image"] = str(folder / "b.jpg")
    first, second = made(source(later, glm("Hello", "Hi", image=None)))
    assert said(first) == ["system: S", "user: Hello", "assistant: Hi", "user: <image>\nAnd here?", "assistant: A dog."]
    assert first["images"] == [str(folder / "b.jpg")]
    assert "images" not in second


def test_there_and_back(source, back, folder):
    later = glm("Hello", "Hi", "And here?", "A dog.", image=None, system="S")
    later["messages"][3]["image"] = "b.jpg"
    rows = [GOOD, glm("图中有什么？", "\n猫\n"), glm("Hello", "Hi", image=None), glm("Q", "A", "Q2", "A2", system="S"), later]
    there = made(source(*rows))
    assert made(back(*there, images=str(folder))) == rows


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"messages": [glm("Q", "A")["messages"][1] | {"image": "a.jpg"}]}, "image-outside-question", "turn 0"),
        ({"messages": [*GOOD["messages"], *GOOD["messages"]]}, "image-several", "2 images; expected at most one"),
        ({"messages": [{"role": "system", "content": "", "tools": [{"name": "x"}]}, *GOOD["messages"]]}, "row-with-tools", "turn 0: tools"),
        ({"messages": [*GOOD["messages"], {"role": "observation", "content": "x"}]}, "role-unknown", "turn 2: role 'observation'"),
        ({"messages": []}, "roles-order", "roles none"),
        (glm("Q", ""), "answer-empty", "turn 1: answer ''"),
        (glm("<image>Q", "A"), "text-tag", "turn 0: the text of user holds <image>"),
        (glm("Q", "<bbox>"), "text-tag", "holds <bbox>"),
    ],
)
def test_problems(source, change, reason, message):
    check_problem(source(change, GOOD), reason, "glm.jsonl:1", message)


def test_boxes_become_text_of_glm(back):
    find = ours("<image>Find <ref-object>.", "<bbox><bbox>", objects=objects(["the dog"], [64, 48, 320, 240], [0, 0, 640, 480]))
    describe = ours("<image>Describe <bbox>.", "a dog", objects=objects([], [64, 48, 320, 240]))
    both = objects(["dog", "cat"], [64, 48, 320, 240], [0, 0, 6.4, 4.8])
    detect = ours("<image>Find all.", "<ref-object><bbox><ref-object><bbox>", objects=both)
    told_in = ours("<image>What?", "A <ref-object> at <bbox>.", objects=objects(["dog"], [64, 48, 320, 240]))
    point = ours("<image>Point.", "<bbox>", objects=objects([], [320, 240]))
    ratios = ours("<image>Find it.", "<bbox>", objects=objects([], [0.1, 0.1, 0.5, 0.5], bbox_type="norm1"))
    nothing = ours("<image>Find all.", "None", objects=objects([]))
    texts = [[each["content"] for each in row["messages"]] for row in made(back(find, describe, detect, told_in, point, ratios, nothing))]
    box = "<|begin_of_box|>[[100,100,500,500]]<|end_of_box|>"
    assert texts == [
        ["Find the dog.", "<|begin_of_box|>[[100,100,500,500],[0,0,1000,1000]]<|end_of_box|>"],
        [f"Describe {box}.", "a dog"],
        ["Find all.", f"dog{box}\ncat<|begin_of_box|>[[0,0,10,10]]<|end_of_box|>"],
        ["What?", f"A dog at {box}."],
        ["Point.", "<|begin_of_box|>[[500,500]]<|end_of_box|>"],
        ["Find it.", box],
        ["Find all.", "None"],
    ]


def test_boxes_that_are_a_question_are_written_one_by_one(back):
    (row,) = made(back(ours("<bbox><bbox>", "two dogs", objects=objects([], [64, 48, 320, 240], [0, 0, 640, 480]))))
    boxes = "<|begin_of_box|>[[100,100,500,500]]<|end_of_box|><|begin_of_box|>[[0,0,1000,1000]]<|end_of_box|>"
    assert row["messages"][0] == {"role": "user", "content": boxes, "image": "/data/a.jpg"}


def test_the_text_of_boxes_reads_back_as_they_were(back):
    boxes = [[12.5, 30, 311, 200.25], [400, 10, 639, 479]]
    (row,) = made(back(ours("<image>Find all.", "<ref-object><bbox>" * 2, objects=objects(["dog", "red cat"], *boxes))))
    answer = parse(row["messages"][1]["content"], "chatglm4v")
    assert [each.label for each in answer.objects] == ["dog", "red cat"]
    px = to_original_px([each.box for each in answer.objects], "chatglm4v", (640, 480)).tolist()
    for read, given in zip(px, boxes, strict=True):
        assert read == pytest.approx(given, abs=0.32)


def test_a_box_that_sticks_out_is_truncated_and_counted(back):
    options = back(ours("<image>Find.", "<bbox>", objects=objects([], [-10, 0, 320, 490])))
    assert made(options)[0]["messages"][1]["content"] == "<|begin_of_box|>[[0,0,500,1000]]<|end_of_box|>"
    assert counted(options) == {"box-clipped": 1}


def test_an_image_without_its_placeholder_comes_first(back):
    assert made(back(ours("What?", "A cat."))) == [glm("What?", "A cat.", image="/data/a.jpg")]


def test_an_image_behind_a_system_text_is_counted(back):
    row = ours("<image>What?", "A cat.")
    row["messages"].insert(0, {"role": "system", "content": "S"})
    assert counted(back(row)) == {"image-after-first": 1}


DOG = objects(["dog"], [64, 48, 320, 240])


@pytest.mark.parametrize(
    ("bad", "reason", "message"),
    [
        (ours("<image><image>Q", "A", images=["a", "b"]), "image-several", "2 images"),
        (ours("What is <image>?", "A"), "image-within-text", "turn 0: <image> within a text of user"),
        (ours("Q", "<image>A"), "image-within-text", "turn 1: <image> within a text of assistant"),
        (ours("<video>Q", "A", videos=["v.mp4"]), "row-with-video", "videos; expected images"),
        (
            ours("<image>Q", "<ref-object><bbox>", objects=DOG, size_wh=None),
            "image-missing",
            "image 0 (/data/a.jpg): image not found: /data/a.jpg; expected the image file, as the source does not state its size",
        ),
        (ours("<image>Q", "<ref-object><bbox>", objects=DOG, size_wh=[0, 480]), "image-without-size", "image 0: size 0x480"),
        (ours("Q", "<ref-object><bbox>", objects=DOG, size_wh=None, images=[]), "objects-without-image", "expected"),
        (ours("<image>Q", "<bbox>", objects=DOG, size_wh=None, images=["../a.jpg"]), "image-path-outside", "image '../a.jpg'"),
        (ours("<image>Q", "<bbox>", objects=objects([], [64, 48, 32, 240])), "box-inverted", "box 0: box [64, 48, 32, 240]"),
        (ours("<image>Q", "<bbox>", objects=objects([], [700, 10])), "point-outside", "point [700, 10]"),
        (ours("<image>Q", "<bbox>", objects=objects([], [1, 2, 3])), "box-length", "box 0: [1, 2, 3] has 3 numbers; expected x1"),
        (ours("<image>Q", "<bbox><bbox>", objects=DOG), "bbox-count", "2 <bbox> in the messages and 1 boxes"),
        (ours("<image>Q", "<ref-object><ref-object><bbox>", objects=DOG), "ref-count", "2 <ref-object>"),
        (ours("<image>Q", "<ref-object><bbox>", objects="[]"), "old-objects", "expected"),
        (ours("<image>Q", "<ref-object><bbox>", objects={**DOG, "ref": ["<image>"]}), "label-tag", "holds <image>"),
        (ours("<image>Q", "<ref-object><bbox>", objects={**DOG, "ref": ["a\nb"]}), "box-unwritable", "label 'a\\nb'"),
        (ours("<image>Q", "at <audio>"), "text-tag", "holds <audio>"),
        (ours("<image>Q"), "roles-order", "roles user"),
        (ours("<image>Q", " "), "answer-empty", "answer ' '"),
        (ours("<image>Q", "A", images=["data:image/png;base64,AAAA"]), "image-inline", "expected a path to a file"),
        ({"images": ["a.jpg"]}, "no-messages", "expected messages"),
    ],
)
def test_problems_of_the_way_back(back, bad, reason, message):
    check_problem(back(bad, ours("<image>Q", "A")), reason, "rows.jsonl:1", message)


def test_a_size_that_is_not_stated_is_read_from_the_image(back, folder):
    """As the documents of swift have rows: boxes, and no size_wh. A relative path starts at --images, else next to the rows."""
    row = ours("<image>Find.", "<bbox>", objects=objects([], [16, 12, 32, 24]), size_wh=None)
    for image, more, written in (
        ("a.jpg", {}, "a.jpg"),
        ("./a.jpg", {"images": str(folder)}, "a.jpg"),
        (str(folder / "a.jpg"), {"images": str(folder)}, "a.jpg"),
    ):
        options = back(row | {"images": [image]}, **more)
        (found,) = made(options)
        assert found["messages"][1]["content"] == "<|begin_of_box|>[[250,250,500,500]]<|end_of_box|>"
        assert found["messages"][0]["image"] == written
        assert counted(options) == {"size-from-image": 1}
    upright = row | {"images": ["turned.jpg"], "objects": objects([], [10, 15, 20, 30])}  # 40x60
    assert "[[250,250,500,500]]" in made(back(upright))[0]["messages"][1]["content"]
    assert counted(back(ours("<image>What?", "A cat.", size_wh=None))) == {}  # no box, so no size is needed


def test_paths_outside_the_folder(back):
    error = error_of(back(ours("<image>Q", "A"), images="/database"))
    assert "image 0: /data/a.jpg is not inside /database; expected images below --images, or no --images" in error
