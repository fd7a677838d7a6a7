"""Work that a library does outside of Python's lock, next to work in Python."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """A function that runs in a thread from now on."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work, self._error = work, None
        self._thread = Thread(target=self._run)
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
