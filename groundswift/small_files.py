"""The content of small files, local or at an address, read whole."""

from __future__ import annotations

from pathlib import Path

from .errors import fault
from .file_guard import regular_bytes
from .storage import local_copy, shown


def read_bytes(path: str | Path, expected: str) -> bytes:
    """The content of a file. Raises GroundswiftError where it cannot be read; `expected` says what it should be."""
    try:
        return regular_bytes(local_copy(path))
    except OSError as error:
        raise fault(shown(path), f"cannot be read ({error.strerror})", expected) from None


def read_text(path: str | Path, expected: str) -> str:
    """The text of a file, a byte order mark passed over. Raises GroundswiftError where it is no UTF-8, and as `read_bytes`."""
    try:
        return read_bytes(path, expected).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault(shown(path), f"not UTF-8 text (byte {error.start})", expected) from None
