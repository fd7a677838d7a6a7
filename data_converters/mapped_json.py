"""JSON documents with many parts, of which few are needed at a time: the file is mapped, not copied, and parts are decoded one by one."""

from __future__ import annotations

import codecs
import mmap
import os
from typing import Any

import msgspec

from groundswift.errors import fault
from groundswift.storage import local_copy

from .faults import Fault, NoRow

NO_ROW = "row unreadable"  # the reason to count by
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what a text raises that is no JSON, or not of a type


class Key(str):
    """A key of a document's one mapping. One that stands twice is an error: the last part would hide those before it."""

    __slots__ = ()


def read_mapped(path: str, kind: Any, expected: str, otherwise: str = "not such a file") -> Any:
    """A JSON file as a type; its `msgspec.Raw` parts stay on the disk. Raises GroundswiftError where it cannot be read as that, which
    `otherwise` says, or a `Key` of its type stands twice."""
    here, keys = local_copy(path), set()

    def once(of: type, key: str) -> Any:
        if key in keys:
            raise ValueError(f"{key[:200]!r} stands twice")
        keys.add(key)
        return of(key)

    try:
        if not os.path.getsize(here):
            raise fault(path, "is empty", expected)
        with open(here, "rb") as file:
            text = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return msgspec.json.decode(text[3:] if text[:3] == codecs.BOM_UTF8 else text, type=kind, dec_hook=once)
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})", expected) from None
    except NOT_JSON as error:
        raise fault(path, f"{otherwise} ({error})", expected) from None


def part(where: str, raw: msgspec.Raw, kind: Any, what: str, expected: str) -> Any:
    """One part as a type; `what` says which. Raises NoRow where it is none."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except NOT_JSON as error:
        raise NoRow(Fault(NO_ROW, where, f"{what}: {error}", expected)) from None
