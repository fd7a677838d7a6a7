"""Annotations taken as columns become the same rows as annotations read one by one."""

from __future__ import annotations

import math
import random

import msgspec
import numpy as np
import pytest

from groundswift.coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from groundswift.data_converters.file_io.box_checks import ImageFolder
from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.tasks.annotation_table import ImageItem, ImageItems, columns_of, items_by_columns, ordered
from groundswift.data_converters.tasks.detection import detection_reading
from groundswift.data_converters.tasks.image_objects import ORDERS, one_by_one

CATEGORIES = [CocoCategory(7, "cat"), CocoCategory(3, "dog"), CocoCategory(9, "owl")]
IMAGES = [CocoImage(5, "a.jpg", 40, 30), CocoImage(2, "b.jpg", 40, 30), CocoImage(8, "c.jpg", 20, 50)]
RANKS = {category.id: rank for rank, category in enumerate(CATEGORIES)}
NEAR, ANY = [0, 1, 5, 10.25], [0, 1, 5, 10.25, 19.5, 20, 30, 40, -2.5, 44.1, math.nan, math.inf]
SEEDS = range(60)


def some_annotations(rng: random.Random) -> list[tuple]:
    """(image, category, box, crowd) of up to 12 annotations, of which one in 20 has any box, and one in 25 a category that is not there."""
    boxes = (
        [rng.choice(ANY) for _ in range(4)] if rng.random() < 0.05 else [*rng.choices(NEAR, k=2), *rng.choices([1, 9.5], k=2)]
        for _ in range(rng.randint(0, 12))
    )
    return [(rng.choice([5, 5, 2, 8]), rng.choice([*[7, 3, 9] * 8, 4]), box, int(rng.random() < 0.2)) for box in boxes]


def annotations_of(values: list[tuple]) -> list[CocoAnnotation]:
    return [CocoAnnotation(image, category, box, id=number, iscrowd=crowd) for number, (image, category, box, crowd) in enumerate(values)]


def by_columns(annotations: list[CocoAnnotation], order: str = "category") -> ImageItems | None:
    return items_by_columns(IMAGES, columns_of(annotations), RANKS, order)


@pytest.mark.parametrize("classes", ["all", "one", "present"])
@pytest.mark.parametrize("order", ORDERS)
def test_columns_and_one_by_one_make_the_same_rows(order, classes):
    options = CocoOptions(annotations="memory", order=order, classes=classes, check_images=False, on_error="skip")
    for seed in SEEDS:
        coco = CocoFile(IMAGES, annotations_of(some_annotations(random.Random(seed))), CATEGORIES)
        make = detection_reading(coco, options, ImageFolder("/p", False), IssueLog("skip")).make
        made = []
        for items in (by_columns(coco.annotations, order), one_by_one(coco, IssueLog("skip"))):
            log = IssueLog("skip")
            rows = [row for index in range(len(items)) for row in msgspec.structs.replace(make, items=items)(index, log)]
            made.append((rows, log.counted.counts, log.counted.examples))
        assert made[0] == made[1], seed


@pytest.mark.parametrize("prompts", ["fixed", "sampled"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_block_of_images_makes_the_rows_of_each(order, prompts):
    """With names that lead out of the folder, images without a size, crowds, and problems."""
    options = CocoOptions(annotations="memory", order=order, prompts=prompts, check_images=False, on_error="skip")
    for seed in SEEDS:
        rng = random.Random(seed)
        images = [CocoImage(number, rng.choice([f"{number}.jpg", f"a/{number}.jpg"]), 40, 30) for number in (5, 2, 8)]
        images += [CocoImage(9, "../9.jpg", 40, 30), CocoImage(11, "11.jpg", 0, 30)][: rng.randint(0, 2)]
        coco = CocoFile(images, annotations_of(some_annotations(rng)), CATEGORIES)
        make = detection_reading(coco, options, ImageFolder("/p", False), IssueLog("skip")).make
        make = msgspec.structs.replace(make, items=items_by_columns(images, columns_of(coco.annotations), RANKS, order))
        start, one, many = rng.randint(0, 2), IssueLog("skip"), IssueLog("skip")
        wanted = range(start, len(images), rng.choice([1, 2]))
        expected = [msgspec.json.encode(row) for index in wanted for row in make(index, one)]
        assert [msgspec.json.encode(row) for row in make.many(list(wanted), many)] == expected, seed
        assert (many.counted.counts, many.counted.examples) == (one.counted.counts, one.counted.examples), seed


def test_valid_boxes_are_not_checked_one_by_one():
    crowd = CocoAnnotation(2, 3, [0.0, 0.0, 5.0, 5.0], id=9, iscrowd=1)
    values = [(2, 7, [1, 2.5, 3, 4], 0), (5, 3, [0, 0, 40, 30], 0), (2, 3, [0, 0, 1, 1], 0), (8, 3, [9, 9, -1, 1], 0)]
    first, second, third = by_columns([*annotations_of(values), crowd])
    assert first == ImageItem(IMAGES[0], None, [1], [[0, 0, 40, 30]])
    assert second == ImageItem(IMAGES[1], None, [0, 1], [[1, 2.5, 4, 6.5], [0, 0, 1, 1]], [crowd])
    assert third == ImageItem(IMAGES[2], [CocoAnnotation(8, 3, [9.0, 9.0, -1.0, 1.0], id=3)])
    assert [str(value) for box in second.boxes_xyxy_px for value in box] == ["1", "2.5", "4", "6.5", "0", "0", "1", "1"]


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_is_that_of_plain_sorting(order):
    """Positions that are equal, or differ in the last bit."""
    keys = {"category": lambda n: (values[n][1], values[n][3], values[n][2]), "annotation": lambda n: ()}
    keys["reading"] = lambda n: (values[n][3], values[n][2], values[n][1])
    for seed in SEEDS:
        rng = random.Random(seed)
        near = [0.0, 3.0, 3.0000000000000004, 3.1, 1e9 if seed % 2 else 4.0, rng.uniform(0, 640)]
        values = [(rng.randint(0, 2), rng.randint(0, 2), *rng.choices(near, k=2)) for _ in range(rng.randint(0, 30))]
        expected = sorted(range(len(values)), key=lambda n: (values[n][0], keys[order](n)))
        columns = (np.array([value[part] for value in values], kind) for part, kind in enumerate((int, int, float, float)))
        assert ordered(*columns, order).tolist() == expected, seed


@pytest.mark.parametrize(
    "annotation",
    [
        pytest.param(CocoAnnotation(6, 7, [1, 1, 1, 1], id=3), id="an image that is not there"),
        pytest.param(CocoAnnotation(5, 7, [1, 1, 1, 1], id=1), id="a repeated id"),
    ],
)
def test_what_cannot_be_joined(annotation):
    good = CocoAnnotation(5, 7, [1, 1, 1, 1], id=1)
    assert by_columns([good]) is not None
    assert by_columns([good, annotation]) is None
