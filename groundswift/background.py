"""Work that a library does outside of Python's lock, next to work in Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")
TURN_S = 0.0005


class Background(Generic[Result]):
    """A function that runs in a thread from now on. `daemon`: the end of the process does not wait for it."""

    def __init__(self, work: Callable[[], Result], daemon: bool = False) -> None:
        self._work, self._error = work, None
        self._thread = Thread(target=self._run, daemon=daemon)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error

    def result(self) -> Result:
        """Wait for its result. Raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result


def import_numpy() -> None:
    """Import NumPy in a thread of its own.

    Python keeps the frames of a thread in blocks of 16 KB, and takes memory from the system at each call across the end of one: of NumPy,
    imported deep in a command, that was a fifth of the time.
    """

    def work() -> None:
        import numpy  # noqa: F401

    Background(work).result()


@contextmanager
def short_turns() -> Iterator[None]:
    """Threads get Python's lock after half a millisecond of another's turn, not after five: a library waits less for its next call."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
