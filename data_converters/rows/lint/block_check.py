"""The check of one block of lines, in order: rows that nothing is wrong with together, the others one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np

from groundswift.errors import error_at
from groundswift.gc_control import without_collection
from groundswift.row_view import Finding, RowView

from ..jsonl_lines import Block, Line, line_of, lines_in
from ..typed_row import TypedRow, TypedRun, runs_of
from .checks_boxes import readable_boxes
from .checks_images import ImageCheck, ImageChecks, cached_check, check_sizes, check_videos, frame_sizes, sources_of
from .checks_rejected import check_rejected, check_turns
from .checks_rows import TokenCounter, check_length
from .checks_set import Conversation
from .findings import Findings, Place
from .fix import fixed_row
from .lint_result import Checked, Lint
from .other_set import key_of
from .plain_rows import BoxTable, PlainRows, sound_images
from .rules import RULES

THREADS = 4  # of a process, which open images


@dataclass(frozen=True)
class LintOptions:
    """What to check. `images` None: no image is opened. `against`: (paths, contents) of another set's images; `counter` of tokens."""

    images: ImageChecks | None = None
    family: str | None = None
    counter: TokenCounter | None = None
    max_length: int = 0
    against: tuple[frozenset[int], frozenset[int]] | None = None
    limit: int | None = None


class Task(NamedTuple):
    """A block of a file, of which at most `left` rows are to be checked."""

    file: str
    block: Block
    left: int | None = None


@dataclass
class Rows:
    """The lines of a block. A plain row has its content in `typed` and its conversation in `said`; the other lines have None there."""

    file: str
    number: int
    lines: list[bytes]
    typed: list[TypedRow | None]
    said: list[Conversation | None]

    def line(self, index: int) -> Line:
        """A line read as a row of any form."""
        return line_of(self.number + index, self.lines[index])

    def others(self) -> list[int]:
        """The indices of the lines that are no plain rows."""
        return [index for index, said in enumerate(self.said) if said is None]

    def plain(self) -> list[int]:
        """The indices of the plain rows."""
        return [index for index, said in enumerate(self.said) if said is not None]

    def first(self, count: int) -> Rows:
        """The lines up to the row of that number."""
        rows = [index for index, said in enumerate(self.said) if said is not None or self.line(index).row is not None]
        end = rows[count - 1] + 1 if len(rows) >= count else len(self.lines)
        return Rows(self.file, self.number, self.lines[:end], self.typed[:end], self.said[:end])

    def run(self, some: slice) -> TypedRun:
        """Plain rows that follow each other."""
        return TypedRun(self.number + some.start, (), self.lines[some], self.typed[some], self.said[some])


Checks = dict[int, list[ImageCheck]]  # by the index of a row


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
        return cached_check(self.options.images) if self.options.images else None

    @cached_property
    def _plain(self) -> PlainRows | None:
        return None if self.options.counter or self.options.against else PlainRows(self.options.family)

    def __call__(self, task: Task) -> Checked:
        found = Checked([task.file], Findings(self.keep), size=task.block.size)
        if self.fix and task.block.too_long:
            where = f"{task.file}:{task.block.number}"
            raise error_at(where, "this line is too long to be written again", "a file without it for --fix")
        with without_collection():
            self._check(task._replace(block=task.block.loaded()), found)  # which leaves nothing for the collector to walk over
        return found

    def _check(self, task: Task, found: Checked) -> None:
        if task.block.too_long:
            (line,) = lines_in(task.block)
            found.findings.add(line.rule, Place(task.file, line.number), line.problem)
        rows = self._rows(task)
        others = {index: rows.line(index) for index in rows.others()}
        for line in others.values():
            if line.row is None and line.rule:
                found.findings.add(line.rule, Place(task.file, line.number), line.problem)
        checks = self._image_checks(rows, others)
        self._find_plain(rows, checks, found)
        for some in runs_of(rows.said):
            if some.start < some.stop:
                found.facts.add_run(rows.run(some), task.file)
                found.lines += rows.lines[some] if self.fix else ()
            if some.stop < len(rows.lines):
                line = others.get(some.stop) or rows.line(some.stop)
                fixed = self._checked(line, checks.get(some.stop, []), task.file, found)
                found.lines += [fixed] if self.fix else ()

    def _rows(self, task: Task) -> Rows:
        """The lines of a block; with a limit, up to the row that reaches it."""
        lines = BytesIO(task.block.data).readlines()
        typed, said = self._plain.read(lines) if self._plain else ([None] * len(lines), [None] * len(lines))
        rows = Rows(task.file, task.block.number, lines, typed, said)
        return rows if task.left is None else rows.first(task.left)

    def _image_checks(self, rows: Rows, others: dict[int, Line]) -> Checks:
        """The checks of the images of each row; none if no image is opened."""
        if not self._image_check:
            return {}
        sources = {
            index: typed.images if said else sources_of(RowView.of(others[index].row))
            for index, (typed, said) in enumerate(zip(rows.typed, rows.said, strict=True))
            if said or others[index].row is not None
        }
        with ThreadPoolExecutor(THREADS) as threads:
            check_of: dict[str, Future[ImageCheck]] = {}  # many rows may have the same image
            for source in chain.from_iterable(sources.values()):
                if source not in check_of:
                    check_of[source] = threads.submit(_check, source, self._image_check)
            return {index: [check_of[source].result() for source in some] for index, some in sources.items()}

    def _find_plain(self, rows: Rows, checks: Checks, found: Checked) -> None:
        """Take from the plain rows those whose images or boxes may have findings; count the boxes of the others."""
        if self._image_check:
            for index in rows.plain():
                if not sound_images(rows.typed[index], checks[index]):
                    rows.said[index] = None
        indexes = rows.plain()
        table = BoxTable.of([rows.typed[index] for index in indexes])
        odd = np.unique(table.owners[table.odd()])
        if len(odd):
            for order in odd.tolist():
                rows.said[indexes[order]] = None
            table = table.at(~np.isin(table.owners, odd))

        def place_of(box: int) -> Place:
            index = indexes[table.owners[box]]
            return Place.of(rows.file, rows.number + index, rows.typed[index].sample_id)

        found.facts.box_counts.add_plain(table.boxes_xyxy_px, table.widths_px, table.heights_px, place_of)

    def _checked(self, line: Line, checks: Sequence[ImageCheck], file: str, found: Checked) -> bytes:
        """Check one row as a whole. Returns the line to write with --fix."""
        if line.row is None:
            return line.raw
        options = self.options
        view, place = _viewed(line, file)
        boxes, unreadable = readable_boxes(view, frame_sizes(view, checks))
        findings = [*check_turns(view, boxes, options.family), *unreadable, *_check_row(view, checks, options)]
        findings += check_rejected(view, checks, options.family, findings)
        if options.counter and not any(RULES[rule].severity == "error" for rule, _ in findings):
            findings += check_length(view, options.counter, options.max_length)
        for rule, what in findings:
            found.findings.add(rule, place, what)
        found.facts.add(view, line.raw, place, boxes)
        keep = line.rule or not self.fix  # a line with NaN would not be the same
        return line.raw if keep else _fixed(view, line.raw, checks, place, found)


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


def _check(source: str, check: Callable[[str], ImageCheck]) -> ImageCheck:
    return check(source) if source else ImageCheck()


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
