"""The plugin's file in the user's data folder, which checkpoints name and swift runs: where it is, who can write it, what it replaces."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from groundswift.swift_plugins.grounding.plugin_shim import REGISTER, TEXT, is_own, shim_path, stable_path


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty home, without a data folder of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize("data_home", [None, "", "data", "./data", "../data", "~/data"])
def test_a_relative_data_folder_is_ignored(home, monkeypatch, data_home):
    """As the XDG specification asks; a checkpoint that names a relative path loses it, or finds another file of that name."""
    if data_home is not None:
        monkeypatch.setenv("XDG_DATA_HOME", data_home)
    assert stable_path(str(REGISTER)) == shim_path() == "~/.local/share/groundswift/register.py"
    assert (home / ".local/share/groundswift/register.py").read_text() == TEXT
    assert not Path("data").exists()


def test_an_absolute_data_folder_is_used(home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    named = stable_path(str(REGISTER))
    assert named == str(tmp_path / "data/groundswift/register.py")
    assert Path(named).read_text() == TEXT


@pytest.fixture
def shim(home) -> Path:
    """Where the file belongs, its folder made, nothing there."""
    path = home / ".local/share/groundswift/register.py"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_nobody_else_can_write_it_whatever_the_umask_is(home, mask):
    before = os.umask(mask)
    try:
        stable_path(str(REGISTER))
    finally:
        os.umask(before)
    path = home / ".local/share/groundswift/register.py"
    for place in (path, path.parent, path.parents[1], path.parents[2]):
        assert not place.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), place


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o666, 0o777), (0o664, 0o755), (0o644, 0o777)])
def test_what_an_earlier_version_left_open_is_closed(shim, file_mode, folder_mode):
    shim.write_text(TEXT if file_mode != 0o644 else "older")
    shim.chmod(file_mode)
    shim.parent.chmod(folder_mode)
    stable_path(str(REGISTER))
    assert stat.S_IMODE(shim.stat().st_mode) == 0o644
    assert stat.S_IMODE(shim.parent.stat().st_mode) == 0o755


@pytest.mark.parametrize("content", [b"other", TEXT.encode()], ids=["other text", "the same text"])
@pytest.mark.parametrize("there", [True, False], ids=["there", "dangling"])
def test_a_link_is_replaced_and_its_target_left_alone(shim, tmp_path, content, there):
    target = tmp_path / "target.py"
    if there:
        target.write_bytes(content)
    shim.symlink_to(target)
    stable_path(str(REGISTER))
    assert not shim.is_symlink()
    assert shim.read_text() == TEXT
    assert target.read_bytes() == content if there else not target.exists()


@pytest.mark.parametrize("held", [b"\xff\xfe\x00", b"", b"\x80" * 9, TEXT.encode() + b"\n", TEXT.encode("utf-16")], ids=repr)
def test_any_bytes_in_its_place_are_replaced(shim, held):
    shim.write_bytes(held)
    assert stable_path(str(REGISTER)) == shim_path()
    assert shim.read_text() == TEXT


def test_where_it_cannot_be_written_the_plugin_itself_is_named(shim, tmp_path):
    shim.mkdir()
    (shim / "kept").write_text("")
    assert stable_path(str(REGISTER)) == str(REGISTER)
    assert (shim / "kept").exists()
    assert [path.name for path in shim.parent.iterdir()] == ["register.py"]


def test_a_plugin_of_somebody_else_keeps_its_absolute_path(home, tmp_path):
    (tmp_path / "mine.py").write_text("x = 1\n")
    assert stable_path("mine.py") == str(tmp_path / "mine.py")
    assert not (home / ".local").exists()
    assert [is_own(path) for path in ("mine.py", "none.py", str(REGISTER), str(tmp_path))] == [False, False, True, False]
