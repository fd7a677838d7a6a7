"""A large result file in blocks of lines, which several processes read and parse while this one reads the ground truth.

A block whose rows are all ordinary comes back as rows and boxes. Every other one is read here, row by row, as a small file is.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np

from groundswift.background import Background
from groundswift.errors import GroundswiftError
from groundswift.gc_control import without_collection
from groundswift.grammars.columns import columns_of
from groundswift.grammars.registry import grammar_of
from groundswift.records import rows_of_lines
from groundswift.spaces import space_row

from .answer_boxes import Parsed
from .confidence import scores_of_answers
from .csv_results import is_table
from .protocol import Rules
from .swift_results import ResultRow, TokenResultRow, logprob_problem, row_kinds

BLOCK = 4 << 20  # bytes
LARGE = 32 << 20  # bytes of a file from which on other processes are worth their start


class PlainRow(msgspec.Struct, array_like=True, gc=False):
    """What is left of an ordinary row. `parsed` and `place`: the boxes of its block, and which answer is its own."""

    sample_id: int | str
    size_wh: tuple[int, int] | None
    response: str
    truncated: bool
    asked: str
    classes: list[str] | None
    place: int
    parsed: Any = None
    error: ClassVar[None] = None
    chat_template_kwargs: ClassVar[None] = None

    def question(self) -> str:
        return self.asked

    def was_truncated(self) -> bool:
        return self.truncated

    def asked_classes(self) -> list[str] | None:
        return self.classes


class Block(NamedTuple):
    """Its number of lines and, where all of them are ordinary, its rows and their boxes."""

    lines: int
    rows: bytes = b""
    parsed: Parsed | None = None


class RowsAhead:
    """The rows of a file, read by up to `workers` processes from now on."""

    def __init__(self, path: Path, rules: Rules, workers: int, block_bytes: int = BLOCK) -> None:
        self.path, self.rules, self._workers, self._stopped, self._wanted = path, rules, workers, False, False
        self._ranges = list(line_ranges(path, block_bytes))
        self._blocks = Background(self._read, daemon=True)

    def _read(self) -> list[Block]:
        from groundswift.worker_pool import WorkerPool  # 15 ms, which a small file does not need

        wanted = (each for each in self._ranges if not self._stopped)
        with WorkerPool(self._workers) as pool:
            read = partial(read_block, path=self.path, rules=self.rules)
            return list(pool.in_order(wanted, read, is_busy=lambda: not (self._wanted or self._stopped)))

    def stop(self) -> None:
        """Read no further."""
        self._stopped = True

    def rows(self) -> Iterator[tuple[int, Any]]:
        """As `records.read_jsonl`: (line number, row or the error of that line)."""
        self._wanted = True
        decode, first = msgspec.msgpack.Decoder(list[PlainRow]).decode, 1
        for block, (start, stop) in zip(self._blocks.result(), self._ranges, strict=True):
            if block.parsed is None:
                yield from rows_of_lines(lines_of(self.path, start, stop), self.path, *row_kinds(self.rules), first=first)
            else:
                for number, row in enumerate(decode(block.rows), first):
                    row.parsed = block.parsed
                    yield number, row
            first += block.lines


def rows_ahead(path: Path, rules: Rules | None, workers: int | None) -> RowsAhead | None:
    """`RowsAhead` where that is worth while: for large files of rows, with more than one process (None: one per CPU, at most 8)."""
    if workers == 1 or rules is None or is_table(path):
        return None
    try:
        if os.stat(path).st_size < LARGE:
            return None
        from groundswift.worker_pool import processors

        workers = workers or processors()
        return RowsAhead(path, rules, workers) if workers > 1 else None
    except (OSError, ValueError):  # who reads it row by row says why
        return None


def line_ranges(path: Path, block_bytes: int) -> Iterator[tuple[int, int]]:
    """The first byte of each block of lines, and that behind it."""
    with open(path, "rb") as file:
        size, start = os.fstat(file.fileno()).st_size, 0
        while start < size:
            file.seek(start + block_bytes)
            file.readline()
            stop = min(file.tell(), size)
            yield start, stop
            start = stop


def lines_of(path: Path, start: int, stop: int) -> list[bytes]:
    """The lines of a block, with their ends."""
    with open(path, "rb") as file:
        file.seek(start)
        text = file.read(stop - start)
    return list(io.BytesIO(text))


@without_collection()
def read_block(place: tuple[int, int], path: Path, rules: Rules) -> Block:
    """Read and parse the lines of a block, if all of them are ordinary."""
    lines = lines_of(path, *place)
    found = rows_of_lines(lines, path, *row_kinds(rules), first=1 if place[0] == 0 else 2)  # only the first may start with a mark
    rows = [row for _, row in found if _is_plain(row)]
    if len(rows) < len(lines):
        return Block(len(lines))
    plain = [
        PlainRow(row.sample_id, row.size_wh, row.response, row.was_truncated(), row.question(), row.asked_classes(), number)
        for number, row in enumerate(rows)
    ]
    return Block(len(lines), msgspec.msgpack.encode(plain), parsed_rows(rows, plain, rules))


def _is_plain(row: ResultRow | GroundswiftError) -> bool:
    """Whether a row has an answer, and nothing for which it could be dropped before its image is known."""
    if isinstance(row, GroundswiftError) or row.sample_id is None or row.response is None or row.error or row.chat_template_kwargs:
        return False
    return not (isinstance(row, TokenResultRow) and logprob_problem(row))


def parsed_rows(rows: list[ResultRow], plain: list[PlainRow], rules: Rules) -> Parsed:
    """The boxes of ordinary rows and, where tokens score them, their scores."""
    texts = [row.response for row in rows]
    found = columns_of(texts, grammar_of(rules.family), space_row(rules.space_name).largest, [row.truncated for row in plain])
    scores, apart = None, []
    if rules.score == "logprob":
        scores, apart = scores_of_answers(texts, [row.tokens() for row in rows], found.spans, found.offsets)
    found.spans, found.polygons = np.zeros((0, 2), np.int64), {}
    short = found.boxes.astype(np.float32)  # half of what is sent and kept, where that changes no number
    found.boxes = short if np.array_equal(short, found.boxes, equal_nan=True) else found.boxes
    return Parsed(found, scores, frozenset(apart))
