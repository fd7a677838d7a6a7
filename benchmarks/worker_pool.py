"""Work shared by processes: groundswift's WorkerPool and concurrent.futures.ProcessPoolExecutor, both in this run.

- speed: wall seconds of the same tasks, in order, for small results, large results and short work; both take turns, medians.
- what a command needs of a pool: bounded memory (how many tasks are taken before the first result is asked for again), no process left
  when the parent is killed, one message on Ctrl-C, a killed worker reported.

ProcessPoolExecutor is used as well as it can be: spawn, chunks, `map`.

    python benchmarks/worker_pool.py
    python benchmarks/worker_pool.py --share 0.1 --json
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from measure import JSON, medians, needs_lines, options_of, rounds, show

from groundswift.worker_pool import WorkerPool

WORKERS = 2
CASES = {"small results": (40_000, 100, 1_000), "large results": (200, 20_000, 2_000_000), "short work": (60, 20_000, 1_000)}


def work(task: tuple[int, int]) -> bytes:
    """Some arithmetic, then a result of so many bytes."""
    steps, size = task
    return bytes([sum(number * number for number in range(steps)) % 256]) * size


def ours(tasks: Iterable, done: Callable = work) -> Iterator:
    """The tasks by WorkerPool."""
    with WorkerPool(WORKERS) as pool:
        yield from pool.in_order(tasks, done)


def futures(tasks: Iterable, done: Callable = work) -> Iterator:
    """The tasks by ProcessPoolExecutor; those of `work` in chunks of a size that suits many small ones."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        yield from pool.map(done, tasks, chunksize=16 if done is work else 1)


POOLS = {"ours": ours, "concurrent.futures": futures}


def speed(share: float, repeats: int) -> dict[str, dict[str, float]]:
    """Median wall seconds by case and pool."""
    table: dict[str, dict[str, float]] = {}
    for case, (count, steps, size) in CASES.items():
        tasks = [(steps, size)] * max(2, int(count * share))
        ways = {name: partial(check_total, pool, tasks) for name, pool in POOLS.items()}
        table[case] = medians(ways, repeats)
    return table


def check_total(pool: Callable, tasks: list[tuple[int, int]]) -> None:
    """Do the tasks; their results have all the bytes that were asked for."""
    assert sum(map(len, pool(tasks))) == sum(size for _, size in tasks)


def taken_ahead(pool: Callable) -> int:
    """How many of 10,000 tasks a pool has taken in when its first result is there."""
    taken = 0

    def tasks() -> Iterator[tuple[int, int]]:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield 100, 10

    results = pool(tasks())
    next(results)
    ahead = taken
    results.close()
    return ahead


def sleeping(number: int) -> None:
    """A task that says which process does it, and takes long."""
    del number
    os.write(1, f"{os.getpid()}\n".encode())  # in one piece, as several processes write
    time.sleep(0.3)


def started(name: str) -> tuple[subprocess.Popen, int]:
    """(a process that uses a pool, the id of its worker, which has begun a task)."""
    code = f"import worker_pool as b; list(b.POOLS[{name!r}](range(60), b.sleeping))"
    process = subprocess.Popen(
        [sys.executable, "-c", f"if __name__ == '__main__':\n    {code}"],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stdout:
        if int(line) != process.pid:
            return process, int(line)
    raise SystemExit(process.stderr.read())


def alive(number: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def left_by_a_killed_parent(name: str) -> bool:
    """Whether a worker still runs 5 s after its parent was killed; its task takes 0.3."""
    process, worker = started(name)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = alive(worker)
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    return left


def tracebacks_of_ctrl_c(name: str) -> int | str:
    """How many tracebacks Ctrl-C at a terminal gives, which all processes get; in words where the process does not end."""
    process, _ = started(name)
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=60)[1].count("Traceback")
    except subprocess.TimeoutExpired:  # seen once with concurrent.futures on a busy machine
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "does not end in a minute"


def report_of_a_killed_worker(name: str) -> str:
    """The last line that is said when a worker is killed."""
    process, worker = started(name)
    os.kill(worker, signal.SIGKILL)
    return process.communicate(timeout=60)[1].strip().splitlines()[-1][:120]


NEEDS = {
    "tasks taken ahead of 10,000": lambda name: taken_ahead(POOLS[name]),
    "workers left by a killed parent": left_by_a_killed_parent,
    "tracebacks of Ctrl-C": tracebacks_of_ctrl_c,
    "a killed worker": report_of_a_killed_worker,
}


def main() -> None:
    """Both tables."""
    options = options_of(__doc__, json=JSON, repeats=rounds(3), share={"type": float, "default": 1.0, "help": "of the tasks"})
    needs = {need: {name: check(name) for name in POOLS} for need, check in NEEDS.items()}
    result = {"seconds": speed(options.share, options.repeats), "needs": needs}
    lines = []
    for case, seconds in result["seconds"].items():
        lines.append(f"{case:<15} " + " ".join(f"{name} {value:7.2f} s " for name, value in seconds.items()))
    show(result, options.json, [*lines, *needs_lines(needs)])


if __name__ == "__main__":
    main()
