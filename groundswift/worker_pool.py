"""Work that several processes share, its results in order.

Why not concurrent.futures: its workers outlive a parent that is killed, it takes all tasks in at once, each worker prints a traceback on
Ctrl-C, and it is slower (benchmarks/worker_pool.py times and checks both). Results are read by the thread that works here: another one
would wait for it at every 64 kB.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from multiprocessing import connection, get_context, resource_tracker
from queue import SimpleQueue
from typing import Any

from .atomic_write import sigterm_as_exit, undisturbed
from .errors import Interrupted

SECONDS = 0.02  # a batch of tasks takes so long: handing over less would cost more than it saves
LARGEST = 64  # tasks in a batch
MOST = 8  # processes by default
QUEUED = 2  # batches of a process: the current and the next
AHEAD = 4  # finished batches per process that may wait for an earlier one
TURN_S = 0.05  # until it is asked again whether this process may work
KILLED = "--workers: a worker process ended before its work was done (killed, or out of memory); use fewer workers to need less memory"
SPAWN = get_context("spawn")

Work = Callable[[Any], Any]


def processors() -> int:
    """The default number of processes: one per CPU that this process may use, at most MOST."""
    return min(MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


class WorkerPool:
    """This process and up to `count` - 1 others, started one by one while there is work. A context manager that ends them."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._others: list[_Other] = []

    def start_one(self) -> None:
        """Start one more process, if there may be one."""
        if len(self._others) < self.count - 1:
            self._others.append(_Other())

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        for other in self._others:
            other.end()

    def in_order(self, tasks: Iterable[Any], work: Work, is_busy: Callable[[], bool] | None = None) -> Iterator[Any]:
        """`work(task)` of each task, in their order. Work, tasks and results must pickle.

        This process does what the others have no room for, so it never waits for one to start; while `is_busy` says that it has other
        work, in another thread, the others do all. Raises what the work raises, and Interrupted where a process is killed.
        """
        if self.count == 1:
            yield from map(work, tasks)
            return
        tasks = iter(tasks)
        first = list(islice(tasks, 2))
        if len(first) == 2 and not self._others:
            self.start_one()
        tasks, state, size = chain(first, tasks), b"", 1
        under_way: deque[_Batch] = deque()
        while some := list(islice(tasks, size)):
            under_way.append(batch := _Batch(some))
            if other := self._with_room() or self._waited_for(is_busy):
                state = state or pickle.dumps(work)
                other.give(batch, state)
            else:
                began = time.monotonic()
                batch.done([work(task) for task in some])
                size = min(LARGEST, int(len(some) * SECONDS / (time.monotonic() - began + SECONDS / LARGEST)) + 1)
                if self._others:
                    self.start_one()
            while under_way and (under_way[0].is_done or len(under_way) > AHEAD * self.count):
                yield from self._results(under_way.popleft())
        for batch in under_way:
            yield from self._results(batch)

    def _with_room(self) -> _Other | None:
        """The least busy process that can take a batch."""
        for other in self._others:
            other.take(0)
        return min((other for other in self._others if other.has_room), key=lambda other: len(other.given), default=None)

    def _waited_for(self, is_busy: Callable[[], bool] | None) -> _Other | None:
        """The next process with room; None as soon as this one may work."""
        while is_busy is not None and self._others and is_busy():
            connection.wait([other.pipe for other in self._others], TURN_S)
            if other := self._with_room():
                return other
            if all(other.has_started for other in self._others):
                self.start_one()
        return None

    def _results(self, batch: _Batch) -> list[Any]:
        while not batch.is_done:
            next(other for other in self._others if batch in other.given).take(None)
        return batch.results()


class _Batch:
    """Some tasks, and their results."""

    def __init__(self, tasks: list[Any]) -> None:
        self.tasks = tasks
        self.is_done = False

    def done(self, outcome: list[Any] | Exception) -> None:
        self.is_done, self._outcome, self.tasks = True, outcome, []

    def results(self) -> list[Any]:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class _Other:
    """Another process and its batches."""

    def __init__(self) -> None:
        self.pipe, its_end = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(its_end,), daemon=True)
        resource_tracker.ensure_running()  # else it would start below, with Ctrl-C unblocked
        with undisturbed():  # the process starts with signals blocked, until it has its handlers
            self._process.start()
        its_end.close()
        self._outbox = _Outbox(self.pipe)
        self.has_started = False
        self._state: bytes | None = None
        self.given: deque[_Batch] = deque()

    @property
    def has_room(self) -> bool:
        return self.has_started and len(self.given) < QUEUED

    def give(self, batch: _Batch, state: bytes) -> None:
        """Send a batch, after the work if that has changed. Does not wait."""
        if self._state is not state:
            self._outbox.put(state)
            self._state = state
        self._outbox.put(pickle.dumps(batch.tasks))
        self.given.append(batch)

    def take(self, wait_s: float | None) -> None:
        """Take the results that are ready; None waits for the next."""
        try:
            while self.pipe.poll(wait_s):
                outcome, wait_s = pickle.loads(self.pipe.recv_bytes()), 0  # written by a process that this one has started
                if self.has_started:
                    self.given.popleft().done(outcome)
                self.has_started = True
        except (EOFError, OSError):
            raise Interrupted(KILLED) from None

    def end(self) -> None:
        """End it: at once if it is idle, else after its cleaning up."""
        if self.given:
            self._process.terminate()
        else:
            self._process.kill()
        self._process.join()
        self._outbox.end()
        self.pipe.close()


def _serve(end: connection.Connection) -> None:
    """Run in another process until its parent closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent reports it
    with suppress(EOFError, OSError), sigterm_as_exit():
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        outbox = _Outbox(end)
        outbox.put(pickle.dumps(None))
        work: Work = list
        while True:
            message = pickle.loads(end.recv_bytes())  # written by the parent
            if isinstance(message, list):
                outbox.put(pickle.dumps(_outcome(work, message)))
            else:
                work = message


def _outcome(work: Work, tasks: list[Any]) -> list[Any] | Exception:
    try:
        return [work(task) for task in tasks]
    except Exception as error:
        return error


class _Outbox:
    """Sends messages in a thread of its own; those that cannot be sent are dropped."""

    def __init__(self, end: connection.Connection) -> None:
        self._end = end
        self._messages: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()
        self.put = self._messages.put

    def _send(self) -> None:
        with suppress(OSError):
            while (message := self._messages.get()) is not None:
                self._end.send_bytes(message)

    def end(self) -> None:
        """Wait until all is sent; at once if nobody reads."""
        self.put(None)
        self._thread.join()
