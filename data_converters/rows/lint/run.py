"""One pass over the files: each line is read and checked, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from groundswift.errors import GroundswiftError, Tally, error_at
from groundswift.row_view import Finding, RowView

from ..jsonl_lines import Line, lines_of
from .checks_boxes import readable_boxes
from .checks_images import ImageCheck, ImageChecks, check_image, check_sizes, check_videos, frame_sizes, path_of, sources_of
from .checks_rejected import check_rejected, check_turns
from .checks_rows import TokenCounter, check_length
from .checks_set import SetFacts
from .findings import Findings, Place
from .fix import fixed_row
from .rules import RULES

AHEAD_ROWS, AHEAD_BYTES = 256, 1 << 24  # rows whose images are being checked
NOT_FIXABLE = ("boxes-look-like-xywh", "boxes-look-like-ratios", "boxes-look-like-norm1000")


@dataclass(frozen=True)
class LintOptions:
    """What to check. `images` None: no image is opened. `against`: (paths, contents) of another set's images; `counter` of tokens."""

    images: ImageChecks | None = None
    family: str | None = None
    counter: TokenCounter | None = None
    max_length: int = 0
    against: tuple[frozenset[int], frozenset[int]] | None = None
    workers: int = 4
    limit: int | None = None


@dataclass
class Lint:
    """What a pass found; complete once its iterator has ended. `changes`: what --fix did, by ids of `fix.CHANGES`."""

    files: Sequence[str]
    findings: Findings
    facts: SetFacts = field(default_factory=SetFacts)
    changes: Tally = field(default_factory=Tally)
    rows_fixed: int = 0


class _Pending(NamedTuple):
    view: RowView
    raw: bytes
    place: Place
    checks: Future[list[ImageCheck]] | None
    fixable: bool  # a line with NaN would not be the same when written again


def lint_lines(
    files: Sequence[str | Path], options: LintOptions, lint: Lint, fix: bool = False, progress: Callable[[int], object] = lambda size: None
) -> Iterator[bytes]:
    """Check all rows; findings go to `lint`. With `fix`, yields every line, fixed where that is safe.

    `progress` is called with the bytes of each line. Raises GroundswiftError if a file cannot be read, and with `fix`, at the end, if the
    boxes as a whole look like another format: fixing would spoil them.
    """
    check = _cached(options.images) if options.images else None
    left, size = options.limit, 0
    with ThreadPoolExecutor(options.workers) if check else nullcontext() as pool:
        ahead: deque[_Pending | bytes] = deque()
        for path in files:
            rows = 0
            for line in lines_of(path):
                progress(line.size)
                if left is not None and lint.facts.rows + sum(isinstance(each, _Pending) for each in ahead) >= left:
                    break
                pending = _begin(line, str(path), lint.findings, pool, check)
                rows += pending is not None
                if pending is None and not fix:
                    continue
                if line.raw is None:
                    raise error_at(f"{path}:{line.number}", "this line is too long to be written again", "a file without it for --fix")
                ahead.append(line.raw if pending is None else pending)
                size += line.size
                while len(ahead) >= AHEAD_ROWS or size > AHEAD_BYTES:
                    size -= len(ahead[0].raw if isinstance(ahead[0], _Pending) else ahead[0])
                    yield from _end(ahead.popleft(), options, lint, fix)
            if not rows and left is None:
                lint.findings.add("file-empty", Place(str(path)), "no row; expected one JSON object per line")
        while ahead:
            yield from _end(ahead.popleft(), options, lint, fix)
    for rule, place, what, count in lint.facts.check(Place(str(files[0]))):
        lint.findings.add(rule, place, what, count)
    suspicious = [rule for rule in NOT_FIXABLE if rule in lint.findings.counts]
    if fix and suspicious:
        evidence = "; ".join(f"{rule} ({lint.findings.examples[rule][0][1]})" for rule in suspicious if lint.findings.examples[rule])
        raise GroundswiftError(f"{files[0]}: nothing written, because fixing would spoil these boxes: {evidence or suspicious[0]}")


def _begin(
    line: Line, file: str, findings: Findings, pool: ThreadPoolExecutor | None, check: Callable[[str], ImageCheck] | None
) -> _Pending | None:
    """Read a line and start the checks of its images; None if it is blank or not a row."""
    place = Place(file, line.number)
    if line.row is None:
        if line.rule:
            findings.add(line.rule, place, line.problem)
        return None
    view = RowView.of(line.row)
    sample_id = line.row.get("sample_id")
    if isinstance(sample_id, int | str):
        plain = isinstance(sample_id, int) and abs(sample_id) < 1 << 63
        place = place._replace(sample_id=sample_id if plain else str(sample_id)[:60])
    if line.rule and not any(rule == "box-not-finite" for rule, _ in readable_boxes(view, ())[1]):
        view.findings.append((line.rule, line.problem))
    checks = pool.submit(_check_all, sources_of(view), check) if pool and check and view.images else None
    return _Pending(view, line.raw, place, checks, not line.rule)


def _check_all(sources: list[str], check: Callable[[str], ImageCheck]) -> list[ImageCheck]:
    return [check(source) if source else ImageCheck() for source in sources]


def _cached(images: ImageChecks) -> Callable[[str], ImageCheck]:
    """Many rows may have the same image, usually close to each other."""
    remembered = lru_cache(maxsize=4096)(lambda source: check_image(source, images))
    return lambda source: check_image(source, images) if len(source) > 4096 else remembered(source)


def _end(pending: _Pending | bytes, options: LintOptions, lint: Lint, fix: bool) -> Iterator[bytes]:
    """Finish one row, whose images have been checked."""
    if not isinstance(pending, _Pending):
        if fix:
            yield pending
        return
    view, raw, place, running, fixable = pending
    checks = running.result() if running else []
    boxes, unreadable = readable_boxes(view, frame_sizes(view, checks))
    findings = [*check_turns(view, boxes, options.family), *unreadable, *_check_row(view, checks, options)]
    findings += check_rejected(view, checks, options.family, findings)
    if options.counter and not any(RULES[rule].severity == "error" for rule, _ in findings):
        findings += check_length(view, options.counter, options.max_length)
    for rule, what in findings:
        lint.findings.add(rule, place, what)
    lint.facts.add(view, raw, place, boxes)
    if fix:
        yield _fixed(view, raw, checks, place, lint) if fixable else raw


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


def key_of(source: str) -> int:
    """64 bits that identify an image: by the file its path leads to, else by its text."""
    path = path_of(source)
    return hash(str(Path(path).resolve())) if path else hash(source)


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
