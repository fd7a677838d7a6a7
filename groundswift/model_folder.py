"""The small JSON files of a model folder: args.json, config.json, adapter_config.json and what processors keep."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from .atomic_write import write_whole
from .errors import GroundswiftError, error_at


def read_settings(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file; None where there is none."""
    try:
        return read_object(path, "")
    except GroundswiftError:
        return None


def read_object(where: str | Path, expected: str) -> dict[str, Any]:
    """The JSON object in a regular file. Raises GroundswiftError, with what was `expected`, for what is not one, a pipe or a device too."""
    try:
        if not stat.S_ISREG(os.stat(where).st_mode):
            raise error_at(where, "is not a regular file", expected)
        settings = json.loads(Path(where).read_bytes())
    except GroundswiftError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__ if isinstance(error, RecursionError) else error
        raise error_at(where, f"cannot be read ({reason})", expected) from None
    if not isinstance(settings, dict):
        raise error_at(where, "is not a JSON object", expected)
    return settings


def write_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write a JSON object as transformers does."""
    write_whole(path, [json.dumps(settings, indent=2, ensure_ascii=False).encode() + b"\n"])
