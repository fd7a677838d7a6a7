"""Results that a killed run keeps: one JSON line each, appended as they come."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from .errors import error_at
from .records import read_jsonl


class KeptLines:
    """A file of JSON lines of one type. `rows`: those of earlier runs; what cannot be read is skipped: a killed run leaves half a line.

    Raises GroundswiftError where the file cannot be written; `option` names it there.
    """

    def __init__(self, path: Path, row_type: type, option: str) -> None:
        self.path, self._lock = path, threading.Lock()
        self.rows: list[Any] = [row for _, row in (read_jsonl(path, row_type) if path.exists() else ()) if isinstance(row, row_type)]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a+b") as file:
                file.seek(max(file.tell() - 1, 0))
                file.write(b"\n" if file.read() not in (b"", b"\n") else b"")
        except OSError as error:
            raise error_at(path, f"cannot be written ({error.strerror})", option) from None

    def add(self, row: msgspec.Struct) -> None:
        """Append one line; several threads may."""
        line = msgspec.json.encode(row) + b"\n"
        with self._lock, open(self.path, "ab") as file:
            file.write(line)
