"""What our templates do beyond swift's, whatever the family: several turns, kinds of boxes, and rows that are refused.

`test_template_contract.py` has what must hold for each family.
"""

from __future__ import annotations

import math

import pytest
from rows import answer_of, detection, noise, read_back, trained_text
from zoo import KINDS

from groundswift import parse
from groundswift.errors import GroundswiftError
from groundswift.pairing import whole_list
from groundswift.placeholders import listings_of
from groundswift.records import count_tags
from groundswift.swift_plugins.grounding.templates.object_checks import check_counts, check_objects

FEW = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


@pytest.mark.parametrize("kind", FEW)
def test_points_several_boxes_of_one_label_and_earlier_turns(zoo, image_of_size, kind):
    row = detection(image_of_size((200, 100)), [], [])
    row["messages"] = [
        {"role": "user", "content": "<image>Find <ref-object>."},
        {"role": "assistant", "content": "<bbox>"},
        {"role": "user", "content": "And all others?"},
        {"role": "assistant", "content": "<ref-object><bbox><bbox><ref-object><bbox>"},
    ]
    row["objects"] = {"ref": ["cat", "dog", "hat"], "bbox": [[0, 0, 100, 50], [20, 10, 120, 60], [50, 50], [100, 50, 200, 100]]}
    family = KINDS[kind].family
    turns = zoo[kind].tokenizer.decode(zoo[kind].encode(row)["input_ids"])
    first, last = (parse(turn.split("<|im_end|>")[0], family).objects for turn in turns.split("assistant\n")[1:])
    assert [located.label for located in first] == [""]
    assert [located.label for located in last] == ["dog", "dog", "hat"]
    assert [located.point is not None for located in last] == [False, True, False]


def test_boxes_in_a_sentence_stay_where_they_stand(zoo, image_of_size):
    row = detection(image_of_size((200, 100)), ["cat"], [[20, 10, 100, 50]])
    row["messages"][1]["content"] = "The <ref-object> sits at <bbox>, I think."
    text = trained_text(zoo["qwen2_vl"], zoo["qwen2_vl"].encode(row))
    expected = "The <|object_ref_start|>cat<|object_ref_end|> sits at <|box_start|>(100,100),(500,500)<|box_end|>, I think."
    assert text == expected


def test_boxes_of_zero_to_one_are_taken_as_such(zoo, image_of_size):
    row = detection(image_of_size((200, 100)), ["cat"], [[0.1, 0.2, 0.5, 0.6]])
    row["objects"]["bbox_type"] = "norm1"
    assert read_back(zoo["qwen2_vl"], zoo["qwen2_vl"].encode(row), "qwen2_vl").objects[0].box == (100, 200, 500, 600)


def test_a_box_that_ends_within_half_a_quantum_of_the_border_is_cut_there(zoo, image_of_size):
    row = detection(image_of_size((200, 100)), ["cat"], [[-0.05, 0, 200.09, 100.04]])
    assert read_back(zoo["qwen2_vl"], zoo["qwen2_vl"].encode(row), "qwen2_vl").objects[0].box == (0, 0, 1000, 1000)


@pytest.mark.parametrize("kind", ["qwen3_5", "glm4v_moe"])
def test_families_that_think_answer_behind_an_empty_thought(zoo, image_of_size, kind):
    text = trained_text(zoo[kind], zoo[kind].encode(detection(image_of_size((112, 84)), ["cat"], [[1, 2, 50, 60]])))
    assert text.startswith("<think>")
    assert answer_of(text) != text
    assert parse(text, KINDS[kind].family).status == "ok"


