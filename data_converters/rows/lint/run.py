"""One pass over the files, block by block: each line is read and checked, in order and in bounded memory, on one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from groundswift.errors import GroundswiftError, Tally, error_at
from groundswift.gc_control import without_collection
from groundswift.row_view import Finding, RowView
from groundswift.worker_pool import WorkerPool

from ..jsonl_lines import Block, Line, blocks_of, line_of, lines_in, lines_of
from ..line_index import key64
from .checks_boxes import readable_boxes
from .checks_images import ImageCheck, ImageChecks, check_image, check_sizes, check_videos, frame_sizes, path_of, sources_of
from .checks_rejected import check_rejected, check_turns
from .checks_rows import TokenCounter, check_length
from .checks_set import PlainRow, SetFacts
from .findings import Findings, Place
from .fix import fixed_row
from .plain_rows import BoxTable, PlainRows, sound_images
from .rules import RULES

THREADS = 4  # of a process, which open images
NOT_FIXABLE = ("boxes-look-like-xywh", "boxes-look-like-ratios", "boxes-look-like-norm1000")


@dataclass(frozen=True)
class LintOptions:
    """What to check. `images` None: no image is opened. `against`: (paths, contents) of another set's images; `counter` of tokens."""

    images: ImageChecks | None = None
    family: str | None = None
    counter: TokenCounter | None = None
    max_length: int = 0
    against: tuple[frozenset[int], frozenset[int]] | None = None
    limit: int | None = None


@dataclass
class Lint:
    """What a pass found; complete once its iterator has ended. `changes`: what --fix did, by ids of `fix.CHANGES`."""

    files: Sequence[str]
    findings: Findings
    facts: SetFacts = field(default_factory=SetFacts)
    changes: Tally = field(default_factory=Tally)
    rows_fixed: int = 0

    def add(self, block: Lint) -> None:
        """Take in what was found in the next lines."""
        self.findings.merge(block.findings)
        self.facts.merge(block.facts)
        self.changes.merge(block.changes)
        self.rows_fixed += block.rows_fixed


class _Task(NamedTuple):
    """A block of a file, of which at most `left` rows are to be checked."""

    file: str
    block: Block
    left: int | None = None


class _Row(NamedTuple):
    """A line that is a row: what was read of it, in one of two ways, and the checks of its images, under way."""

    number: int
    raw: bytes
    plain: PlainRow | None
    line: Line | None
    checks: list[Future[ImageCheck]]

    def image_checks(self) -> list[ImageCheck]:
        """The checks of its images, none if no image is opened."""
        return [check.result() for check in self.checks]


@dataclass
class Checked(Lint):
    """What was found in one block of `size` bytes. `lines`: its lines, with --fix."""

    size: int = 0
    lines: list[bytes] = field(default_factory=list)


@dataclass
class BlockCheck:
    """Checks a block. What it finds depends on the block and the options alone; what it remembers stays in its process."""

    options: LintOptions
    keep: int
    fix: bool = False

    def __reduce__(self) -> tuple:
        return BlockCheck, (self.options, self.keep, self.fix)

    @cached_property
    def _image_check(self) -> Callable[[str], ImageCheck] | None:
        return _cached(self.options.images) if self.options.images else None

    @cached_property
    def _plain(self) -> PlainRows | None:
        return None if self.options.counter or self.options.against else PlainRows(self.options.family)

    def __call__(self, task: _Task) -> Checked:
        found = Checked([task.file], Findings(self.keep), size=task.block.size)
        if self.fix and task.block.too_long:
            where = f"{task.file}:{task.block.number}"
            raise error_at(where, "this line is too long to be written again", "a file without it for --fix")
        with without_collection():
            self._check(task._replace(block=task.block.loaded()), found)  # which leaves nothing for the collector to walk over
        return found

    def _check(self, task: _Task, found: Checked) -> None:
        with ThreadPoolExecutor(THREADS) if self._image_check else nullcontext() as threads:
            rows = self._rows(task, found, threads)
            plain = self._plain_rows(rows, found, task.file)
            for index, row in enumerate(rows):
                if isinstance(row, bytes):
                    found.lines.append(row)
                elif index in plain:
                    found.facts.add_plain(row.plain, row.raw, task.file, row.number)
                    found.lines += [row.raw] if self.fix else []
                else:
                    found.lines += self._checked(row, task.file, found)

    def _rows(self, task: _Task, found: Checked, threads: ThreadPoolExecutor | None) -> list[_Row | bytes]:
        """The rows of a block, and with --fix its other lines; the checks of their images start."""
        read, rows, left = self._plain.read if self._plain else lambda raw: None, [], task.left
        check_of: dict[str, Future[ImageCheck]] = {}  # many rows may have the same image
        if task.block.too_long:
            (line,) = lines_in(task.block)
            found.findings.add(line.rule, Place(task.file, line.number), line.problem)
        for number, raw in enumerate(BytesIO(task.block.data), task.block.number):
            if left == 0:
                break
            plain, line = read(raw), None
            if plain is None and (line := line_of(number, raw)).row is None:
                if line.rule:
                    found.findings.add(line.rule, Place(task.file, number), line.problem)
                rows += [raw] if self.fix else []
                continue
            left = left and left - 1
            sources = () if threads is None else plain.row.images if plain else sources_of(RowView.of(line.row))
            for source in sources:
                if source not in check_of:
                    check_of[source] = threads.submit(_check, source, self._image_check)
            rows.append(_Row(number, raw, plain, line, [check_of[source] for source in sources]))
        return rows

    def _plain_rows(self, rows: Sequence[_Row | bytes], found: Checked, file: str) -> set[int]:
        """The indices of the rows without findings. Their boxes are counted."""
        indexes = [index for index, row in enumerate(rows) if isinstance(row, _Row) and row.plain]
        if self._image_check:
            indexes = [index for index in indexes if sound_images(rows[index].plain.row, rows[index].image_checks())]
        table = BoxTable.of([rows[index].plain for index in indexes])
        broken = set(table.owners[~table.plain()].tolist())
        if broken:
            table = table.at(~np.isin(table.owners, list(broken)))
        owners = table.owners

        def place_of(box: int) -> Place:
            row = rows[indexes[owners[box]]]
            return Place.of(file, row.number, row.plain.row.sample_id)

        found.facts.box_counts.add_plain(table.boxes_xyxy_px, table.widths_px, table.heights_px, place_of)
        return {index for order, index in enumerate(indexes) if order not in broken}

    def _checked(self, row: _Row, file: str, found: Checked) -> list[bytes]:
        """Check one row as a whole. Returns the line to write with --fix."""
        line, options = row.line or line_of(row.number, row.raw), self.options
        view, place = _viewed(line, file)
        checks = row.image_checks()
        boxes, unreadable = readable_boxes(view, frame_sizes(view, checks))
        findings = [*check_turns(view, boxes, options.family), *unreadable, *_check_row(view, checks, options)]
        findings += check_rejected(view, checks, options.family, findings)
        if options.counter and not any(RULES[rule].severity == "error" for rule, _ in findings):
            findings += check_length(view, options.counter, options.max_length)
        for rule, what in findings:
            found.findings.add(rule, place, what)
        found.facts.add(view, row.raw, place, boxes)
        if not self.fix:
            return []
        return [row.raw if line.rule else _fixed(view, row.raw, checks, place, found)]  # a line with NaN would not be the same


