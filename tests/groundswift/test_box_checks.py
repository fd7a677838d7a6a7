"""The one check of a box: every problem by its id, and the order in which they are looked for."""

import math

import pytest

from groundswift.box_checks import LARGEST_PX, box_problem, number_problem

SIZE_WH = (60, 40)
WIDEST = [-LARGEST_PX, 0, LARGEST_PX, 40]


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        (box, problem)
        for problem, boxes in {
            None: [[1, 2, 31, 22], [0, 0, 60, 40], [-5, -5, 5, 5], [50, 30, 150, 130], [59.9, 39.9, 59.95, 39.95], WIDEST],
            "box-not-finite": [[1, 2, math.nan, 4], [-math.inf, 2, 3, 4], [1, 2, 10**400, 4]],
            "box-too-large": [[0, 0, LARGEST_PX + 1, 40], [-LARGEST_PX - 1, 0, 10, 40], [9, 0, -2e9, 40]],
            "box-inverted": [[3, 2, 1, 4], [1, 4, 3, 2]],
            "box-empty": [[1, 2, 1, 4], [70, 2, 70, 4]],
            "box-outside": [[60, 2, 63, 4], [1, 40, 3, 44], [-3, 2, 0, 4], [1, -4, 3, 0]],
        }.items()
        for box in boxes
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
