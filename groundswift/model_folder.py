"""The small JSON files of a model folder: args.json, config.json, adapter_config.json and what processors keep."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from .atomic_write import write_whole
from .errors import GroundswiftError, error_at

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")  # owner/name


def cached_snapshot(name: str) -> Path | None:
    """The folder into which Hugging Face's or ModelScope's own download has put a model of this name; None without one."""
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    repository = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{name.replace('/', '--')}"
    modelscope = Path(os.environ.get("MODELSCOPE_CACHE") or "~/.cache/modelscope/hub").expanduser() / "models" / name.replace(".", "___")
    main = repository / "refs" / "main"
    revision = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
    places = [repository / "snapshots" / revision] if revision else []
    return next((place for place in (*places, modelscope) if (place / "config.json").is_file()), None)


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