def _viewed(line: Line, file: str) -> tuple[RowView, Place]:
    """A row and its place; what is wrong with its line is among the findings of the view."""
    view, place = RowView.of(line.row), Place.of(file, line.number, line.row.get("sample_id"))
    if line.rule and not any(rule == "box-not-finite" for rule, _ in readable_boxes(view, ())[1]):
        view.findings.append((line.rule, line.problem))
    return view, place


def _fixed(view: RowView, raw: bytes, checks: Sequence[ImageCheck], place: Place, lint: Lint) -> bytes:
    row, changes = fixed_row(view, checks)
    for change in changes:
        lint.changes.add(change, place)
    if row is None:
        return raw
    try:
        line = msgspec.json.encode(row) + b"\n"
    except (RecursionError, TypeError, ValueError, OverflowError):
        return raw
    lint.rows_fixed += 1
    return line


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


def _tasks(path: str | Path, limit: int | None, lint: Lint) -> Iterator[_Task]:
    """The blocks of a file; with a limit up to the row that reaches it."""
    for block in blocks_of(path):
        left = None if limit is None else limit - lint.facts.rows
        if left == 0:
            return
        yield _Task(str(path), block, left)


def _check(source: str, check: Callable[[str], ImageCheck]) -> ImageCheck:
    return check(source) if source else ImageCheck()


def _cached(images: ImageChecks) -> Callable[[str], ImageCheck]:
    """Many rows may have the same image, usually close to each other."""
    remembered = lru_cache(maxsize=4096)(lambda source: check_image(source, images))
    return lambda source: check_image(source, images) if len(source) > 4096 else remembered(source)


def _check_row(view: RowView, checks: Sequence[ImageCheck], options: LintOptions) -> Iterator[Finding]:
    if isinstance(view.row.get("response"), str) and view.has_messages:
        yield "result-row", "the row has messages and a response; expected one of them"
    for check in checks:
        yield from check.findings
    if options.images:
        yield from check_videos(view)
    yield from check_sizes(view, checks)
    if options.against:
        paths, contents = options.against
        for source, check in zip(sources_of(view), checks, strict=True):
            if key_of(source) in paths or check.digest in contents:
                same = "path" if key_of(source) in paths else "content"
                yield "image-leak", f"{source[:200]!r} is in the other set too (same {same}); expected it in one of them"


def key_of(source: str) -> int:
    """64 bits that identify an image: by the file its path leads to, else by its text."""
    path = path_of(source)
    return key64(str(Path(path).resolve()) if path else source)


def images_of(path: str | Path, images: ImageChecks) -> tuple[frozenset[int], frozenset[int]]:
    """(paths, contents) of all images of a set, 64 bits each. Raises GroundswiftError if the file cannot be read or a line is not a row."""
    paths, contents = set(), set()
    check = _cached(images)
    for line in lines_of(path):
        if line.row is None and line.rule == "not-json":
            raise GroundswiftError(f"{path}:{line.number}: {line.problem}")
        for source in filter(None, sources_of(RowView.of(line.row)) if line.row else ()):
            paths.add(key_of(source))
            digest = check(source).digest
            if digest is not None:
                contents.add(digest)
    return frozenset(paths), frozenset(contents)
