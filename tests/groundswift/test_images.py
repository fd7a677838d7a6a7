"""Pictures of every kind that Pillow reads, the same upright whatever their EXIF orientation, sized without decoding."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from groundswift.errors import GroundswiftError
from groundswift.images import ORIENTATION_TAG, open_image, read_size_wh, upright
from orientations import STORED_BY

SIZE_WH = (48, 32)


def quarters() -> Image.Image:
    """An upright picture without any symmetry: four quarters of four colours, on the grid of JPEG blocks."""
    picture = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    picture[:16, :24], picture[:16, 24:], picture[16:, :24], picture[16:, 24:] = (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250)
    return Image.fromarray(picture)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned_file(orientation: int, kind: str = "JPEG") -> bytes:
    """A file that stores the picture turned and says so in its EXIF."""
    method, exif = STORED_BY[orientation], Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    stored = quarters() if method is None else quarters().transpose(method)
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    return encoded(stored, kind, exif=exif.tobytes(), **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED_BY)
def test_a_picture_is_upright_whatever_its_orientation(orientation, kind, tmp_path):
    path = tmp_path / f"picture.{kind.lower()}"
    path.write_bytes(turned_file(orientation, kind))
    assert read_size_wh(path) == (SIZE_WH, orientation)
    opened = open_image(path)
    assert (opened.mode, opened.size) == ("RGB", SIZE_WH)
    centres = [(12, 8), (36, 8), (12, 24), (36, 24)]
    assert [tuple(value > 125 for value in opened.getpixel(at)) for at in centres] == [
        tuple(value > 125 for value in quarters().getpixel(at)) for at in centres
    ]
    assert upright(opened).tobytes() == opened.tobytes()  # the tag is gone: a second time turns nothing
    assert open_image(path.read_bytes()).tobytes() == opened.tobytes()


def test_the_eight_jpegs_open_as_one_picture():
    pictures = [np.asarray(open_image(turned_file(orientation)), int) for orientation in STORED_BY]
    assert all(np.abs(picture - pictures[0]).max() <= 8 for picture in pictures)


def tag(kind: int, count: int, value: bytes) -> bytes:
    """EXIF with an orientation tag of another kind than it should have."""
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01" + struct.pack("<HI", kind, count) + value.ljust(4, b"\0") + b"\0" * 4


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "exif",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"Exif\0\0garbage", id="garbage"),
        pytest.param(b"Exif\0\0II*\0\xff\xff\xff\x00", id="points past its end"),
        pytest.param(tag(3, 1, b"\6")[:20], id="cut"),
        pytest.param(tag(3, 1, b"\x09"), id="orientation 9"),
        pytest.param(tag(3, 1, b"\0"), id="orientation 0"),
        pytest.param(tag(2, 4, b"abc"), id="orientation is text"),
    ],
)
def test_an_orientation_that_is_none_counts_as_upright(exif):
    data = encoded(quarters(), "JPEG", exif=exif)
    assert read_size_wh(data) == (SIZE_WH, 1)
    assert open_image(data).size == SIZE_WH


@pytest.mark.parametrize(
    ("image", "kind", "colour"),
    [
        pytest.param(Image.new("RGB", SIZE_WH, (10, 20, 30)), "PNG", (10, 20, 30), id="png without exif"),
        pytest.param(Image.new("RGBA", SIZE_WH, (10, 20, 30, 0)), "PNG", (10, 20, 30), id="alpha is dropped, as swift drops it"),
        pytest.param(Image.new("CMYK", SIZE_WH, (0, 255, 255, 0)), "TIFF", (255, 0, 0), id="cmyk"),
        pytest.param(Image.new("L", SIZE_WH, 77), "PNG", (77, 77, 77), id="grey"),
        pytest.param(Image.new("1", SIZE_WH, 1), "PNG", (255, 255, 255), id="one bit"),
        pytest.param(Image.fromarray(np.full(SIZE_WH[::-1], 40000, np.uint16)), "PNG", (156, 156, 156), id="16 bits"),
        pytest.param(Image.fromarray(np.full(SIZE_WH[::-1], 40000, np.uint16)), "TIFF", (156, 156, 156), id="16 bits, tiff"),
        pytest.param(
            Image.frombytes("I;16B", SIZE_WH, b"\x9c\x40" * SIZE_WH[0] * SIZE_WH[1]), "TIFF", (156, 156, 156), id="16 bits, big end first"
        ),
        pytest.param(Image.new("RGB", SIZE_WH, (0, 128, 255)).quantize(4), "PNG", (0, 128, 255), id="palette"),
        pytest.param(Image.new("RGB", SIZE_WH, (0, 128, 255)).quantize(4), "GIF", (0, 128, 255), id="gif"),
    ],
)
def test_every_mode_becomes_rgb(image, kind, colour):
    data = encoded(image, kind)
    assert read_size_wh(data) == (SIZE_WH, 1)
    assert (open_image(data).mode, open_image(data).getpixel((5, 5))) == ("RGB", colour)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_size_is_read_from_the_header_alone(kind, tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8))
    whole = encoded(noise, kind)
    path = tmp_path / "cut"
    path.write_bytes(whole[: len(whole) // 50])
    assert read_size_wh(path) == ((400, 300), 1)
    with pytest.raises(GroundswiftError, match=r"cut: broken image \(OSError: .*truncated"):
        open_image(path)


def test_a_tag_behind_the_pixels_counts_neither_for_the_size_nor_for_the_picture():
    """PNG wants its eXIf before the pixels; reading it behind them would mean decoding every file for its size."""
    exif = tag(3, 1, b"\6")[6:]
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    plain = encoded(quarters(), "PNG")
    late = plain[:-12] + chunk + plain[-12:]
    assert read_size_wh(late) == (SIZE_WH, 1)
    assert open_image(late).tobytes() == quarters().tobytes()


@pytest.mark.parametrize("read", [read_size_wh, open_image])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.jpg", "no such image"),
        ("notes.jpg", "not a readable image"),
        ("empty.jpg", "not a readable image"),
        ("folder", "not a readable image"),
    ],
)
def test_what_is_no_picture_is_an_error_that_names_it(read, name, message, tmp_path):
    (tmp_path / "notes.jpg").write_text("these are words")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(GroundswiftError, match=f"{name}: {message}"):
        read(tmp_path / name)


@pytest.mark.parametrize("read", [read_size_wh, open_image])
def test_bytes_that_are_no_picture_are_an_error(read):
    with pytest.raises(GroundswiftError, match="<bytes>: not a readable image"):
        read(b"these are words")


def test_a_file_is_closed_again(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(quarters(), "PNG"))
    with pytest.MonkeyPatch.context() as patch:
        opened = []
        patch.setattr(Image, "open", lambda source, real=Image.open: opened.append(real(source)) or opened[-1])
        read_size_wh(path), open_image(path)
    assert [image.fp for image in opened] == [None, None]
