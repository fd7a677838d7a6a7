"""Several processes for one job: workers that this command starts, or the ranks of torchrun. Each answers every Nth batch into a part of
the journal of its own, and one of them writes the result, which is that of one process.

A worker ends when its standard input does, so none outlives a command that was killed; until then they hold its lock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

import msgspec

from groundswift.errors import GroundswiftError, Interrupted

from .driver import Engine, Run, Summary, lock_of, locked, note_record
from .journal import Answer, stored
from .settings import Settings

MODULE = "groundswift.swift_plugins.tools.infer.workers"
RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK")  # by which swift joins processes
LONGEST_WAIT = timedelta(days=30)  # for the slowest rank
Advance = Callable[[list[Answer]], None]


class Order(msgspec.Struct):
    """What a worker is to do: every `shards`th batch from `shard` on. `devices`: the GPUs it may use; None: as it finds them."""

    settings: Settings
    shard: int
    shards: int
    devices: list[str] | None = None


class News(msgspec.Struct):
    """What a worker reports: answers without their text, or why it cannot go on."""

    answers: list[Answer] = []
    problem: str | None = None


@dataclass
class Worker:
    """A started worker. `problem`: what it reported last, if it could not go on."""

    process: subprocess.Popen
    number: int
    problem: str | None = None

    @classmethod
    def start(cls, order: Order, held: IO[str]) -> Worker:
        """Start a worker that shares the lock on the file `held`."""
        environment = dict(os.environ)
        if order.devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(order.devices)
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // order.shards)))
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            pass_fds=[held.fileno()] if os.name == "posix" else (),
        )
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        process.stdin.flush()
        return cls(process, order.shard)

    def follow(self, advance: Advance) -> int:
        """Pass on what it reports until it ends -> its exit status."""
        for line in self.process.stdout:
            news = msgspec.json.decode(line, type=News)
            self.problem = news.problem or self.problem
            if news.answers:
                advance(news.answers)
        return self.process.wait()


def run_in_workers(run: Run, advance: Advance) -> Summary:
    """Answer all that is not answered yet in worker processes, and write the result. Raises Interrupted where one of them died."""
    summary, counting = Summary(rows=len(run.questions), dropped=run.dropped), threading.Lock()

    def note(answers: list[Answer]) -> None:
        with counting:
            summary.take(answers)
            advance(answers)

    with locked(run):
        places = stored(run.out)
        run.check(places)
        pending = sum(len(batch.questions) for batch in run.pending(places))
        summary.kept = len(run.questions) - pending
        advance([Answer()] * summary.kept)
        if pending:
            follow_all(run, note)
        run.finish(stored(run.out))
    return summary


def follow_all(run: Run, note: Advance) -> None:
    """Start the workers and wait for them; all end when this does."""
    count = run.settings.workers
    devices = shares(visible_devices(), count)
    workers: list[Worker] = []
    try:
        with open(lock_of(run.out), "a") as held, ThreadPoolExecutor(count) as pool:
            workers += [Worker.start(Order(run.settings, shard, count, devices[shard]), held) for shard in range(count)]
            ends = list(pool.map(lambda worker: worker.follow(note), workers))
    finally:
        for worker in workers:
            with suppress(OSError):
                worker.process.stdin.close()
            worker.process.wait()
    for worker, status in zip(workers, ends, strict=True):
        if worker.problem is not None:
            raise GroundswiftError(worker.problem)
        if status:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise Interrupted(f"worker {worker.number} {how}; the others went on. Run the same command again for the rest")


def visible_devices() -> list[str]:
    """The GPUs that this process may use, as CUDA names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip()]
    import torch

    return list(map(str, range(torch.cuda.device_count())))


def shares(devices: Sequence[str], count: int) -> list[list[str] | None]:
    """The devices of each of `count` processes: as many as there are for each, or one that several share."""
    if not devices:
        return [None] * count
    return [list(devices[number::count]) or [devices[number % len(devices)]] for number in range(count)]


def run_as_rank(run: Run, make: Callable[[], Engine], advance: Advance) -> Summary:
    """The part of one rank of torchrun; rank 0 holds the lock, checks, writes the result when all are done, and has the summary of all."""
    import torch.distributed as dist

    rank, ranks, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    dist.init_process_group("gloo", timeout=LONGEST_WAIT)
    own = shares(visible_devices(), int(os.environ.get("LOCAL_WORLD_SIZE", ranks)))[local]
    if own is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(own)
    for name in RANKS:
        os.environ.pop(name, None)
    summary = Summary(rows=len(run.questions), dropped=run.dropped)

    def note(answers: list[Answer]) -> None:
        summary.take(answers)
        advance(answers)

    def part() -> None:
        dist.barrier()  # rank 0 has checked the job
        places = stored(run.out)
        pending = run.pending(places, rank, ranks)
        dist.barrier()  # nobody writes before all have read
        summary.kept = sum(places.has_answer(question.key) for question in run.questions)
        if pending:
            engine = make()
            note_record(run.out, engine.record, rank)
            run.answer(engine, pending, rank, note)
        of_all = [summary] * ranks
        dist.all_gather_object(of_all, summary)
        summary.merge(of_all[1:] if rank == 0 else [])

    if rank:
        part()
        return summary
    with locked(run):
        run.check(stored(run.out))
        part()
        run.finish(stored(run.out))
    return summary


def reporter() -> Callable[[News], None]:
    """What writes news to the standard output, which is then the standard error for all others."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def report(news: News) -> None:
        channel.write(msgspec.json.encode(news) + b"\n")
        channel.flush()

    return report


def end_with_input() -> None:
    """End this process when its standard input does."""

    def watch() -> None:
        while os.read(0, 1):  # not by sys.stdin, whose lock would hold up an ordinary end
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def without_text(answers: Sequence[Answer]) -> list[Answer]:
    """What is counted of answers."""
    return [Answer(finish_reason=each.finish_reason, error=each.error) for each in answers]


def main() -> int:
    """A worker: one order from the standard input, news to the standard output."""
    report = reporter()
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    end_with_input()
    try:
        from .engine import SwiftEngine

        run = Run.of(order.settings)
        pending = run.pending(stored(run.out), order.shard, order.shards)
        if pending:
            engine: Any = SwiftEngine(run.settings, run.pixels)
            note_record(run.out, engine.record, order.shard)
            run.answer(engine, pending, order.shard, lambda answers: report(News(without_text(answers))))
    except GroundswiftError as error:
        report(News(problem=str(error)))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
