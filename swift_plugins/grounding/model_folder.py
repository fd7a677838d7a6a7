"""The small JSON files of a model folder: args.json, config.json, adapter_config.json and what processors keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from groundswift.atomic_write import write_whole


def read_settings(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file; None where there is none."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def write_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write a JSON object as transformers does."""
    write_whole(path, [json.dumps(settings, indent=2, ensure_ascii=False).encode() + b"\n"])
