"""The way of a box between original pixels and a space."""

import random

import numpy as np
import pytest
from PIL import Image

from groundswift import families, from_original_px, resized_wh, to_original_px
from groundswift.errors import GroundswiftError
from groundswift.images import padded_to_square
from groundswift.spaces import SPACES, space_row, square_margins

SIZES_WH = [(1, 1), (1, 150), (7, 3), (28, 28), (333, 500), (641, 479), (1999, 11), (17, 3001), (3000, 4999), (5000, 3000)]
FAMILIES = sorted(families())
RESIZING = [name for name in FAMILIES if families()[name].resize_factor]


def model_input_wh(family: str, size_wh: tuple[int, int]) -> tuple[int, int] | None:
    return resized_wh(size_wh, family) if family in RESIZING else None


def some_boxes_px(size_wh: tuple[int, int], count: int = 50) -> np.ndarray:
    """(count, 4) seeded xyxy boxes in an image, fractions included, its corners among them."""
    rng = np.random.default_rng(size_wh)
    sides = np.tile(size_wh, 2)
    corners = rng.uniform(0, 1, (count, 2, 2))
    corners.sort(axis=1)
    return np.concatenate([corners.reshape(-1, 4) * sides, [[0, 0, *size_wh]]])


def test_every_space_has_a_family():
    """So that the tests over families below are tests of every space."""
    assert {families()[name].space for name in FAMILIES} == set(SPACES)


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back_stays_within_half_a_quantum(family, size_wh):
    input_wh, boxes_px = model_input_wh(family, size_wh), some_boxes_px(size_wh)
    space = space_row(families()[family].space)
    written = from_original_px(boxes_px, family, size_wh, input_wh)
    digits = written * 10**space.decimals
    assert np.allclose(digits, np.rint(digits), rtol=0, atol=1e-9)
    assert (written >= 0).all()
    assert space.largest is None or (written <= space.largest).all()
    back = to_original_px(written, family, size_wh, input_wh)
    assert (from_original_px(back, family, size_wh, input_wh) == written).all()
    half = np.tile(families()[family].quantum_px(size_wh, input_wh), 2) / 2
    thin = (written[:, :2] == written[:, 2:]).any(axis=1) if space.rounding == "cells" else np.zeros(len(written), dtype=bool)
    assert (np.abs(back - boxes_px)[~thin] <= half * (1 + 1e-9)).all()
    assert (np.abs(back - boxes_px)[thin] <= 2 * half * (1 + 1e-9)).all()  # a box within one row or column means its whole cells
    assert thin.mean() < 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_the_whole_image_is_the_whole_space(family):
    size_wh = (641, 479)
    input_wh = model_input_wh(family, size_wh)
    whole = {
        "norm1000": [0, 0, 1000, 1000],
        "norm999": [0, 0, 999, 999],
        "norm1023": [0, 0, 1023, 1023],
        "bins1000": [0, 0, 999, 999],
        "cells32": [0, 0, 31, 31],
        "percent": [0, 0, 100, 100],
        "square_2": [0, 0.13, 1, 0.87],  # 81 px are added above, so the image is from 81 to 560 of 641
        "square_3": [0, 0.126, 1, 0.874],
        "resized_px": [0, 0, *(input_wh or ())],
        "original_px": [0, 0, *size_wh],
    }
    assert from_original_px([[0, 0, *size_wh]], family, size_wh, input_wh).tolist() == [whole[families()[family].space]]


