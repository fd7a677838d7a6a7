"""A stable path for checkpoints to name instead of `register.py`, whose path changes with every environment and checkout.

swift loads the plugin that a checkpoint names first, and a missing file ends it with a traceback. The shim is in the user's data folder
and imports the installed groundswift by name. swift runs it, so only its owner may write it.
"""

from __future__ import annotations

import filecmp
import os
import stat
from pathlib import Path

from groundswift.atomic_write import staged

REGISTER = Path(__file__).resolve().parents[1] / "register.py"
FILE_MODE, FOLDER_MODE = 0o644, 0o755
TEXT = '''"""Loads the installed groundswift plugin by its name. Written by groundswift; checkpoints name it."""

import sys

try:
    import groundswift.swift_plugins.register
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "groundswift":
        raise
    sys.exit(f"error: this checkpoint was trained with groundswift, and {sys.executable} has none; expected pip install groundswift")
'''


def shim_path() -> str:
    """The file's path: `$XDG_DATA_HOME/groundswift/register.py`, by default in `~/.local/share`. swift expands the `~`.

    A relative XDG_DATA_HOME is ignored, as the XDG Base Directory Specification asks.
    """
    data_home = os.environ.get("XDG_DATA_HOME") or ""
    folder = data_home if os.path.isabs(data_home) else os.path.join("~", ".local", "share")
    return os.path.join(folder, "groundswift", "register.py")


def stable_path(plugin: str) -> str:
    """What a checkpoint is to name for a plugin: the shim for groundswift's own, which is then written; the absolute path for others."""
    absolute = os.path.abspath(os.path.expanduser(plugin))
    shim = Path(os.path.expanduser(shim_path()))
    if absolute != str(shim) and not is_register(absolute):
        return absolute
    try:
        if not is_sound(shim):
            write_shim(shim)
    except OSError:  # a home that cannot be written to: the checkpoint names the plugin where it is
        return absolute if is_register(absolute) else str(REGISTER)
    return shim_path()


def is_own(plugin: str) -> bool:
    """Whether a plugin file is groundswift's own: `register.py` or the file in the user's data folder, by what is in it."""
    absolute = os.path.abspath(os.path.expanduser(plugin))
    try:
        return is_register(absolute) or os.path.isfile(absolute) and Path(absolute).read_bytes() == TEXT.encode()
    except OSError:
        return False


def is_register(path: str) -> bool:
    """Whether a file is a `register.py` of this version."""
    return os.path.isfile(path) and filecmp.cmp(path, REGISTER, shallow=False)


def is_sound(shim: Path) -> bool:
    """Whether the file is as it was written: no link, owned by this user, not writable by others."""
    try:
        found = shim.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        return False
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return mine and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and shim.read_bytes() == TEXT.encode()


def write_shim(shim: Path) -> None:
    """Put the file in its place in one step, in place of a link and not through it, whatever the umask is. Raises OSError."""
    make_folders(shim.parent)
    with staged(shim) as temporary:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(TEXT.encode())
        os.chmod(temporary, FILE_MODE)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, none of them writable by others, whatever the umask is; groundswift's own folder is corrected."""
    if not folder.parent.is_dir():
        make_folders(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if folder.name != "groundswift" or not folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return
    os.chmod(folder, FOLDER_MODE)
