"""Large JPEGs decoded at a part of their size: never less than is needed, the right way up, with the pixels in their places."""

from __future__ import annotations

import random
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from groundswift.errors import GroundswiftError
from groundswift.images import ORIENTATION_TAG, REDUCED_MARGIN, OpenedImage, open_image, reduced_scale
from orientations import STORED_BY

SIZE_WH = (640, 480)


def scene(size_wh: tuple[int, int]) -> Image.Image:
    """Soft blobs with a hard-edged rectangle, without any symmetry."""
    small = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size_wh, Image.BICUBIC)
    width, height = size_wh
    image.paste((250, 20, 20), (width // 8, height // 8, width // 2, height // 3))
    return image


def encoded(image: Image.Image, kind: str = "JPEG", orientation: int = 1, **options) -> bytes:
    exif, buffer = Image.Exif(), BytesIO()
    exif[ORIENTATION_TAG] = orientation
    image.save(buffer, kind, exif=exif.tobytes(), **{"quality": 95, **options} if kind == "JPEG" else options)
    return buffer.getvalue()


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, int) - np.asarray(other, int)).mean())


def test_a_scale_divides_both_sides_and_leaves_the_margin():
    chosen = random.Random(0)
    found = set()
    for _ in range(5000):
        size_wh = tuple(chosen.choice((1, 2, 4, 8)) * chosen.randint(1, 900) for _ in range(2))
        needed_wh = tuple(max(1, int(side / chosen.uniform(0.3, 30))) for side in size_wh)
        scale = reduced_scale(size_wh, needed_wh)
        found.add(scale)
        sides = list(zip(size_wh, needed_wh, strict=True))
        assert scale == max(n for n in (1, 2, 4, 8) if n == 1 or all(a % n == 0 and a // n >= REDUCED_MARGIN * b for a, b in sides))
    assert found == {1, 2, 4, 8}


@pytest.mark.parametrize("orientation", STORED_BY)
def test_a_reduced_image_is_upright_and_everything_in_its_place(orientation):
    """Not square, and needed in another shape, so that exchanged sides show."""
    method = STORED_BY[orientation]
    data = encoded(scene(SIZE_WH) if method is None else scene(SIZE_WH).transpose(method), orientation=orientation)
    for needed_wh, scale in (((213, 160), 2), ((100, 160), 2), ((106, 80), 4), ((50, 40), 8), ((321, 100), 1)):
        opened = OpenedImage(data)
        assert opened.size_wh == SIZE_WH
        reduced = opened.decode(needed_wh)
        assert (reduced.mode, reduced.size) == ("RGB", (SIZE_WH[0] // scale, SIZE_WH[1] // scale))
        whole = open_image(data).resize(needed_wh, Image.BICUBIC)
        assert mean_difference(reduced.resize(needed_wh, Image.BICUBIC), whole) < 1.5
        assert mean_difference(scene(SIZE_WH).resize(needed_wh, Image.BICUBIC), whole) < 4


def test_what_is_decoded_is_never_below_the_margin():
    chosen = random.Random(1)
    for _ in range(60):
        size_wh = tuple(chosen.choice((1, 2, 8)) * chosen.randint(1, 60) for _ in range(2))
        needed_wh = tuple(max(1, int(side / chosen.uniform(0.5, 20))) for side in size_wh)
        found = OpenedImage(encoded(scene((max(size_wh[0], 8), max(size_wh[1], 8))).resize(size_wh))).decode(needed_wh).size
        assert found == size_wh or all(side >= REDUCED_MARGIN * need for side, need in zip(found, needed_wh, strict=True))
        assert size_wh[0] * found[1] == size_wh[1] * found[0]  # exactly the same aspect


KINDS = {
    "progressive": (lambda image: encoded(image, progressive=True), 2),
    "all colours sampled": (lambda image: encoded(image, subsampling=0), 2),
    "grey": (lambda image: encoded(image.convert("L")), 2),
    "several images in one": (lambda image: encoded(image, "MPO", save_all=True, append_images=[image]), 2),
    "CMYK": (lambda image: encoded(image.convert("CMYK")), 1),
    "PNG": (lambda image: encoded(image, "PNG"), 1),
    "WEBP": (lambda image: encoded(image, "WEBP"), 1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_jpeg_alone_is_reduced(kind):
    make, scale = KINDS[kind]
    data = make(scene(SIZE_WH))
    reduced = OpenedImage(data).decode((200, 150))
    assert (reduced.mode, reduced.size) == ("RGB", (SIZE_WH[0] // scale, SIZE_WH[1] // scale))
    assert mean_difference(reduced.resize((200, 150), Image.BICUBIC), open_image(data).resize((200, 150), Image.BICUBIC)) < 1


def test_an_image_can_be_decoded_again_and_whole(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(scene(SIZE_WH)))
    for source in (tmp_path / "a.jpg", (tmp_path / "a.jpg").read_bytes()):
        opened = OpenedImage(source)
        sizes = [opened.decode(needed).size for needed in ((80, 60), None, (100, 80), (640, 480))]
        assert sizes == [(160, 120), SIZE_WH, (160, 120), SIZE_WH]
        assert opened.decode().tobytes() == open_image(source).tobytes()


def test_errors_are_those_of_an_image_opened_whole(tmp_path):
    whole = encoded(scene(SIZE_WH))
    for name, data in {"cut.jpg": whole[: len(whole) // 2], "text.jpg": b"no image", "empty.jpg": b""}.items():
        (tmp_path / name).write_bytes(data)
        messages = []
        for attempt in (lambda path: open_image(path), lambda path: OpenedImage(path).decode((80, 60))):
            with pytest.raises(GroundswiftError) as error:
                attempt(tmp_path / name)
            messages.append(str(error.value).partition(" (")[0])
        assert messages[0] == messages[1]
    with pytest.raises(GroundswiftError, match="no such image"):
        OpenedImage(tmp_path / "missing.jpg")
    with pytest.raises(GroundswiftError, match="^a URL: not a readable image"):
        OpenedImage(b"no image", "a URL")


def test_the_difference_stays_below_that_of_saving_it_again():
    """At every ratio, for an image with detail at all scales: what a reduced decoding changes, and what JPEG of quality 90 changes."""
    size_wh = (960, 720)
    frequencies = np.hypot(np.fft.fftfreq(size_wh[1])[:, None], np.fft.rfftfreq(size_wh[0])[None])
    frequencies[0, 0] = 1
    noise = np.random.default_rng(0).normal(size=(2, 3, *frequencies.shape))
    waves = np.fft.irfft2((noise[0] + 1j * noise[1]) / frequencies, s=size_wh[::-1])
    image = Image.fromarray((128 + 45 * waves / waves.std()).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
    data = encoded(image, quality=90)
    for ratio in (3, 4, 6, 8, 12):
        needed_wh = (size_wh[0] // ratio, size_wh[1] // ratio)
        whole = open_image(data).resize(needed_wh, Image.BICUBIC)
        reduced = OpenedImage(data).decode(needed_wh)
        assert reduced.size != size_wh
        saved_again = Image.open(BytesIO(encoded(whole, quality=90)))
        assert mean_difference(reduced.resize(needed_wh, Image.BICUBIC), whole) < 0.7 * mean_difference(saved_again, whole)
