"""A file that does not move: checkpoints name it instead of `register.py`, whose place changes with every environment and checkout.

swift loads the plugin that a checkpoint names before any code of ours could explain that it is gone. This file stays in the user's
data folder and imports the installed groundswift by name.
"""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

from groundswift.errors import GroundswiftError
from groundswift.writing import write_whole

REGISTER = Path(__file__).resolve().parents[1] / "register.py"
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
    """Where the file lies: `$XDG_DATA_HOME/groundswift/register.py`, by default in `~/.local/share`. swift expands the `~`."""
    return os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.join("~", ".local", "share"), "groundswift", "register.py")


def standing_path(plugin: str) -> str:
    """What a checkpoint is to name for a plugin: the shim for groundswift's own, which is then written; the absolute path for others."""
    absolute = os.path.abspath(os.path.expanduser(plugin))
    shim = Path(os.path.expanduser(shim_path()))
    if absolute == str(shim):
        return shim_path()
    if not (os.path.isfile(absolute) and filecmp.cmp(absolute, REGISTER, shallow=False)):
        return absolute
    try:
        shim.parent.mkdir(parents=True, exist_ok=True)
        if not shim.is_file() or shim.read_text(encoding="utf-8") != TEXT:
            write_whole(shim, [TEXT.encode()])
    except (OSError, GroundswiftError):  # a home that cannot be written to: the checkpoint names the plugin where it is
        return absolute
    return shim_path()
