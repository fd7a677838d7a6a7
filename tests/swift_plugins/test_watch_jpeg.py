"""JPEGs of `groundswift watch`: as good as Pillow's, and in strips the same pixels as in one piece."""

from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from groundswift.swift_plugins.tools.watch.jpeg import jpeg_of


@pytest.mark.parametrize("size_wh", [(1, 1), (97, 53), (640, 480)])
@pytest.mark.parametrize("quality", [75, 90, 96])
def test_the_jpeg_is_as_good_as_pillows(size_wh, quality, monkeypatch):
    """Below quality 96 simplejpeg has the quicker cosine transform, whatever it is asked for."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size_wh[::-1], 3), dtype=np.uint8)
    ours = Image.open(BytesIO(jpeg_of(pixels, quality)))
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    pillows = Image.open(BytesIO(jpeg_of(pixels, quality)))
    assert ours.size == pillows.size == size_wh
    assert ours.quantization == pillows.quantization
    assert get_sampling(ours) == get_sampling(pillows) == 2
    errors = [float(np.mean((np.asarray(image).astype(int) - pixels) ** 2)) for image in (ours, pillows)]
    assert errors[0] == pytest.approx(errors[1], rel=0.01)
    assert np.array_equal(ours, pillows) is (quality == 96 or size_wh == (1, 1))


def test_an_image_that_jpeg_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="70000x1 px"):
        jpeg_of(np.zeros((1, 70_000, 3), np.uint8), 90)


@given(st.integers(1, 90), st.integers(1, 400), st.integers(2, 12), st.integers(5, 100))
def test_strips_have_the_pixels_of_one_piece(width, height, threads, quality):
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    whole, strips = (Image.open(BytesIO(jpeg_of(pixels, quality, count))) for count in (1, threads))
    assert strips.size == (width, height)
    assert np.array_equal(whole, strips)


@pytest.mark.parametrize(("cpus", "load", "threads"), [(1, 0.0, 1), (2, 0.3, 2), (2, 2.0, 1), (2, 9.0, 1), (12, 3.0, 4)])
def test_a_large_image_is_encoded_in_strips_where_a_cpu_is_idle(monkeypatch, cpus, load, threads):
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    large, small = (np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((1080, 1920), (480, 640)))
    assert jpeg_of(large, 90) == jpeg_of(large, 90, threads)
    assert (jpeg_of(large, 90) == jpeg_of(large, 90, 1)) is (threads == 1)
    assert jpeg_of(small, 90) == jpeg_of(small, 90, 1)
