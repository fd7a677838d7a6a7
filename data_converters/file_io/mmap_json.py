"""JSON documents with many parts, of which few are needed at a time: parts are decoded one by one. A large file is mapped, as a copy."""

from __future__ import annotations

import codecs
import mmap
import os
import shutil
import tempfile
from typing import Any, BinaryIO

import msgspec

from groundswift.coco_lenient import NOT_JSON
from groundswift.errors import GroundswiftError, error_at
from groundswift.file_guard import regular_size
from groundswift.storage import local_copy

from ..issues import skip

NO_ROW = "row-unreadable"  # the reason to count by
SHARE = 16  # a document of up to 1/16 of the memory is read into it: several workers may each hold one
COPIED = 1 << 24  # bytes that are copied at a time


class Key(str):
    """A key of a document's one mapping. A duplicate is an error: the last part would hide those before it."""

    __slots__ = ()


def read_mapped(path: str, kind: Any, expected: str, otherwise: str = "unexpected content") -> Any:
    """A JSON file as a type; its `msgspec.Raw` parts stay encoded. Raises GroundswiftError if it cannot be read as that (the message is
    `otherwise`), or if a `Key` of its type is duplicated."""
    here, keys = local_copy(path), set()

    def once(of: type, key: str) -> Any:
        if key in keys:
            raise ValueError(f"duplicate key {key[:200]!r}")
        keys.add(key)
        return of(key)

    try:
        if not regular_size(here):
            raise error_at(path, "is empty", expected)
        with open(here, "rb") as file:
            text = memoryview(content_of(file, path))
        return msgspec.json.decode(text[3:] if text[:3] == codecs.BOM_UTF8 else text, type=kind, dec_hook=once)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})", expected) from None
    except NOT_JSON as error:
        raise error_at(path, f"{otherwise} ({error})", expected) from None


def content_of(file: BinaryIO, path: str) -> bytes | mmap.mmap:
    """The content of a file: read where memory has room for it; else a private copy of it is mapped, as to touch a mapped file that
    somebody shortens ends the process (SIGBUS). The copy is nameless and goes with the mapping.

    Raises GroundswiftError where it changes meanwhile, OSError where the folder of temporary files has no room.
    """
    before = os.fstat(file.fileno())
    if before.st_size <= memory_bytes() // SHARE:
        content: bytes | mmap.mmap = file.read()
    else:
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy, COPIED)
            copy.flush()
            if not copy.tell():
                raise changed(path)
            content = mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)
    after = os.fstat(file.fileno())
    if len(content) != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise changed(path)
    return content


def changed(path: str) -> GroundswiftError:
    """The error of a source that another program writes to."""
    return error_at(path, "changed while being read", "a file that does not change during the run")


def memory_bytes() -> int:
    """The memory of this machine; where the system does not say, 16 GiB."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 16 << 30


def part(where: str, raw: msgspec.Raw, kind: Any, what: str, expected: str) -> Any:
    """One part as a type; `what` says which. Raises SkipSample where it is none."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except NOT_JSON as error:
        raise skip(NO_ROW, where, f"{what}: {error}", expected) from None
