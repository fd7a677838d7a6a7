"""Images of every kind that Pillow reads, the same upright whatever their EXIF orientation, sized without decoding."""

import os
import socket
import struct
import subprocess
import sys
import warnings
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
    """An upright image without any symmetry: four quarters of four colours, on the grid of JPEG blocks."""
    pixels = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    pixels[:16, :24], pixels[:16, 24:], pixels[16:, :24], pixels[16:, 24:] = (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif_rotated_file(orientation: int, kind: str = "JPEG") -> bytes:
    """A file that stores the image rotated, with its EXIF orientation."""
    method, exif = STORED_BY[orientation], Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    stored = quarters() if method is None else quarters().transpose(method)
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    return encoded(stored, kind, exif=exif.tobytes(), **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED_BY)
def test_an_image_is_upright_whatever_its_orientation(orientation, kind, tmp_path):
    path = tmp_path / f"image.{kind.lower()}"
    path.write_bytes(exif_rotated_file(orientation, kind))
    assert read_size_wh(path) == (SIZE_WH, orientation)
    opened = open_image(path)
    assert (opened.mode, opened.size) == ("RGB", SIZE_WH)
    centres = [(12, 8), (36, 8), (12, 24), (36, 24)]
    assert [tuple(value > 125 for value in opened.getpixel(at)) for at in centres] == [
        tuple(value > 125 for value in quarters().getpixel(at)) for at in centres
    ]
    assert upright(opened).tobytes() == opened.tobytes()  # the tag is gone: a second time turns nothing
    assert open_image(path.read_bytes()).tobytes() == opened.tobytes()


def test_the_eight_jpegs_open_as_one_image():
    images = [np.asarray(open_image(exif_rotated_file(orientation)), int) for orientation in STORED_BY]
    assert all(np.abs(image - images[0]).max() <= 8 for image in images)


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
def test_an_invalid_orientation_counts_as_upright(exif):
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
        pytest.param(Image.frombytes("I;16B", SIZE_WH, b"\x9c\x40" * 48 * 32), "TIFF", (156, 156, 156), id="16 bits, big end first"),
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


def test_a_tag_after_the_pixels_is_ignored():
    """PNG wants its eXIf before the pixels; reading it behind them would mean decoding every file for its size."""
    plain = encoded(quarters(), "PNG")
    late = plain[:-12] + chunk(b"eXIf", tag(3, 1, b"\6")[6:]) + plain[-12:]
    assert read_size_wh(late) == (SIZE_WH, 1)
    assert open_image(late).tobytes() == quarters().tobytes()


@pytest.mark.parametrize("read", [read_size_wh, open_image])
@pytest.mark.parametrize(
    ("name", "message"),
    [("gone.jpg", "no such image"), *((name, "not a readable image") for name in ("notes.jpg", "empty.jpg", "folder", b"words"))],
)
def test_a_file_that_is_not_an_image_is_named(read, name, message, tmp_path):
    (tmp_path / "notes.jpg").write_text("these are words")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    where, source = ("<bytes>", name) if isinstance(name, bytes) else (name, tmp_path / name)
    with pytest.raises(GroundswiftError, match=f"{where}: {message}"):
        read(source)


def test_a_file_is_closed_again(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(encoded(quarters(), "PNG"))
    with pytest.MonkeyPatch.context() as patch:
        opened = []
        patch.setattr(Image, "open", lambda source, real=Image.open: opened.append(real(source)) or opened[-1])
        read_size_wh(path), open_image(path)
    assert [image.fp for image in opened] == [None, None]


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, body: bytes = chunk(b"IDAT", zlib.compress(b"\0" * 30))) -> bytes:
    """A PNG whose header says a size that its body does not hold."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + body


def jpeg(width: int, height: int) -> bytes:
    """A JPEG of 48x32 px with another size in its header; libjpeg would fill up what is missing with grey."""
    data = encoded(quarters(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def tiff(width: int, height: int) -> bytes:
    """A TIFF of 48x32 px with another size in its header."""
    data = bytearray(encoded(quarters(), "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    for entry in range(first + 2, first + 2 + 12 * struct.unpack_from("<H", data, first)[0], 12):
        tag_number = struct.unpack_from("<H", data, entry)[0]
        if tag_number in (256, 257):
            struct.pack_into("<HHII", data, entry, tag_number, 4, 1, width if tag_number == 256 else height)
    return bytes(data)


def webp(width: int, height: int) -> bytes:
    """An animation of one frame of 48x32 px on a canvas of another size."""
    frame = encoded(quarters(), "WEBP", lossless=True)[12:]
    size = (48 - 1).to_bytes(3, "little") + (32 - 1).to_bytes(3, "little")
    placed = bytes(6) + size + (10).to_bytes(3, "little") + b"\0" + frame
    body = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6) + b"ANMF" + struct.pack("<I", len(placed)) + placed
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def other(data: bytes, at: int, size: bytes) -> bytes:
    return data[:at] + size + data[at + len(size) :]


BOMBS = {
    "png": png(30_000, 30_000),
    "png beyond 32 bits": png(2**31 - 1, 2**31 - 1),
    "jpeg": jpeg(65_500, 65_500),
    "gif": other(encoded(quarters(), "GIF"), 6, struct.pack("<HH", 65_535, 65_535)),
    "bmp": other(encoded(quarters(), "BMP"), 18, struct.pack("<ii", 30_000, 30_000)),
    "tiff": tiff(2**32 - 1, 2**32 - 1),
    "webp": webp(30_000, 30_000),
    "ppm": b"P6 30000 30000 255\n",
    "in the band where Pillow only warns": png(13_200, 13_200),
}
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
WRONG_HEADERS = {
    "png of 56 bytes": (png(13_000, 13_000), "broken image: its header says 13000x13000 px, which 56 bytes cannot hold; expected a"),
    "jpeg that would be filled up": (jpeg(13_000, 13_000), r"broken image: its header says 13000x13000 px, which \d+ bytes cannot hold"),
    "png of width 0": (png(0, 10), r"not a readable image \(UnidentifiedImageError\)"),
    "png without pixels": (png(10, 10, b""), "not a readable image"),
    "jpeg of height 0": (jpeg(10, 0), "not a readable image"),
    "tiff of width 0": (tiff(0, 10), "not a readable image"),
    "text that unpacks to 100 MB": (png(10, 10, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))), "not a readable image"),
    "a program to run": (POSTSCRIPT, r"not a readable image \(a PostScript program\)"),
}
HALF_A_GIGABYTE_OF_ADDRESSES = """
import resource, sys
from groundswift.errors import GroundswiftError
from groundswift.images import open_image, read_size_wh
resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
for read in (read_size_wh, open_image):
    try:
        read(sys.argv[1])
        print("no error")
    except GroundswiftError as error:
        print(error)
"""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("read", [read_size_wh, open_image])
@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_an_image_that_is_too_large_is_refused_by_its_header(data, read, monkeypatch):
    monkeypatch.setenv("GROUNDSWIFT_MAX_IMAGE_PIXELS", str(13_000**2))
    expected = r"^<bytes>: too large to decode: its header says \d+(x\d+)? px; expected at most 169000000 px in all; GROUNDSWIFT_MAX"
    with pytest.raises(GroundswiftError, match=expected):
        read(data)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("read", [read_size_wh, open_image])
@pytest.mark.parametrize(("data", "message"), WRONG_HEADERS.values(), ids=WRONG_HEADERS)
def test_a_header_with_a_wrong_size_is_refused(data, message, read):
    with pytest.raises(GroundswiftError, match=f"^<bytes>: {message}"):
        read(data)


@pytest.mark.process
@pytest.mark.parametrize("data", [*BOMBS.values(), *(data for data, _ in WRONG_HEADERS.values())], ids=[*BOMBS, *WRONG_HEADERS])
def test_a_decompression_bomb_takes_no_memory_and_prints_no_warning(data, tmp_path):
    (tmp_path / "bomb").write_bytes(data)
    environment = {**os.environ, "GROUNDSWIFT_MAX_IMAGE_PIXELS": str(13_000**2), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", HALF_A_GIGABYTE_OF_ADDRESSES, str(tmp_path / "bomb")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert [line.startswith(f"{tmp_path / 'bomb'}: ") for line in done.stdout.splitlines()] == [True, True], done.stdout


@pytest.mark.filterwarnings("error")
def test_a_large_image_below_the_limit_is_opened_without_a_warning(monkeypatch):
    """Pillow warns from half its limit on."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    data = encoded(Image.new("1", (300, 200)), "PNG")
    assert (read_size_wh(data), open_image(data).size) == (((300, 200), 1), (300, 200))


def test_the_limit_can_be_lowered_and_raised_above_pillows_own(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    Image.new("1", (300, 200)).save(path)
    monkeypatch.setenv("GROUNDSWIFT_MAX_IMAGE_PIXELS", "59999")
    with pytest.raises(GroundswiftError, match=r"large.png: too large to decode: its header says 300x200 px; expected at most 59999 px"):
        read_size_wh(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
    monkeypatch.delenv("GROUNDSWIFT_MAX_IMAGE_PIXELS")
    monkeypatch.setattr("groundswift.images.MAX_PIXELS", 40_000)
    with pytest.raises(GroundswiftError, match="its header says 60000 px; expected at most 40000 px"):
        open_image(path)
    monkeypatch.setenv("GROUNDSWIFT_MAX_IMAGE_PIXELS", "60000")
    assert open_image(path).size == (300, 200)


@pytest.mark.parametrize("value", ["many", "0", "-5", "1e9", "1.5", " 7", "²"])
def test_a_limit_that_is_not_a_number_is_refused(value, monkeypatch):
    monkeypatch.setenv("GROUNDSWIFT_MAX_IMAGE_PIXELS", value)
    with pytest.raises(GroundswiftError, match="^GROUNDSWIFT_MAX_IMAGE_PIXELS: .*; expected a whole number of pixels above 0$"):
        read_size_wh(encoded(quarters(), "PNG"))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", [read_size_wh, open_image])
@pytest.mark.parametrize("kind", ["fifo", "socket", "/dev/zero", "/dev/full", "/dev/ptmx", "link to a fifo"])
def test_what_could_block_for_ever_is_not_opened(kind, read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if kind == "socket":
        socket.socket(socket.AF_UNIX).bind("a.jpg")
    elif kind.startswith("/"):
        os.symlink(kind, "a.jpg")
    else:
        os.mkfifo("a.jpg" if kind == "fifo" else "fifo")
        if kind != "fifo":
            os.symlink("fifo", "a.jpg")
    with pytest.raises(GroundswiftError, match=r"^a\.jpg: not a readable image \(a pipe, socket or device\)$"):
        read("a.jpg")


def test_the_filter_for_pillows_warning_is_put_in_once():
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for _ in range(3):
            read_size_wh(encoded(quarters(), "PNG"))
        assert len(warnings.filters) == 1
