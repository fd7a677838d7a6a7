"""One pass over the files: each line is read, looked at and judged, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from groundswift.errors import GroundswiftError, Tally, fault
from groundswift.row_view import Finding, RowView

from ..jsonl_lines import Line, decoded, lines_of
from .checks_boxes import check_boxes, readable_boxes
from .checks_images import Look, Looker, check_sizes, frame_sizes, look_at, path_of, sources_of
from .checks_labels import check_labels, check_points
from .checks_rejected import check_rejected
from .checks_rows import check_conversation
from .checks_set import SetFacts
from .checks_videos import check_videos
from .findings import Findings, Place
from .fix import encoded_row, fixed_row
from .rules import RULES
from .token_lengths import Counter, check_length

AHEAD_ROWS, AHEAD_BYTES = 256, 1 << 24  # rows whose images are being looked at
NOT_MENDABLE = ("boxes-look-like-xywh", "boxes-look-like-ratios", "boxes-look-like-norm1000")


@dataclass(frozen=True)
class LintOptions:
    """What to check. `looker` None: no image is opened. `against`: (paths, contents) of another set's images. `counter`: a row's tokens."""

    looker: Looker | None = None
    family: str | None = None
    counter: Counter | None = None
    max_length: int = 0
    against: tuple[frozenset[int], frozenset[int]] | None = None
    workers: int = 4
    limit: int | None = None
    examples: int = 3


@dataclass
class Lint:
    """What a pass found; complete once its iterator has ended."""

    files: Sequence[str]
    findings: Findings
    facts: SetFacts = field(default_factory=SetFacts)
    fixed: Tally = field(default_factory=Tally)
    rows_fixed: int = 0


class _Pending(NamedTuple):
    view: RowView
    raw: bytes
    place: Place
    looks: Future[list[Look]] | None
    mendable: bool  # a line with NaN would not be the same when written again


def lint_lines(
    files: Sequence[str | Path], options: LintOptions, lint: Lint, fix: bool = False, progress: Callable[[int], object] = lambda size: None
) -> Iterator[bytes]:
    """Check all rows; what is found goes to `lint`. With `fix` yields every line, mended where that is safe.

    `progress` is told the bytes of each line. Raises GroundswiftError where a file cannot be read, and with `fix`, at the end, where the
    boxes as a whole look as if they were in another format: then mending would spoil them.
    """
    look = _cached(options.looker) if options.looker else None
    left, size = options.limit, 0
    with ThreadPoolExecutor(options.workers) if look else nullcontext() as pool:
        ahead: deque[_Pending | bytes] = deque()
        for path in files:
            rows = 0
            for line in lines_of(path):
                progress(line.size)
                if left is not None and rows_begun(lint, ahead) >= left:
                    break
                pending = _begin(line, str(path), lint.findings, pool, look)
                rows += pending is not None
                if pending is None and not fix:
                    continue
                if line.raw is None:
                    raise fault(f"{path}:{line.number}", "this line is too long to be written again", "a file without it for --fix")
                ahead.append(line.raw if pending is None else pending)
                size += line.size
                while len(ahead) >= AHEAD_ROWS or size > AHEAD_BYTES:
                    size -= len(ahead[0].raw if isinstance(ahead[0], _Pending) else ahead[0])
                    yield from _end(ahead.popleft(), options, lint, fix)
            if not rows and left is None:
                lint.findings.add("file-empty", Place(str(path)), "no row; expected one JSON object a line")
        while ahead:
            yield from _end(ahead.popleft(), options, lint, fix)
    for rule, place, what, count in lint.facts.found(Place(str(files[0]))):
        lint.findings.add(rule, place, what, count)
    suspicious = [rule for rule in NOT_MENDABLE if rule in lint.findings.counts]
    if fix and suspicious:
        told = "; ".join(f"{rule} ({lint.findings.examples[rule][0].what})" for rule in suspicious if lint.findings.examples[rule])
        raise GroundswiftError(f"{files[0]}: nothing was written, for mending would spoil such boxes: {told or suspicious[0]}")


def rows_begun(lint: Lint, ahead: Sequence[_Pending | bytes]) -> int:
    """How many rows have been read so far, those that wait for their images among them."""
    return lint.facts.rows + sum(isinstance(each, _Pending) for each in ahead)


def _begin(
    line: Line, file: str, findings: Findings, pool: ThreadPoolExecutor | None, look: Callable[[str], Look] | None
) -> _Pending | None:
    """Read a line and send for its images; None where it is blank or no row."""
    place = Place(file, line.number)
    if line.raw is None:
        findings.add("line-too-long", place, f"{line.size} bytes; expected a row of at most 256 MiB")
        return None
    if not line.raw.strip():
        return None
    content = decoded(line.raw, line.number == 1)
    if content.row is None:
        if line.raw.removeprefix(b"\xef\xbb\xbf").strip():
            findings.add("not-json", place, f"{content.problem}; expected one JSON object")
        return None
    view = RowView.of(content.row)
    sample_id = content.row.get("sample_id")
    if isinstance(sample_id, int | str):
        plain = isinstance(sample_id, int) and abs(sample_id) < 1 << 63
        place = place._replace(sample_id=sample_id if plain else str(sample_id)[:60])
    if content.not_json and not any(rule == "box-not-finite" for rule, _ in readable_boxes(view, ())[1]):
        view.findings.append(("not-json", f"{content.problem}; expected one JSON object"))
    looks = pool.submit(_look_at_all, sources_of(view), look) if pool and look and view.images else None
    return _Pending(view, line.raw, place, looks, not content.not_json)


def _look_at_all(sources: list[str], look: Callable[[str], Look]) -> list[Look]:
    return [look(source) if source else Look() for source in sources]


def _cached(looker: Looker) -> Callable[[str], Look]:
    """Many rows may ask about one picture, as a rule close to each other."""
    remembered = lru_cache(maxsize=4096)(lambda source: look_at(source, looker))
    return lambda source: look_at(source, looker) if len(source) > 4096 else remembered(source)


def _end(pending: _Pending | bytes, options: LintOptions, lint: Lint, fix: bool) -> Iterator[bytes]:
    """Judge one row, whose images have been looked at."""
    if not isinstance(pending, _Pending):
        if fix:
            yield pending
        return
    view, raw, place, looking, mendable = pending
    looks = looking.result() if looking else []
    labels = view.label_of_box
    boxes, faults = readable_boxes(view, frame_sizes(view, looks))
    found = list(_found(view, looks, labels, options))
    found += [*faults, *check_boxes(view, boxes, labels)]
    found += check_rejected(view, looks, options.family, found)
    if options.counter and not any(RULES[rule].severity == "error" for rule, _ in found):
        found += check_length(view, options.counter, options.max_length)
    for rule, what in found:
        lint.findings.add(rule, place, what)
    lint.facts.add(view, raw, place, boxes)
    if fix:
        yield _fixed(view, raw, looks, place, lint) if mendable else raw


def _found(view: RowView, looks: Sequence[Look], labels: Sequence[str | None], options: LintOptions) -> Iterator[Finding]:
    yield from view.findings
    if view.has_messages and isinstance(view.row.get("response"), str):
        yield "result-row", "the row has messages and a response; expected one of them"
    yield from check_conversation(view)
    for look in looks:
        yield from look.found
    if options.looker:
        yield from check_videos(view)
    yield from check_sizes(view, looks)
    yield from check_labels(view.refs or (), options.family)
    yield from check_points(view, options.family)
    if options.against:
        paths, contents = options.against
        for source, look in zip(sources_of(view), looks, strict=True):
            if key_of(source) in paths or look.digest in contents:
                same = "path" if key_of(source) in paths else "content"
                yield "image-leak", f"{source[:200]!r} is in the other set too (the same {same}); expected it in one of them"


def _fixed(view: RowView, raw: bytes, looks: Sequence[Look], place: Place, lint: Lint) -> bytes:
    row, said = fixed_row(view, looks)
    for text in said:
        lint.fixed.add(text, place)
    if row is None:
        return raw
    try:
        line = encoded_row(row)
    except (RecursionError, TypeError, ValueError, OverflowError):
        return raw
    lint.rows_fixed += 1
    return line


def key_of(source: str) -> int:
    """64 bits that stand for the file that an image's path leads to, or for the text where it leads to none."""
    path = path_of(source)
    return hash(str(Path(path).resolve())) if path else hash(source)


def images_of(path: str | Path, looker: Looker) -> tuple[frozenset[int], frozenset[int]]:
    """(paths, contents) of all images of a set, 64 bits each. Raises GroundswiftError where the file cannot be read or a line is no row."""
    paths, contents = set(), set()
    look = _cached(looker)
    for line in lines_of(path):
        if line.raw is None or not line.raw.strip():
            continue
        content = decoded(line.raw, line.number == 1)
        if content.row is None:
            raise GroundswiftError(f"{path}:{line.number}: {content.problem}; expected one JSON object")
        for source in filter(None, sources_of(RowView.of(content.row))):
            paths.add(key_of(source))
            digest = look(source).digest
            if digest is not None:
                contents.add(digest)
    return frozenset(paths), frozenset(contents)
