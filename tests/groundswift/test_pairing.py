"""Labels and boxes of whole conversations."""

from __future__ import annotations

import pytest

from groundswift.pairing import REFUSED, Pairing, paired

R, B = "<ref-object>", "<bbox>"
OBJECT = '{"bbox_2d": <bbox>, "label": "<ref-object>"}'


def turns(*texts: str) -> list[tuple[str, str]]:
    return [(("user", "assistant")[index % 2], text) for index, text in enumerate(texts)]


def pairing_of(*texts: str) -> Pairing:
    text = "".join(texts)
    return paired(turns(*texts), text.count(R), text.count(B))


CERTAIN = {
    "label first": (("find all", f"{R}{B}{B}{R}{B}"), [0, 0, 1]),
    "box first": (("find all", f"{B}: {R}\n{B}: {R}"), [0, 1]),
    "JSON, box first": ((f"find {R}", f"[{OBJECT}, {OBJECT}]"), [1, 2]),
    "JSON, boxes alone, named by the question": ((f"find {R}", '[{"bbox_2d": <bbox>}, {"bbox_2d": <bbox>}]'), [0, 0]),
    "the question names the label": ((f"Where is the {R}?", f"{B}{B}"), [0, 0]),
    "the question names as many labels as the answer has boxes": ((f"Where are {R} and {R}?", f"{B}, {B}"), [0, 1]),
    "a sentence": (("describe", f"A {R} {B} next to a {R} {B}."), [0, 1]),
    "a sentence with labels apart": (("describe", f"The {R} and the {R} are at {B} and {B}."), [0, 1]),
    "a sentence that ends with its label": (("describe", f"In {B} there is a {R}."), [0]),
    "a label that is only mentioned": (("describe", f"The {R} near the {R} {B}."), [1]),
    "the answer names the box of the question": ((f"What is in {B}?", f"A {R}."), [0]),
    "questions in turn": ((f"What is in {B}?", f"A {R}.", f"And in {B}?", f"A {R}."), [0, 1]),
    "a box of a question has no label from before": (("find all", f"{R}{B}", f"What is in {B}?", "Nothing."), [0, None]),
    "the question's label for the first box, the sentence's for the next": ((f"Where is the {R}?", f"At {B}, near the {R} {B}."), [0, 1]),
    "two turns of lists": ((f"find {R}", f"[{OBJECT}]", f"find {R}", OBJECT), [1, 3]),
    "boxes without labels": (("find all", f"{B}{B}"), [None, None]),
}


@pytest.mark.parametrize("name", CERTAIN)
def test_pairs(name):
    texts, expected = CERTAIN[name]
    found = pairing_of(*texts)
    assert (found.ref_of_box, found.unsure) == (expected, set())


UNSURE = {
    "three labels for two boxes": ((f"Find {R}, {R} and {R}.", f"{B}{B}"), {0, 1}, []),
    "one label for two boxes that are asked about": ((f"What are {B} and {B}?", f"A {R}."), {0, 1}, []),
    "a sentence": (("describe", f"Around {B} the {R} is at {B}."), {0, 1}, ["label-unsure"]),
    "a list": (("describe", f"{B}{R}{B}"), {0, 1}, ["list-unclear"]),
    "other JSON": (("describe", '{"boxes": [<bbox>], "label": "<ref-object>"}'), {0}, ["placeholder-json"]),
}


@pytest.mark.parametrize("name", UNSURE)
def test_no_label_is_better_than_a_wrong_one(name):
    texts, unsure, problems = UNSURE[name]
    found = pairing_of(*texts)
    assert found.unsure == unsure
    assert [found.ref_of_box[box] for box in unsure] == [None] * len(unsure)
    assert [(problem.id, problem.message) for problem in found.problems] == [(each, 1) for each in problems]


def test_labels_behind_boxes_in_a_sentence_are_paired_and_refused():
    found = paired(turns("describe", f"{B} is a {R} and {B} is a {R}."), 2, 2)
    assert found.ref_of_box == [0, 1]
    assert [problem.id for problem in found.problems] == ["label-after-box"]
    assert {"label-after-box", "list-unclear", "placeholder-json"} <= REFUSED
    assert not paired(turns(f"Is {B} a {R}, and {B} a {R}?", "Yes."), 2, 2).problems


def test_a_row_without_its_answer_has_labels_and_boxes_in_order():
    assert paired(turns("find all"), 2, 2).ref_of_box == [0, 1]
    assert paired(turns("find all", "two of them"), 3, 3).ref_of_box == [0, 1, 2]


def test_a_label_that_the_row_lacks_is_none():
    assert paired(turns("find all", f"{R}{B}{R}{B}"), 1, 2).ref_of_box == [0, None]
    assert paired(turns("find all", f"{R}{B}"), 1, 3).ref_of_box == [0, None, None]
