"""Annotations taken as columns become the same rows as annotations looked at one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswift.coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from groundswift.data_converters.coco import ORDERS, CocoOptions, detection_reading, one_by_one
from groundswift.data_converters.coco_columns import KEYS, items_by_columns
from groundswift.data_converters.faults import Notes
from groundswift.data_converters.fitting import Pictures

CATEGORIES = [CocoCategory(7, "cat"), CocoCategory(3, "dog"), CocoCategory(9, "owl")]
IMAGES = [CocoImage(5, "a.jpg", 40, 30), CocoImage(2, "b.jpg", 40, 30), CocoImage(8, "c.jpg", 20, 50)]
RANKS = {category.id: rank for rank, category in enumerate(CATEGORIES)}
SIDE = st.one_of(
    st.sampled_from([0, 1, 5, 10.25, 19.5, 20, 30, 40]), st.floats(-3, 45, width=32), st.sampled_from([float("nan"), float("inf")])
)
ANNOTATION = st.tuples(
    st.sampled_from([5, 2, 8]), st.sampled_from([7, 3, 9, 9, 4]), st.lists(SIDE, min_size=4, max_size=4), st.sampled_from([0, 0, 0, 1])
)


def annotations_of(values: list[tuple]) -> list[CocoAnnotation]:
    return [CocoAnnotation(image, category, box, id=number, iscrowd=crowd) for number, (image, category, box, crowd) in enumerate(values)]


@given(st.lists(ANNOTATION, max_size=12), st.sampled_from(sorted(ORDERS)), st.sampled_from(["all", "one", "present"]))
@settings(max_examples=300, deadline=None)
def test_columns_and_one_by_one_make_the_same_rows(values, order, classes):
    coco = CocoFile(IMAGES, annotations_of(values), CATEGORIES)
    options = CocoOptions(annotations="memory", order=order, classes=classes, check_images=False, on_error="skip")
    make = detection_reading(coco, options, Pictures("/p", False), Notes("skip")).make
    made = []
    for items in (items_by_columns(coco.images, coco.annotations, RANKS, order), one_by_one(coco, Notes("skip"))):
        notes = Notes("skip")
        rows = [row for item in items for row in make(item, notes)]
        made.append((rows, notes.left_out.counts, notes.left_out.examples))
    assert made[0] == made[1]


def test_good_boxes_are_not_looked_at_one_by_one():
    annotations = annotations_of([(2, 7, [1, 2.5, 3, 4], 0), (5, 3, [0, 0, 40, 30], 0), (2, 3, [0, 0, 1, 1], 0)])
    first, second, third = items_by_columns(IMAGES, annotations, RANKS, "category")
    assert (first.ranks, first.boxes_xyxy_px, first.annotations) == ([1], [[0, 0, 40, 30]], None)
    assert (second.ranks, second.boxes_xyxy_px, second.annotations) == ([0, 1], [[1.0, 2.5, 4.0, 6.5], [0, 0, 1, 1]], None)
    assert (third.ranks, third.annotations) == (None, None)


@pytest.mark.parametrize(
    "annotation",
    [
        pytest.param(CocoAnnotation(6, 7, [1, 1, 1, 1], id=3), id="an image that is not there"),
        pytest.param(CocoAnnotation(5, 7, [1, 1, 1, 1], id=1), id="a repeated id"),
        pytest.param(CocoAnnotation(5, 7, [1, 1, 1, 1]), id="no id"),
        pytest.param(CocoAnnotation(5, 7, [1, 1, 1], id=3), id="three numbers"),
        pytest.param(CocoAnnotation(5, 7, [], id=3), id="no numbers"),
        pytest.param(CocoAnnotation(5, 10**30, [1, 1, 1, 1], id=3), id="a gigantic id"),
    ],
)
def test_what_cannot_be_columns(annotation):
    good = CocoAnnotation(5, 7, [1, 1, 1, 1], id=1)
    assert items_by_columns(IMAGES, [good], RANKS, "category") is not None
    assert items_by_columns(IMAGES, [good, annotation], RANKS, "category") is None


def test_both_ways_know_the_same_orders():
    assert set(KEYS) == set(ORDERS)
