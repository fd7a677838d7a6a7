"""All-or-nothing output that a killed run can resume: lines go to a partial file, and a journal next to it records how many are valid.
`.NAME.partial` and `.NAME.journal` are next to NAME until the last line is written; then the partial file becomes NAME.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from groundswift.atomic_write import check_place, sigterm_as_exit, staged
from groundswift.errors import GroundswiftError, Interrupted, error_at

from ..base import Totals
from ..issues import IssueLog
from .batches import Made

GOES_ON = "; add --resume to continue from what is written"
SECONDS = 5.0  # between two entries of the journal: what a kill can cost
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}  # what disks say that know none, as some of clusters
WRITE_BACK = 8 << 20  # bytes after which the disk is asked to begin


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """How far a run has come: `blocks` of the source have become the first `size` bytes. `run` says of what and how."""

    run: dict[str, Any]
    blocks: int = 0
    size: int = 0
    totals: Totals = msgspec.field(default_factory=Totals)
    skipped: dict[str, int] = {}
    skipped_examples: dict[str, list[str]] = {}
    problems: dict[str, int] = {}
    problem_examples: dict[str, list[str]] = {}


def short_name(name: str) -> str:
    """A name that leaves room for what goes before and behind it, since disks take 255 bytes: a long one by its hash."""
    data = os.fsencode(name)
    return name if len(data) <= 200 else blake2b(data, digest_size=16).hexdigest()


class Output:
    """An output under way. `blocks`: how many of the source are in it already."""

    def __init__(self, out: Path, run: dict[str, Any], log: IssueLog) -> None:
        self.target = Path(os.path.realpath(out))
        name = short_name(self.target.name)
        self.partial = self.target.with_name(f".{name}.partial")
        self.journal = self.target.with_name(f".{name}.journal")
        self.next_journal = self.target.with_name(f".{name}.journal.next")
        self.run, self.log, self.totals = run, log, Totals()
        self.blocks = self.size = self._on_its_way = 0
        self.file: BinaryIO | None = None
        self._disk = ThreadPoolExecutor(1)
        self._writing_back: Future | None = None
        self._next_entry = time.monotonic() + SECONDS

    def open(self, resume: bool) -> None:
        """Begin, or go on where the journal says. Raises GroundswiftError where another run writes, or the journal is of another run."""
        file = self._locked()
        try:
            entry = self._earlier(file) if resume else None
        except GroundswiftError:
            file.close()
            raise
        self.file = file  # ours from here on, and dropped with us: what a refused --resume found must stay
        if entry:
            self.blocks, self.size, self.totals = entry.blocks, entry.size, entry.totals
            for tally, counts, examples in (
                (self.log.counted, entry.skipped, entry.skipped_examples),
                (self.log.problems, entry.problems, entry.problem_examples),
            ):
                tally.counts.clear()
                tally.counts.update(counts)
                tally.examples = examples
        else:
            self._forget()
        self.file.truncate(self.size)
        self.file.seek(self.size)

    def _locked(self) -> BinaryIO:
        """The partial file, held against other runs. Raises GroundswiftError where another one has it."""
        while True:
            file = os.fdopen(os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
            try:
                self._lock(file)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(file.fileno()), os.stat(self.partial)):
                        return file
            except (GroundswiftError, OSError):
                file.close()
                raise
            file.close()  # the run that had it has ended since, and what was opened is its output

    def _lock(self, file: BinaryIO) -> None:
        with suppress(ImportError):  # where there is none, two runs at once are the user's to avoid
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise error_at(self.target, "another conversion is writing this file") from None
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise

    def _earlier(self, file: BinaryIO) -> Entry | None:
        """The last entry of an earlier run of the same source and options whose lines are all there; None where there is none."""
        try:
            entry = msgspec.convert(json.loads(self.journal.read_bytes()), Entry)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.ValidationError) as error:
            raise error_at(
                self.journal, f"cannot be read ({error})", "the journal of the killed run, or no --resume to start over"
            ) from None
        if entry.run != msgspec.to_builtins(self.run):
            keys = sorted(key for key in entry.run.keys() | self.run.keys() if entry.run.get(key) != msgspec.to_builtins(self.run).get(key))
            raise error_at(
                self.target,
                f"the killed run had different {', '.join(keys)}",
                "the same source and options, or no --resume to start over",
            )
        return entry if os.fstat(file.fileno()).st_size >= entry.size else None

    def add(self, made: Made) -> None:
        """Take in one more block."""
        self.file.write(made.lines)
        self.blocks += 1
        self.size += len(made.lines)
        if self.size - self._on_its_way > WRITE_BACK:
            self._write_back()
        self.totals.add(made.totals)
        self.log.merge(made.log)
        if time.monotonic() >= self._next_entry:
            self.enter()
            self._next_entry = time.monotonic() + SECONDS

    def _write_back(self) -> None:
        """Let the disk keep up meanwhile, so that the flush at the end does not wait for all of it. Raises OSError where it could not."""
        if self._writing_back:
            if not self._writing_back.done():
                return
            self._writing_back.result()
        self.file.flush()
        self._writing_back = self._disk.submit(os.fsync, self.file.fileno())
        self._on_its_way = self.size

    def _flush(self) -> None:
        """Put all lines on the disk. Raises OSError where that fails now, or has failed meanwhile: a disk tells it once."""
        if self._writing_back:
            self._writing_back.result()
        self.file.flush()
        os.fsync(self.file.fileno())

    def enter(self) -> None:
        """Put all lines on the disk, then say so in the journal."""
        if self.file is None:
            return
        self._flush()
        skipped, problems = self.log.counted, self.log.problems
        entry = Entry(self.run, self.blocks, self.size, self.totals, skipped.counts, skipped.examples, problems.counts, problems.examples)
        with staged(self.journal, self.next_journal, durable=False):
            self.next_journal.write_text(json.dumps(msgspec.to_builtins(entry)))  # Python's: names of the source's files may not be UTF-8

    def finish(self) -> None:
        """Put the whole file in its place."""
        self._flush()
        os.replace(self.partial, self.target)
        self._forget()

    def leave(self) -> bool:
        """Leave all blocks so far to `--resume` -> whether there are any."""
        with suppress(OSError):
            self.enter()
        if not self.blocks:
            self.drop()
        return self.blocks > 0

    def drop(self) -> None:
        """Leave nothing behind; what another run writes is left alone."""
        if self.file:
            self.partial.unlink(missing_ok=True)
            self._forget()

    def _forget(self) -> None:
        self.journal.unlink(missing_ok=True)
        self.next_journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Give up the file, and its lock with it."""
        self._disk.shutdown()
        if self.file:
            with suppress(OSError):
                self.file.close()


@contextmanager
def output(out: Path, run: dict[str, Any], log: IssueLog, resume: bool) -> Iterator[Output]:
    """An output that becomes the file `out` when the block ends; an error of the source drops it, an interrupt leaves it to `--resume`.

    Raises GroundswiftError where it cannot be written.
    """
    check_place(out)
    under_way = Output(out, run, log)
    try:
        with sigterm_as_exit():
            under_way.open(resume)
            yield under_way
            under_way.finish()
    except Interrupted as error:
        raise Interrupted(f"{error}{GOES_ON if under_way.leave() else ''}") from None
    except GroundswiftError:
        under_way.drop()
        raise
    except OSError as error:
        if error.filename not in (None, str(under_way.partial), str(under_way.next_journal)):  # some other file, on the way to a line
            raise
        kept = GOES_ON if os.path.exists(under_way.journal) else ""
        if not kept:
            under_way.drop()
        raise error_at(out, f"cannot be written ({error.strerror}){kept}", "a file in a folder that exists and can be written") from None
    except BaseException:
        under_way.leave()
        raise
    finally:
        under_way.close()
