"""One, several or no boxes on either side: the rules by hand, and against every way to pair the boxes."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswift.boxes import as_boxes, iou
from groundswift.eval.several_boxes import SEVERAL, THRESHOLDS, counted, fits_of, giou, grec_right

A, HALF_A, B, FAR = [0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10], [90, 90, 99, 99]
FIVE_SIXTHS_A = [0, 0, 10, 12]
BOX = st.sampled_from([A, HALF_A, FIVE_SIXTHS_A, B, FAR, [0, 0, 12, 10], [20, 0, 30, 8], [5, 5, 5, 9]])
BOXES = st.lists(BOX, max_size=4)


def fit(predicted, true, several="first", says_none=False):
    """(IoU, right at IoU 0.5, F1)."""
    found = fits_of([as_boxes(predicted)], [as_boxes(true)], several, [says_none])
    return found.overlaps[0], bool(found.right[0, 0]), found.f1[0]


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        pytest.param([A], {"first": (1, 1), "any": (1, 1), "all": (1, 1), "hungarian": (1, 1)}, id="one"),
        pytest.param([A, FAR], {"first": (1, 1), "any": (1, 1), "all": (0, 0), "hungarian": (0.5, 0)}, id="right and wrong"),
        pytest.param([FAR, A], {"first": (0, 0), "any": (1, 1), "all": (0, 0), "hungarian": (0.5, 0)}, id="wrong and right"),
        pytest.param([A, HALF_A], {"first": (1, 1), "any": (1, 1), "all": (0.5, 1), "hungarian": (0.5, 0)}, id="right twice"),
        pytest.param([FAR], {"first": (0, 0), "any": (0, 0), "all": (0, 0), "hungarian": (0, 0)}, id="wrong"),
        pytest.param([], {"first": (0, 0), "any": (0, 0), "all": (0, 0), "hungarian": (0, 0)}, id="none"),
    ],
)
def test_an_answer_to_a_question_of_one_box(predicted, expected):
    assert {several: fit(predicted, [A], several)[:2] for several in SEVERAL} == expected


@pytest.mark.parametrize(
    ("predicted", "overlap", "right", "f1"),
    [
        pytest.param([B, A], 1, True, 1, id="both, in any order"),
        pytest.param([B], 0.5, False, 2 / 3, id="one of two"),
        pytest.param([A, B, FAR], 2 / 3, False, 0.8, id="one over"),
        pytest.param([A, A], 0.5, False, 0.5, id="one of them twice"),
        pytest.param([HALF_A, B], 0.75, True, 1, id="just right"),
        pytest.param([], 0, False, 0, id="none"),
    ],
)
def test_a_question_of_two_boxes_has_one_rule(predicted, overlap, right, f1):
    for several in SEVERAL:
        assert fit(predicted, [A, B], several) == (pytest.approx(overlap), right, pytest.approx(f1))


@pytest.mark.parametrize(("predicted", "says_none", "right"), [([], True, True), ([], False, False), ([A], False, False)])
def test_nothing_to_find(predicted, says_none, right):
    for several in SEVERAL:
        assert fit(predicted, [], several, says_none) == (float(right), right, float(right))


def written_out(predicted, true, several, says_none):
    """(IoU, right at each threshold), by trying every way to pair."""
    if not true:
        return float(says_none), [says_none] * 10
    if not predicted:
        return 0.0, [False] * 10
    overlaps = iou(predicted, true)
    if len(true) == 1 and several != "hungarian":
        best = {"first": overlaps[0, 0], "any": overlaps.max(), "all": overlaps.min()}[several]
        return best, [best >= each for each in THRESHOLDS]
    table = overlaps if len(overlaps) <= overlaps.shape[1] else overlaps.T
    ways = [[table[row, column] for row, column in enumerate(way)] for way in permutations(range(table.shape[1]), len(table))]
    right = [len(predicted) == len(true) and any(min(way) >= each for way in ways) for each in THRESHOLDS]
    return max(map(sum, ways)) / max(overlaps.shape), right


@given(st.lists(st.tuples(BOXES, st.lists(BOX.filter(lambda box: box[0] < box[2]), max_size=3), st.booleans()), max_size=5))
@pytest.mark.parametrize("several", SEVERAL)
def test_any_answers_as_written_out(several, questions):
    predicted, true, says_none = zip(*questions, strict=True) if questions else ((), (), ())
    found = fits_of(list(map(as_boxes, predicted)), list(map(as_boxes, true)), several, says_none)
    for number, question in enumerate(questions):
        overlap, right = written_out(question[0], question[1], several, question[2])
        assert found.overlaps[number] == pytest.approx(overlap)
        assert found.right[number].tolist() == right


def test_pairs_of_the_largest_total_need_not_be_those_that_are_right():
    """Two true boxes: the greatest total pairs 1.0 with 0.33, another way pairs 0.54 with 0.54."""
    true = [[0, 0, 100, 10], [30, 0, 130, 10]]
    predicted = [[0, 0, 100, 10], [-20, 0, 80, 10]]
    overlaps = iou(predicted, true)
    assert overlaps[0, 0] + overlaps[1, 1] > overlaps[0, 1] + overlaps[1, 0]
    assert overlaps[1, 1] < 0.5 <= min(overlaps[0, 1], overlaps[1, 0])
    assert fit(predicted, true)[1:] == (True, 1)


@pytest.mark.parametrize(
    ("several", "counts", "hits"),
    [
        ("first", [True, False, False], [False, False, False]),
        ("any", [False, True, False], [False, True, False]),
        ("all", [True, True, True], [False, True, True]),
        ("hungarian", [True, True, True], [False, True, False]),
    ],
)
def test_which_boxes_count(several, counts, hits):
    found = counted(iou([FAR, A, HALF_A], [A]), several)
    assert [part.tolist() for part in found] == [counts, hits]
    assert [part.tolist() for part in counted(np.zeros((0, 1)), several)] == [[], []]


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [(A, A, 1), (A, HALF_A, 0.5), (A, B, -1 / 3), (A, [10, 0, 20, 10], 0), (A, [5, 5, 15, 15], 25 / 175 - 50 / 225)],
)
def test_generalised_iou(box, other, expected):
    assert giou(as_boxes([box]), as_boxes([other]))[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "true", "right"),
    [
        pytest.param([B, A], [A, B], True, id="any order"),
        pytest.param([A], [A, B], False, id="one of two"),
        pytest.param([A, A], [A, B], False, id="one of them twice"),
        pytest.param([HALF_A], [A], True, id="half of it"),
        pytest.param([[1, 1, 11.5, 11.5]], [A], True, id="a little moved"),
        pytest.param([[3, 0, 13, 10]], [A], True, id="moved along one axis: both are 0.54"),
        pytest.param([[1.7, 1.7, 11.7, 11.7]], [A], False, id="moved along both: IoU 0.53 is right, generalised IoU 0.48 is not"),
        pytest.param([], [], True, id="nothing"),
        pytest.param([A], [], False, id="a box where there is nothing"),
    ],
)
def test_the_rule_of_grefcoco(predicted, true, right):
    assert grec_right(as_boxes(predicted), as_boxes(true)) is right


@given(BOXES, BOXES)
def test_what_grefcoco_calls_right_is_right(predicted, true):
    if true and all(box[0] < box[2] for box in true) and grec_right(as_boxes(predicted), as_boxes(true)):
        assert fit(predicted, true, "hungarian")[1]
