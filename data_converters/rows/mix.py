"""A training mix: rows of several JSONL files by weight, each line as it stands in its file.

Two passes. The first looks at every line and keeps where it stands (20 bytes a row); the second copies the chosen lines in a shuffled
order. Which ones are chosen follows from the seed, the files and the weights alone: the same on every machine and with every version.
"""

from __future__ import annotations

import codecs
import math
import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.errors import Tally, fault
from groundswift.row_view import RowView
from groundswift.storage import local_copy, stat_key
from groundswift.urls import is_url, shown

from ..issues import Issue, IssueLog, OnError
from .jsonl_lines import LONGEST, decoded, lines_of

INTEGER = re.compile(rb"(-?[0-9]+)(\.0+)?")
BLOCK = 1 << 16  # rows that are turned into Python's numbers at a time
Told = Callable[[int], object]  # is told how much more is done


class Source(NamedTuple):
    """One file of a mix and its weight, above 0."""

    path: str
    weight: Fraction


class JsonRow(NamedTuple):
    """One line that is a JSON object. `start` and `size`: its bytes in the file, with its line break and without a byte order mark."""

    number: int
    start: int
    size: int
    raw: bytes
    row: dict[str, Any]


@dataclass
class LineIndex:
    """Where rows stand in a file: 12 bytes a row, none of their content. `file`: where it lies on this machine."""

    path: str
    file: Path
    starts: array = field(default_factory=lambda: array("Q"))
    sizes: array = field(default_factory=lambda: array("I"))
    stamp: tuple = ()
    id_types: set[type] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, row: JsonRow) -> None:
        """Keep the place of one row."""
        self.starts.append(row.start)
        self.sizes.append(row.size)
        self.id_types.add(type(row.row.get("sample_id")))


def source_of(text: str) -> Source:
    """`a.jsonl:2` -> its path and weight; what follows the last colon is the weight if it is a number, else all is path and it is 1."""
    path, colon, number = text.rpartition(":")
    try:
        weight = float(number) if colon else None
    except ValueError:
        weight = None
    if weight is None:
        path, weight = text, 1.0
    if not path:
        raise fault(repr(text), "no file before the weight", "FILE or FILE:WEIGHT")
    if not (math.isfinite(weight) and weight > 0):
        raise fault(shown(path), f"its weight is {number.strip()}", "a number above 0")
    return Source(path, Fraction(repr(weight)))


def shares(total: int, weights: Sequence[Fraction | int]) -> list[int]:
    """Whole numbers in the proportion of the weights that add up to `total`: largest remainder, of equal ones the earlier first."""
    whole = Fraction(sum(weights))
    exact = [total * weight / whole for weight in weights]
    counts = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: counts[index] - exact[index])
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    return counts


def most_without_repeating(sizes: Sequence[int], weights: Sequence[Fraction]) -> tuple[int, int]:
    """(rows of the largest mix that repeats none, index of the file that runs out first)."""
    whole = sum(weights)
    reach = [size * whole / weight for size, weight in zip(sizes, weights, strict=True)]
    first = min(range(len(reach)), key=reach.__getitem__)
    return math.floor(reach[first]), first


def permuted(size: int, *seed: int) -> NDArray[np.int64]:
    """0 to size - 1 in an order that the seed decides: by the raw numbers of a bit generator, which numpy keeps the same for ever."""
    keys = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(size)
    return np.argsort(keys, kind="stable")


def chosen(rows: int, share: int, *seed: int) -> NDArray[np.int64]:
    """`share` of a file's rows: all of them as often as they fit in whole, then a sample without replacement for the rest."""
    times, rest = divmod(share, rows)
    return np.concatenate([np.tile(np.arange(rows), times), permuted(rows, *seed)[:rest]])


def local_file(path: str) -> Path:
    """A regular file on this machine, of an address its copy. Raises GroundswiftError where there is none."""
    file = local_copy(path)
    if not os.path.isfile(file):
        what = "is a folder or device" if os.path.exists(file) else "no such file"
        raise fault(shown(path), what, "a JSONL file")
    return file