@pytest.mark.parametrize(
    ("space", "box_px", "size_wh", "written"),
    [
        pytest.param("norm999", [100, 50, 400, 400], (400, 400), [250, 125, 999, 999], id="norm999 multiplies by 999"),
        pytest.param("norm1023", [100, 50, 400, 400], (400, 400), [256, 128, 1023, 1023], id="norm1023 multiplies by 1023"),
        pytest.param("bins1000", [0.9, 1, 1.9, 1000], (1000, 1000), [0, 1, 1, 999], id="a bin is the floor, and the last one is closed"),
        pytest.param("percent", [1, 2, 500.4, 999.6], (1000, 1000), [0.1, 0.2, 50, 100], id="percent has one decimal"),
        pytest.param("square_2", [0, 0, 200, 100], (200, 100), [0, 0.25, 1, 0.75], id="wide image: margins above and below"),
        pytest.param("square_3", [0, 0, 100, 200], (100, 200), [0.25, 0, 0.75, 1], id="high image: margins left and right"),
        pytest.param("square_3", [0, 0, 4, 7], (4, 7), [0.143, 0, 0.714, 1], id="an odd margin is rounded down: 1 left, 2 right"),
        pytest.param("original_px", [1.4, 2.6, 3, 4], (9, 9), [1, 3, 3, 4], id="pixels of the file are whole"),
    ],
)
def test_known_boxes(space, box_px, size_wh, written):
    assert from_original_px([box_px], "qwen2_vl", size_wh, space=space).tolist() == [written]


def drawn_boxes_of_one(count: int) -> list[list[float]]:
    """Seeded xyxy boxes in an image of side 1, some of them thin."""
    rng = np.random.default_rng(32)
    corners = rng.uniform(0, 1, (count, 2, 2))
    corners[::5, 1] = np.clip(corners[::5, 0] + rng.uniform(0.001, 0.03, (len(corners[::5]), 2)), 0, 1)
    corners.sort(axis=1)
    return corners.reshape(-1, 4).tolist()


@pytest.mark.swift
def test_cells_are_those_of_kosmos_2():
    """`coordinate_to_patch_index` and `patch_index_to_coordinate` of transformers: cells of 1/32, numbered row by row."""
    from transformers.models.kosmos2.processing_kosmos2 import coordinate_to_patch_index, patch_index_to_coordinate

    thin = 0
    for box in drawn_boxes_of_one(500):
        upper, lower = coordinate_to_patch_index(tuple(box), 32)
        cells = from_original_px([box], "kosmos2", (1, 1))[0].tolist()
        assert [cells[0] + 32 * cells[1], cells[2] + 32 * cells[3]] == [upper, lower], box
        back = to_original_px([cells], "kosmos2", (1, 1))[0]
        assert back == pytest.approx(patch_index_to_coordinate(upper, lower, 32), abs=1e-12), box
        thin += cells[0] == cells[2] or cells[1] == cells[3]
    assert thin > 20


@pytest.mark.parametrize("size_wh", [(64, 64), (64, 33), (33, 64), (7, 64), (64, 1)])
def test_the_padded_square_is_the_one_that_images_are_padded_to(size_wh):
    """LLaVA's `expand2square` pastes at ((width - height) // 2, ...): a white image on black shows its place."""
    square = np.array(padded_to_square(Image.new("RGB", size_wh, "white"), (0, 0, 0)))[..., 0]
    rows, columns = np.flatnonzero(square.any(axis=1)), np.flatnonzero(square.any(axis=0))
    side = max(size_wh)
    assert square.shape == (side, side)
    assert square_margins(size_wh).tolist() == [columns[0], rows[0]] == [(side - size_wh[0]) // 2, (side - size_wh[1]) // 2]
    edges = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / side
    assert from_original_px([[0, 0, *size_wh]], "shikra", size_wh)[0] == pytest.approx(edges, abs=0.0005 + 1e-9)


def test_rounding_is_that_of_swift():
    """ms-swift 4.6 `Template.normalize_bbox`: `int(round(x / width * norm_width))`, which takes halves to the even number."""
    draw = random.Random(0)
    assert from_original_px([[1, 3, 5, 7]], "qwen2_vl", (2000, 2000)).tolist() == [[0, 2, 2, 4]]
    for _ in range(300):
        size_wh = (draw.choice([16, 400, 1600, 2000, 4000, draw.randint(1, 5000)]), draw.randint(1, 5000))
        box = [draw.randint(0, size_wh[0]), draw.randint(0, size_wh[1])] * 2
        expected = [int(round(value / size_wh[axis % 2] * 1000)) for axis, value in enumerate(box)]
        assert from_original_px([box], "qwen2_vl", size_wh).tolist() == [expected]


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "florence2", "kosmos2", "llava", "shikra", "molmo"])
def test_sizes_may_be_given_one_a_box(family):
    sizes = np.array([(640, 480), (100, 700), (33, 77)])
    input_wh = np.array([resized_wh(tuple(size)) for size in sizes.tolist()])
    boxes = np.array([[1, 2, 600, 400], [3, 4, 90, 650], [5, 6, 30, 70]])
    for convert in (from_original_px, to_original_px):
        one_by_one = [convert([box], family, size, own)[0].tolist() for box, size, own in zip(boxes, sizes, input_wh, strict=True)]
        boxes = convert(boxes, family, sizes, input_wh)
        assert boxes.tolist() == one_by_one


