"""Rows of Shikra, as its own documentation writes them and as users bend them -> rows for swift."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
from shikra_rows import CAT, DOG, HEIGHT, MAN, POINTS, ROPE, TWO_DOGS, WIDTH
from talk_fixture import check_problem, error_of, folder_with, made, ours, outcome, source_of, texts, write_parquet

from groundswift.data_converters.formats.shikra.source import ShikraOptions

EXPRESSION = {"img_path": "dogs.jpg", "expression": "left  dog", "bbox": [10.5, 10, 256, 265], "width": WIDTH, "height": HEIGHT}


folder = folder_with({"dogs.jpg": (WIDTH, HEIGHT)})
source = source_of(ShikraOptions, "old.jsonl")


def asked(turn: int = 0, **changes: Any) -> dict[str, Any]:
    """The row of two dogs with one turn changed."""
    row = deepcopy(TWO_DOGS)
    row["conversations"][turn] |= changes
    return row


def talk(question: str = "<image>Q", answer: str = "A", boxes: Any = None, image: Any = "dogs.jpg") -> dict[str, Any]:
    """A small row: `boxes` is the boxes_seq of the answer."""
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer, "boxes_seq": boxes}]
    return {"conversations": turns} if image is None else {"image": image, "conversations": turns}


def test_boxes_points_and_groups(source, folder):
    found, counts = outcome(source(TWO_DOGS))
    assert found == [
        ours(
            "What is between the dogs <bbox><bbox> and the man <bbox> in <image> ? Does the man<bbox> greet the man<bbox>?",
            "a rope <bbox> from the left dog <bbox> to the man <bbox>.",
            images=[str(folder / "dogs.jpg")],
            objects={"ref": [], "bbox": [DOG, CAT, MAN, *POINTS, ROPE, DOG, MAN], "bbox_type": "real"},
            sample_id="old/1",
            size_wh=[WIDTH, HEIGHT],
        )
    ]
    assert counts == {}


@pytest.mark.parametrize("task", ["find", "describe"])
def test_an_expression_and_its_box(source, folder, task):
    found, counts = outcome(source(EXPRESSION, task=task))
    wanted = ["<image>Find <ref-object>.", "<bbox>"] if task == "find" else ["<image>Describe the object at <bbox>.", "left dog"]
    assert texts(found[0]) == wanted
    assert found[0]["objects"] == {"ref": ["left dog"] * (task == "find"), "bbox": [[10.5, 10, 256, 265]], "bbox_type": "real"}
    assert (found[0]["sample_id"], found[0]["size_wh"], found[0]["prompt"]) == ("old/1", [WIDTH, HEIGHT], f"{task}.en.1")
    assert counts == {"phrase-spaces": 1}


SIZED = {"path": "dogs.jpg", "width": WIDTH, "height": HEIGHT}
FORMS = {  # name -> (row, its texts, its boxes)
    "text alone": (talk(image=None, question="Q"), ["Q", "A"], None),
    "no <image>": (talk(question="Q"), ["<image>Q", "A"], None),
    "image with size": (talk(image=SIZED), ["<image>Q", "A"], None),
    "an empty boxes_seq": (talk(boxes=[]), ["<image>Q", "A"], None),
    "the same index twice": (
        talk(answer="<boxes>", boxes=[[1, 0, 1]]) | {"target": {"boxes": [DOG, MAN]}},
        ["<image>Q", "<bbox><bbox><bbox>"],
        [MAN, DOG, MAN],
    ),
    "null points": (talk(answer="<boxes>", boxes=[[0]]) | {"target": {"boxes": [DOG], "points": None}}, ["<image>Q", "<bbox>"], [DOG]),
}


@pytest.mark.parametrize(("row", "wanted", "boxes"), FORMS.values(), ids=FORMS)
def test_forms_of_a_row(source, row, wanted, boxes):
    (found,) = made(source(row))
    assert texts(found) == wanted
    assert (found.get("objects") or {"bbox": None})["bbox"] == boxes


def test_fractions_of_the_image(source):
    row = talk(answer="<boxes><points>", boxes=[[0]]) | {"target": {"boxes": [[0.25, 0.5, 0.75, 1]], "points": [[0.5, 0.25]]}}
    row["conversations"][1]["points_seq"] = [[0]]
    expected = [[205, 400, 615, 800], [410, 200]]
    assert made(source(row, space="norm1"))[0]["objects"]["bbox"] == expected
    assert made(source(row, space="norm1", check_images=False))[0]["objects"]["bbox"] == expected
    stated = row | {"image": "nowhere.jpg", "width": 100, "height": 40}
    assert made(source(stated, space="norm1", check_images=False))[0]["objects"]["bbox"] == [[25, 20, 75, 40], [50, 10]]
    assert made(source(row))[0]["objects"]["bbox"] == [[0.25, 0.5, 0.75, 1], [0.5, 0.25]]  # never guessed


def test_a_rotated_image_has_to_be_declared(source):
    row = talk(answer="<boxes><points>", boxes=[[0]], image="turned.jpg")  # 60 x 40 stored, 40 x 60 upright
    row["conversations"][1]["points_seq"] = [[0]]
    row["target"] = {"boxes": [[0, 0, 30, 10]], "points": [[5, 2]]}
    assert re.search(r"old\.jsonl:1: EXIF rotates .*turned\.jpg \(orientation 6\).*--exif-boxes stored", error_of(source(row)))
    stored, upright = row | {"width": 60, "height": 40}, row | {"width": 40, "height": 60}
    for each in (row, stored):
        assert made(source(each, exif_boxes="stored"))[0]["objects"]["bbox"] == [[30, 0, 40, 30], [38, 5]]
    assert made(source(upright, exif_boxes="upright"))[0]["objects"]["bbox"] == [[0, 0, 30, 10], [5, 2]]
    error = error_of(source(upright, exif_boxes="stored"))
    assert "stated as 40x60 px, but stored as 60x40 px; expected one size" in error
    row["target"]["boxes"] = [[30, 0, 0, 10]]  # a rotation would hide that it is inverted
    assert "box 0: box [30.0, 0.0, 0.0, 10.0]; expected x1 below x2" in error_of(source(row, exif_boxes="stored"))
    assert texts(made(source(talk(image="turned.jpg")))[0]) == ["<image>Q", "A"]  # nothing to be placed


def test_what_is_counted(source):
    path = source(
        talk(answer="<boxes><boxes> <boxes>", boxes=[[0], [2], [0]]) | {"target": {"boxes": [DOG, CAT, [-5, 1, 9, 9]], "points": POINTS}}
    )
    found, counts = outcome(path)
    assert texts(found[0])[1] == "<bbox> <bbox> <bbox>"
    assert found[0]["objects"]["bbox"] == [DOG, [0, 1, 9, 9], DOG]
    assert counts == {"box-unused": 1, "point-unused": 2, "box-clipped": 1, "space-added": 1}


def test_an_id_of_its_own(source):
    rows = made(source(talk() | {"sample_id": 7}, talk() | {"sample_id": "a/b"}, talk()))
    assert [row["sample_id"] for row in rows] == ["7", "a/b", "old/3"]


TARGET = TWO_DOGS["target"]
PROBLEMS: dict[str, tuple[Any, str, str]] = {  # what is wrong -> (row, id of the problem, what its message holds)
    "another row": ({"query": "Q"}, "row-malformed", "the fields of no known form; expected conversations"),
    "an expression without its box": (
        {"img_path": "dogs.jpg", "expression": "x"},
        "row-malformed",
        "an expression without img_path or bbox",
    ),
    "a box of three numbers": (EXPRESSION | {"expression": "dog", "bbox": [1, 2, 3]}, "box-length", "box 0: [1.0, 2.0, 3.0]"),
    "an expression with a tag": (EXPRESSION | {"expression": "a <bbox>"}, "text-tag", "holds <bbox>, which swift would replace"),
    "no turns": (TWO_DOGS | {"conversations": []}, "roles-order", "roles none; expected"),
    "an unknown role": (asked(**{"from": "system"}), "role-unknown", "turn 0: role 'system'; expected human, gpt"),
    "null boxes_seq": (asked(1, boxes_seq=None), "seq-count", "turn 1: 3 <boxes> and 0 groups in boxes_seq; expected a group for each"),
    "null points_seq": (asked(points_seq=None), "seq-count", "turn 0: 2 <points> and 0 groups in points_seq"),
    "a group too few": (asked(boxes_seq=[[0]]), "seq-count", "turn 0: 2 <boxes> and 1 groups in boxes_seq"),
    "a group too many": (asked(1, points_seq=[[0]]), "seq-count", "turn 1: 0 <points> and 1 groups in points_seq"),
    "flat": (asked(boxes_seq=[0, 1]), "seq-malformed", "turn 0: boxes_seq [0, 1]; expected a list of lists of whole numbers"),
    "too deep": (asked(boxes_seq=[[[0]], [[1]]]), "seq-malformed", "turn 0: boxes_seq [[[0]], [[1]]]; expected a list of lists"),
    "an object": (asked(boxes_seq={"0": [0]}), "seq-malformed", "turn 0: boxes_seq {'0': [0]}; expected a list of lists"),
    "fractional index": (asked(boxes_seq=[[0.5], [1]]), "seq-malformed", "turn 0: boxes_seq [[0.5], [1]]"),
    "true for an index": (asked(boxes_seq=[[True], [1]]), "seq-malformed", "turn 0: boxes_seq [[True], [1]]; expected"),
    "an empty group": (asked(boxes_seq=[[], [1]]), "seq-group-empty", "turn 0: boxes_seq [[], [1]]"),
    "index too high": (asked(boxes_seq=[[0], [4]]), "seq-index-range", "turn 0: index 4 in boxes_seq; expected an index from 0 to 3"),
    "index below 0": (asked(boxes_seq=[[0], [-1]]), "seq-index-range", "turn 0: index -1 in boxes_seq; expected an index from 0 to 3"),
    "a gigantic index": (asked(boxes_seq=[[0], [10**60]]), "seq-index-range", ""),
    "no target": (TWO_DOGS | {"target": None}, "seq-index-range", "turn 0: index 0 in boxes_seq"),
    "no points": (TWO_DOGS | {"target": {"boxes": [DOG, CAT, MAN, ROPE]}}, "seq-index-range", "turn 0: index 0 in points_seq"),
    "three numbers": (TWO_DOGS | {"target": {"boxes": [DOG, CAT, MAN[:3], ROPE], "points": POINTS}}, "box-length", "[100.0, 310.0, 670.0]"),
    "a point of four": (TWO_DOGS | {"target": TARGET | {"points": [DOG, POINTS[0]]}}, "point-length", "point 0"),
    "inverted": (talk(answer="<boxes>", boxes=[[0]]) | {"target": {"boxes": [[9, 9, 1, 1]]}}, "box-inverted", "1, box 0: box "),
    "a point outside": (TWO_DOGS | {"target": TARGET | {"points": [[900, 1], [1, 1]]}}, "point-outside", "image of 820x800 px"),
    "boxes-without-image": (talk(question="Q", image=None) | {"target": {"boxes": [DOG]}}, "boxes-without-image", "a target, and no image"),
    "<image> without an image": (talk(image=None), "image-count", "1 <image> and 0 images"),
    "<image> twice": (talk("<image><image>"), "image-count", "2 <image> and 1 images"),
    "<image> in an answer": (talk(answer="see <image>"), "placeholder-outside-question", "<image> in a text of assistant"),
    "a tag of swift": (asked(1, value="<bbox> <boxes> <boxes> <boxes>"), "text-tag", "turn 1: the text of assistant holds <bbox>"),
    "another size": (talk() | {"width": 81, "height": 80}, "image-size-differs", "annotated as 81x80 px, but the image is 820x800 px"),
    "two sizes": (talk(image=SIZED) | {"width": 81, "height": 80}, "size-unclear", "width 81, height 80 and width 820, height 800"),
    "one side": (talk() | {"width": WIDTH}, "size-unclear", "width 820, height None; expected one width and height"),
    "a side of 0": (talk() | {"width": 0, "height": 9}, "row-unreadable", "Expected `int` >= 1 - at `$.width`"),
}


@pytest.mark.parametrize(("row", "reason", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(source, row, reason, message):
    check_problem(source(row, TWO_DOGS), reason, "old.jsonl:1", message, left=["old/2"])


def test_parquet_holds_numbers_that_json_cannot(folder):
    row = TWO_DOGS | {"target": {"boxes": [[float("nan"), 1, 2, 3], CAT, MAN, ROPE], "points": [[1.0, float("inf")], [1.0, 1.0]]}}
    row["target"]["boxes"] = [list(map(float, box)) for box in row["target"]["boxes"]]
    error = error_of(ShikraOptions(annotations=str(write_parquet(folder / "old.parquet", row))))
    assert re.search("(?s)row 1, box 0: .*finite.*row 1, point 0: .*finite", error)
