"""A training mix: rows of several JSONL files by weight, each line as it is in its file.

Two passes. The first reads every line and keeps its position (20 bytes per row); the second copies the chosen lines in a shuffled order.
The choice depends on the seed, the files and the weights alone: it is the same on every machine and with every version.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.errors import Tally, error_at
from groundswift.row_view import RowView
from groundswift.urls import is_url, shown

from ..issues import IssueLog
from .jsonl_lines import decoded
from .line_index import Copier, LineIndex, Progress, copied_blocks, has_both_types, id_key, json_rows, key64
from .typed_row import Messages, TypedRun

MASK = (1 << 64) - 1


class Source(NamedTuple):
    """One file of a mix and its weight, above 0."""

    path: str
    weight: Fraction


def source_of(text: str) -> Source:
    """`a.jsonl:2` -> its path and weight: the number after the last colon; without one the weight is 1."""
    path, colon, number = text.rpartition(":")
    try:
        weight = float(number) if colon else None
    except ValueError:
        weight = None
    if weight is None:
        path, weight = text, 1.0
    if not path:
        raise error_at(repr(text), "no file before the weight", "FILE or FILE:WEIGHT")
    if not (math.isfinite(weight) and weight > 0):
        raise error_at(shown(path), f"its weight is {number.strip()}", "a number above 0")
    return Source(path, Fraction(repr(weight)))


def shares(total: int, weights: Sequence[Fraction | int]) -> list[int]:
    """Integers in the proportion of the weights that add up to `total`: largest remainder, the earlier of equal ones first."""
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
    """0 to size - 1 shuffled by the seed, from the raw numbers of a bit generator, which numpy never changes."""
    keys = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(size)
    order = np.argsort(keys)  # several times faster than a stable one, and the same where all keys differ
    ordered = keys[order]
    return np.argsort(keys, kind="stable") if (ordered[1:] == ordered[:-1]).any() else order


def chosen(rows: int, share: int, *seed: int) -> NDArray[np.int64]:
    """`share` of a file's rows: all of them as often as they fit, then a sample without replacement for the rest."""
    times, rest = divmod(share, rows)
    return np.concatenate([np.tile(np.arange(rows), times), permuted(rows, *seed)[:rest]])


class MixedFile(msgspec.Struct):
    """A file of a mix. `rows`: its rows in the mix; `of`: the rows it has; `repeated`: rows in the mix more than once."""

    path: str
    weight: float
    rows: int
    of: int
    repeated: int


class MixReport(msgspec.Struct):
    """What a mix is made of. `runs_out_first`: the file that decides the total if none is given. `duplicates`: rows in several files, by
    sample_id and question, all kept. `ids_as_text`: the files have numbers and strings as sample_id, and the mix only
    strings. `counts`: what was skipped, by id."""

    rows: int
    seed: int
    files: list[MixedFile]
    runs_out_first: str | None = None
    ids_as_text: bool = False
    duplicates: int = 0
    duplicate_examples: list[str] = []
    counts: dict[str, int] = {}
    out: str | None = None


class MixPlan(NamedTuple):
    """A mix before it is written. `files`, `rows`: (N,), which row of which file comes when."""

    indexes: list[LineIndex]
    files: NDArray[np.int32]
    rows: NDArray[np.int64]
    report: MixReport

    def lines(self, progress: Progress = lambda rows: None) -> Iterator[bytes]:
        """The second pass: the lines of the mix, in order, several at a time. `progress` counts rows."""
        return map(b"".join, copied_blocks(self.indexes, self.files, self.rows, progress))


