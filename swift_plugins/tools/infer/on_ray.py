"""One job on a Ray cluster: actors with the model answer batches, and Ray Data's checkpoint has the ids of those that are written.

Every batch becomes a file of the journal's folder, which all machines see. Ray writes its id first, as pending, and commits it when the
file is complete; what a kill leaves pending is removed by the next start and answered again. Loaded only where Ray is installed.
"""

from __future__ import annotations

import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import ray
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask
from ray.data.block import BlockAccessor, BlockMetadata
from ray.data.checkpoint import CheckpointConfig
from ray.data.datasource import BlockBasedFileDatasink
from ray.exceptions import RayTaskError

from groundswift.atomic_write import write_whole
from groundswift.data_converters.engine.ray_cluster import cluster
from groundswift.errors import GroundswiftError

from .batches import Batch
from .driver import Run, Summary, locked, note_record
from .job import digest_of
from .journal import RAY_ANSWERS, RAY_IDS, Answer, Entry, entries_of, folder_of, lines_of_batch, stored

OPTION = "--ray"
FILTER_BYTES = 64 << 20  # of Ray's actor that skips what is done; its default is 1 GB
EVERY_S = 0.5  # between two looks at what is done


class Batches(Datasource):
    """One block for each batch, so that each is written as soon as it is answered: its id, and its questions as bytes."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__()
        self.batches = [{"id": [id_of(batch)], "questions": [pickle.dumps(batch)]} for batch in batches]

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all questions."""
        return sum(len(batch["questions"][0]) for batch in self.batches)

    def get_read_tasks(self, parallelism: int, *given: Any, **more: Any) -> list[ReadTask]:
        """A task for each batch, whatever `parallelism` says."""
        return [ReadTask(Block(batch), BlockMetadata(1, len(batch["questions"][0]), None, None)) for batch in self.batches]


class Block(msgspec.Struct, frozen=True):
    """What a read task runs."""

    columns: dict[str, list[Any]]

    def __call__(self) -> list[pyarrow.Table]:
        return [pyarrow.table(self.columns)]


def id_of(batch: Batch) -> str:
    """The id of a batch: of all its questions."""
    return sha256("".join(question.key for question in batch.questions).encode()).hexdigest()[:32]


class Answering:
    """An actor: it loads the model with its first batch. `environment`, `cwd`: of the command, as its machine may have others."""

    def __init__(self, order: bytes) -> None:
        self.settings, self.pixels, job, self.cwd = pickle.loads(order)  # made by the command itself
        self.digest, self.environment, self.engine = digest_of(job), job["environment"], None

    def __call__(self, columns: dict[str, Any]) -> dict[str, list[Any]]:
        try:
            if self.engine is None:
                self.load()
            lines = [self.lines_of(*each) for each in self.engine.answers(map(pickle.loads, columns["questions"]))]
        except GroundswiftError as error:  # of which Ray passes on no more than a traceback
            write_whole(problem_path(Path(self.settings.out)), [str(error).encode("utf-8", "replace")])
            raise
        return {"id": list(columns["id"]), "lines": lines}

    def lines_of(self, batch: Batch, answers: Sequence[Answer]) -> bytes:
        """The lines of the journal for a batch."""
        pairs = zip(batch.questions, answers, strict=True)
        return b"".join(lines_of_batch([Entry.of(asked.key, asked.fingerprint(self.digest), answer) for asked, answer in pairs]))

    def load(self) -> None:
        """Load the model, and write the record of the run."""
        from .engine import SwiftEngine

        os.environ.update(self.environment)
        with suppress(OSError):
            os.chdir(self.cwd)
        self.engine = SwiftEngine(self.settings, self.pixels)
        note_record(Path(self.settings.out), self.engine.record, uuid.uuid4().hex)


class AnswerFiles(BlockBasedFileDatasink):
    """Writes the lines of a batch as a file of the journal."""

    def write_block_to_file(self, block: BlockAccessor, file: Any) -> None:
        """Write all lines of a block."""
        for row in block.iter_rows(public_row_format=False):
            file.write(row["lines"])


