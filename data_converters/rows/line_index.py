"""Where the rows of a JSONL file are, so that they can be copied byte by byte in any order: 12 bytes per row, none of their content."""

from __future__ import annotations

import codecs
import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from io import BytesIO
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.errors import GroundswiftError, error_at
from groundswift.storage import local_copy, stat_key
from groundswift.urls import shown

from ..file_io.mmap_json import changed
from ..issues import Issue, IssueLog
from .jsonl_lines import Line, blocks_of, line_of, lines_in
from .typed_row import Messages, TypedRun, runs_of, typed_rows

INTEGER = re.compile(rb"(-?[0-9]+)(\.0+)?")
BLOCK = 1 << 16  # rows whose positions are looked up at a time
CHUNK = 1 << 20  # bytes that are copied at a time
LINE_BREAK = ord("\n")
Progress = Callable[[int], object]  # called with the bytes or rows done since the last call


def key64(text: str | bytes) -> int:
    """64 bits of a text, the same on every machine."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def id_key(question: int, sample_id: int | str) -> int:
    """64 bits of a question and an id. Python gives -1 and -2 one hash, so a number is made odd."""
    return hash((question, 2 * sample_id + 1 if isinstance(sample_id, int) else key64(sample_id)))


class JsonRow(msgspec.Struct, gc=False):
    """One line that is a JSON object. `start`, `size`: its bytes in the file, with its line break and without a byte order mark."""

    number: int
    start: int
    size: int
    raw: bytes
    row: dict[str, Any]

    @property
    def sample_id(self) -> Any:
        """Of any type; None where the row has none."""
        return self.row.get("sample_id")

    @property
    def sample_ids(self) -> list[Any]:
        """As those of a run."""
        return [self.sample_id]


@dataclass
class LineIndex:
    """The positions of the rows of a file. `path`: as given, without secrets; `file`: on this machine; `id_types`: of sample_id."""

    path: str
    file: Path
    starts: array = field(default_factory=lambda: array("Q"))
    sizes: array = field(default_factory=lambda: array("I"))
    stamp: tuple = ()
    id_types: set[type] = field(default_factory=set)

    @classmethod
    def of(cls, path: str) -> LineIndex:
        """An empty index of a regular file, of a URL its local copy. Raises GroundswiftError if there is none."""
        file = local_copy(path)
        if not os.path.isfile(file):
            raise error_at(shown(path), "is a folder or device" if os.path.exists(file) else "no such file", "a JSONL file")
        return cls(shown(path), file)

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, row: JsonRow) -> None:
        """Keep the position of one row."""
        self.starts.append(row.start)
        self.sizes.append(row.size)
        self.id_types.add(type(row.sample_id))

    def add_run(self, run: TypedRun) -> None:
        """Keep the positions of some rows."""
        self.starts.extend(run.starts)
        self.sizes.extend(map(len, run.lines))
        self.id_types.update(map(type, run.sample_ids))

    def joined(self, kinds: NDArray[np.integer]) -> tuple[LineIndex, NDArray[np.int64]]:
        """Neighbouring rows of one kind (`kinds`: (rows,)) as one row, up to about CHUNK bytes; and the first row of each."""
        starts, sizes = (np.asarray(column).astype(np.int64) for column in (self.starts, self.sizes))
        ends = starts + sizes
        apart = (starts[1:] != ends[:-1]) | (kinds[1:] != kinds[:-1]) | (np.diff(ends // CHUNK) > 0)
        first = np.flatnonzero(np.concatenate([[True], apart]))
        last = np.append(first[1:], len(starts)) - 1
        joined = array("Q", starts[first].tolist()), array("I", (ends[last] - starts[first]).tolist())
        return replace(self, starts=joined[0], sizes=joined[1]), first

    def settle(self, log: IssueLog) -> None:
        """Raises GroundswiftError if the file has issues that are not skipped, or no row."""
        log.settle(self.path, in_sets=False)
        if not self:
            raise log.nothing_left(self.path, "no row in it; expected JSON objects, one per line")


def json_rows(index: LineIndex, log: IssueLog, progress: Progress, messages: Messages[Any] | None = None) -> Iterator[JsonRow | TypedRun]:
    """Every line of a file that is a JSON object; the others go to `log`. `progress` counts bytes.

    With `messages`, lines of the converters' form come as runs, as long as they can be without a line of another form.
    """
    index.stamp = stat_key(index.file)
    offset = 0
    for block in blocks_of(index.file):
        if block.too_long:
            yield from _untyped(next(lines_in(block)), offset, index, log)
        lines = BytesIO(block.data).readlines()
        starts = list(accumulate(map(len, lines), initial=offset))
        rows = typed_rows(lines) if messages else []
        said = messages.of(rows, lines) if messages else [None] * len(lines)
        for some in runs_of(said):
            if some.start < some.stop:
                yield TypedRun(block.number + some.start, starts[some], lines[some], rows[some], said[some])
            if some.stop < len(lines):
                yield from _untyped(line_of(block.number + some.stop, lines[some.stop]), starts[some.stop], index, log)
        offset += block.size
        progress(block.size)


def _untyped(line: Line, start: int, index: LineIndex, log: IssueLog) -> Iterator[JsonRow]:
    where = f"{index.path}:{line.number}"
    if line.rule:
        log.add(Issue.of(line.rule, where, line.problem))
    elif line.row is None:
        log.count("line-blank", where)
    else:
        if isinstance(line.row.get("response"), str) and line.row.get("messages") is not None:
            log.count("result-row-copied", where)
        raw = line.raw.removeprefix(codecs.BOM_UTF8) if line.number == 1 else line.raw
        yield JsonRow(line.number, start + line.size - len(raw), len(raw), raw, line.row)


class Copier:
    """Reads rows of an indexed file as they are, in any order. Raises GroundswiftError if the file has changed since.

    `number`: of the open file, for the system.
    """

    def __init__(self, index: LineIndex, open_files: ExitStack) -> None:
        self.index = index
        try:
            self.number = open_files.enter_context(index.file.open("rb", buffering=0)).fileno()
        except OSError as error:
            raise self._unreadable(error) from None
        self.check()

    def _unreadable(self, error: OSError) -> GroundswiftError:
        return error_at(self.index.path, f"cannot be read ({error.strerror})")

    def check(self) -> None:
        """To be called once more after the last row."""
        if stat_key(self.index.file) != self.index.stamp:
            raise changed(self.index.path)

    def read(self, start: int, size: int) -> bytes:
        """Some bytes of the file. Raises GroundswiftError where it has fewer."""
        try:
            raw = os.pread(self.number, size, start)
        except OSError as error:
            raise self._unreadable(error) from None
        if len(raw) != size:
            raise error_at(self.index.path, "became shorter while being read", "a file that does not change during the run")
        return raw

    def line(self, row: int) -> bytes:
        """One row with its line break, which is added to a last line without one."""
        return with_break(self.read(self.index.starts[row], self.index.sizes[row]))


def with_break(raw: bytes) -> bytes:
    """A line with its line break, which the last one of a file may lack."""
    return raw if raw.endswith(b"\n") else raw + b"\n"


def copied_lines(
    indexes: Sequence[LineIndex], files: NDArray[np.integer], rows: NDArray[np.integer], progress: Progress
) -> Iterator[bytes]:
    """The lines `rows` (N,) of the files `files` (N,), in that order. `progress` counts rows.

    Where the files have both numbers and strings as sample_id, all are written as strings: a stream of rows takes one type.
    """
    return chain.from_iterable(copied_blocks(indexes, files, rows, progress))


def copied_blocks(
    indexes: Sequence[LineIndex], files: NDArray[np.integer], rows: NDArray[np.integer], progress: Progress
) -> Iterator[list[bytes]]:
    """As `copied_lines`, about CHUNK bytes at a time."""
    as_text = has_both_types(indexes)
    first_row = np.cumsum([0, *map(len, indexes)])
    starts, sizes = (np.concatenate([np.asarray(getattr(index, name)) for index in indexes]) for name in ("starts", "sizes"))
    with ExitStack() as open_files:
        copiers = [Copier(index, open_files) for index in indexes]
        for begin in range(0, len(rows), BLOCK):
            of_file = files[begin : begin + BLOCK]
            wanted = first_row[of_file] + rows[begin : begin + BLOCK]
            chunks = np.cumsum(sizes[wanted], dtype=np.int64) // CHUNK
            for some in np.split(np.arange(len(wanted)), np.flatnonzero(np.diff(chunks)) + 1):
                lines = _read_rows(copiers, of_file[some], starts[wanted[some]].astype(np.int64), sizes[wanted[some]].astype(np.int64))
                yield list(map(with_id_as_text, lines)) if as_text else lines
                progress(len(some))
        for copier in copiers:
            copier.check()


def _read_rows(copiers: Sequence[Copier], files: NDArray[np.integer], starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[bytes]:
    """Some rows, each with its line break: at once where they follow each other in a file."""
    ends = starts + sizes
    span = int(ends[-1] - starts[0])
    if (files == files[0]).all() and (starts[1:] >= ends[:-1]).all() and span <= 2 * CHUNK:
        data, first = copiers[int(files[0])].read(int(starts[0]), span), int(starts[0])
        lines = [data[start:end] for start, end in zip((starts - first).tolist(), (ends - first).tolist(), strict=True)]
    else:
        lines = _read_each(copiers, files.tolist(), starts.tolist(), sizes.tolist())
    return [line if line[-1] == LINE_BREAK else line + b"\n" for line in lines]


def _read_each(copiers: Sequence[Copier], files: Sequence[int], starts: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
    """Some rows, each at its place."""
    numbers = [copier.number for copier in copiers]
    with suppress(OSError):
        lines = list(map(os.pread, map(numbers.__getitem__, files), sizes, starts))
        if list(map(len, lines)) == sizes:
            return lines
    return [copiers[file].read(start, size) for file, start, size in zip(files, starts, sizes, strict=True)]  # and say what is wrong


def has_both_types(indexes: Iterable[LineIndex]) -> bool:
    """Whether ids are both strings and numbers, which tools without an integer type write as floats."""
    types = set().union(*(index.id_types for index in indexes))
    return str in types and bool({int, float} & types)


def with_id_as_text(line: bytes) -> bytes:
    """A line whose sample_id is an integer (7 or 7.0) with that number as a string; other lines as they are."""
    row = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    number = INTEGER.fullmatch(bytes(row.get("sample_id", b"")))
    return msgspec.json.encode(row | {"sample_id": number[1].decode()}) + b"\n" if number else line
