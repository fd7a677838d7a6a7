"""Rows for swift -> rows of Shikra, and both ways around: what came in comes out again."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from shikra_rows import CAT, DOG, HEIGHT, MAN, WIDTH
from talk_fixture import check_problem, error_of, folder_with, made, outcome, source_of

from groundswift.data_converters.file_io.row_files import Sourced
from groundswift.data_converters.file_io.row_images import RowImages
from groundswift.data_converters.formats.shikra.export import SwiftRow, ToShikraMaker, ToShikraOptions
from groundswift.data_converters.formats.shikra.source import ShikraMaker, ShikraRow
from groundswift.data_converters.issues import IssueLog
from groundswift.placeholders import read_message

folder = folder_with({"dogs.jpg": (WIDTH, HEIGHT)})
source = source_of(ToShikraOptions, "rows.jsonl")


def row(
    question: str = "<image>Q", answer: str = "A", boxes: Any = None, refs: Any = None, system: str | None = None, **changes: Any
) -> dict[str, Any]:
    """A row for swift."""
    turns = [("system", system), ("user", question), ("assistant", answer)]
    made = {
        "messages": [{"role": role, "content": text} for role, text in turns if text is not None],
        "images": ["dogs.jpg"],
        "objects": None if boxes is None else {"ref": refs or [], "bbox": boxes},
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


def test_boxes_points_and_groups(source, folder):
    boxes = [DOG, CAT, MAN, [5, 6], DOG, [5, 6], [7, 8.5], CAT]
    question, answer = "<image>Who <bbox><bbox>, <bbox> at <bbox>?", "<bbox><bbox><bbox> and <bbox>"
    given, counts = outcome(source(row(question, answer, boxes, sample_id="a/1", size_wh=[WIDTH, HEIGHT])))
    assert given == [
        {
            "image": str(folder / "dogs.jpg"),
            "target": {"boxes": [DOG, CAT, MAN], "points": [[5, 6], [7, 8.5]]},
            "conversations": [
                {"from": "human", "value": "<image>Who <boxes>, <boxes> at <points>?", "boxes_seq": [[0, 1], [2]], "points_seq": [[0]]},
                {"from": "gpt", "value": "<boxes><points> and <boxes>", "boxes_seq": [[0], [1]], "points_seq": [[0, 1]]},
            ],
            "sample_id": "a/1",
            "width": WIDTH,
            "height": HEIGHT,
        }
    ]
    assert counts == {}


def test_labels_become_text(source):
    rows = row("<image>Find <ref-object>.", "<ref-object><bbox><bbox><ref-object><bbox>", [DOG, CAT, MAN], ["a", "b", "c"])
    given, counts = outcome(source(rows))
    assert [each["value"] for each in given[0]["conversations"]] == ["<image>Find a.", "b<boxes>c<boxes>"]
    assert given[0]["conversations"][1]["boxes_seq"] == [[0, 1], [2]]
    assert counts == {"label-inlined": 3}


@pytest.mark.parametrize(
    ("given", "expected", "counts"),
    [
        pytest.param(row(images=None, question="Q"), ["Q", "A"], {}, id="text alone"),
        pytest.param(row("Q"), ["<image>Q", "A"], {"image-tag-added": 1}, id="no <image>"),
        pytest.param(row(answer="<bbox>", boxes=[DOG], refs=["dog"]), ["<image>Q", "<boxes>"], {"label-unused": 1}, id="an unused label"),
        pytest.param(row(prompt="find.en.1"), ["<image>Q", "A"], {"prompt-name-dropped": 1}, id="a prompt"),
        pytest.param(row(system="S"), ["<image>Q", "A"], {"system-dropped": 1}, id="a system message"),
        pytest.param(row(answer="<bbox>", boxes=[[-3, 5, 90, 900]]), ["<image>Q", "<boxes>"], {"box-clipped": 1}, id="a box cut"),
        pytest.param(row(images=["turned.jpg"]), ["<image>Q", "A"], {"image-rotated-by-exif-shikra": 1}, id="EXIF-rotated"),
        pytest.param(row(answer="<box<bbox>es>", boxes=[DOG]), ["<image>Q", "<box<boxes>es>"], {}, id="a tag split by a box"),
        pytest.param(row(answer="{a} is a set"), ["<image>Q", "{a} is a set"], {}, id="braces without boxes"),
    ],
)
def test_what_is_changed(source, given, expected, counts):
    out, counted = outcome(source(given))
    assert [each["value"] for each in out[0]["conversations"]] == expected
    assert counted == counts


def test_fractions_become_pixels(source):
    given = row(answer="<bbox><bbox>", boxes=[[0.25, 0.5, 0.75, 1], [0.5, 0.25]])
    given["objects"]["bbox_type"] = "norm1"
    wanted = {"boxes": [[205, 400, 615, 800]], "points": [[410, 200]]}
    assert made(source(given))[0]["target"] == wanted
    assert made(source(given, check_images=False))[0]["target"] == wanted
    there = given | {"images": ["nowhere.jpg"], "size_wh": [WIDTH, HEIGHT]}
    assert made(source(there, check_images=False))[0]["target"] == wanted


def test_paths_relative_to_a_folder(source, folder):
    given = row(images=[str(folder / "dogs.jpg")])
    assert made(source(given))[0]["image"] == str(folder / "dogs.jpg")
    assert made(source(given, images=str(folder)))[0]["image"] == "dogs.jpg"
    assert made(source(given, images=f"{folder}/."))[0]["image"] == "dogs.jpg"
    (folder / "sub").mkdir()
    error = error_of(source(given, images=str(folder / "sub")))
    assert re.search(r"rows\.jsonl:1, image: .*dogs\.jpg is not inside .*sub; expected images below --images", error)


PROBLEMS: dict[str, tuple[Any, str, str]] = {  # what is wrong -> (row, id of the problem, what its message holds)
    "no messages": ({"images": ["dogs.jpg"]}, "no-messages", "the row has ['images']; expected messages"),
    "objects of 2.x": (row(objects="[]"), "old-objects", "; expected"),
    "several images": (row("<image><image>", images=["dogs.jpg", "dogs.jpg"]), "row-not-shikra", "2 images; expected one image, or none"),
    "videos": (row("<video>", videos=["a.mp4"], images=None), "row-not-shikra", "videos; expected one image, or none"),
    "no answer": (row(messages=row()["messages"][:1]), "roles-order", "roles user; expected"),
    "no content": (row(messages=[{"role": "user", "content": None}]), "content-null", "message 0 (user) has no content"),
    "boxes in the system": (row(system="<bbox>", boxes=[DOG]), "boxes-in-system", "the system message holds placeholders"),
    "a box too few": (row(answer="<bbox><bbox>", boxes=[DOG]), "bbox-count", "2 <bbox> and 1 boxes; expected as many of each"),
    "a box too many": (row(boxes=[DOG]), "bbox-count", "0 <bbox> and 1 boxes"),
    "a label too few": (row("<image><ref-object>", "<bbox>", [DOG]), "ref-count", "1 <ref-object> and 0 labels"),
    "a label too many": (row("<image><ref-object>", "<bbox>", [DOG], ["a", "b"]), "ref-count", "1 <ref-object> and 2 labels"),
    "boxes-without-image": (row("Q", "<bbox>", [DOG], images=None), "objects-without-image", "image; expected"),
    "<image> twice": (row("<image><image>"), "image-count", "2 <image> and 1 images"),
    "<image> in an answer": (row(answer="<image>"), "placeholder-outside-question", "<image> in a text of assistant"),
    "another tag of swift": (row(answer="<audio>"), "text-tag", "turn 1: the text of assistant holds <audio>"),
    "a tag of Shikra": (row("<image><boxes>"), "text-placeholder", "turn 0: a text or label holds <boxes>, which would be replaced"),
    "a tag of Shikra in a label": (row("<image>Q", "<ref-object><bbox>", [DOG], ["<points>"]), "text-placeholder", "turn 1"),
    "a tag given of text and label": (row("<image>Q", "<box<ref-object><bbox>", [DOG], ["es>"]), "text-placeholder", "turn 1"),
    "<image> in a label": (row("<image><ref-object>", "<bbox>", [DOG], ["<image>"]), "text-placeholder", "a text or label holds <image>"),
    "text-braces": (row(answer="{<bbox>}", boxes=[DOG]), "text-braces", "turn 1: a turn with boxes holds { or }, which Shikra's own code"),
    "three numbers": (row(answer="<bbox>", boxes=[[1, 2, 3]]), "box-length", "box 0: box [1, 2, 3] has 3 numbers; expected x1, y1"),
    "an inverted box": (row(answer="<bbox>", boxes=[[9, 9, 1, 1]]), "box-inverted", "box 0: box [9, 9, 1, 1]; expected x1 below x2"),
    "a point elsewhere": (row(answer="<bbox>", boxes=[[900, 9]]), "point-outside", "box 0: point [900, 9]"),
    "another size": (row(size_wh=[81, 80]), "image-size-differs", "annotated as 81x80 px, but the image is 820x800 px"),
    "a size of 0": (row(size_wh=[0, 80]), "row-unreadable", "not a row: Expected `int` >= 1 - at `$.size_wh[0]`"),
}


@pytest.mark.parametrize(("bad", "reason", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(source, bad, reason, message):
    check_problem(source(bad, row(sample_id=2)), reason, "rows.jsonl:1", message, left=[2])


SIDE = st.integers(0, 799) | st.floats(0, 799, allow_subnormal=False)
BOX = st.tuples(SIDE, SIDE, st.integers(1, 20), st.integers(1, 20)).map(
    lambda each: [each[0], each[1], min(each[0] + each[2], WIDTH), min(each[1] + each[3], HEIGHT)]
)
POINT = st.tuples(SIDE, SIDE).map(list)
WORDS = st.text(st.characters(exclude_characters="<>{}\0", exclude_categories=["Cs"]), max_size=8)
PIECE = st.tuples(WORDS, st.sampled_from(["<boxes>", "<points>"]), st.lists(st.integers(0, 5), min_size=1, max_size=4))


@st.composite
def shikra_rows(draw: Any) -> dict[str, Any]:
    """Any row of Shikra, its boxes in any order, repeated and unused ones among them."""
    target = {"boxes": draw(st.lists(BOX, min_size=6, max_size=6)), "points": draw(st.lists(POINT, min_size=6, max_size=6))}
    turns = []
    for index in range(2 * draw(st.integers(1, 3))):
        pieces = draw(st.lists(PIECE, max_size=4))
        value = "".join(words + kind for words, kind, _ in pieces) + "." + draw(WORDS)
        turn = {"from": ("human", "gpt")[index % 2], "value": value if index else "<image>" + value}
        for name in ("boxes", "points"):
            turn[f"{name}_seq"] = [group for _, kind, group in pieces if kind == f"<{name}>"]
        turns.append(turn)
    return {"image": "/nowhere/dogs.jpg", "width": WIDTH, "height": HEIGHT, "target": target, "conversations": turns}


@st.composite
def swift_rows(draw: Any) -> dict[str, Any]:
    """Any row for swift without labels: boxes and points, mixed and side by side."""
    messages, numbers = [], []
    for index in range(2 * draw(st.integers(1, 3))):
        pieces = draw(st.lists(st.tuples(WORDS, st.lists(BOX | POINT, min_size=1, max_size=4)), max_size=4))
        content = "".join(words + "<bbox>" * len(boxes) for words, boxes in pieces) + "." + draw(WORDS)
        messages.append({"role": ("user", "assistant")[index % 2], "content": content if index else "<image>" + content})
        numbers += [box for _, boxes in pieces for box in boxes]
    objects = {"objects": {"ref": [], "bbox": numbers, "bbox_type": "real"}} if numbers else {}
    return {"messages": messages, "images": ["/nowhere/dogs.jpg"], **objects, "sample_id": "s/1", "size_wh": [WIDTH, HEIGHT]}


NOWHERE = RowImages("/nowhere", check=False)


def swift_of(made: dict[str, Any], log: IssueLog) -> dict[str, Any]:
    """Our row of one of Shikra's, through JSON, as in files."""
    make = ShikraMaker(images=NOWHERE, source="/nowhere/s.jsonl", referring=None, loaders=None, space="px", exif_boxes=None)
    return through(make, ShikraRow, made, log)


