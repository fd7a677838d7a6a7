"""Folders at a URL: the names in them, and a local mirror of one where files are found by name."""

from __future__ import annotations

import os
import posixpath
import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tqdm import tqdm

from groundswift.atomic_write import staged
from groundswift.errors import error_at
from groundswift.storage import cache_error, cache_folder, identity, no_folder, repeated, store_of
from groundswift.urls import is_url, is_web, join, shown, without_password

AT_ONCE = 256  # files that are asked for together
SUFFIXES = {  # of images that are found by their stem or folder, as Pillow opens them
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx", ".mpo", ".pbm", ".pfm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}
WHOLE = frozenset({".txt", ".xml", ".yaml", ".yml"})  # suffixes of what is read, labels and lists


class Listed(msgspec.Struct, frozen=True):
    """A file below a URL: its name relative to that, its size in bytes, and what changes with its content."""

    name: str
    size: int | None
    mark: str | None


def listed_below(url: str, suffixes: Collection[str]) -> list[Listed]:
    """The files of some suffixes below a URL, by name; not hidden ones.

    Raises GroundswiftError if the URL cannot be listed or a name is not inside its folder.
    """
    if is_web(url):
        raise error_at(shown(url), "a folder on the web cannot be listed", "a local folder, or one in an object store such as s3://")
    store, root = store_of(url)
    root = root.rstrip("/")
    files = []
    for place, info in repeated(url, lambda: _found(store, root)).items():
        name = place[len(root) + 1 :]
        if posixpath.splitext(name)[1].lower() not in suffixes:
            continue
        if posixpath.normpath(name) != name or name.startswith(("/", "../")) or "\\" in name or "\0" in name:
            raise error_at(shown(url), f"holds a file of the name {name[:200]!r}", "names that stay inside the folder")
        if any(part.startswith(".") for part in name.split("/")):
            continue
        files.append(Listed(name, *identity(info)))
    return sorted(files, key=attrgetter("name"))


def _found(store: Any, root: str) -> dict[str, dict[str, Any]]:
    store.invalidate_cache()
    return store.find(root, detail=True)


class Folder(NamedTuple):
    """A folder whose files are found by name: `here` is where to look on this machine, `address` its own path or URL, used in rows."""

    here: str
    address: str

    def address_of(self, path: str) -> str:
        """The path or URL of something below `here`."""
        inside = os.path.relpath(path, self.here)
        return path if self.here == self.address else self.address if inside == os.curdir else join(self.address, inside)


def folder_at(path: str, expected: str, texts: frozenset[str] = WHOLE) -> Folder:
    """A folder that can be listed. One at a URL is mirrored in the cache: files of the suffixes `texts` whole, images as empty files.

    Raises GroundswiftError as `listed_below`, if the folder does not exist, and if a file cannot be fetched whole.
    """
    if is_url(path):
        return Folder(str(stand_in(path, expected, texts)), path.rstrip("/"))
    if not os.path.isdir(path):
        near = f", such as {os.path.dirname(path) or os.curdir}" if os.path.isfile(path) else ""
        raise error_at(path, no_folder(path), expected + near)
    return Folder(path, path)


def stand_in(url: str, expected: str, texts: frozenset[str]) -> Path:
    """The local mirror of a folder at a URL; a new one is made when something there has changed."""
    files = listed_below(url, {*texts, *SUFFIXES})
    if not files:
        raise error_at(shown(url), "no such folder, or nothing in it", expected)
    folder = cache_folder()
    target = folder / "folders" / blake2b(msgspec.json.encode([without_password(url), files]), digest_size=20).hexdigest()
    if target.is_dir() and all(each.mark for each in files):
        return target
    unfinished = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with suppress(FileExistsError), staged(target, unfinished, replace=False):  # another process may have put the same there
            _fill(unfinished, url, files, texts)
    except OSError as error:
        raise cache_error(str(folder), url, error) from None
    return target


def _fill(folder: Path, url: str, files: Sequence[Listed], texts: frozenset[str]) -> None:
    """Fetch the text files, several at once, and create an empty file per image."""
    whole = []
    for each in files:
        place = folder / each.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.suffix.lower() in texts:
            whole.append(each)
        else:
            place.touch()
    with tqdm(total=len(whole), desc="fetch", unit="file", disable=None) as bar:
        for first in range(0, len(whole), AT_ONCE):
            some = whole[first : first + AT_ONCE]
            repeated(url, partial(_fetch, url, folder, some))
            bar.update(len(some))


def _fetch(url: str, folder: Path, files: Sequence[Listed]) -> None:
    store, root = store_of(url)
    store.get([f"{root.rstrip('/')}/{each.name}" for each in files], [str(folder / each.name) for each in files])
    for each in files:
        got = (folder / each.name).stat().st_size
        if each.size not in (None, got):
            raise ConnectionError(f"got {got} bytes of {each.size} of {each.name}")
