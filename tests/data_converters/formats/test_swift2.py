"""Rows of ms-swift 2.x, as its own documentation writes them and as users bend them -> today's rows."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from PIL import Image
from talk_fixture import check_problem, counted, error_of, folder_with, made, ours, outcome, said, source_of

from groundswift.data_converters.file_io.exif_boxes import to_px
from groundswift.data_converters.formats.swift2.source import Swift2Options
from groundswift.images import open_image

GUY = {"caption": "guy in red", "bbox": [138, 136, 235, 359], "bbox_type": "real", "image": 0}
WIDTH, HEIGHT = 640, 480


def text_of(*objects: Any) -> str:
    """`objects` as 2.x wanted it: a text of JSON."""
    return json.dumps(list(objects))


def find(**changes: Any) -> dict[str, Any]:
    row = {"query": "Find <ref-object>", "response": "<bbox>", "images": ["a.jpg"], "objects": text_of(GUY)}
    return {key: value for key, value in (row | changes).items() if value is not None}


folder = folder_with({"a.jpg": (WIDTH, HEIGHT), "sub/b.jpg": (100, 50)})
source = source_of(Swift2Options, "old.jsonl")


def test_find_and_describe(source, folder):
    path = source(find(), find(query="Find <bbox>", response="<ref-object>"))
    objects = {"ref": ["guy in red"], "bbox": [[138, 136, 235, 359]], "bbox_type": "real"}
    shared = {"images": [str(folder / "a.jpg")], "objects": objects, "size_wh": [WIDTH, HEIGHT]}
    assert made(path) == [
        ours("<image>Find <ref-object>", "<bbox>", sample_id="old/1", **shared),
        ours("<image>Find <bbox>", "<ref-object>", sample_id="old/2", **shared),
    ]


QA = {"query": "Q", "response": "A"}
ALPACA = {"instruction": "I", "input": "Q", "output": "A"}
MESSAGES = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
EARLIER = {"history": [["q", "a"]], "image": "a.jpg"}
FORMS = {  # name -> (row, its turns)
    "one turn": (ALPACA | EARLIER, "user: <image>q|assistant: a|user: I\nQ|assistant: A"),
    "two turns and a system": (
        ALPACA | {"history": [["q", "a"], ["r", "b"]], "system": "S"},
        "system: S|user: q|assistant: a|user: r|assistant: b|user: I\nQ|assistant: A",
    ),
    "none": (ALPACA | {"history": []}, "user: I\nQ|assistant: A"),
    "null": (ALPACA | {"history": None}, "user: I\nQ|assistant: A"),
    "instruction and response": (EARLIER | {"instruction": "I", "response": "A"}, "user: <image>q|assistant: a|user: I|assistant: A"),
    "query and output": ({"query": "Q", "output": "A", "images": ["a.jpg"]}, "user: <image>Q|assistant: A"),
    "a text for images": (QA | {"images": "a.jpg"}, "user: <image>Q|assistant: A"),
    "image": (QA | {"image": "a.jpg"}, "user: <image>Q|assistant: A"),
    "null among images": (QA | {"images": ["a.jpg", None]}, "user: <image>Q|assistant: A"),
    "tags that are lacking": (
        QA | {"history": [["q", "a"]], "images": ["a.jpg", "a.jpg"], "videos": ["clip.mp4"]},
        "user: <image><image><video>q|assistant: a|user: Q|assistant: A",
    ),
    "empty system": (QA | {"system": ""}, "user: Q|assistant: A"),
    "system": (QA | {"system": "S"}, "system: S|user: Q|assistant: A"),
    "pre-training": ({"response": "A"}, "assistant: A"),
    "pre-training with an image": ({"response": "A", "images": ["a.jpg"]}, "user: <image>|assistant: A"),
    "conversations": (
        {"conversations": [{"from": "system", "value": "S"}, {"from": "user", "value": "Q"}, {"from": "assistant", "value": "A"}]},
        "system: S|user: Q|assistant: A",
    ),
    "human and gpt": ({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}, "user: Q|assistant: A"),
    "messages": (MESSAGES | {"system": "S"}, "system: S|user: Q|assistant: A"),
    "conversation": (
        {"conversation": [{"human": "q", "assistant": "a"}, {"human": "Q", "assistant": "A"}]},
        "user: q|assistant: a|user: Q|assistant: A",
    ),
    "Alpaca": (ALPACA | {"system": "S"}, "system: S|user: I\nQ|assistant: A"),
    "Alpaca without input": (ALPACA | {"input": "", "image": "a.jpg"}, "user: <image>I|assistant: A"),
}
DROPPED = {  # rows with a column that another form of the conversation precedes
    "query and instruction": (QA | {"instruction": "I"}, "user: Q|assistant: A"),
    "history and messages": (MESSAGES | EARLIER, "user: <image>Q|assistant: A"),
    "two answers": (QA | {"output": "B"}, "user: Q|assistant: A"),
}


@pytest.mark.parametrize("name", FORMS | DROPPED)
def test_forms_of_a_row(source, folder, name):
    (folder / "clip.mp4").write_bytes(b"a video")
    row, turns = (FORMS | DROPPED)[name]
    (found,), counted = outcome(source(row))
    assert ("|".join(said(found)), counted) == (turns, {"column-dropped": 1} if name in DROPPED else {})


BOX, CAPTION = "box-unused-ref", "caption-unused"
NAMED = {  # name -> (question, answer, objects, counts)
    "only by its caption": ("Find <ref-object>", "None", [GUY], {BOX: 1}),
    "only by its box": ("What is at <bbox>?", "A guy", [GUY], {CAPTION: 1}),
    "the second only by its caption": ("Find <ref-object> and <ref-object>", "<bbox>", [GUY, GUY], {BOX: 1}),
    "a box without a caption": ("What is at <bbox>?", "A guy", [GUY | {"caption": None}], {}),
    "by both": ("Find <ref-object>", "<bbox>", [GUY], {}),
    "by none": ("Look", "Yes", [GUY], {"object-unused": 1}),
}


@pytest.mark.parametrize("name", NAMED)
def test_no_box_and_no_caption_is_lost_in_silence(source, name):
    question, answer, objects, counts = NAMED[name]
    assert counted(source(find(query=question, response=answer, objects=text_of(*objects)))) == counts


def test_several_boxes_for_one_placeholder(source):
    (row,) = made(source(find(objects=text_of(GUY | {"bbox": [[138, 136, 235, 359], [1, 2, 3.5, 4]]}))))
    assert said(row) == ["user: <image>Find <ref-object>", "assistant: <bbox><bbox>"]
    assert row["objects"]["bbox"] == [[138, 136, 235, 359], [1, 2, 3.5, 4]]
    assert row["objects"]["ref"] == ["guy in red"]


def test_placeholders_count_over_the_whole_conversation_each_kind_by_itself(source):
    dog, cat, cow = ({"caption": name, "bbox": [n, n, n + 9, n + 9], "bbox_type": "real", "image": 0} for n, name in enumerate("dcw", 1))
    turns = {"history": [["Where is <ref-object>?", "At <bbox>."], ["What is at <bbox>?", "<ref-object>"]], "query": "And <ref-object>?"}
    objects = text_of(dog, cat | {"bbox": [[2, 2, 11, 11], [5, 5, 6, 6]]}, cow, cow | {"bbox": [7, 7, 8, 8]})
    (row,) = made(source(find(**turns, response="<bbox> or <bbox>", objects=objects)))
    assert said(row) == [
        "user: <image>Where is <ref-object>?",
        "assistant: At <bbox>.",
        "user: What is at <bbox><bbox>?",
        "assistant: <ref-object>",
        "user: And <ref-object>?",
        "assistant: <bbox> or <bbox>",
    ]
    assert row["objects"]["ref"] == ["d", "c", "w"]
    assert row["objects"]["bbox"] == [[1, 1, 10, 10], [2, 2, 11, 11], [5, 5, 6, 6], [3, 3, 12, 12], [7, 7, 8, 8]]


@pytest.mark.parametrize(
    ("space", "bbox", "options", "expected"),
    [
        ("norm_1", [0.25, 0.5, 0.75, 1], {}, [160, 240, 480, 480]),
        ("norm_1000", [0, 333, 999, 666], {}, [0, 160, 640, 320]),
        ("norm_1000", [0, 250, 1000, 500], {"norm_1000": "1000"}, [0, 120, 640, 240]),
        ("norm_1000", [[0, 0, 999, 999], [0, 0, 333, 333]], {}, [[0, 0, 640, 480], [0, 0, 213.33333, 160]]),
        (None, [0.25, 0.5, 0.75, 1], {"bbox_type": "norm_1"}, [160, 240, 480, 480]),
        ("real", [0.25, 0.5, 0.75, 1], {"bbox_type": "norm_1"}, [0.25, 0.5, 0.75, 1]),
    ],
)
@pytest.mark.parametrize("check_images", [True, False])
def test_boxes_come_out_in_pixels(source, space, bbox, options, expected, check_images):
    objects = text_of(GUY | {"bbox": bbox, "bbox_type": space})
    (row,) = made(source(find(objects=objects), check_images=check_images, **options))
    boxes = [[round(value, 5) for value in box] for box in row["objects"]["bbox"]]
    assert boxes == (expected if isinstance(expected[0], list) else [expected])


def test_several_images(source, folder):
    objects = [GUY | {"image": 1, "bbox": [0, 0, 500, 999], "bbox_type": "norm_1000"}, GUY]
    row = find(query="<image>one <image>two <ref-object> <ref-object>", response="<bbox><bbox>", images=["a.jpg", "sub/b.jpg"])
    (found,) = made(source(row | {"objects": objects}))  # a list: datasets of 2.x found of Python had it so
    assert found["images"] == [str(folder / "a.jpg"), str(folder / "sub/b.jpg")]
    assert found["objects"]["image_id"] == [1, 0]
    assert [round(value, 3) for value in found["objects"]["bbox"][0]] == [0, 0, 50.05, 50]
    assert found["size_wh"] == [WIDTH, HEIGHT]


def test_images_and_videos_where_the_text_names_them(source, folder):
    (folder / "clip.mp4").write_bytes(b"a video")
    row = {
        "query": "Picture 1:<img>sub/b.jpg</img>\n<video>clip.mp4</video>compare with <img>a.jpg</img>",
        "response": "No.",
        "history": [["<img> a.jpg </img>?", "Yes <ref-object>"]],
        "objects": text_of(GUY),
    }
    (found,) = made(source(row))
    assert said(found)[:3] == ["user: <image>?", "assistant: Yes <ref-object>", "user: Picture 1:<image>\n<video>compare with <image>"]
    assert found["images"] == [str(folder / name) for name in ("a.jpg", "sub/b.jpg", "a.jpg")]
    assert found["videos"] == [str(folder / "clip.mp4")]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_as_its_image_does(tmp_path, orientation):
    stored = Image.new("L", (40, 24))
    stored.paste(255, (6, 3, 16, 11))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    shown = open_image(tmp_path / "a.png")
    box = to_px([6, 3, 16, 11], None, shown.size, orientation)
    assert box == shown.convert("L").getbbox()
    fractions = to_px([6 / 40, 3 / 24, 16 / 40, 11 / 24], 1, shown.size, orientation)
    assert fractions == pytest.approx(box)


def test_a_rotated_image_has_to_be_declared(source):
    row = find(images=["turned.jpg"], objects=text_of(GUY | {"bbox": [0, 0, 60, 10]}))  # 60 x 40 stored, 40 x 60 upright
    assert re.search(r"old\.jsonl:1, object 0: EXIF rotates .*turned\.jpg \(orientation 6\).*--exif-boxes stored", error_of(source(row)))
    assert made(source(row, exif_boxes="stored"))[0]["objects"]["bbox"] == [[30, 0, 40, 60]]
    assert made(source(row, exif_boxes="upright"))[0]["objects"]["bbox"] == [[0, 0, 40, 10]]
    assert counted(source(row, exif_boxes="upright")) == {"image-rotated-by-exif": 1, "box-clipped": 1}


def test_what_is_counted(source):
    path = source(
        find(objects=text_of(GUY, GUY)),
        {"query": "Where?", "response": "<ref>a</ref><box>(1,2),(3,4)</box>", "images": ["a.jpg"]},
        {"query": "Where?", "response": "A", "rejected_response": "B", "tools": [{"name": "f"}]},
        find(objects=text_of(GUY | {"caption": " guy\nin red"})),
    )
    assert made(path)[-1]["objects"]["ref"] == ["guy in red"]
    assert counted(path) == {"caption-spaces": 1, "object-unused": 1, "native-boxes-kept": 1, "column-dropped": 2}


HUGE = "1" + "0" * 400
PROBLEMS: dict[str, tuple[Any, str, str]] = {  # what is wrong -> (row, id of the problem, what its message holds)
    "NaN in the text": (find(objects='[{"caption": "a", "bbox": [NaN, 1, 2, 3]}]'), "objects-unreadable", "objects: JSON is malformed"),
    "a number as wide as a line": (find(objects=f'[{{"caption": "a", "bbox": [{HUGE}, 1, 2, 3]}}]'), "objects-unreadable", "objects"),
    "no answer": ({"query": "Q"}, "no-answer", "no response, output, conversations or messages"),
    "history of three": (find(history=[["a", "b", "c"]]), "history-malformed", "history [['a', 'b', 'c']]"),
    "history without an answer": (find(history=[["a", None]]), "history-malformed", "expected [[query, response], ...]"),
    "two questions": (find(history=[["a", "b"]], query=None), "roles-order", "roles user, assistant, assistant; expected an optional"),
    "an unknown role": ({"messages": [{"role": "tool", "content": "a"}]}, "role-unknown", "turn 0: role 'tool'; expected user, human"),
    "a turn without a text": ({"messages": [{"role": "user", "content": None}]}, "turn-without-text", "the content of user is None"),
    "no turns": ({"messages": []}, "roles-order", "roles none; expected"),
    "no objects": (find(objects=None), "placeholders-over", "1 <ref-object> and 0 objects; expected an object for each <ref-object>"),
    "more boxes than objects": (find(response="<bbox><bbox>"), "placeholders-over", "2 <bbox> and 1 objects"),
    "objects of today": (find(objects={"ref": ["a"], "bbox": [[1, 2, 3, 4]]}), "objects-current-form", "objects has ref, bbox; expected "),
    "objects as another text": (find(objects="guy in red"), "objects-unreadable", "objects: JSON is malformed"),
    "objects of texts": (find(objects=["guy in red"]), "objects-unreadable", "objects: Expected `object`, got `str` - at `$[0]`"),
    "no bbox": (find(objects=text_of({"caption": "a"})), "objects-unreadable", "Object missing required field `bbox` - at `$[0]`"),
    "no text in an answer": (find(response=" \n"), "answer-empty", "turn 1: answer ' \\n'; expected a text"),
    "a blank caption": (find(objects=text_of(GUY | {"caption": " "})), "object-without-caption", "object 0: caption ' '"),
    "no caption": (find(objects=text_of(GUY | {"caption": None})), "object-without-caption", "object 0: caption is null"),
    "three numbers": (find(objects=text_of(GUY | {"bbox": [1, 2, 3]})), "box-length", "object 0: bbox [1.0, 2.0, 3.0]"),
    "a box and a number": (find(objects=text_of(GUY | {"bbox": [[1, 2, 3, 4], 5]})), "box-length", "object 0: bbox "),
    "no numbers": (find(objects=text_of(GUY | {"bbox": []})), "box-length", "object 0: bbox []; expected"),
    "no bbox_type": (find(objects=text_of(GUY | {"bbox_type": None})), "bbox-type-unknown", "bbox_type None"),
    "a pair of caption and box": (find(objects='[["a", [1, 2, 3, 4]]]'), "bbox-type-unknown", "object 0: bbox_type None; expected "),
    "an unknown bbox_type": (find(objects=text_of(GUY | {"bbox_type": "norm1"})), "bbox-type-unknown", "bbox_type 'norm1'"),
    "an inverted box": (find(objects=text_of(GUY | {"bbox": [9, 2, 3, 4]})), "box-inverted", "object 0: box [9.0, 2.0, 3.0, 4.0]"),
    "an image that is not there": (find(objects=text_of(GUY | {"image": 1})), "object-without-image", "object 0: image 1 of 1"),
    "boxes and no image": (find(images=None), "object-without-image", "object 0: image 0 of 0"),
    "more tags than images": (find(query="<image><image><ref-object>"), "image-tags-over", "2 <image> and 1 images"),
    "images in two places": (find(query="<img>a.jpg</img><ref-object>"), "image-two-places", "1 images in a column and 1 in the text"),
    "audio": (find(audios=["a.wav"]), "row-with-audio", "audio; expected images and videos"),
    "a tag in a caption": (find(objects=text_of(GUY | {"caption": "a <video>"})), "text-tag", "caption 'a <video>' holds <video>"),
    "a tag in the system": (find(system="see <image>"), "text-tag", "system holds <image>, which swift would replace"),
    "a box in the system": (find(system="in <bbox>"), "text-tag", "system holds <bbox>, which swift would replace"),
    "video-missing": (find(videos=["none.mp4"]), "video-missing", "video 0 (none.mp4): video not found: "),
    "video-empty": (find(videos=["empty.jpg"]), "video-empty", "empty.jpg has no bytes; expected a whole file"),
    "another tag": (find(query="<audio><ref-object>"), "text-tag", "user holds <audio>, which swift would replace"),
}


@pytest.mark.parametrize(("row", "reason", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(source, folder, row, reason, message):
    (folder / "empty.jpg").write_bytes(b"")
    check_problem(source(row, find()), reason, "old.jsonl:1", message, left=["old/2"])


def test_nobody_looks_where_nobody_has_to(source):
    (row,) = made(source(find(images=["nowhere.jpg"]), check_images=False))
    assert (row["objects"]["bbox"], "size_wh" in row) == ([[138, 136, 235, 359]], False)
    unsaid = find(images=["nowhere.jpg"], objects=text_of({key: value for key, value in GUY.items() if key != "bbox_type"}))
    for options in ({"bbox_type": "real", "exif_boxes": "stored"}, {"bbox_type": "norm_1"}):
        assert re.search(r"nowhere\.jpg", error_of(source(unsaid, check_images=False, **options)))


def test_a_video_that_nobody_looks_for(source, folder):
    options = source({"query": "Q", "response": "A", "videos": ["nowhere.mp4"]}, check_images=False)
    assert made(options)[0]["videos"] == [str(folder / "nowhere.mp4")]