def plan_mix(
    sources: Sequence[Source], log: IssueLog, progress: Progress = lambda size: None, total: int | None = None, seed: int = 0
) -> MixPlan:
    """The first pass. `total` None: as many rows as possible without repeating any.

    Raises GroundswiftError for a file that is missing, given twice, without rows, or with issues.
    """
    check_distinct([source.path for source in sources])
    indexes, keys = [], []
    for source in sources:
        index = LineIndex.of(source.path)
        keys.append(_indexed(index, log, progress))
        index.settle(log)
        indexes.append(index)
    weights, sizes = [source.weight for source in sources], [len(index) for index in indexes]
    total, first = most_without_repeating(sizes, weights) if total is None else (total, None)
    counts = shares(total, weights)
    files = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    rows = np.concatenate([chosen(*pair, seed, place) for place, pair in enumerate(zip(sizes, counts, strict=True), 1)])
    order = permuted(total, seed, 0)
    duplicates, examples = shared_keys(keys)
    report = MixReport(
        total,
        seed,
        [
            MixedFile(index.path, float(weight), count, size, max(0, count - size))
            for index, weight, count, size in zip(indexes, weights, counts, sizes, strict=True)
        ],
        runs_out_first=None if first is None else indexes[first].path,
        ids_as_text=has_both_types(indexes),
        duplicates=duplicates,
        duplicate_examples=[_row_name(indexes[file], row) for file, row in examples],
        counts=dict(log.counted.counts.most_common()),
    )
    return MixPlan(indexes, files[order], rows[order], report)


def check_distinct(paths: Sequence[str]) -> None:
    """Raises GroundswiftError if a file is given twice: neither weight would be right."""
    seen: dict[str, str] = {}
    for path in paths:
        place = path if is_url(path) else os.path.realpath(path)
        if place in seen:
            also = f" ({shown(seen[place])})" if seen[place] != path else ""
            raise error_at(shown(path), f"is given twice{also}", "each file once, with its weight")
        seen[place] = path


def _indexed(index: LineIndex, log: IssueLog, progress: Progress) -> array:
    """Fill an index. Returns the key of each row."""
    keys = array("Q")
    for found in json_rows(index, log, progress, Messages(question_key)):
        if isinstance(found, TypedRun):
            index.add_run(found)
            keys.extend(row_keys(found))
        else:
            index.add(found)
            keys.append(row_key(found.raw, question_key(RowView.of(found.row)), found.sample_id))
    return keys


def row_keys(run: TypedRun) -> list[int]:
    """`row_key` of each row of a run."""
    sample_ids = run.sample_ids
    if set(map(type, sample_ids)) == {int}:
        return [id_key(question, number) & MASK for question, number in zip(run.said, sample_ids, strict=True)]
    return list(map(row_key, run.lines, run.said, sample_ids))


def row_key(line: bytes, question: int, sample_id: object) -> int:
    """64 bits of a row's sample_id and questions, or of its whole line if it has no sample_id."""
    if type(sample_id) not in (int, str):
        return key64(b"line " + line.strip())
    return id_key(question, sample_id) & MASK


def question_key(view: RowView) -> int:
    """64 bits of what the user says in a row."""
    return key64(repr([content for role, content in view.messages if role == "user"])) or 1


def shared_keys(keys: Sequence[Sequence[int]], examples: int = Tally.EXAMPLES) -> tuple[int, list[tuple[int, int]]]:
    """(number of keys in two files or more, (file, row) of the first ones). A key twice in one file does not count."""
    if len(keys) == 1:
        return 0, []
    once = [np.unique(np.asarray(each, dtype=np.uint64), return_index=True) for each in keys]
    files = np.repeat(np.arange(len(once)), [len(values) for values, _ in once])
    rows = np.concatenate([places for _, places in once])
    _, first, count = np.unique(np.concatenate([values for values, _ in once]), return_index=True, return_counts=True)
    shared = first[count > 1]
    kept = sorted(zip(files[shared].tolist(), rows[shared].tolist(), strict=True))[:examples]
    return len(shared), kept


def _row_name(index: LineIndex, row: int) -> str:
    with ExitStack() as open_files:
        sample_id = decoded(Copier(index, open_files).line(row)).row.get("sample_id")
    return f"{index.path}: " + (f"sample_id {sample_id!r:.100}" if type(sample_id) in (int, str) else f"row {row + 1}, without sample_id")
