"""Folders at a URL: what is found in them, and what stands in for them here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from groundswift.data_converters.file_io import remote_folders
from groundswift.data_converters.file_io.remote_folders import folder_at, listed_below
from groundswift.errors import GroundswiftError, Interrupted


@pytest.fixture
def put(monkeypatch, tmp_path) -> Iterator[Callable[[str, bytes], None]]:
    """Put a file below memory://set, which is empty at first; the cache is the test's own."""
    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    yield lambda name, data=b"text": store.pipe_file(f"/set/{name}", data)
    store.store.clear()


def names(folder: str) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def test_texts_are_whole_and_images_are_names(put):
    put("labels/a.txt", b"0 1 2")
    put("images/deep/a.JPG", b"pixels")
    put("data.yaml", b"names: [cat]")
    put("weights.pt", b"other")
    put(".hidden/b.txt", b"other")
    place = folder_at("memory://set/", "a set")
    assert names(place.here) == {"data.yaml": b"names: [cat]", "images/deep/a.JPG": b"", "labels/a.txt": b"0 1 2"}
    assert place.address == "memory://set"
    assert place.address_of(f"{place.here}/images/deep") == "memory://set/images/deep"
    assert place.address_of(place.here) == "memory://set"


def test_a_change_is_noticed_and_what_is_the_same_is_fetched_once(put, monkeypatch):
    put("a.txt", b"one")
    first = folder_at("memory://set", "a set").here
    fetched = []
    monkeypatch.setattr(remote_folders, "_fetch", lambda *each, fetch=remote_folders._fetch: fetched.append(1) or fetch(*each))
    assert (folder_at("memory://set", "a set").here, fetched) == (first, [])
    put("a.txt", b"two")
    assert names(folder_at("memory://set", "a set").here) == {"a.txt": b"two"}
    assert fetched == [1]


def test_a_file_that_comes_short_is_asked_for_again_and_never_kept(put, monkeypatch, tmp_path):
    put("a.txt", b"whole")
    monkeypatch.setattr("groundswift.storage.WAITS_S", (0, 0))
    get = fsspec.implementations.memory.MemoryFileSystem.get

    def short(self, places, here, **more):
        get(self, places, here, **more)
        for each in here:
            Path(each).write_bytes(b"wh")

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "get", short)
    with pytest.raises(Interrupted, match=r"tried 3 times .*got 2 bytes of 5 of a\.txt"):
        folder_at("memory://set", "a set")
    assert names(str(tmp_path / "cache")) == {}


@pytest.mark.parametrize("name", ["../a.txt", "x/../../a.txt", "x//a.txt", "x\\a.txt"])
def test_a_name_that_leads_elsewhere_is_refused(put, monkeypatch, name):
    found = {f"/set/{name}": {"size": 1, "type": "file"}}
    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "find", lambda *_, **__: found)
    with pytest.raises(GroundswiftError, match="memory://set: holds a file of the name"):
        listed_below("memory://set", {".txt"})


def test_a_file_that_is_a_folder_too_is_reported(put, monkeypatch):
    """As stores of objects may have it."""
    monkeypatch.setattr("groundswift.storage.WAITS_S", ())
    put("a.txt/b.txt")
    store = fsspec.filesystem("memory").store
    store["/set/a.txt"] = store["/set/a.txt/b.txt"]
    with pytest.raises(GroundswiftError, match="memory://set: cannot be read"):
        folder_at("memory://set", "a set")


def test_local_folders_stand_for_themselves(tmp_path):
    place = folder_at(str(tmp_path), "a set")
    assert (place.here, place.address_of(f"{tmp_path}/a/b")) == (str(tmp_path), f"{tmp_path}/a/b")
    (tmp_path / "a.xml").touch()
    with pytest.raises(GroundswiftError, match=f"a.xml: a file, not a folder; expected a set, such as {tmp_path}"):
        folder_at(str(tmp_path / "a.xml"), "a set")
    with pytest.raises(GroundswiftError, match="gone: no such folder; expected a set"):
        folder_at(str(tmp_path / "gone"), "a set")
