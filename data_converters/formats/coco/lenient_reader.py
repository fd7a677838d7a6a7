"""COCO files with some entries that cannot be read: each is a problem, and the rest is converted. See `groundswift.coco_lenient`."""

from __future__ import annotations

from collections.abc import Callable

from groundswift.coco_file import CocoFile, read_coco
from groundswift.coco_lenient import Elements, readable, readable_part
from groundswift.errors import GroundswiftError

from ...file_io.mmap_json import NOT_JSON, read_mapped
from ...issues import Issue, IssueLog

__all__ = ["Elements", "noting", "read_what_can_be", "readable"]


def read_what_can_be(path: str, log: IssueLog) -> CocoFile:
    """`read_coco`; where that fails at some images or annotations, the file without them.

    Raises GroundswiftError where the file cannot be read even so.
    """
    try:
        return read_coco(path)
    except GroundswiftError as error:
        try:
            content = read_mapped(path, Elements, "COCO with images, annotations and categories")
            return readable_part(path, content, noting(log), log.counted)
        except (GroundswiftError, *NOT_JSON):
            raise error from None


def noting(log: IssueLog) -> Callable[[str, str, str, str], None]:
    """What `readable` calls for an entry that cannot be read: it is logged as a problem."""
    return lambda *parts: log.add(Issue(*parts))
