"""Model input size: swift's own resize, then the family's, compared with the original functions."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from groundswift import families, resized_wh
from groundswift.coordinates import limits_in_force
from groundswift.errors import GroundswiftError
from groundswift.image_resize import Limits, fitted_wh, in_whole_tokens, rescaled_wh

RESIZING = sorted(name for name, row in families().items() if row.resize_factor)
SIDES = st.one_of(st.integers(1, 100), st.integers(1, 9000))
AREAS = st.one_of(st.integers(1, 100), st.integers(100, 100_000), st.integers(100_000, 20_000_000))
TOKENS = st.one_of(st.integers(0, 40), st.integers(40, 20_000))


@pytest.mark.swift
@settings(max_examples=600)
@given(st.tuples(SIDES, SIDES), st.sampled_from([28, 32]), AREAS, AREAS)
def test_the_familys_resize_is_that_of_qwen_vl_utils(size_wh, factor, least, most):
    from qwen_vl_utils.vision_process import smart_resize

    width, height = size_wh
    try:
        high, wide = smart_resize(height, width, factor=factor, min_pixels=least, max_pixels=most)
    except (ValueError, AssertionError):  # over 200 times as long as wide; limits that cross
        wide = high = 0
    if min(wide, high) < 1:  # there it asks for an image of no pixels
        with pytest.raises(GroundswiftError):
            fitted_wh(size_wh, factor, least, most)
    else:
        assert fitted_wh(size_wh, factor, least, most) == (wide, high)


@pytest.mark.swift
@settings(max_examples=200)
@given(st.tuples(st.integers(1, 700), st.integers(1, 700)), st.one_of(st.none(), st.integers(-1, 300), st.integers(1, 600_000)))
@example((300, 200), 20_000)  # 173 x 115, not 174 x 116
@example((200, 200), 40_000)
def test_the_first_resize_is_that_of_swift(size_wh, most):
    from swift.template.vision_utils import rescale_image

    try:
        expected = rescale_image(Image.new("1", size_wh), most).size
    except ValueError:  # a side of no pixels
        with pytest.raises(GroundswiftError, match=r"does not fit .* with sides of at least 1 px"):
            rescaled_wh(size_wh, most)
    else:
        assert rescaled_wh(size_wh, most) == expected


@settings(max_examples=150)
@given(st.sampled_from(RESIZING), st.tuples(SIDES, SIDES), TOKENS, TOKENS, st.integers(0, 783), st.one_of(st.none(), AREAS))
def test_both_resizes_follow_each_other_in_whole_tokens(family, size_wh, least, more, rest, first):
    """MIN_PIXELS and MAX_PIXELS reach the model as so many tokens: what is over a whole token does not count."""
    factor = families()[family].resize_factor
    low, high = least * factor**2, (least + more) * factor**2
    try:
        expected = fitted_wh(rescaled_wh(size_wh, first), factor, low, high)
    except GroundswiftError:
        assume(False)
    assert resized_wh(size_wh, family, low + rest, high + rest, first) == expected


def test_whole_tokens():
    assert [in_whole_tokens(pixels, 28) for pixels in (783, 784, 1567, 1568)] == [0, 784, 784, 1568]
    assert limits_in_force(Limits(None, 100_000, 0), "qwen3_vl") == Limits(4096, 99_328, None)
    assert limits_in_force(Limits(5, None, 7), "internvl") == Limits(5, None, 7)


def test_resized_wh_of_known_images():
    assert resized_wh((640, 480)) == (644, 476)
    assert resized_wh((1, 1)) == (56, 56)
    assert resized_wh((200, 1)) == (196, 28)  # the thinnest that is allowed
    assert resized_wh((640, 480), "qwen3_vl") == (640, 480)
    assert resized_wh((4000, 3000), max_pixels=1003520) == (1148, 840)
    assert resized_wh((300, 200), first_max_pixels=20_000) == (168, 112)


@pytest.mark.parametrize(
    ("size_wh", "options", "message"),
    [
        pytest.param((0, 10), {}, "image of 0x10 px; expected at least 1 px per side", id="no width"),
        pytest.param((-5, 10), {}, "image of -5x10 px", id="negative"),
        pytest.param((201, 1), {}, "aspect ratio of at most 200", id="too thin"),
        pytest.param((10, 10), {"min_pixels": 10_192, "max_pixels": 5_488}, "min_pixels 10192 is over max_pixels 5488", id="limits cross"),
        pytest.param((10, 10), {"min_pixels": 10**9}, "min_pixels 999999840 is over max_pixels", id="limit crosses the family's own"),
        pytest.param((1000, 10), {"min_pixels": 1, "max_pixels": 3000}, "does not fit max_pixels 2352", id="no room for a side"),
        pytest.param((10, 10), {"min_pixels": 0, "max_pixels": 783}, "max_pixels 0 has no room for one token of 28x28", id="no room"),
        pytest.param((10, 10), {"family": "qwen_vl"}, "family qwen_vl has no resize", id="family without a resize"),
        pytest.param((10, 10), {"family": "qwen9"}, "unknown model family", id="unknown family"),
    ],
)
def test_resized_wh_says_what_is_wrong(size_wh, options, message):
    with pytest.raises(GroundswiftError, match=message):
        resized_wh(size_wh, **options)
