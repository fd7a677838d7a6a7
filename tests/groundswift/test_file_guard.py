"""A name becomes a path only inside its folder; only regular files are opened."""

import os

import pytest

from groundswift.file_guard import NotAFile, path_inside, regular_bytes, regular_size


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.jpg", "/data/a.jpg"), ("b/../a.jpg", "/data/a.jpg"), ("./b//a.jpg", "/data/b/a.jpg"), ("..a.jpg", "/data/..a.jpg")]
    + [(name, None) for name in ("", ".", "..", "../a.jpg", "b/../../a.jpg", "/etc/a.jpg", "a\0.jpg", "https://host/a.jpg")],
)
def test_a_name_stays_inside_its_folder(name, expected):
    assert path_inside("/data", name) == expected


def test_a_url_is_not_a_name_in_a_folder():
    assert [path_inside(folder, "s3://other/a.png") for folder in ("/data", "s3://bucket/set", "https://host/a")] == [None] * 3
    assert path_inside("https://host/a?sig=1", "b/../c.png") == "https://host/a/c.png?sig=1"


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to pipe").symlink_to("pipe")
    assert regular_size(tmp_path / "a") == regular_size(tmp_path / "link") == 3
    assert regular_bytes(tmp_path / "link") == b"abc"
    for name, kind in (("pipe", "a pipe, socket or device"), ("to pipe", "a pipe, socket or device"), (".", "a folder")):
        with pytest.raises(NotAFile) as raised:
            regular_bytes(tmp_path / name)
        assert (raised.value.strerror, raised.value.filename) == (kind, str(tmp_path / name))
    with pytest.raises(NotAFile, match="pipe, socket or device"):
        regular_bytes("/dev/null")
    with pytest.raises(FileNotFoundError):
        regular_size(tmp_path / "nothing")