@dataclass
class Follower:
    """Counts answers as their ids are committed. `folder`: of the journal."""

    folder: Path
    note: Callable[[list[Answer]], None]

    def __post_init__(self) -> None:
        self.seen: set[str] = set()

    def look(self) -> list[Entry]:
        """The answers that were committed since the last look."""
        names = {path.stem for path in (self.folder / RAY_IDS).glob("*.parquet") if not path.stem.endswith(".pending")}
        new, self.seen = names - self.seen, self.seen | names
        files = [path for name in sorted(new) for path in (self.folder / RAY_ANSWERS).glob(f"{name}*")]
        return [entry for path in files for _, entry in entries_of(path)]

    @contextmanager
    def following(self) -> Iterator[None]:
        """Look again and again while the block runs, and once after it."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(EVERY_S):
                self.note(self.look())

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.note(self.look())


def run_on_ray(run: Run, advance: Callable[[list[Answer]], None]) -> Summary:
    """Answer all that is not answered yet on a cluster (RAY_ADDRESS) or on actors of this machine, and write the result.

    Paths must be the same on all machines. Raises GroundswiftError where a model cannot be loaded, Interrupted where the cluster fails.
    """
    summary = Summary(rows=len(run.questions), dropped=run.dropped)

    def note(answers: list[Answer]) -> None:
        summary.take(answers)
        advance(answers)

    with locked(run):
        run.check(stored(run.out))
        batches = run.pending(stored(run.out, ray=False))
        follower = Follower(folder_of(run.out), note)
        before = follower.look()
        failed = [entry for entry in before if entry.error is not None]  # tried again after the result is written
        summary.kept = len(run.questions) - sum(len(batch.questions) for batch in batches) + len(before) - len(failed)
        advance([Answer()] * summary.kept)
        note(failed)
        if sum(len(batch.questions) for batch in batches) > len(before):
            with follower.following():
                answer_all(run, batches)
        run.finish(stored(run.out))
    return summary


def answer_all(run: Run, batches: Sequence[Batch]) -> None:
    """Answer the batches whose ids are not in the checkpoint. Raises what an actor failed with."""
    folder, actors = Path(os.path.realpath(folder_of(run.out))), run.settings.workers
    problem = problem_path(run.out)
    problem.unlink(missing_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // actors)))
    with cluster(OPTION, 2 * actors + 2):  # Ray's own tasks need some
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.checkpoint_config = checkpoint(folder)
        order = pickle.dumps((run.settings, run.pixels, run.job, os.getcwd()))
        try:
            asked = ray.data.read_datasource(Batches(batches), override_num_blocks=len(batches))
            pool = ActorPoolStrategy(size=min(actors, len(batches)))
            share = gpus_for_each(actors)
            answered = asked.map_batches(
                Answering, fn_constructor_args=(order,), batch_size=1, batch_format="numpy", compute=pool, num_cpus=1, num_gpus=share
            )
            answered.write_datasink(AnswerFiles(str(folder / RAY_ANSWERS), file_format="jsonl"))
        except RayTaskError:
            if not problem.is_file():
                raise
            raise GroundswiftError(problem.read_text(encoding="utf-8")) from None
        finally:
            context.checkpoint_config = None


def checkpoint(folder: Path) -> CheckpointConfig:
    """Ray Data's checkpoint by the ids of batches, kept until the result is written."""
    (folder / RAY_IDS).mkdir(parents=True, exist_ok=True)
    made = CheckpointConfig(id_column="id", checkpoint_path=str(folder / RAY_IDS), delete_checkpoint_on_success=False)
    made.checkpoint_actor_pool_max_size, made.checkpoint_actor_memory_bytes = 1, FILTER_BYTES
    return made


def gpus_for_each(actors: int) -> float:
    """The GPUs of one of `actors` processes: as many as there are for each, or a part of one."""
    gpus = ray.cluster_resources().get("GPU", 0)
    return gpus // actors if gpus >= actors else gpus / actors


def problem_path(out: Path) -> Path:
    """Where an actor says why it cannot go on."""
    return folder_of(out) / "ray-problem"