def test_boxes_outside_the_image_are_not_clipped_and_a_bin_means_its_middle():
    assert to_original_px([[0, 10, 500, 999]], "florence2", (1000, 2000)).tolist() == [[0.5, 21, 500.5, 1999]]
    assert to_original_px([[-100, 0, 2000, 500]], "qwen2_vl", (200, 100)).tolist() == [[-20, 0, 400, 50]]
    assert from_original_px([[-20, 0, 400, 50]], "qwen2_vl", (200, 100)).tolist() == [[-100, 0, 2000, 500]]


@pytest.mark.parametrize("family", ["florence2", "kosmos2"])
def test_there_are_no_bins_and_cells_outside_the_image(family):
    largest = space_row(families()[family].space).largest
    assert from_original_px([[-20, -1, 400, 101]], family, (200, 100)).tolist() == [[0, 0, largest, largest]]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_boxes_stay_no_boxes(family):
    assert to_original_px([], family, (640, 480), (644, 476)).shape == (0, 4)
    assert from_original_px([], family, (640, 480), (644, 476)).shape == (0, 4)


def test_a_declared_space_overrules_the_family():
    assert to_original_px([[0, 0, 500, 1000]], "qwen2_5_vl", (200, 100), space="norm1000").tolist() == [[0, 0, 100, 100]]
    assert to_original_px([[0, 0, 28, 28]], "qwen2_vl", (10, 20), (56, 56), space="resized_px").tolist() == [[0, 0, 5, 10]]
    assert to_original_px([[1, 2, 3, 4]], "qwen2_vl", (10, 20), space="original_px").tolist() == [[1, 2, 3, 4]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("convert", [to_original_px, from_original_px])
@pytest.mark.parametrize(
    ("family", "size_wh", "more", "message"),
    [
        ("qwen2_5_vl", (640, 480), {}, r"resized_wh must be given: groundswift\.resized_wh"),
        ("qwen9", (640, 480), {}, "unknown model family 'qwen9'; expected one of qwen_vl, qwen2_vl"),
        ("qwen2_vl", (640, 480), {"space": "norm9"}, "unknown coordinate space 'norm9'; expected one of norm1000, norm999"),
        ("qwen2_vl", (0, 480), {}, "expected sides of at least 1 px"),
        ("qwen2_5_vl", (640, 480), {"resized_wh": (0, 28)}, "expected sides of at least 1 px"),
    ],
)
def test_what_cannot_be_converted_is_an_error_that_says_what_is_expected(convert, family, size_wh, more, message):
    with pytest.raises(GroundswiftError, match=message):
        convert([[0, 0, 1, 1]], family, size_wh, **more)


def test_placing_is_the_usual_arithmetic_to_the_last_bit():
    """An IoU may be exactly at a threshold: another order of the same operations would move it over."""
    written = np.random.default_rng(0).integers(0, 1001, (2000, 4)).astype(float)
    for size_wh in [(640, 480), (333, 500), (427, 641)]:
        usual = written * np.array([*size_wh, *size_wh]) / 1000
        assert (to_original_px(written, "qwen2_vl", size_wh) == usual).all()
        assert (to_original_px(written, "qwen2_vl", np.tile(size_wh, (len(written), 1))) == usual).all()
