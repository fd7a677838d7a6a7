"""Lists of objects in messages: JSON of every order of keys, lists in words, and what is refused."""

from __future__ import annotations

import pytest
from growth import growth

from groundswift.errors import GroundswiftError
from groundswift.placeholders import is_empty_answer, label_first, listings_of, read_message

OBJECT = '{"bbox_2d": <bbox>, "label": "<ref-object>"}'
TWO = "<ref-object><bbox><ref-object><bbox>"
LISTS = {  # answer -> the same list, label first
    OBJECT: "<ref-object><bbox>",
    f"[{OBJECT}, {OBJECT}]": TWO,
    f"[\n\t{OBJECT},\n\t{OBJECT},\n]": TWO,
    f"```json\n[{OBJECT},{OBJECT}]\n```": TWO,
    f"```\n{OBJECT}\n```": "<ref-object><bbox>",
    f"{OBJECT}\n{OBJECT}": TWO,
    '[{"label": "<ref-object>", "bbox_2d": <bbox>}]': "<ref-object><bbox>",
    '[{"point_2d": <bbox>, "label": "<ref-object>"}]': "<ref-object><bbox>",
    '[{ "BBox" : "<bbox>" , "name" : <ref-object> , }]': "<ref-object><bbox>",
    "[{'category': '<ref-object>', 'box': <bbox>}]": "<ref-object><bbox>",
    '{"box_2d": <bbox>}': "<bbox>",
    '[{"bbox_2d": <bbox>}, {"bbox_2d": <bbox>}]': "<bbox><bbox>",
    '["<bbox>", <bbox>]': "<bbox><bbox>",
    "<bbox><ref-object>": "<ref-object><bbox>",
    "<bbox>: <ref-object>\n<bbox>: <ref-object>": TWO,
    "1. <bbox> - <ref-object>\n2. <bbox> - <ref-object>": TWO,
    "<bbox><bbox><ref-object><bbox><ref-object>": "<ref-object><bbox><bbox><ref-object><bbox>",
    "<ref-object>, <ref-object>: <bbox>, <bbox>": TWO,
}
PLAIN = ["<ref-object><bbox><bbox>", " <bbox>\n", "<ref-object>: <bbox>; <ref-object>: <bbox>."]
PLAIN += ["- <ref-object> (<bbox>)\n- <ref-object> (<bbox>)"]


@pytest.mark.parametrize("text", LISTS)
def test_a_list_is_read(text):
    (listing,) = listings_of(text)
    assert (listing.start, listing.stop) == (0, len(text))
    assert not listing.plain
    assert listing.label_first == label_first(text) == LISTS[text]


@pytest.mark.parametrize("text", PLAIN)
def test_a_list_whose_labels_come_first_stays_as_it_is(text):
    (listing,) = listings_of(text)
    assert listing.plain
    assert label_first(text) == text


def test_each_box_knows_its_label():
    (listing,) = listings_of("<bbox><bbox><ref-object><bbox><ref-object>")
    assert (listing.refs, listing.ref_of_box) == (2, (0, 0, 1))
    (listing,) = listings_of("<ref-object><bbox><bbox><ref-object><bbox>")
    assert (listing.refs, listing.ref_of_box) == (2, (0, 0, 1))


def test_lists_within_text_are_found():
    text = f"First:\n```json\n[{OBJECT}]\n``` then {OBJECT}, and <ref-object> at <bbox>"
    first, second = listings_of(text, answer=False)
    assert text[first.start : first.stop] == f"```json\n[{OBJECT}]\n```"
    assert text[second.start : second.stop] == OBJECT
    assert label_first(text) == "First:\n<ref-object><bbox> then <ref-object><bbox>, and <ref-object> at <bbox>"


SENTENCES = ["None", "It is <bbox>", "<ref-object>", "a <bbox> is <ref-object>", "\\boxed{<bbox>}", "the cat [<bbox>]"]
SENTENCES += ['find "<ref-object>"', "{}"]


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_is_not_a_list(text):
    assert listings_of(text) == ()


def test_a_question_is_a_list_only_in_json():
    assert listings_of("<bbox>", answer=False) == ()
    assert listings_of('{"bbox_2d": <bbox>}', answer=False) != ()


REFUSED = [
    '[{"bbox_2d": <bbox>, "label": "<ref-object>", "score": 1}]',
    '[{"bbox_2d": <bbox>, "label": "a <ref-object>"}]',
    '[{"bbox_2d": <bbox>, "label": "cat"}]',
    '[{"bbox_2d": [<bbox>], "label": "<ref-object>"}]',
    '[{"bbox_2d": <bbox>, "label": "<ref-object>"}, {"bbox_2d": <bbox>}]',
    '{"objects": [{"bbox_2d": <bbox>, "label": "<ref-object>"}]}',
    '{"answer": {"bbox_2d": <bbox>, "label": "<ref-object>"}}',
    '[{"bbox_2d": <bbox>, "label": "<ref-object>"}',
    '```json\n[{"bbox_2d": <bbox>, "label": "<ref-object>"}]',
    '[{"bbox_2d": <bbox>, "label": "<ref-object>"}, 5]',
    '[{"bbox_2d": <bbox> "label": "<ref-object>"}]',
    '{"<ref-object>": <bbox>}',
    '{"label": "<ref-object>"}',
    '{"bbox_2d": <bbox>, "bbox": <bbox>}',
    '{"label": "<ref-object>", "name": "<ref-object>"}',
    '{"weird": <bbox>, "label": "<ref-object>"}',
    "{bbox_2d: <bbox>}",
    "[[<bbox>]]",
    '["<ref-object>", <bbox>]',
    '{\\"bbox_2d\\": <bbox>}',
]


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("answer", [True, False])
def test_placeholders_in_other_json_are_refused(text, answer):
    with pytest.raises(GroundswiftError, match=r'expected \{"bbox_2d": <bbox>, "label": "<ref-object>"\}'):
        listings_of(text, answer)
    assert read_message(text, answer).problem[0] == "placeholder-json"


@pytest.mark.parametrize("text", ["<bbox><ref-object><bbox>", "<bbox>, <ref-object>: <bbox>", "<bbox><ref-object><ref-object>"])
def test_a_list_that_can_be_read_in_two_ways_is_refused(text):
    with pytest.raises(GroundswiftError, match="not clear"):
        listings_of(text)


def test_an_empty_list_and_none_where_there_is_no_box_are_empty_answers():
    for text in ("[]", " [ ]\n", "```json\n[]\n```", "```\n[\n]\n```"):
        assert is_empty_answer(text)
        assert is_empty_answer(text, boxes=3)
    assert is_empty_answer(" None\n")
    assert not is_empty_answer("None", boxes=1)
    assert not is_empty_answer("None of them")


@pytest.mark.parametrize(
    "piece",
    [OBJECT + "x", '{"bbox_2d": <bbox>', '"a":' + " " * 50, "{" * 20, '{"a', "<bbox> ", "[ ", "```json\n[", '": "', "\\{:", "1" * 30],
)
def test_reading_takes_linear_time(piece):
    small, large = (piece * (size // len(piece)) + "<bbox><ref-object>{" for size in (20_000, 200_000))
    assert growth(read_message, small, large) < 3 * 10