ONE = {"ref": ["cat"], "bbox": [[1, 1, 9, 9]]}
FAULTS = {
    "more boxes than placeholders": ({"ref": ["cat"], "bbox": [[1, 1, 9, 9], [2, 2, 9, 9]]}, "as many of each"),
    "fewer boxes than placeholders": ({"ref": ["cat"], "bbox": []}, "as many of each"),
    "more labels than placeholders": ({"ref": ["cat", "dog"], "bbox": [[1, 1, 9, 9]]}, "as many of each"),
    "box outside the image": ({"ref": ["cat"], "bbox": [[10, 10, 900, 90]]}, "outside its image"),
    "box left of the image": ({"ref": ["cat"], "bbox": [[-9, 10, 90, 90]]}, "outside its image"),
    "unknown kind of box": ({**ONE, "bbox_type": "norm1000"}, "bbox-type-unknown"),
    "three numbers": ({"ref": ["cat"], "bbox": [[1, 1, 9]]}, "box-length"),
    "eight numbers": ({"ref": ["cat"], "bbox": [[1, 1, 9, 1, 9, 9, 1, 9]]}, "box-length"),
    "a list of boxes": ({"ref": ["cat"], "bbox": [[[1, 1, 9, 9], [2, 2, 9, 9]]]}, "box-nested"),
    "a number": ({"ref": ["cat"], "bbox": [7]}, "bbox-shape"),
    "text for numbers": ({"ref": ["cat"], "bbox": [["1", "1", "9", "9"]]}, "box-not-number"),
    "a missing number": ({"ref": ["cat"], "bbox": [[1, None, 9, 9]]}, "box-not-number"),
    "not a number": ({"ref": ["cat"], "bbox": [[1, math.nan, 9, 9]]}, "box-not-finite"),
    "infinite": ({"ref": ["cat"], "bbox": [[1, 1, math.inf, 9]]}, "box-not-finite"),
    "corners in another order": ({"ref": ["cat"], "bbox": [[9, 1, 1, 9]]}, "box-inverted"),
    "image_id too large": ({**ONE, "image_id": [1]}, "image-id-range"),
    "image_id below 0": ({**ONE, "image_id": [-1]}, "image-id-range"),
    "image_id of text": ({**ONE, "image_id": ["0"]}, "image-id-range"),
    "image_id not a list": ({**ONE, "image_id": 1}, "image-id-range"),
    "image_id for other boxes": ({**ONE, "image_id": [0, 0]}, "image-id-short"),
    "a label that is a number": ({"ref": [7], "bbox": [[1, 1, 9, 9]]}, "ref-shape"),
    "no boxes at all": ({"ref": ["cat"]}, "bbox-missing"),
    "objects of swift 2": ([{"caption": "cat", "bbox": [1, 1, 9, 9]}], "old-objects"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("kind", [*FEW, "llava1_5", "paligemma", "internvl"])
def test_what_swift_would_guess_or_trip_over_is_an_error(zoo, image_of_size, kind, name):
    objects, message = FAULTS[name]
    row = detection(image_of_size((100, 100)), ["cat"], [[1, 1, 9, 9]])
    row["objects"] = objects
    with pytest.raises(GroundswiftError, match=message):
        zoo[kind].encode(row)


def test_a_long_problem_is_reported_in_short():
    with pytest.raises(GroundswiftError, match="box-nested") as caught:
        check_objects({"ref": [], "bbox": [[[1, 2, 3, 4]] * 500]}, 1)
    assert len(str(caught.value)) < 200


def test_objects_need_an_image(zoo):
    row = detection("a.png", ["cat"], [[1, 1, 9, 9]], prompt="Where?")
    row["images"] = []
    with pytest.raises(GroundswiftError, match="without an image"):
        zoo["qwen2_vl"].encode(row)


@pytest.mark.parametrize("norm_bbox", ["none"])
@pytest.mark.parametrize("kind", ["qwen2_vl", "glm4v", "paligemma"])
def test_another_space_cannot_be_asked_for(zoo, kind, norm_bbox):
    with pytest.raises(GroundswiftError, match="Remove the option"):
        zoo.make_template(kind, norm_bbox=norm_bbox)


def test_text_without_boxes_is_encoded_as_swift_does(zoo, tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDSWIFT_EXACT_PIXELS", "1")
    path = str(noise(tmp_path / "a.png", (140, 84)))
    messages = [{"role": "user", "content": "<image>What is this?"}, {"role": "assistant", "content": "Noise, None."}]
    for kind in KINDS:
        row = {"messages": messages, "images": [path]}
        if KINDS[kind].family in (
            "llava",
            "hunyuan_ocr",
        ):  # padded to a square, so other tokens; swift's own fails: test_recent_families.py
            continue
        ours, stock = zoo[kind].encode(row), zoo.template(kind, "").encode(row)
        assert ours["input_ids"] == stock["input_ids"], kind
        assert ours["labels"] == stock["labels"], kind
        assert (ours["pixel_values"] == stock["pixel_values"]).all(), kind


@pytest.mark.parametrize("kind", ["qwen2_vl", "internvl"])
def test_the_text_of_boxes_is_the_one_that_swift_writes(zoo, image_of_size, kind):
    """Where swift writes a family's own text, data that it wrote before stays good."""
    row = detection(image_of_size((333, 171)), ["cat", "dog"], [[30.4, 40.6, 150, 100], [0.5, 1.5, 2.5, 171]])
    stock = zoo.template(kind, "")
    assert trained_text(stock, stock.encode(row)) == trained_text(zoo[kind], zoo[kind].encode(row))


@pytest.mark.parametrize(
    ("content", "before", "expected", "refs"),
    [
        ("<ref-object><bbox>", (0, 0), ((0, 0),), 1),
        ("<ref-object><bbox><bbox><ref-object><bbox>", (0, 0), ((0, 0), (1, 0), (2, 1)), 2),
        ("<ref-object><bbox>", (3, 5), ((5, 3),), 1),
        ("<bbox><bbox>", (1, 2), ((2, None), (3, None)), 0),
        (" <ref-object><bbox>\n", (0, 0), ((0, 0),), 1),
    ],
)
def test_answers_of_boxes_alone(content, before, expected, refs):
    (listing,) = listings_of(content)
    answer = whole_list(listing, *before)
    assert (answer.ref_of_box, answer.refs) == (expected, refs)


@pytest.mark.parametrize("content", ["", "a <ref-object><bbox>", "<ref-object><bbox> and more"])
def test_other_texts_are_not(content):
    assert listings_of(content) == ()


def test_tags_are_counted_over_a_conversation():
    assert count_tags(["<image>Find <ref-object>", "<bbox><bbox>"]) == (1, 2, 1, 0)


@pytest.mark.parametrize(("refs", "boxes"), [(0, 2), (1, 1), (1, 3), (2, 2)])
def test_a_surplus_on_either_side_is_an_error(refs, boxes):
    check_counts(["Find <ref-object>", "<bbox><bbox>"], 1, 2)
    with pytest.raises(GroundswiftError, match="as many of each"):
        check_counts(["Find <ref-object>", "<bbox><bbox>"], refs, boxes)