def shikra_of(made: dict[str, Any], log: IssueLog) -> dict[str, Any]:
    """The way back."""
    return through(ToShikraMaker(images=NOWHERE, source="", relative=False), SwiftRow, made, log)


def through(make: Any, row_type: type, made: dict[str, Any], log: IssueLog) -> dict[str, Any]:
    decoded = msgspec.json.decode(msgspec.json.encode(made), type=row_type)
    (out,) = make(Sourced("/nowhere/s.jsonl:1", decoded), log)
    return msgspec.json.decode(msgspec.json.encode(out))


def meant(made: dict[str, Any]) -> list[Any]:
    """What each turn of Shikra's says: its text, with a blank between placeholders of one kind, and the numbers of each group."""
    target = made.get("target", {})
    return [
        (
            re.sub("(<boxes>(?=<boxes>)|<points>(?=<points>))", r"\1 ", turn["value"]),
            [[[target[name][index] for index in group] for group in turn.get(f"{name}_seq", [])] for name in ("boxes", "points")],
        )
        for turn in made["conversations"]
    ]


@given(shikra_rows())
def test_any_row_of_shikra_means_the_same_after_the_way_there_and_back(made):
    log = IssueLog()
    ours = swift_of(made, log)
    back = shikra_of(ours, log)
    assert meant(back) == meant(made)
    assert swift_of(back, log) == ours
    assert shikra_of(swift_of(back, log), log) == back  # and from then on it stays as it is, byte for byte
    assert not log.problems.counts


@given(swift_rows())
def test_any_row_for_swift_is_the_same_after_the_way_there_and_back(made):
    assume(not any(read_message(message["content"], message["role"] == "assistant").problem for message in made["messages"]))
    log = IssueLog()
    there = shikra_of(made, log)
    for name, numbers in there.get("target", {}).items():
        assert len({tuple(each) for each in numbers}) == len(numbers), name
    assert swift_of(there, log) == made
    assert not log.problems.counts
    assert not log.counted.counts
