"""Boxes in another space than declared are explained; boxes that are merely wrong are not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from groundswift.eval.answers.space_check import BoxSample, explain_mismatch

CLASSES = 2


def objects(images: int, per_image: int, seed: int = 0, one_size: bool = False):
    """(ground-truth boxes xyxy in px, groups, image sizes of the boxes, generator)."""
    random = np.random.default_rng(seed)
    sizes = np.tile((640, 480), (images, 1)) if one_size else random.integers(200, 1500, (images, 2))
    image = np.repeat(np.arange(images), per_image)
    size = sizes[image]
    return boxes_in(size, random), image * CLASSES + random.integers(0, CLASSES, len(image)), size, random


def boxes_in(size, random):
    middle, side = random.uniform(0.15, 0.85, size.shape) * size, random.uniform(0.05, 0.4, size.shape) * size
    return np.clip(np.hstack([middle - side / 2, middle + side / 2]), 0, np.tile(size, 2))


def explained(placed, size, groups, truth, written=None):
    found = explain_mismatch(BoxSample(placed if written is None else written, placed, size, groups), truth, groups)
    return None if found is None else found.reading


def noisy(boxes, random, share=0.05):
    return boxes + random.normal(0, share, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


SWAP = [1, 0, 3, 2]
OTHER_SPACES = {  # -> (numbers as written, boxes as placed), from boxes in px and sizes
    "thousandths declared px": (lambda b, t: (b / t * 1000, b / t * 1000), r"norm1000 \("),
    "px declared thousandths": (lambda b, t: (b, b * t / 1000), r"original_px \("),
    "fractions declared thousandths": (lambda b, t: (b / t, b / 1000), r"fractions \("),
    "fractions declared px": (lambda b, t: (b / t, b / t), r"fractions \("),
    "percent declared px": (lambda b, t: (b / t * 100, b / t * 100), r"percent \("),
    "y first in px": (lambda b, t: (b[:, SWAP], b[:, SWAP]), "x and y swapped"),
    "y first in thousandths": (lambda b, t: ((b / t * 1000)[:, SWAP], (b / t)[:, SWAP] * t), "x and y swapped"),
    "y first in thousandths declared px": (lambda b, t: ((b / t * 1000)[:, SWAP],) * 2, r"norm1000 .* with x and y swapped"),
    "twice as large": (lambda b, t: (b * 2, b * 2), r"multiplied by 0\.(5|49|50)\d?$"),
    "a third as large, thousandths": (lambda b, t: (b / t * 1000 / 3, b / 3), r"multiplied by (3|2\.9\d|3\.0\d)$"),
    "stretched to 448x448": (lambda b, t: (b / t * 448, b / t * 448), r"resized to 4[345]\dx4[345]\d|x multiplied by .* and y by"),
    "longer side of 333": (
        lambda b, t: (b / t.max(axis=1, keepdims=True) * 333,) * 2,
        r"longer side of 3[234]\d|multiplied by",
    ),
    "an area of 90,000 px": (
        lambda b, t: (b / np.sqrt(t[:, :1] * t[:, 1:2]) * 300,) * 2,
        r"an area of about (8|9)\d{4} px|multiplied by",
    ),
    "corners for width and height": (lambda b, t: (np.hstack([b[:, :2], b[:, :2] + b[:, 2:]]),) * 2, "in place of x, y, width, height"),
}


@pytest.mark.parametrize("name", OTHER_SPACES)
@pytest.mark.parametrize("one_size", [False, True], ids=["sizes", "one size"])
@pytest.mark.parametrize("images", [4, 30, 900])
def test_another_space_is_named(name, one_size, images):
    written_and_placed, message = OTHER_SPACES[name]
    truth, groups, size, random = objects(images, 3, seed=images, one_size=one_size)
    written, placed = written_and_placed(noisy(truth, random), np.tile(size, 2).astype(float))
    assert re.search(message, explained(placed, size, groups, truth, written) or "nothing")


WRONG = {
    "right": lambda b, size, random: b,
    "noisy": lambda b, size, random: noisy(b, random, 0.3),
    "random": lambda b, size, random: boxes_in(size, random),
    "offset in px": lambda b, size, random: b + np.tile(random.normal(0, 100, 2), 2),
    "offset in shares": lambda b, size, random: b + np.tile(random.normal(0, 0.2, 2), 2) * np.tile(size, 2),
    "each offset by itself": lambda b, size, random: b + np.tile(random.normal(0, 60, (len(b), 2)), 2),
    "one place for all": lambda b, size, random: np.tile(boxes_in(size[:1], random), (len(b), 1)),
    "the whole image": lambda b, size, random: np.hstack([0 * size, size]).astype(float),
    "too large": lambda b, size, random: b + np.tile(b[:, 2:] - b[:, :2], 2) * [-0.5, -0.5, 0.5, 0.5],
    "too small": lambda b, size, random: b + np.tile(b[:, 2:] - b[:, :2], 2) * [0.3, 0.3, -0.3, -0.3],
    "no area": lambda b, size, random: b * 0,
    "endless": lambda b, size, random: b + np.inf,
}


@pytest.mark.long
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("one_size", [False, True], ids=["sizes", "one size"])
@pytest.mark.parametrize(("images", "per_image"), [(1, 1), (1, 8), (3, 2), (12, 1), (40, 4)])
def test_no_false_alarm(name, one_size, images, per_image):
    for seed in range(6):
        truth, groups, size, random = objects(images, per_image, seed, one_size)
        assert explained(WRONG[name](truth, size, random), size, groups, truth) is None, seed


@pytest.mark.parametrize("scale", [0.5, 2, 0.25])
def test_objects_that_all_lie_in_one_place_tell_nothing(scale):
    """A model that always answers one wrong box is off by one scale there, whatever the cause."""
    size = np.tile((640, 480), (40, 1))
    truth = np.tile([200.0, 150, 300, 260], (40, 1)) + np.random.default_rng(0).normal(0, 2, (40, 4))
    assert explained(np.tile([200.0, 150, 300, 260], (40, 1)) * scale, size, np.arange(40), truth) is None


@pytest.mark.parametrize("count", [1, 2, 4])
def test_too_few_boxes_tell_nothing(count):
    truth, groups, size, _ = objects(count, 1)
    assert explained(truth[:, SWAP], size, groups, truth) is None


def test_a_weak_model_is_enough_where_there_are_many_boxes():
    """A third of the boxes fit in pixels, none as thousandths."""
    truth, groups, size, random = objects(100, 3)
    guessed = np.where(random.random((len(truth), 1)) < 0.35, truth, boxes_in(size, random))
    assert explained(guessed * np.tile(size, 2) / 1000, size, groups, truth, guessed).startswith("original_px")


def test_without_a_common_group_or_any_box():
    truth, groups, size, _ = objects(10, 2)
    assert explain_mismatch(BoxSample(truth, truth, size, groups + 1000), truth, groups) is None
    empty = np.zeros((0, 4))
    none = np.zeros(0, dtype=np.int64)
    assert explain_mismatch(BoxSample(empty, empty, np.zeros((0, 2), dtype=np.int64), none), truth, groups) is None


def test_the_sentence():
    truth, groups, size, _ = objects(30, 3)
    said = explain_mismatch(BoxSample(truth, truth * np.tile(size, 2) / 1000, size, groups), truth, groups).text()
    assert re.search(r"\d+ of \d+ match their object as declared, \d+ would as original_px \(pixels of the image\)\. The score uses", said)
