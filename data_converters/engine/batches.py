"""Items -> lines, block by block: the one loop behind every format, on this thread, on processes or on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from groundswift.gc_control import without_collection
from groundswift.records import Row

from ..base import Make, Options, Totals
from ..issues import Issue, IssueLog, OnError

ITEMS = 256  # a block: enough that handing it to a process costs little, few enough that a killed run loses little

_ENCODER = msgspec.json.Encoder()


@dataclass
class Made:
    """The lines of one block, with its totals and its log. `items`: how many it had."""

    lines: bytes = b""
    totals: Totals = field(default_factory=Totals)
    log: IssueLog = field(default_factory=IssueLog)
    items: int = 0


def blocks_of(items: Iterable[Any], options: Options, done: int = 0) -> Iterator[list[Any]]:
    """The items that --limit allows in blocks, less the first `done` blocks."""
    size = size_of(options)
    rest = islice(items, done * size, options.limit)
    while block := list(islice(rest, size)):
        yield block


def size_of(options: Options) -> int:
    """Items in a block."""
    return options.items_per_block or ITEMS


def make_block(make: Make, on_error: OnError, items: list[Any]) -> Made:
    """The lines of one block. A pure function: the same block gives the same bytes wherever it runs."""
    log, totals, rows = IssueLog(on_error), Totals(), []
    with without_collection():
        many = getattr(make, "many", None)
        if many:
            rows += many(items, log)
        for item in () if many else items:
            if isinstance(item, Issue):
                log.add(item)
                continue
            rows += make(item, log)
        try:
            lines = _ENCODER.encode_lines(rows)
        except UnicodeEncodeError:
            rows = [row for row in rows if _writable(row, log)]
            lines = _ENCODER.encode_lines(rows)
        found = [len(row.objects.bbox) for row in rows if isinstance(row, Row) and row.objects is not None]
        totals.rows, totals.objects, totals.negatives = len(rows), sum(found), found.count(0)
        rows.clear()  # else the collector, on again, would walk over all of them
    return Made(lines, totals, log, len(items))


def _writable(row: msgspec.Struct, log: IssueLog) -> bool:
    """Whether a row can be written; if not, a problem is logged: names on disk may have bytes that are not valid text."""
    try:
        _ENCODER.encode(row)
    except UnicodeEncodeError as error:
        what = "not UTF-8, so it cannot be written to a row"
        log.add(Issue("name-not-utf8", ascii(error.object[:300]), what, "files and folders named in UTF-8"))
        return False
    return True
