"""A conversion from options to a file, or to rows in memory: what the command, the named sets and the tests call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import msgspec

from groundswift import __version__
from groundswift.errors import GroundswiftError, error_at
from groundswift.gc_control import frozen, without_collection
from groundswift.records import Row
from groundswift.storage import exists, stat_key
from groundswift.urls import is_url, shown
from groundswift.worker_pool import WorkerPool, processors

from ..base import Options, Reading, Totals, WholeOptions
from ..cli_options import as_given, path_fields
from ..file_io.mmap_json import changed
from ..issues import Issue, IssueLog
from .batches import Made, blocks_of, make_block, size_of
from .resumable_output import output

ASIDE = {"images", "videos", "save_images", "coco_out"}  # folders that rows only point to, and outputs other than the rows
Engine = Literal["local", "ray"]
PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "a 7z archive"}


class RunOptions(msgspec.Struct, frozen=True):
    """Where a conversion runs: on `workers` processes (None: one a processor), here or on a Ray cluster; and whether it resumes."""

    workers: int | None = 1
    engine: Engine = "local"
    resume: bool = False
    progress: bool = True


def convert_to_file(options: Options, out: Path | None, run_options: RunOptions, log: IssueLog) -> Totals:
    """Convert a source into the JSONL file `out`, which appears whole or not at all; None: check and count only.

    Raises GroundswiftError with every problem where `options.on_error` is stop, and where no line is left.
    """
    check_unpacked(options)
    if isinstance(options, WholeOptions):
        check_running(run_options)
        return options.write(out, log, run_options.progress)
    stamps = stamps_of(options)
    with WorkerPool(run_options.workers or processors()) as pool:
        with without_collection():
            reading = options.open(log, pool)
        with frozen(), output(out, run_of(options) if out else {}, log, run_options.resume) as under_way:
            for made in made_blocks(options, reading, run_options, pool, under_way.blocks):
                under_way.add(made)
            check_unchanged(stamps)
            settle(options, reading, under_way.totals, log)
        return under_way.totals


def check_running(run_options: RunOptions) -> None:
    """Raise GroundswiftError for options of running that formats with one whole output do not have."""
    given = {
        "--resume": run_options.resume,
        f"--workers {run_options.workers}": run_options.workers not in (None, 1),
        f"--engine {run_options.engine}": run_options.engine != "local",
    }
    if any(given.values()):
        shown = ", ".join(option for option, wanted in given.items() if wanted)
        raise GroundswiftError(f"{shown}: not available for this format, which writes one document at the end; remove it")


def rows_of(options: Options, log: IssueLog, progress: bool = False) -> Iterator[Row]:
    """The rows of a source, one by one. Raises as `convert_to_file` does, after the last one."""
    check_unpacked(options)
    stamps = stamps_of(options)
    reading, made = options.open(log, WorkerPool()), 0
    with bar(reading, options.limit, 0, progress) as line:
        for block in blocks_of(reading.items, options):
            for item in block:
                if isinstance(item, Issue):
                    log.add(item)
                    continue
                for row in reading.make(item, log):
                    made += 1
                    yield row
            line.update(len(block))
    check_unchanged(stamps)
    settle(options, reading, Totals(made), log)


def files_of(options: Options) -> list[str]:
    """The files on this machine that the options name as sources."""
    paths = [getattr(options, name) for name in path_fields(type(options)) if name not in ASIDE]
    return [path for path in paths if path and not is_url(path) and os.path.isfile(path)]


def check_unpacked(options: Options) -> None:
    """Raise GroundswiftError for a source that is an archive, as tools export them, or compressed."""
    for path in files_of(options):
        with suppress(OSError), open(path, "rb") as file:
            start = file.read(8)
            if kind := next((kind for mark, kind in PACKED.items() if start.startswith(mark)), None):
                raise error_at(path, kind, "what is in it: unpack it first")


def stamps_of(options: Options) -> dict[str, list[Any]]:
    """The size and time of change of each file on this machine that the options name; folders and URLs have none."""
    return {path: list(stat_key(path)) for path in files_of(options)}


def check_unchanged(stamps: dict[str, list[Any]]) -> None:
    """Raise GroundswiftError where a file has changed since `stamps_of`: its rows would be of two states."""
    for path, stamp in stamps.items():
        if not os.path.isfile(path) or list(stat_key(path)) != stamp:
            raise changed(path)


def settle(options: Options, reading: Reading, totals: Totals, log: IssueLog) -> None:
    """Raise GroundswiftError with the problems, or where nothing came out."""
    log.settle(options.annotations)
    if not totals.rows:
        why = f"every {reading.unit} was dropped" if log.counted.counts else f"the source has no {reading.unit}"
        raise log.nothing_left(options.annotations, f"nothing to write: {why}")


def made_blocks(options: Options, reading: Reading, run_options: RunOptions, pool: WorkerPool, done: int) -> Iterator[Made]:
    """All blocks after the first `done`, in the order of the source."""
    if run_options.engine == "ray":
        from .ray_backend import made_on_ray

        made = made_on_ray(options, pool.count, done)
    else:
        made = pool.in_order(blocks_of(reading.items, options, done), partial(make_block, reading.make, options.on_error))
    with bar(reading, options.limit, done * size_of(options), run_options.progress) as line:
        for block in made:
            line.update(block.items)
            yield block


def bar(reading: Reading, limit: int | None, done: int, shown: bool) -> Any:
    """A progress bar over the items of a source, a context; silent if stderr is not a terminal."""
    from tqdm import tqdm

    total = reading.total if limit is None or reading.total is None else min(limit, reading.total)
    return tqdm(total=total, initial=done, desc="convert", unit=reading.unit, disable=None if shown else True)


def run_of(options: Options) -> dict[str, Any]:
    """What must be the same for --resume: version, format, options, and the state of the source."""
    given = dict(zip(options.__struct_encode_fields__, msgspec.structs.astuple(options), strict=True))
    sources = {name: given[name] for name in path_fields(type(options)) if name not in ASIDE and given[name]}
    return {
        "groundswift": __version__,
        "format": type(options).__name__,
        "items a block": size_of(options),
        "source": {name: state_of(path, given.get("coco_out")) for name, path in sources.items()},
        **{as_given(name): shown(value) if is_url(value) else repr(value) for name, value in given.items()},
    }


def state_of(path: str, own: str | None = None) -> list[Any]:
    """Size and time of a file; of a folder, the number and a hash of those of all files below it, without hidden ones and the file `own`,
    which the run itself writes."""
    if not os.path.isdir(path):
        return list(stat_key(path)) if exists(path) else []
    skipped = own and os.path.abspath(own)
    found = sorted(each for each in states_below(os.path.abspath(path)) if each[0] != skipped)
    return [len(found), blake2b(repr(found).encode(), digest_size=16).hexdigest()]


def states_below(folder: str) -> Iterator[tuple[str, int, int]]:
    """(path, size in bytes, time of change in ns) of all files below a folder that are not hidden."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from states_below(entry.path)
            elif entry.is_file():
                yield entry.path, entry.stat().st_size, entry.stat().st_mtime_ns
