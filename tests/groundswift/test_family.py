"""The table of families, and the size of what a model is fed."""

import random

import pytest

from groundswift import families, resized_wh
from groundswift.errors import GroundswiftError
from groundswift.family import SPACES, family_row
from groundswift.grammars import GRAMMARS


@pytest.mark.parametrize("name", sorted(families()))
def test_a_row_names_what_exists(name):
    row = families()[name]
    assert row.name == name
    assert row.grammar in GRAMMARS
    assert row.space in SPACES
    assert row.source
    assert (row.resize_factor is None) == (row.max_pixels == 0)


def test_families_gives_a_table_of_ones_own():
    families().clear()
    assert "qwen2_vl" in families()


def test_quanta():
    assert families()["qwen2_vl"].quantum_px((500, 2000)) == (0.5, 2.0)
    assert families()["qwen2_5_vl"].quantum_px((640, 480), (320, 960)) == (2.0, 0.5)
    with pytest.raises(GroundswiftError, match="resized_wh must be given"):
        families()["qwen2_5_vl"].quantum_px((640, 480))


def test_an_unknown_family_is_an_error_that_lists_the_known():
    with pytest.raises(GroundswiftError, match="unknown model family 'qwen9'; expected one of qwen_vl, "):
        family_row("qwen9")


def draws(count: int) -> list[tuple[tuple[int, int], int | None, int | None]]:
    """Seeded (size_wh, min_pixels, max_pixels), small and large, thin and square, with and without limits."""
    draw, out = random.Random(7), []
    for _ in range(count):
        size_wh = tuple(int(2 ** draw.uniform(0, 13)) for _ in range(2))
        least = draw.choice([None, None, 56 * 56, 256 * 28 * 28, 3000])
        most = draw.choice([None, None, 1280 * 28 * 28, 1003520, 602112, 5_000_000])
        out.append((size_wh, least, most))
    return out


@pytest.mark.parametrize(("family", "factor"), [("qwen2_vl", 28), ("qwen2_5_vl", 28), ("qwen3_vl", 32)])
def test_resized_wh_is_that_of_qwen_vl_utils(family, factor):
    from qwen_vl_utils.vision_process import smart_resize

    compared = 0
    for (width, height), least, most in draws(1500):
        try:
            high, wide = smart_resize(height, width, factor=factor, min_pixels=least, max_pixels=most)
        except ValueError:  # over 200 times as long as wide
            wide = high = 0
        if min(wide, high) < 1:  # there it asks for an image of no pixels
            with pytest.raises(GroundswiftError):
                resized_wh((width, height), family, least, most)
            continue
        compared += 1
        assert resized_wh((width, height), family, least, most) == (wide, high), (width, height, least, most)
    assert compared > 1000


def test_resized_wh_of_known_images():
    assert resized_wh((640, 480)) == (644, 476)
    assert resized_wh((1, 1)) == (56, 56)
    assert resized_wh((640, 480), "qwen3_vl") == (640, 480)
    assert resized_wh((4000, 3000), max_pixels=1003520) == (1148, 840)


@pytest.mark.parametrize(
    ("size_wh", "options", "message"),
    [
        pytest.param((0, 10), {}, "image of 0x10 px; expected at least 1 px a side", id="no width"),
        pytest.param((-5, 10), {}, "image of -5x10 px", id="negative"),
        pytest.param((201, 1), {}, "aspect ratio of at most 200", id="too thin"),
        pytest.param((10, 10), {"min_pixels": 10_000, "max_pixels": 5_000}, "min_pixels 10000 is over max_pixels 5000", id="limits cross"),
        pytest.param((10, 10), {"min_pixels": 10**9}, "min_pixels 1000000000 is over max_pixels", id="limit crosses the family's own"),
        pytest.param((1000, 10), {"min_pixels": 1, "max_pixels": 3000}, "does not fit max_pixels 3000", id="no room for a side"),
        pytest.param((10, 10), {"family": "qwen_vl"}, "family qwen_vl has no resize", id="family without a resize"),
        pytest.param((10, 10), {"family": "qwen9"}, "unknown model family", id="unknown family"),
    ],
)
def test_resized_wh_says_what_is_wrong(size_wh, options, message):
    with pytest.raises(GroundswiftError, match=message):
        resized_wh(size_wh, **options)


def test_the_thinnest_image_that_is_allowed():
    assert resized_wh((200, 1)) == (196, 28)
