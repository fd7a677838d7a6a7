"""Optimizer steps of a training, as swift's dataloaders and the Trainer of transformers count them. Standard library only.

Sources: `BatchSamplerShard` and `SequenceParallelSampler` of ms-swift 4.6.0, `BatchSamplerShard` of accelerate 1.15.0, `RepeatSampler` of
trl 0.29.1, `Trainer.set_initial_training_values` of transformers 5.19.0, `DatasetLoader.post_process` of ms-swift 4.6.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from groundswift.errors import GroundswiftError

Loader = Literal["swift", "accelerate", "rollout"]
OWN_LOADER = ("dpo",)  # the trainers of `swift rlhf` that take swift's dataloader, as sft and pt do
ROLLOUTS = ("grpo", "gkd")  # those that repeat each row for its generations


@dataclass(frozen=True)
class Batching:
    """How rows become batches.

    `batch`: rows a process and forward pass. `accumulation`: forward passes an optimizer step. `processes`: all of them, on every node.
    `sequence_parallel`, `tensor_parallel`: processes that share their rows. `generations`, `iterations`, `passes`: of a rollout,
    `num_generations`, `num_iterations` and `steps_per_generation`.
    """

    batch: int
    accumulation: int
    processes: int = 1
    drop_last: bool = False
    sequence_parallel: int = 1
    tensor_parallel: int = 1
    loader: Loader = "swift"
    generations: int = 1
    iterations: int = 1
    passes: int = 1

    @property
    def readers(self) -> int:
        """Processes that do not share their rows."""
        return max(1, self.processes // self.tensor_parallel // self.sequence_parallel)

    @property
    def prompts(self) -> int:
        """Rows of one generation batch of a rollout."""
        return max(1, self.batch * self.processes * self.passes // self.generations)


@dataclass(frozen=True)
class Steps:
    """Optimizer steps. `batches`: forward passes a process and epoch. `unseen`: rows that no process gets in an epoch."""

    rows: int
    batches: int
    per_epoch: int
    total: int
    epochs: float
    unseen: int
    batching: Batching

    def sentence(self) -> str:
        """What a run logs before its first step."""
        how, rows = self.batching, f"{self.rows} row{'' if self.rows == 1 else 's'}"
        made = f"{rows}, batch {how.batch}, accumulation {how.accumulation}, {how.processes} process{'' if how.processes == 1 else 'es'}"
        return f"optimizer steps: {self.per_epoch} per epoch, {self.total} in all ({made})"


def loader_of(rlhf_type: str | None) -> Loader:
    """The dataloader of a `swift rlhf --rlhf_type`; None: of `swift sft` and `swift pt`."""
    if rlhf_type in ROLLOUTS:
        return "rollout"
    return "swift" if rlhf_type is None or rlhf_type in OWN_LOADER else "accelerate"


def default_accumulation(batch: int, processes: int, rlhf_type: str | None = None) -> int:
    """swift's `--gradient_accumulation_steps` where none is given: about 16 rows an optimizer step, and 1 for GRPO."""
    return 1 if rlhf_type == "grpo" else max(1, math.ceil(16 / batch / processes))


def split_rows(rows: int, sample: int | None = None, ratio: float = 0.0) -> tuple[int, int]:
    """(rows to train on, rows to validate on) of one dataset with `rows` rows, after `#sample` and `--split_dataset_ratio`.

    A sample that is larger than the dataset repeats rows. Raises GroundswiftError where nothing is left to train on.
    """
    if not 0 <= ratio <= 1:
        raise GroundswiftError(f"--split_dataset_ratio {ratio}: expected 0 to 1")
    if sample is not None and sample < 1:
        raise GroundswiftError(f"#{sample} after a dataset: expected at least 1 row")
    wanted = rows if sample is None else sample
    if ratio == 0:
        return (wanted if rows else 0), 0
    if ratio == 1:
        return 0, wanted
    validation = max(int(min(rows, wanted) * ratio), 1)
    if wanted <= validation:
        raise GroundswiftError(
            f"--split_dataset_ratio {ratio} of {wanted} rows leaves no row to train on: swift stops with an AssertionError"
        )
    return wanted - validation, validation


def batches_of(rows: int, how: Batching) -> int:
    """Forward passes of one process in one epoch: the length of its dataloader."""
    if how.loader == "rollout":
        samples = rows // how.prompts * how.prompts * how.generations * how.iterations * how.passes
        return math.ceil(math.ceil(samples / (how.batch * how.passes)) / how.processes)
    if how.loader == "accelerate":
        batches = rows // how.batch if how.drop_last else math.ceil(rows / how.batch)
        return batches // how.processes if how.drop_last else math.ceil(batches / how.processes)
    own = rows_of_a_process(rows, how)
    return own // how.batch if how.drop_last else math.ceil(own / how.batch)


def rows_of_a_process(rows: int, how: Batching) -> int:
    """Rows that swift's own dataloader gives each process in an epoch: whole shares, and rounded up under sequence parallelism."""
    return math.ceil(rows / how.readers) if how.sequence_parallel > 1 else rows // how.readers


def unseen_rows(rows: int, how: Batching, batches: int) -> int:
    """Rows that are in no batch of an epoch; which ones they are changes with the permutation of each epoch."""
    if how.loader == "rollout":
        return rows % how.prompts
    if how.loader == "accelerate":
        return max(0, rows - batches * how.batch * how.processes) if how.drop_last else 0
    own = batches * how.batch if how.drop_last else rows_of_a_process(rows, how)
    return max(0, rows - own * how.readers)


def count_steps(rows: int, how: Batching, epochs: float = 3.0, max_steps: int = -1, max_epochs: int | None = None) -> Steps:
    """Optimizer steps of a training on `rows` rows.

    The last batch of an epoch counts although it is smaller, and so does the last step of an epoch although it accumulates less.
    Raises GroundswiftError where a process gets no batch, so that nothing would be trained.
    """
    batches = batches_of(rows, how)
    if batches == 0:
        raise GroundswiftError(_too_few(rows, how))
    per_epoch = max(math.ceil(batches / how.accumulation), 1)
    by_epochs = max(math.ceil(epochs * per_epoch), 0)
    total = max(max_steps, 1) if max_steps >= 0 else by_epochs  # `--max_steps 0` stops after its first step
    if max_epochs is not None:
        total = min(total, max(max_epochs, 1) * per_epoch)
    done = total / per_epoch if max_steps >= 0 or max_epochs is not None else epochs
    return Steps(rows, batches, per_epoch, total, done, unseen_rows(rows, how, batches), how)


def _too_few(rows: int, how: Batching) -> str:
    if rows == 0:
        return "no rows to train on: expected at least 1"
    if how.loader == "rollout":
        few = f"{rows} rows are fewer than the {how.prompts} prompts of one generation batch"
        return f"{few}: nothing is trained. Lower the batch, or add rows"
    if how.drop_last:
        batch = f"no batch of {how.batch} in each of {how.processes} processes"
        return f"{rows} rows fill {batch}, and --dataloader_drop_last discards the rest"
    return f"{rows} rows for {how.processes} processes: each gets none, and nothing is trained. Expected at most {rows} processes"
