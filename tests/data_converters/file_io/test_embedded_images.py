"""Images embedded in rows, written once under a name that stays inside the folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from converted import full_disk
from PIL import Image

from groundswift.data_converters.file_io.embedded_images import EmbeddedImage, embedded_size_wh, folder_to_save, write_image
from groundswift.data_converters.issues import IssueLog
from groundswift.errors import GroundswiftError, Interrupted


def content(kind: str = "JPEG", size_wh: tuple[int, int] = (8, 6), orientation: int = 1) -> bytes:
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    file = io.BytesIO()
    Image.new("RGB", size_wh, "grey").save(file, kind, **({"exif": exif} if kind == "JPEG" else {}))
    return file.getvalue()


def keep(folder: Path, name: str, data: bytes) -> tuple[str | None, dict[str, int]]:
    log = IssueLog("skip")
    return write_image(str(folder), name, data, "row 7", log), dict(log.counted.counts)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_it_is_written_once(tmp_path):
    data = content()
    for _ in range(2):
        assert keep(tmp_path / "new/folder", "train/a.jpg", data) == (str(tmp_path / "new/folder/train/a.jpg"), {})
    assert (tmp_path / "new/folder/train/a.jpg").read_bytes() == data
    assert files(tmp_path) == ["new/folder/train/a.jpg"]


@pytest.mark.parametrize("same_length", [True, False])
def test_another_content_of_that_name_is_a_problem(tmp_path, same_length):
    data = content()
    keep(tmp_path, "a.jpg", data)
    other = data[:-1] + b"?" if same_length else data + b"?"
    assert keep(tmp_path, "a.jpg", other) == (None, {"image-name-repeated": 1})
    assert (tmp_path / "a.jpg").read_bytes() == data
    assert files(tmp_path) == ["a.jpg"]


@pytest.mark.parametrize(
    ("kind", "name"), [("JPEG", "7.jpg"), ("PNG", "7.png"), ("GIF", "7.gif"), ("BMP", "7.bmp"), ("TIFF", "7.tif"), ("WEBP", "7.webp")]
)
def test_a_name_without_a_suffix_gets_one(tmp_path, kind, name):
    assert keep(tmp_path, "7", content(kind))[0] == str(tmp_path / name)
    assert Image.open(tmp_path / name).format == kind
    assert keep(tmp_path, "8", b"what is it")[0] == str(tmp_path / "8")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("../a.jpg", "image-path-outside", id="parent"),
        pytest.param("b/../../a.jpg", "image-path-outside", id="parent further on"),
        pytest.param("/tmp/a.jpg", "image-path-outside", id="absolute"),
        pytest.param("", "image-path-outside", id="empty"),
        pytest.param(".", "image-path-outside", id="the folder"),
        pytest.param("..", "image-path-outside", id="the parent"),
        pytest.param("s3://bucket/a.jpg", "image-path-outside", id="URL"),
        pytest.param("a\0.jpg", "image-path-outside", id="NUL"),
        pytest.param("x" * 300 + ".jpg", "image-name-invalid", id="too long"),
        pytest.param("\ud83d.jpg", "image-name-invalid", id="lone surrogate"),
        pytest.param("there.jpg/a.jpg", "image-name-invalid", id="below a file"),
        pytest.param("folder.d", "image-name-invalid", id="a folder"),
    ],
)
def test_names_that_cannot_be_used(tmp_path, name, reason):
    folder = tmp_path / "kept"
    (folder / "folder.d").mkdir(parents=True)
    (folder / "there.jpg").write_bytes(b"there")
    assert keep(folder, name, content()) == (None, {reason: 1})
    assert files(tmp_path) == ["kept/there.jpg"]


def test_a_link_is_not_written_through(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "outside.jpg").write_bytes(b"mine")
    (tmp_path / "kept/a.jpg").symlink_to(tmp_path / "outside.jpg")
    assert keep(tmp_path / "kept", "a.jpg", content()) == (None, {"image-name-repeated": 1})
    assert (tmp_path / "outside.jpg").read_bytes() == b"mine"


def test_many_at_once(tmp_path):
    """Threads that write two contents under one name: one of them is there, whole, and whoever brought the other is reported."""
    contents = [content(size_wh=(800, 600)), content(size_wh=(900, 700))]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: keep(tmp_path, "a.jpg", contents[number % 2])[0] is not None, range(64)))
    written = contents.index((tmp_path / "a.jpg").read_bytes())
    assert done == [number % 2 == written for number in range(64)]
    assert files(tmp_path) == ["a.jpg"]


KILLED = """
import os, signal, sys
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.file_io.embedded_images import write_image

setattr(os, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
write_image(sys.argv[1], "b/a.jpg", b"x" * 100_000, "row 7", IssueLog())
"""


@pytest.mark.process
@pytest.mark.parametrize(("step", "there"), [("fsync", False), ("link", False), ("unlink", True)])
def test_what_a_killed_run_left_is_finished_by_the_next(tmp_path, step, there):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path, step])
    assert len(files(tmp_path)) == 1 + there
    assert (tmp_path / "b/a.jpg").exists() == there
    assert keep(tmp_path, "b/a.jpg", b"x" * 100_000) == (str(tmp_path / "b/a.jpg"), {})
    assert (tmp_path / "b/a.jpg").read_bytes() == b"x" * 100_000
    assert files(tmp_path) == ["b/a.jpg"]


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path):
    with full_disk(), pytest.raises(Interrupted, match=r"/a.jpg: cannot be written \(File too large\); expected a folder that can be"):
        keep(tmp_path, "a.jpg", b"x" * 100_000)
    assert files(tmp_path) == []


def test_where_images_may_be_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder_to_save("kept") == str(tmp_path / "kept")
    (tmp_path / "file").touch()
    with pytest.raises(GroundswiftError, match="file: is not a folder; expected a folder for the images"):
        folder_to_save("file")
    with pytest.raises(GroundswiftError, match="s3://bucket/kept: images cannot be written to a URL; expected a local folder"):
        folder_to_save("s3://bucket/kept")
    assert not os.path.exists(tmp_path / "kept")


@pytest.mark.parametrize(
    ("data", "size_wh", "counts"),
    [
        pytest.param(content(size_wh=(8, 6)), (8, 6), {}, id="plain"),
        pytest.param(content(size_wh=(8, 6), orientation=6), (6, 8), {"image-rotated-by-exif": 1}, id="EXIF-rotated"),
        pytest.param(None, None, {"image-missing": 1}, id="none"),
        pytest.param(b"", None, {"image-missing": 1}, id="empty"),
        pytest.param(b"<html>", None, {"image-unreadable": 1}, id="not an image"),
        pytest.param(content()[:30], None, {"image-unreadable": 1}, id="cut short"),
    ],
)
def test_the_size_of_an_embedded_image(data, size_wh, counts):
    log = IssueLog("skip")
    assert embedded_size_wh(data, "row 7", log) == size_wh
    assert dict(log.counted.counts) == counts


def test_an_embedded_image_as_json_has_base64():
    decoded = msgspec.json.decode(b'{"bytes": "/9j/", "path": null}', type=EmbeddedImage)
    assert decoded == EmbeddedImage(b"\xff\xd8\xff", None)
