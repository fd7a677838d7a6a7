"""The way of a box between original pixels and a family's own space."""

import random
import warnings

import numpy as np
import pytest

from groundswift import families, from_original_px, resized_wh, to_original_px
from groundswift.errors import GroundswiftError
from groundswift.spaces import units_per_side

SIZES_WH = [(1, 1), (1, 150), (7, 3), (28, 28), (333, 500), (641, 479), (1999, 11), (17, 3001), (3000, 4999), (5000, 3000)]
FAMILIES = sorted(families())
RESIZING = [name for name in FAMILIES if families()[name].resize_factor]


def fed_wh(family: str, size_wh: tuple[int, int]) -> tuple[int, int] | None:
    return resized_wh(size_wh, family) if family in RESIZING else None


def some_boxes_px(size_wh: tuple[int, int], count: int = 50) -> np.ndarray:
    """(count, 4) seeded xyxy boxes in an image, fractions included, its corners among them."""
    rng = np.random.default_rng(size_wh)
    sides = np.tile(size_wh, 2)
    corners = rng.uniform(0, 1, (count, 2, 2))
    corners.sort(axis=1)
    return np.concatenate([corners.reshape(-1, 4) * sides, [[0, 0, *size_wh]]])


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back_stays_within_half_a_quantum(family, size_wh):
    fed, boxes_px = fed_wh(family, size_wh), some_boxes_px(size_wh)
    written = from_original_px(boxes_px, family, size_wh, fed)
    assert (written == np.rint(written)).all()
    back = to_original_px(written, family, size_wh, fed)
    half = np.tile(families()[family].quantum_px(size_wh, fed), 2) / 2
    assert (np.abs(back - boxes_px) <= half * (1 + 1e-9)).all()
    assert (from_original_px(back, family, size_wh, fed) == written).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_whole_image_is_the_whole_space(family):
    size_wh = (641, 479)
    fed = fed_wh(family, size_wh)
    whole = {"norm1000": (1000, 1000), "resized_px": fed, "original_px": size_wh}[families()[family].space]
    assert from_original_px([[0, 0, *size_wh]], family, size_wh, fed).tolist() == [[0, 0, *whole]]


def test_rounding_is_that_of_swift():
    """ms-swift 4.6 `Template.normalize_bbox`: `int(round(x / width * norm_width))`, which takes halves to the even number."""
    draw = random.Random(0)
    assert from_original_px([[1, 3, 5, 7]], "qwen2_vl", (2000, 2000)).tolist() == [[0, 2, 2, 4]]
    for _ in range(300):
        size_wh = (draw.choice([16, 400, 1600, 2000, 4000, draw.randint(1, 5000)]), draw.randint(1, 5000))
        box = [draw.randint(0, size_wh[0]), draw.randint(0, size_wh[1])] * 2
        expected = [int(round(value / size_wh[axis % 2] * 1000)) for axis, value in enumerate(box)]
        assert from_original_px([box], "qwen2_vl", size_wh).tolist() == [expected]


def test_sizes_may_be_given_one_a_box():
    sizes = np.array([(640, 480), (100, 700), (33, 77)])
    fed = np.array([resized_wh(tuple(size)) for size in sizes.tolist()])
    boxes_px = np.array([[1, 2, 600, 400], [3, 4, 90, 650], [5, 6, 30, 70]])
    together = from_original_px(boxes_px, "qwen2_5_vl", sizes, fed)
    one_by_one = [from_original_px([box], "qwen2_5_vl", size, own)[0] for box, size, own in zip(boxes_px, sizes, fed, strict=True)]
    assert together.tolist() == np.array(one_by_one).tolist()
    back = to_original_px(together, "qwen2_5_vl", sizes, fed)
    one_by_one = [to_original_px([box], "qwen2_5_vl", size, own)[0] for box, size, own in zip(together, sizes, fed, strict=True)]
    assert back.tolist() == np.array(one_by_one).tolist()


def test_boxes_outside_the_image_are_not_clipped():
    assert to_original_px([[-100, 0, 2000, 500]], "qwen2_vl", (200, 100)).tolist() == [[-20, 0, 400, 50]]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_boxes_stay_no_boxes(family):
    assert to_original_px([], family, (640, 480), (644, 476)).shape == (0, 4)
    assert from_original_px([], family, (640, 480), (644, 476)).shape == (0, 4)


def test_a_declared_space_overrules_the_family():
    assert to_original_px([[0, 0, 500, 1000]], "qwen2_5_vl", (200, 100), space="norm1000").tolist() == [[0, 0, 100, 100]]
    assert to_original_px([[0, 0, 28, 28]], "qwen2_vl", (10, 20), (56, 56), space="resized_px").tolist() == [[0, 0, 5, 10]]
    assert to_original_px([[1, 2, 3, 4]], "qwen2_vl", (10, 20), space="original_px").tolist() == [[1, 2, 3, 4]]
    assert units_per_side("qwen2_vl", (10, 20), None, "original_px").tolist() == [10, 20]


@pytest.mark.parametrize("convert", [to_original_px, from_original_px])
def test_resized_space_without_its_size_is_an_error_that_says_how_to_get_it(convert):
    with pytest.raises(GroundswiftError, match=r"resized_wh must be given: groundswift\.resized_wh"):
        convert([[0, 0, 1, 1]], "qwen2_5_vl", (640, 480))


@pytest.mark.parametrize("convert", [to_original_px, from_original_px])
def test_unknown_names_are_errors_that_list_the_known(convert):
    with pytest.raises(GroundswiftError, match="unknown model family 'qwen9'; expected one of qwen_vl, qwen2_vl"):
        convert([[0, 0, 1, 1]], "qwen9", (640, 480))
    with pytest.raises(GroundswiftError, match="unknown coordinate space 'norm999'; expected one of norm1000, resized_px"):
        convert([[0, 0, 1, 1]], "qwen2_vl", (640, 480), space="norm999")


@pytest.mark.parametrize("convert", [to_original_px, from_original_px])
def test_a_size_of_nothing_is_an_error_not_nan(convert):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(GroundswiftError, match="expected sides of at least 1 px"):
            convert([[0, 0, 1, 1]], "qwen2_vl", (0, 480))
        with pytest.raises(GroundswiftError, match="expected sides of at least 1 px"):
            convert([[0, 0, 1, 1]], "qwen2_5_vl", (640, 480), (0, 28))