def json_rows(index: LineIndex, log: IssueLog, told: Told = lambda size: None) -> Iterator[JsonRow]:
    """Every line of a file that is a JSON object; the others are noted as faults, blank ones counted. `told`: bytes."""
    index.stamp = stat_key(index.file)
    offset = 0
    for line in lines_of(index.file):
        told(line.size)
        start, offset, raw = offset, offset + line.size, line.raw
        where = f"{index.path}:{line.number}"
        if raw is None:
            log.add(Issue("line too long", where, f"{line.size} bytes", f"at most {LONGEST}"))
            continue
        if line.number == 1 and raw.startswith(codecs.BOM_UTF8):
            raw, start = raw.removeprefix(codecs.BOM_UTF8), len(codecs.BOM_UTF8)
        if not raw.strip():
            log.count("blank line", where)
            continue
        found = decoded(raw)
        if found.row is None or found.not_json:
            log.add(Issue("line that is no JSON object", where, found.problem, "one JSON object a line"))
        else:
            if isinstance(found.row.get("response"), str) and found.row.get("messages") is not None:
                log.count("row of an inference: copied with the model's response, read by its truth", where)
            yield JsonRow(line.number, start, len(raw), raw, found.row)


class Copier:
    """Reads rows of an indexed file as they stand, in any order. Raises GroundswiftError where the file has changed since."""

    def __init__(self, index: LineIndex, open_files: ExitStack, buffering: int = 0) -> None:
        self.index = index
        try:
            self.file = open_files.enter_context(index.file.open("rb", buffering=buffering))
        except OSError as error:
            raise fault(index.path, f"cannot be read ({error.strerror})") from None
        self.check()

    def check(self) -> None:
        """To be called once more after the last row."""
        if stat_key(self.index.file) != self.index.stamp:
            raise fault(self.index.path, "was written to while it was read", "a file that stays as it is")

    def line(self, row: int) -> bytes:
        """One row with its line break; a last line without one gets it."""
        try:
            self.file.seek(self.index.starts[row])
            raw = self.file.read(self.index.sizes[row])
        except OSError as error:
            raise fault(self.index.path, f"cannot be read ({error.strerror})") from None
        if len(raw) != self.index.sizes[row]:
            raise fault(self.index.path, "became shorter while it was read", "a file that stays as it is")
        return raw if raw.endswith(b"\n") else raw + b"\n"


class MixOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`total` None: as many rows as there are without repeating any."""

    total: int | None = None
    seed: int = 0
    on_error: OnError = "stop"


class MixedFile(msgspec.Struct):
    """What a mix takes of a file. `of`: the rows it has. `repeated`: rows of the mix that stand in it before already."""

    path: str
    weight: float
    rows: int
    of: int
    repeated: int


class MixReport(msgspec.Struct):
    """What a mix is made of. `runs_out_first`: the file that decides the total where none is given. `duplicates`: rows, by sample_id and
    question, that stand in two files or more, with examples; they are counted and stay. `ids_as_text`: the files have numbers and texts as
    sample_id, and the mix has texts alone. `counts`: what was left out, by reason."""

    rows: int
    seed: int
    files: list[MixedFile]
    runs_out_first: str | None = None
    ids_as_text: bool = False
    duplicates: int = 0
    duplicate_examples: list[str] = []
    counts: dict[str, int] = {}
    out: str | None = None


class Plan(NamedTuple):
    """A mix before it is written: `files` and `rows` are (N,), which row of which file comes when."""

    indexes: list[LineIndex]
    files: NDArray[np.int32]
    rows: NDArray[np.int64]
    report: MixReport


def plan_mix(sources: Sequence[Source], options: MixOptions, log: IssueLog, told: Told = lambda size: None) -> Plan:
    """The first pass. Raises GroundswiftError for a file that is missing, given twice, at fault or without rows."""
    check_apart([source.path for source in sources])
    indexes, keys = [], []
    for source in sources:
        index = LineIndex(shown(source.path), local_file(source.path))
        keys.append(_indexed(index, log, told))
        log.settle(index.path, in_sets=False)
        if not index:
            raise log.nothing_left(index.path, "no row in it; expected JSON objects, one a line")
        indexes.append(index)
    weights, sizes = [source.weight for source in sources], [len(index) for index in indexes]
    total, first = most_without_repeating(sizes, weights) if options.total is None else (options.total, None)
    counts = shares(total, weights)
    files = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    rows = np.concatenate([chosen(*pair, options.seed, place) for place, pair in enumerate(zip(sizes, counts, strict=True), 1)])
    order = permuted(total, options.seed, 0)
    report = MixReport(total, options.seed, [], None if first is None else indexes[first].path)
    report.files = [
        MixedFile(index.path, float(weight), count, size, max(0, count - size))
        for index, weight, count, size in zip(indexes, weights, counts, sizes, strict=True)
    ]
    report.duplicates, examples = shared_keys(keys)
    report.duplicate_examples = [_told_row(indexes[file], row) for file, row in examples]
    report.ids_as_text = has_both_types(set().union(*(index.id_types for index in indexes)))
    report.counts = dict(log.left_out.counts.most_common())
    return Plan(indexes, files[order], rows[order], report)


def check_apart(paths: Sequence[str]) -> None:
    """Raises GroundswiftError where one file is given twice: its weight would not be what either says."""
    seen: dict[str, str] = {}
    for path in paths:
        place = path if is_url(path) else os.path.realpath(path)
        if place in seen:
            also = f" ({shown(seen[place])})" if seen[place] != path else ""
            raise fault(shown(path), f"is given twice{also}", "each file once, with its weight")
        seen[place] = path


def _indexed(index: LineIndex, log: IssueLog, told: Told) -> array:
    """Fill an index -> the key of each row."""
    keys = array("Q")
    for row in json_rows(index, log, told):
        index.add(row)
        keys.append(key_of(row))
    return keys


def key_of(row: JsonRow) -> int:
    """64 bits of a row's sample_id and question; of the whole line where it has no sample_id."""
    sample_id = row.row.get("sample_id")
    if type(sample_id) not in (int, str):
        text = b"line " + row.raw.strip()
    else:
        questions = [content for role, content in RowView.of(row.row).messages if role == "user"]
        text = repr((sample_id, questions)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def shared_keys(keys: Sequence[Sequence[int]], examples: int = Tally.EXAMPLES) -> tuple[int, list[tuple[int, int]]]:
    """(how many keys stand in two files or more, (file, row) of the first ones); twice in one file does not count."""
    once = [np.unique(np.asarray(each, dtype=np.uint64), return_index=True) for each in keys]
    files = np.repeat(np.arange(len(once)), [len(values) for values, _ in once])
    rows = np.concatenate([places for _, places in once])
    values, first, count = np.unique(np.concatenate([values for values, _ in once]), return_index=True, return_counts=True)
    shared = first[count > 1]
    kept = sorted(zip(files[shared].tolist(), rows[shared].tolist(), strict=True))[:examples]
    return len(shared), kept


def _told_row(index: LineIndex, row: int) -> str:
    with ExitStack() as open_files:
        sample_id = decoded(Copier(index, open_files).line(row)).row.get("sample_id")
    return f"{index.path}: " + (f"sample_id {sample_id!r:.100}" if type(sample_id) in (int, str) else f"row {row + 1}, without sample_id")


def has_both_types(types: set[type]) -> bool:
    """Whether ids are both texts and numbers, which tools that know no whole numbers write as floats."""
    return str in types and bool({int, float} & types)


def with_id_as_text(line: bytes) -> bytes:
    """A line whose sample_id is a whole number, also one as 7.0, with that number as text; other lines as they are."""
    row = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    sample_id = bytes(row.get("sample_id", b""))
    number = INTEGER.fullmatch(sample_id)
    return msgspec.json.encode(row | {"sample_id": number[1].decode()}) + b"\n" if number else line


def copied_lines(plan: Plan, told: Told = lambda rows: None) -> Iterator[bytes]:
    """The second pass: the lines of a mix, in order. `told`: rows."""
    with ExitStack() as open_files:
        copiers = [Copier(index, open_files) for index in plan.indexes]
        for start in range(0, len(plan.rows), BLOCK):
            block = slice(start, start + BLOCK)
            for file, row in zip(plan.files[block].tolist(), plan.rows[block].tolist(), strict=True):
                line = copiers[file].line(row)
                yield with_id_as_text(line) if plan.report.ids_as_text else line
            told(min(BLOCK, len(plan.rows) - start))
        for copier in copiers:
            copier.check()
