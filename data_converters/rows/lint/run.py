"""One pass over the files, block by block: each line is read and checked, in order and in bounded memory, on one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from groundswift.errors import GroundswiftError
from groundswift.worker_pool import WorkerPool

from ..jsonl_lines import blocks_of
from .block_check import BlockCheck, LintOptions, Task
from .findings import Place
from .lint_result import Lint

NOT_FIXABLE = ("boxes-look-like-xywh", "boxes-look-like-ratios", "boxes-look-like-norm1000")


def lint_lines(
    files: Sequence[str | Path],
    options: LintOptions,
    lint: Lint,
    fix: bool = False,
    progress: Callable[[int], object] = lambda size: None,
    pool: WorkerPool | None = None,
) -> Iterator[bytes]:
    """Check all rows, on the processes of `pool`; findings go to `lint`. With `fix`, yields every line, fixed where that is safe.

    `progress` is called with the bytes of each block. Raises GroundswiftError if a file cannot be read, and with `fix`, at the end, if the
    boxes as a whole look like another format: fixing would spoil them.
    """
    alone = pool is None or options.counter or options.limit
    check = BlockCheck(options, lint.findings.keep, fix)
    for path in files:
        before = lint.facts.rows
        for found in (WorkerPool() if alone else pool).in_order(_tasks(path, options.limit, lint), check):
            progress(found.size)
            lint.add(found)
            yield from found.lines
        if lint.facts.rows == before and options.limit is None:
            lint.findings.add("file-empty", Place(str(path)), "no row; expected one JSON object per line")
    for rule, place, what, count in lint.facts.check(Place(str(files[0]))):
        lint.findings.add(rule, place, what, count)
    suspicious = [rule for rule in NOT_FIXABLE if rule in lint.findings.counts]
    if fix and suspicious:
        evidence = "; ".join(f"{rule} ({lint.findings.examples[rule][0][1]})" for rule in suspicious if lint.findings.examples[rule])
        raise GroundswiftError(f"{files[0]}: nothing written, because fixing would spoil these boxes: {evidence or suspicious[0]}")


def _tasks(path: str | Path, limit: int | None, lint: Lint) -> Iterator[Task]:
    """The blocks of a file; with a limit up to the row that reaches it."""
    for block in blocks_of(path):
        left = None if limit is None else limit - lint.facts.rows
        if left == 0:
            return
        yield Task(str(path), block, left)
