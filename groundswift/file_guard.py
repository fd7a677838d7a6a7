"""Guards for what data names: a name becomes a path only inside its folder, and only a regular file is opened."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from .urls import is_url, joined_inside

NO_NAMES = frozenset(("", os.curdir, os.pardir))


class NotAFile(OSError):
    """A folder, pipe, socket or device."""

    def __init__(self, path: str | Path, mode: int) -> None:
        folder = stat.S_ISDIR(mode)
        super().__init__(errno.EISDIR if folder else errno.EINVAL, "a folder" if folder else "a pipe, socket or device", str(path))


def regular_size(path: str | Path) -> int:
    """Bytes of a regular file, links followed. Raises NotAFile for others: to open a pipe or a device may block for ever.

    Raises OSError where there is none.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise NotAFile(path, found.st_mode)
    return found.st_size


def regular_bytes(path: str | Path) -> bytes:
    """The content of a regular file. Raises as `regular_size`, before anything is opened."""
    regular_size(path)
    return Path(path).read_bytes()


def path_inside(folder: str, name: str) -> str | None:
    """`folder/name`, or None where the name is empty, absolute, a URL, not a file name, or leaves the folder.

    Text alone: no file is touched. The folder may be a URL; then no spelling of slashes and dots that a server could decode
    leaves it either.
    """
    return paths_inside(folder)(name)


def paths_inside(folder: str) -> Callable[[str], str | None]:
    """`path_inside` of one folder, for many names."""
    remote, start = is_url(folder), folder.rstrip(os.sep) + os.sep

    def path(name: str) -> str | None:
        if "\0" in name:
            return None
        if remote:
            return joined_inside(folder, name)
        if os.sep not in name and name not in NO_NAMES:  # most are a plain name
            return start + name
        if is_url(name):
            return None
        parts = os.path.normpath(name).split(os.sep)
        if not name or os.path.isabs(name) or parts[0] in (os.curdir, os.pardir):
            return None
        return os.path.join(folder, *parts)

    return path
