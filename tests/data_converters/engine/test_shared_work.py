"""Processes that share work: results in their order; how all of them end where one is killed, their parent is, or Ctrl-C comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from groundswift.atomic_write import undisturbed
from groundswift.errors import GroundswiftError, Interrupted
from groundswift.worker_pool import WorkerPool

pytestmark = pytest.mark.process

SLOW = """
import time
from groundswift.data_converters.engine import resumable_output as journal
from groundswift.data_converters.formats import llava
from groundswift.cli import main

journal.SECONDS = 0
class Slow(llava.LlavaMaker, frozen=True):
    def row(self, *each):
        time.sleep(0.001)
        return super().row(*each)
llava.LlavaMaker = Slow
if __name__ == "__main__":
    main()
"""


class Work(msgspec.Struct, frozen=True):
    """Numbers are doubled; with an `event`, another process does that instead, and this one leaves it time to."""

    event: str = ""

    def __call__(self, number: int) -> int:
        if parent_process() is None:
            time.sleep(0.03 if self.event else 0)
        elif self.event == "fails":
            raise GroundswiftError("the store says no")
        elif self.event == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.event == "is killed in the middle of its answer":
            Connection._send = half_sent
        return 2 * number


def half_sent(pipe: Connection, data: bytes) -> None:
    os.write(pipe.fileno(), data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def pid_slowly(_: int) -> int:
    time.sleep(0.002)
    return os.getpid()


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5000])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_their_order(count, workers):
    with WorkerPool(workers) as pool:
        for _ in range(2):
            assert list(pool.in_order(range(count), Work())) == [2 * number for number in range(count)]


def test_all_processes_work_and_one_task_is_done_here():
    before = children(os.getpid())
    with WorkerPool(3) as pool:
        assert set(pool.in_order(range(1), pid_slowly)) == {os.getpid()}
        assert children(os.getpid()) == before
        assert len(set(pool.in_order(range(2000), pid_slowly))) == 3


def test_while_this_process_is_busy_the_others_do_all():
    with WorkerPool(3) as pool:
        found, busy = [], [True]
        for pid in pool.in_order(range(1300), pid_slowly, is_busy=lambda: busy[0]):
            found.append(pid)
            busy[0] = len(found) < 1000
    assert os.getpid() not in found[:1000]
    assert len(set(found[:1000])) == 2  # a second one is started when the first has enough
    assert os.getpid() in found[1000:]


def test_other_work_after_work_that_nobody_waited_for():
    with WorkerPool(2) as pool:
        with closing(pool.in_order(range(1000), pid_slowly)) as pids:
            assert next(pids) == os.getpid()
        assert list(pool.in_order(range(1000), Work())) == list(range(0, 2000, 2))


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ("fails", GroundswiftError, "the store says no"),
        ("is killed", Interrupted, "a worker process ended before its work was done"),
        ("is killed in the middle of its answer", Interrupted, "a worker process ended before its work was done"),
    ],
)
def test_a_worker_that_ends_is_reported(event, kind, message):
    with pytest.raises(kind, match=message), WorkerPool(2) as pool:
        list(pool.in_order(range(100), Work(event)))


def test_ctrl_c_that_another_thread_gets_is_put_off_too():
    begin, done = threading.Event(), []

    def interrupt() -> None:
        begin.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    other = threading.Thread(target=interrupt)  # begun before, so that it does not block what the main thread does
    other.start()

    def work() -> None:
        with undisturbed():
            begin.set()
            other.join()
            done.append("all of it")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        work()
    signal.signal(signal.SIGINT, before)
    assert done == ["all of it"]


@pytest.fixture
def slow(tmp_path) -> Iterator[subprocess.Popen]:
    """The command at work on two processes, in a group of its own, its journal begun."""
    turns = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"id": i, "conversations": turns}) + "\n" for i in range(100_000)))
    (tmp_path / "slow.py").write_text(SLOW)
    arguments = ["convert", "llava", tmp_path / "rows.jsonl", "--workers", "2", "--out", tmp_path / "out.jsonl"]
    with subprocess.Popen(
        [sys.executable, tmp_path / "slow.py", *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (tmp_path / ".out.jsonl.journal").exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield process
        if process.poll() is None:
            process.kill()


def test_workers_end_with_their_parent(slow):
    workers = children(slow.pid)
    assert len(workers) >= 2
    slow.kill()
    slow.wait()
    assert all_end(workers)


def test_ctrl_c_stops_all_and_is_reported_once(slow):
    workers = children(slow.pid)
    os.killpg(slow.pid, signal.SIGINT)
    _, shown = slow.communicate(timeout=30)
    assert shown.split("\n", 1)[0] == "stopped; run the same command with --resume to continue"
    assert "Traceback" not in shown
    assert all_end(workers)


def test_a_killed_worker_leaves_what_was_made(slow, tmp_path):
    os.kill(children(slow.pid)[-1], signal.SIGKILL)
    _, shown = slow.communicate(timeout=30)
    assert shown.startswith("error: --workers: a worker process ended before its work was done")
    assert shown.endswith("; add --resume to continue from what is written\n")
    assert not (tmp_path / "out.jsonl").exists()
    assert json.loads((tmp_path / ".out.jsonl.journal").read_bytes())["blocks"] > 0


def all_end(pids: list[int]) -> bool:
    """Whether none of some processes is there any more within a while; one that nobody has waited for is no process."""
    for _ in range(200):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
