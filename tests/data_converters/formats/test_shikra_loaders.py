"""Rows of Shikra's own datasets, in the forms that its loaders read -> rows for swift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from talk_fixture import check_problem, error_of, folder_with, made, outcome, source_of, texts

from groundswift.data_converters.formats.shikra.source import ShikraOptions
from groundswift.errors import GroundswiftError

CASES = Path(__file__).parents[2] / "cases/shikra_zip_rows"
DOG, CAT = [10, 20, 110, 120], [200, 50, 300, 150]
SENTENCE = {
    "image_id": "a",
    "boxes": [DOG, CAT, [0, 0, 9, 9]],
    "sentence": "<ph_st>Two  dogs<ph_ed> with <ph_st>a cat<ph_ed>.",
    "boxes_seq": [[0, 2], [1]],
}
CAPTION = {"img_path": "a.jpg", "caption": " A dog. "}
GENERATED = {
    "img_path": "a.jpg",
    "boxes": [DOG, CAT],
    "question": "Is <ph_st>this<ph_ed> bigger than<ph_st> <ph_ed>?",
    "question_boxes_seq": [[0], [1]],
    "cot_with_ans": "<ph_st>The dog<ph_ed> is tall. Yes.",
    "answer_boxes_seq": [[0]],
    "answer": "Yes.",
}
LOCAL = {"file_path": "a.jpg", "question": "What color?", "answer": "red", "bbox": DOG, "point": [30, 40]}
TWICE = {
    "file_path": "a.jpg",
    "obj_question": "How many dogs?",
    "super_question": "How many animals?",
    "general_question": "How many of these?",
    "answer": 2,
    "bbox": DOG,
    "point": [30, 40],
}
CHOICE = {"file_path": "a.jpg", "question": "Which barks?", "candidates": [DOG, CAT, [0, 0, 9, 9]], "answer": DOG, "point": [60, 70]}
FIND = {"img_path": "a.jpg", "expression": "dog", "bbox": DOG}

folder = folder_with({"a.jpg": (400, 200)})
source = source_of(ShikraOptions, "old.jsonl")
FORMS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], Any]] = {  # row, options, its texts, its (labels, boxes)
    "a sentence": (
        SENTENCE,
        {},
        ["<image>Describe the picture and give the boxes of what you name.", "<ref-object><bbox><bbox> with <ref-object><bbox>."],
        (["Two dogs", "a cat"], [DOG, [0, 0, 9, 9], CAT]),
    ),
    "a sentence, own question": (
        SENTENCE,
        {"prompt": "Look."},
        ["<image>Look.", "<ref-object><bbox><bbox> with <ref-object><bbox>."],
        (["Two dogs", "a cat"], [DOG, [0, 0, 9, 9], CAT]),
    ),
    "a caption": (CAPTION, {}, ["<image>Describe the picture in one sentence.", "A dog."], None),
    "a caption in Chinese": (CAPTION, {"language": "zh"}, ["<image>用一句话描述这张图片。", "A dog."], None),
    "reasoning with boxes": (
        GENERATED,
        {},
        ["<image>Is <ref-object><bbox> bigger than<bbox>?", "<ref-object><bbox> is tall. Yes."],
        (["this", "The dog"], [DOG, CAT, DOG]),
    ),
    "reasoning as text": (
        GENERATED,
        {"gpt_answer": "text"},
        ["<image>Is <ref-object><bbox> bigger than<bbox>?", "The dog is tall. Yes."],
        (["this"], [DOG, CAT]),
    ),
    "the short answer": (
        GENERATED,
        {"gpt_answer": "short"},
        ["<image>Is <ref-object><bbox> bigger than<bbox>?", "Yes."],
        (["this"], [DOG, CAT]),
    ),
    "about a point": (LOCAL, {}, ["<image>What color? <bbox>", "red"], ([], [[30, 40]])),
    "about a box": (LOCAL, {"point_qa": "box"}, ["<image>What color? <bbox>", "red"], ([], [DOG])),
    "look twice": (TWICE, {}, ["<image>How many of these? <bbox>", "2"], ([], [[30, 40]])),
    "look twice, of the object": (TWICE, {"twice_question": "object"}, ["<image>How many dogs? <bbox>", "2"], ([], [[30, 40]])),
    "look twice, of its kind": (TWICE, {"twice_question": "super"}, ["<image>How many animals? <bbox>", "2"], ([], [[30, 40]])),
}


@pytest.mark.parametrize(("row", "options", "wanted", "objects"), FORMS.values(), ids=FORMS)
def test_forms_of_its_loaders(source, folder, row, options, wanted, objects):
    (found,) = made(source(row, **options))
    assert texts(found) == wanted
    assert found["images"] == [str(folder / "a.jpg")]
    assert (found["sample_id"], found["size_wh"]) == ("old/1", [400, 200])
    assert "objects" in found or objects is None
    if objects is not None:
        assert (found["objects"]["ref"], found["objects"]["bbox"]) == objects


@pytest.mark.parametrize(("kind", "answer"), [("point", [60, 70]), ("box", DOG)])
def test_candidates_are_shuffled_and_the_answer_is_among_them(source, kind, answer):
    rows = made(source(*[CHOICE] * 40, point_qa=kind))
    places = [row["objects"]["bbox"][:3].index(DOG) for row in rows]
    assert set(places) == {0, 1, 2}
    for row in rows:
        assert texts(row) == [f"<image>Which barks? Candidates: <bbox>, <bbox>, <bbox>. Answer with a {kind}.", "<bbox>"]
        assert sorted(row["objects"]["bbox"][:3]) == sorted(CHOICE["candidates"])
        assert row["objects"]["bbox"][3:] == [answer]
    assert rows == made(source(*[CHOICE] * 40, point_qa=kind))
    assert rows != made(source(*[CHOICE] * 40, point_qa=kind, seed=1))


@pytest.mark.parametrize(("name", "boxes"), {"cap": 0, "flickr": 2, "gptgen": 2, "local": 1}.items())
def test_the_rows_of_its_own_archive(name, boxes):
    rows, counts = outcome(ShikraOptions(annotations=str(CASES / f"{name}.jsonl")))
    assert [len(row.get("objects", {"bbox": []})["bbox"]) for row in rows] == [boxes]
    assert counts == {}


def test_what_is_counted(source):
    assert outcome(source(SENTENCE))[1] == {"phrase-spaces": 1}
    assert outcome(source(GENERATED, gpt_answer="short"))[1] == {}
    assert outcome(source(SENTENCE | {"boxes": [DOG, CAT, [0, 0, 9, 9], [1, 1, 2, 2]]}))[1] == {"phrase-spaces": 1, "box-unused": 1}


def test_a_prompt_is_for_one_kind_of_rows(source):
    assert texts(made(source(FIND, prompt="Where is <ref-object>?"))[0]) == ["<image>Where is <ref-object>?", "<bbox>"]
    check_problem(source(CAPTION, FIND, prompt="Where is <ref-object>?"), "prompt-other-rows", "old.jsonl:1", "--prompt", left=["old/2"])
    check_problem(source(FIND, CAPTION, prompt="Look."), "prompt-other-rows", "old.jsonl:1", "names no object", left=["old/2"])
    with pytest.raises(GroundswiftError, match="holds <bbox>, which swift would replace"):
        made(source(CAPTION, prompt="Look at <bbox>."))


PROBLEMS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {  # row, options, id, what its message holds
    "no image": ({"caption": "x"}, {}, "row-malformed", "no image; expected img_path"),
    "a sentence of no image": ({**SENTENCE, "image_id": None}, {}, "row-malformed", "no image; expected"),
    "a phrase that does not end": ({**SENTENCE, "sentence": "<ph_st>A dog"}, {}, "phrase-marks", "do not pair in '<ph_st>A dog'"),
    "an end alone": ({**SENTENCE, "sentence": "A dog<ph_ed>"}, {}, "phrase-marks", "do not pair"),
    "a phrase in a phrase": (
        {**SENTENCE, "sentence": "<ph_st>A <ph_st>dog<ph_ed><ph_ed>"},
        {},
        "phrase-marks",
        "do not pair",
    ),
    "a group too few": ({**SENTENCE, "boxes_seq": [[0]]}, {}, "seq-count", "turn 1: 2 <boxes> and 1 groups in boxes_seq"),
    "no boxes": ({**SENTENCE, "boxes": None}, {}, "seq-index-range", "turn 1: index 0 in boxes_seq"),
    "a tag in a phrase": ({**SENTENCE, "sentence": "<ph_st><bbox><ph_ed>"}, {}, "text-tag", "holds <bbox>"),
    "a blank caption": ({**CAPTION, "caption": " "}, {}, "answer-empty", "turn 1"),
    "no question": ({**GENERATED, "question": None}, {}, "row-malformed", "question is 'None'; expected a text"),
    "no short answer": ({**GENERATED, "answer": None}, {"gpt_answer": "short"}, "row-malformed", "answer is 'None'"),
    "an answer that is no text": ({**LOCAL, "answer": [1]}, {}, "row-malformed", "answer is '[1]'; expected a text"),
    "a point of three": ({**LOCAL, "point": [1, 2, 3]}, {}, "point-length", "point 0"),
    "one of three questions": ({**TWICE, "super_question": None}, {"twice_question": "super"}, "row-malformed", "super_question is 'None'"),
    "an answer that is no candidate": ({**CHOICE, "answer": [1, 2, 3, 4]}, {"point_qa": "box"}, "row-malformed", "one of the candidates"),
    "candidates without a point": ({**CHOICE, "point": None}, {}, "row-malformed", "--point-qa box"),
    "no candidates": ({**CHOICE, "candidates": [], "answer": DOG}, {"point_qa": "box"}, "row-malformed", "one of the candidates"),
}


@pytest.mark.parametrize(("row", "options", "reason", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(source, row, options, reason, message):
    check_problem(source(row, CAPTION, **options), reason, "old.jsonl:1", message, left=["old/2"])


def test_an_unknown_form_names_those_that_are_known(source):
    error = error_of(source({"img_path": "a.jpg", "question": "Q", "reply": "A"}))
    assert "the fields of no known form; expected conversations; an expression and its bbox; sentence, boxes and boxes_seq" in error
