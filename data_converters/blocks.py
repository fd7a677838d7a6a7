"""Items -> lines, block by block: the one loop behind every format, on this thread, on processes or on a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from groundswift.records import Row

from .faults import Fault, Notes, OnError
from .reading import Make

ITEMS = 256  # a block: enough that handing it to a process costs little, few enough that a killed run loses little
AHEAD = 4  # blocks a worker that are made before they are asked for

_ENCODER = msgspec.json.Encoder()


class Totals(msgspec.Struct):
    """What came out: lines, the objects in them, and `negatives`, rows with an empty list of objects."""

    rows: int = 0
    objects: int = 0
    negatives: int = 0

    def add(self, other: Totals) -> None:
        self.rows += other.rows
        self.objects += other.objects
        self.negatives += other.negatives


@dataclass
class Made:
    """What became of one block."""

    lines: bytes = b""
    totals: Totals = field(default_factory=Totals)
    notes: Notes = field(default_factory=Notes)
    items: int = 0


def blocks_of(items: Iterable[Any], limit: int | None, done: int = 0) -> Iterator[list[Any]]:
    """The first `limit` items in blocks, less the first `done` blocks."""
    rest = islice(items, done * ITEMS, limit)
    while block := list(islice(rest, ITEMS)):
        yield block


def make_block(make: Make, on_error: OnError, items: list[Any]) -> Made:
    """The lines of one block. A pure function: the same block gives the same bytes wherever it runs."""
    notes, totals, rows = Notes(on_error), Totals(), []
    for item in items:
        if isinstance(item, Fault):
            notes.add(item)
            continue
        rows += make(item, notes)
    for row in rows:
        if isinstance(row, Row) and row.objects is not None:
            found = len(row.objects.bbox)
            totals.objects += found
            totals.negatives += not found
    totals.rows = len(rows)
    return Made(_ENCODER.encode_lines(rows), totals, notes, len(items))


def made_here(make: Make, on_error: OnError, blocks: Iterable[list[Any]]) -> Iterator[Made]:
    """Every block in turn, on this thread."""
    for block in blocks:
        yield make_block(make, on_error, block)


def made_by_workers(make: Make, on_error: OnError, blocks: Iterable[list[Any]], workers: int) -> Iterator[Made]:
    """Every block in the order of the source, made on `workers` processes; only a few blocks are held at a time."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, get_context("spawn"), _remember, (make, on_error)) as pool, _dropped_at_error(pool):
        pending: deque = deque()
        for block in blocks:
            pending.append(pool.submit(_make_remembered, block))
            if len(pending) > workers * AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


_remembered: tuple[Make, OnError] | None = None  # in a worker process: what all its blocks are made with


def _remember(make: Make, on_error: OnError) -> None:
    global _remembered
    _remembered = make, on_error


def _make_remembered(block: list[Any]) -> Made:
    return make_block(*_remembered, block)


@contextmanager
def _dropped_at_error(pool: Any) -> Iterator[None]:
    """After an error or Ctrl-C, do not wait for the blocks that nobody will ask for."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
