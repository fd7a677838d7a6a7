"""Grey images of more than 8 bits become 8 bits by a known scale, or are refused in words."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groundswift.errors import GroundswiftError
from groundswift.image_depth import is_deep, to_8_bits
from groundswift.images import open_image

RAMP = np.linspace(0, 1, 40 * 30).reshape(30, 40)


def tiff(values: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    return buffer.getvalue()


def grey(data: bytes | Path) -> np.ndarray:
    return np.asarray(open_image(data))[..., 0].astype(int)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param((RAMP * 65535).astype(np.int32), RAMP * 65535 // 256, id="I of 16 bits, scaled as I;16"),
        pytest.param((RAMP * 255).astype(np.int32), RAMP * 255 // 1, id="I of 8 bits"),
        pytest.param(np.zeros((30, 40), np.int32), RAMP * 0, id="I, all black"),
        pytest.param(np.full((30, 40), 40000, np.int32), RAMP * 0 + 156, id="I, constant"),
        pytest.param(RAMP.astype(np.float32), np.rint(RAMP * 255), id="F, fractions"),
        pytest.param((RAMP * 255).astype(np.float32), np.rint(RAMP * 255), id="F, levels"),
        pytest.param((RAMP * 65535).astype(np.float32), np.rint(np.minimum(RAMP * 65535 / 256, 255)), id="F, 16 bits"),
        pytest.param(np.full((30, 40), 0.5, np.float32), RAMP * 0 + 128, id="F, constant fraction"),
        pytest.param(np.full((30, 40), 7, np.float32), RAMP * 0 + 7, id="F, dark whole levels"),
        pytest.param(np.ones((30, 40), np.float32), RAMP * 0 + 255, id="F, white"),
    ],
)
def test_a_known_scale_keeps_the_image(values, expected):
    assert is_deep(Image.fromarray(values).mode)
    assert np.abs(grey(tiff(values)) - expected.astype(int)).max() <= 1


def test_whole_values_in_32_bits_look_as_they_do_in_16():
    values = (RAMP * 65535).astype(np.uint16)
    assert np.array_equal(grey(tiff(values.astype(np.int32))), grey(tiff(values)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param(np.full((3, 4), -1, np.int32), "its values are -1 to -1", id="I below 0"),
        pytest.param(np.full((3, 4), 65536, np.int32), "its values are 65536 to 65536", id="I above 16 bits"),
        pytest.param(np.full((3, 4), -0.5, np.float32), "its values are -0.5 to -0.5", id="F below 0"),
        pytest.param(np.full((3, 4), 1.5, np.float32), "its values are 1.5 to 1.5", id="F, a little over 1"),
        pytest.param(np.full((3, 4), 300.5, np.float32), "its values are 300.5", id="F between two scales"),
        pytest.param(np.full((3, 4), 1e9, np.float32), "its values are 1e+09", id="F, huge"),
        pytest.param(np.full((3, 4), np.nan, np.float32), "its values are not all finite", id="NaN"),
        pytest.param(np.array([[0.5, np.inf]], np.float32), "its values are not all finite", id="infinite"),
    ],
)
def test_values_without_a_known_scale_are_refused_with_the_file(tmp_path, values, said):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(values))
    with pytest.raises(GroundswiftError) as raised:
        open_image(path)
    assert str(raised.value).startswith(f"{path}: {said}")
    assert "no scale to 8 bits is known" in str(raised.value)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_images_are_exif_rotated_too(orientation):
    values = (RAMP * 65535).astype(np.int32)
    exif, buffer, plain = Image.Exif(), BytesIO(), BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(values).save(buffer, "TIFF", exif=exif)
    Image.fromarray((values // 256).astype(np.uint8)).save(plain, "TIFF", exif=exif)
    assert np.array_equal(grey(buffer.getvalue()), grey(plain.getvalue()))


def test_dark_16_bits_of_a_png_stay_dark_where_pillow_opens_them_as_i():
    dark = Image.fromarray(np.full((3, 4), 200, np.int32))
    assert [np.asarray(to_8_bits(dark, name)).max() for name in ("PNG", "PPM")] == [0, 0]
    assert np.asarray(to_8_bits(dark, "TIFF")).max() == 200
