"""The one check of a box: every problem by its id, and the order in which they are looked for."""

import math

import pytest

from groundswift.box_checks import LARGEST_PX, box_problem, number_problem

SIZE_WH = (60, 40)


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ([1, 2, 31, 22], None),
        ([0, 0, 60, 40], None),
        ([-5, -5, 5, 5], None),
        ([50, 30, 150, 130], None),
        ([59.9, 39.9, 59.95, 39.95], None),
        ([-LARGEST_PX, 0, LARGEST_PX, 40], None),
        ([1, 2, math.nan, 4], "box-not-finite"),
        ([-math.inf, 2, 3, 4], "box-not-finite"),
        ([1, 2, 10**400, 4], "box-not-finite"),
        ([0, 0, LARGEST_PX + 1, 40], "box-too-large"),
        ([-LARGEST_PX - 1, 0, 10, 40], "box-too-large"),
        ([9, 0, -2e9, 40], "box-too-large"),
        ([3, 2, 1, 4], "box-inverted"),
        ([1, 4, 3, 2], "box-inverted"),
        ([1, 2, 1, 4], "box-empty"),
        ([70, 2, 70, 4], "box-empty"),
        ([60, 2, 63, 4], "box-outside"),
        ([1, 40, 3, 44], "box-outside"),
        ([-3, 2, 0, 4], "box-outside"),
        ([1, -4, 3, 0], "box-outside"),
    ],
)
def test_the_problem_of_a_box(box, problem):
    found = box_problem(box, SIZE_WH)
    assert (found and found.id) == problem


@pytest.mark.parametrize(
    ("box", "size_wh", "allowed", "problem"),
    [
        ([900, 0, 910, 40], None, [], None),
        ([-9, 0, -3, 40], None, [], "box-outside"),
        ([70, 2, 70, 4], SIZE_WH, ["box-empty"], "box-outside"),
        ([70, 2, 70, 4], SIZE_WH, ["box-empty", "box-outside"], None),
        ([3, 2, 1, 4], SIZE_WH, ["box-inverted"], None),
    ],
)
def test_boxes_without_a_size_and_problems_that_are_allowed(box, size_wh, allowed, problem):
    found = box_problem(box, size_wh, allowed)
    assert (found and found.id) == problem


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ([1, 2.5, 3, 4], None),
        ((1, 2), None),
        ([[1, 2, 3, 4]], "box-nested"),
        ([1, "2", 3, 4], "box-not-number"),
        ([1, True, 3, 4], "box-not-number"),
        ([1, None, 3], "box-not-number"),
        ([1, 2, 3], "box-length"),
        ([], "box-length"),
        ([1, math.inf], "box-not-finite"),
        ([1, 2, 10**400, 4], "box-not-finite"),
    ],
)
def test_a_value_that_is_not_a_box_of_numbers(box, problem):
    found = number_problem(box)
    assert (found and found.id) == problem
