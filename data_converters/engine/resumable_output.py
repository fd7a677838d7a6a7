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
SECONDS = 5.0  # between two entries of the journal: what a kill costs at most
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}  # of disks without locks, as in some clusters
WRITE_BACK = 8 << 20  # bytes after which a flush to the disk is started


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
    """A name with room for a prefix and suffix within the 255 bytes of a disk: a long one is replaced by its hash."""
    data = os.fsencode(name)
    return name if len(data) <= 200 else blake2b(data, digest_size=16).hexdigest()


class DryOutput:
    """A conversion that is counted only. `blocks`: how many of the source are done already."""

    def __init__(self, log: IssueLog) -> None:
        self.log, self.totals, self.blocks = log, Totals(), 0

    def add(self, made: Made) -> None:
        """Take in one more block."""
        self.totals.add(made.totals)
        self.log.merge(made.log)


class Output(DryOutput):
    """An output under way."""

    def __init__(self, out: Path, run: dict[str, Any], log: IssueLog) -> None:
        super().__init__(log)
        self.target = Path(os.path.realpath(out))
        name = short_name(self.target.name)
        self.partial = self.target.with_name(f".{name}.partial")
        self.journal = self.target.with_name(f".{name}.journal")
        self.next_journal = self.target.with_name(f".{name}.journal.next")
        self.run = run
        self.size = self._on_its_way = 0
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
        self.file = file  # only now may `drop` remove it: what a refused --resume found must stay
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
        """The partial file, locked against other runs. Raises GroundswiftError where another run has the lock."""
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
            file.close()  # the other run has ended since, and what was opened is its output

    def _lock(self, file: BinaryIO) -> None:
        with suppress(ImportError):  # Windows has no fcntl: there, nothing stops two runs at once
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise error_at(self.target, "another conversion is writing this file") from None
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise

    def _earlier(self, file: BinaryIO) -> Entry | None:
        """The last entry of an earlier run of the same source and options, if all its lines are there; None without one."""
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
        self.file.write(made.lines)
        self.blocks += 1
        self.size += len(made.lines)
        if self.size - self._on_its_way > WRITE_BACK:
            self._write_back()
        super().add(made)
        if time.monotonic() >= self._next_entry:
            self.enter()
            self._next_entry = time.monotonic() + SECONDS

    def _write_back(self) -> None:
        """Flush in the background, so that the flush at the end is short. Raises OSError if the last one failed."""
        if self._writing_back:
            if not self._writing_back.done():
                return
            self._writing_back.result()
        self.file.flush()
        self._writing_back = self._disk.submit(os.fsync, self.file.fileno())
        self._on_its_way = self.size

    def _flush(self) -> None:
        """Flush all lines to the disk. Raises OSError if that fails, or failed in the background: the system reports it only once."""
        if self._writing_back:
            self._writing_back.result()
        self.file.flush()
        os.fsync(self.file.fileno())

    def enter(self) -> None:
        """Flush all lines to the disk, then note it in the journal."""
        if self.file is None:
            return
        self._flush()
        skipped, problems = self.log.counted, self.log.problems
        entry = Entry(self.run, self.blocks, self.size, self.totals, skipped.counts, skipped.examples, problems.counts, problems.examples)
        with staged(self.journal, self.next_journal, durable=False):
            self.next_journal.write_text(json.dumps(msgspec.to_builtins(entry)))  # Python's: names of the source's files may not be UTF-8

    def finish(self) -> None:
        """Move the whole file to its place."""
        self._flush()
        os.replace(self.partial, self.target)
        self._forget()

    def leave(self) -> bool:
        """Keep all blocks so far for `--resume`. Returns whether there are any."""
        with suppress(OSError):
            self.enter()
        if not self.blocks:
            self.drop()
        return self.blocks > 0

    def drop(self) -> None:
        """Remove the partial file and the journal, unless another run writes them."""
        if self.file:
            self.partial.unlink(missing_ok=True)
            self._forget()

    def _forget(self) -> None:
        self.journal.unlink(missing_ok=True)
        self.next_journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, which unlocks it."""
        self._disk.shutdown()
        if self.file:
            with suppress(OSError):
                self.file.close()


@contextmanager
def output(out: Path | None, run: dict[str, Any], log: IssueLog, resume: bool) -> Iterator[DryOutput]:
    """An output that becomes the file `out` when the block ends; an error of the source drops it, an interrupt keeps it for `--resume`.

    None: nothing is written. Raises GroundswiftError where it cannot be written.
    """
    if out is None:
        yield DryOutput(log)
        return
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
        if error.filename not in (None, str(under_way.partial), str(under_way.next_journal)):  # another file, such as the source
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
