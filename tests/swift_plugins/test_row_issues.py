"""Which answers are boxes alone, and whether placeholders and objects match."""

import pytest

from groundswift.errors import GroundswiftError
from groundswift.pairing import whole_list
from groundswift.placeholders import listings_of
from groundswift.records import count_tags
from groundswift.swift_plugins.grounding.templates.object_checks import check_counts


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
