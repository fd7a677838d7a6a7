"""Output that appears whole or not at all: written beside its place, flushed to the disk, then moved there in one step."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import fault

NAME_KEPT = 50  # characters of a name in that of its temporary file, which has to fit into 255 bytes


def write_whole(path: str | Path, lines: Iterable[bytes]) -> None:
    """Write all lines, or leave what stood at `path` as it was: after an error of `lines`, Ctrl-C or SIGTERM nothing else remains.

    The place is tried before the first line is asked for. Raises GroundswiftError where it cannot be written.
    """
    target = Path(os.path.realpath(path))  # where `path` is a link, what it points to is replaced
    check_place(path)
    temporary = target.with_name(f".{target.name[:NAME_KEPT]}.{secrets.token_hex(4)}.tmp")
    try:
        with sigterm_as_exit(), open(temporary, "xb") as out:
            try:
                out.writelines(lines)
                out.flush()
                os.fsync(out.fileno())
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.filename not in (None, str(temporary)):  # some other file, on the way to a line
            raise
        raise fault(path, f"cannot be written ({error.strerror})", "a file in a folder that exists and can be written") from None


def check_place(path: str | Path) -> None:
    """Raises GroundswiftError where what stands in the place of a file to write is none."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise fault(path, "is a folder or device", "a file to write")


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind the stack, as Ctrl-C does, so that `finally` runs; a handler that somebody else has set stays."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one would cut short what the first has begun to tidy up
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put Ctrl-C and SIGTERM off until the end, where the system can; for processes that are started here, until they unblock them."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: came.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)  # of this thread alone: another one may get them, hence the handlers
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for number in came:
            signal.raise_signal(number)
