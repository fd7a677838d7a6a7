"""Why a row could not be used: the reason in one line, its id, and the row's name in messages."""

from __future__ import annotations

from typing import Any

from swift.template import MaxLengthError

from groundswift.errors import GroundswiftError


def reason_of(error: Exception) -> str:
    """Why a row could not be encoded, as one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, (GroundswiftError, MaxLengthError)) else f"{type(error).__name__}: {text}"


def kind_of(reason: str) -> str:
    """The id by which a reason is counted."""
    if "larger than the max_length" in reason:
        return "row-too-long"
    if "no such image" in reason or reason.startswith("FileNotFoundError"):
        return "image-missing"
    if "image" in reason and ("readable" in reason or "identify" in reason or "truncated" in reason or "too large" in reason):
        return "image-unreadable"
    return "row-refused"


def name_of(row: dict[str, Any]) -> str:
    """A row as the log names it: by its id, else by its first image."""
    if row.get("sample_id") is not None:
        return f"row {row['sample_id']!r}"
    images = row.get("images") or row.get("image") or []
    first = images[0] if isinstance(images, list) and images else images
    path = first.get("path") if isinstance(first, dict) else first
    return f"the row of {path[:200]}" if isinstance(path, str) else "a row without sample_id"
