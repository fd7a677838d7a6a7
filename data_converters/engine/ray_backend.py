"""The same blocks made on a Ray cluster: each shard opens the source by itself and makes every n-th block of it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from groundswift.errors import GroundswiftError
from groundswift.worker_pool import WorkerPool

from ..base import Options
from ..issues import IssueLog
from .batches import Made, blocks_of, make_block
from .ray_cluster import cluster, ray_package

FAILED = -1  # in the place of a block's number: what follows is an error
OPTION = "--engine ray"
BLOCK_BYTES = 4 << 20  # what a shard makes before it hands it over


class Shard(msgspec.Struct, frozen=True):
    """What Ray Data runs: a batch of one shard's number -> its blocks, as columns. The first `done` blocks are skipped."""

    options: Options
    shards: int
    done: int

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list[Any]]]:
        for shard in batch["id"]:
            try:
                for number, made in self.made(int(shard)):
                    yield {"block": [number], "made": [pickle.dumps(made)]}
            except GroundswiftError as error:  # handed over as it is: Ray would wrap it in a traceback
                yield {"block": [FAILED], "made": [pickle.dumps(error)]}

    def made(self, shard: int) -> Iterator[tuple[int, Made]]:
        """The blocks of one shard with their numbers, counted from the first that is not done."""
        reading = self.options.open(IssueLog(self.options.on_error), WorkerPool())
        blocks = blocks_of(reading.items, self.options, self.done)
        for number, block in islice(enumerate(blocks), shard, None, self.shards):
            yield number, make_block(reading.make, self.options.on_error, block)


def made_on_ray(options: Options, workers: int, done: int) -> Iterator[Made]:
    """Every block in the order of the source, made on a cluster (RAY_ADDRESS) or on `workers` processes that Ray starts here.

    Paths must be the same on all machines. Raises GroundswiftError where Ray is not installed or does not begin, what a shard raised, and
    Interrupted where the cluster fails.
    """
    ray = ray_package(OPTION)
    from ray.data import DataContext, TaskPoolStrategy

    with cluster(OPTION, workers):
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = BLOCK_BYTES
        shards = ray.data.range(workers, override_num_blocks=workers)
        made = shards.map_batches(Shard(options, workers, done), batch_size=1, compute=TaskPoolStrategy(workers))
        yield from in_order((row["block"], row["made"]) for row in made.iter_rows())


def in_order(numbered: Iterator[tuple[int, bytes]]) -> Iterator[Made]:
    """Blocks as they come -> blocks in the order of their numbers; what is early waits. Raises what a shard failed with."""
    early: dict[int, bytes] = {}
    wanted = 0
    for number, made in numbered:
        if number == FAILED:
            raise pickle.loads(made)
        early[number] = made
        while wanted in early:
            yield pickle.loads(early.pop(wanted))  # made by a shard of this very run
            wanted += 1
