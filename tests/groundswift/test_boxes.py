"""Arithmetic on boxes against hand-made figures."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswift.boxes import area, as_boxes, clipped, exact_repeats, iou, ordered, rotated_bounds, xywh_to_xyxy, xyxy_to_xywh


@pytest.mark.parametrize("nothing", [[], (), np.zeros((0, 4)), np.zeros((0,)), [[]]])
def test_no_boxes_have_a_shape(nothing):
    assert as_boxes(nothing).shape == (0, 4)
    assert as_boxes([[1, 2, 3, 4]]).dtype == np.float64


@pytest.mark.parametrize("wrong", [[1, 2, 3, 4], [[1, 2, 3]], [[[1, 2, 3, 4]]], [[1, 2, 3, 4, 5]]])
def test_another_shape_is_an_error_that_names_it(wrong):
    with pytest.raises(ValueError, match=r"expected \(N, 4\)"):
        as_boxes(wrong)


def test_xywh_and_back_leave_their_input_alone():
    boxes_xywh = np.array([[10.0, 20.0, 5.0, 7.5], [0.0, 0.0, 1.0, 1.0]])
    kept = boxes_xywh.copy()
    assert xywh_to_xyxy(boxes_xywh).tolist() == [[10, 20, 15, 27.5], [0, 0, 1, 1]]
    assert xyxy_to_xywh(xywh_to_xyxy(boxes_xywh)).tolist() == kept.tolist()
    assert boxes_xywh.tolist() == kept.tolist()


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_not_finite_repeat_without_a_warning():
    boxes = [[math.inf, 0, -math.inf, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert exact_repeats([np.zeros(3, np.int64)], boxes).tolist() == [False, False, True]


@pytest.mark.parametrize("corners", [[1, 2, 3, 4], [3, 4, 1, 2], [1, 4, 3, 2], [3, 2, 1, 4]])
def test_ordered_takes_any_two_opposite_corners(corners):
    assert ordered([corners]).tolist() == [[1, 2, 3, 4]]


def test_clipped_by_one_size_and_by_one_a_box():
    boxes = [[-5, -5, 50, 50], [5, 5, 50, 50]]
    assert clipped(boxes, (20, 30)).tolist() == [[0, 0, 20, 30], [5, 5, 20, 30]]
    assert clipped(boxes, [(20, 30), (40, 10)]).tolist() == [[0, 0, 20, 30], [5, 5, 40, 10]]


def test_area_of_inverted_boxes_is_none():
    assert area([[0, 0, 2, 3], [2, 0, 0, 3], [0, 3, 2, 0], [2, 3, 0, 0], [1, 1, 1, 5]]).tolist() == [6, 0, 0, 0, 0]


def test_iou_is_pairwise():
    first = [[0, 0, 10, 10], [20, 20, 30, 30]]
    others = [[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]]
    assert iou(first, others) == pytest.approx(np.array([[1, 1 / 3, 0], [0, 0, 0]]))


def test_iou_of_boxes_without_area_is_zero_not_nan():
    assert iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]).tolist() == [[0]]
    assert iou([], [[0, 0, 1, 1]]).shape == (0, 1)


@pytest.mark.parametrize(
    ("box", "degrees", "bounds"),
    [
        *(((10, 10, 30, 20), degrees, (10, 10, 30, 20)) for degrees in (0, 180)),
        *(((10, 10, 30, 20), degrees, (15, 5, 25, 25)) for degrees in (90, -90, 450)),
        ((0, 0, 2, 2), 45, (1 - 2**0.5, 1 - 2**0.5, 1 + 2**0.5, 1 + 2**0.5)),
    ],
)
def test_the_bounds_of_a_rotated_box(box, degrees, bounds):
    found = rotated_bounds(box, math.radians(degrees))
    assert found == pytest.approx(bounds)


ROW = st.tuples(*[st.integers(0, 2)] * 2, *[st.sampled_from([0.0, -0.0, 1.5, 2.0, 1e308])] * 4)


@given(st.lists(ROW, max_size=30))
def test_exact_repeats_are_those_that_an_earlier_row_equals(rows):
    columns = np.array(rows, dtype=np.float64).reshape(-1, 6)
    groups = (columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64))
    assert exact_repeats(groups, columns[:, 2:]).tolist() == [row in rows[:number] for number, row in enumerate(rows)]
