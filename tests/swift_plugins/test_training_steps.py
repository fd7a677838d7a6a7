"""Optimizer steps: the formula against the Trainer's own method and samplers, and against trainings that really run."""

from __future__ import annotations

import inspect
import itertools
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rows import plain, read_rows
from tiny_run import options, rlhf, sft, sft_process, written

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.grounding.training_steps import Batching, count_steps, default_accumulation, loader_of, split_rows

ON_CPU = {"use_cpu": True, "save_strategy": "no"}


def test_rows_that_no_process_gets_are_counted():
    assert count_steps(11, Batching(2, 2, processes=2)).unseen == 1
    assert count_steps(11, Batching(2, 2, processes=2, loader="accelerate")).unseen == 0
    assert count_steps(11, Batching(4, 1, drop_last=True)).unseen == 3


def test_no_rows_are_an_error():
    with pytest.raises(GroundswiftError, match="no rows to train on"):
        count_steps(0, Batching(1, 1, processes=4), max_steps=7)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((5, None, 0.0), (5, 0)),
        ((5, None, 0.1), (4, 1)),
        ((5, 12, 0.0), (12, 0)),
        ((5, 12, 0.5), (10, 2)),
        ((5, 3, 0.5), (2, 1)),
        ((5, None, 1), (0, 5)),
    ],
)
def test_samples_and_splits_are_those_of_swift(given, expected):
    from datasets import Dataset
    from swift.dataset import DatasetLoader

    rows, sample, ratio = given
    made = DatasetLoader.post_process(Dataset.from_dict({"n": list(range(rows))}), dataset_sample=sample, split_dataset_ratio=ratio)
    assert split_rows(*given) == expected == tuple(0 if part is None else len(part) for part in made)


def dataloader_lengths(rows: int, batch: int, processes: int, drop_last: bool) -> dict[str, int]:
    """Batches of a process by the samplers of swift and accelerate."""
    from accelerate.data_loader import BatchSamplerShard as OfAccelerate
    from swift.dataloader import BatchSamplerShard as OfSwift
    from torch.utils.data import BatchSampler, SequentialSampler

    class Shard(OfSwift):
        world_size = processes
        rank = 0

    own = Shard(rows, batch, shuffle=True, drop_last=drop_last, data_seed=1)
    assert len(list(own)) == len(own)
    other = OfAccelerate(BatchSampler(SequentialSampler(range(rows)), batch, drop_last), processes, 0)
    return {"swift": len(own), "accelerate": len(other)}


CASES = list(itertools.product([1, 2, 5, 10, 16, 97], [1, 2, 3, 16], [1, 2, 7, 32], [1, 2, 3, 8], [1, 2.5, 0.3], [False, True]))


def trainer_counts(length: int, accumulation: int, epochs: float, max_steps: int) -> tuple[int, int]:
    """(steps an epoch, in all) by the Trainer's own method for a dataloader of `length` batches."""
    from transformers import Trainer

    stand_in = SimpleNamespace(get_total_train_batch_size=lambda args: 1, get_sp_size=lambda: 1, num_examples=lambda dataloader: 1)
    args = SimpleNamespace(max_steps=max_steps, num_train_epochs=epochs, gradient_accumulation_steps=accumulation)
    own = inspect.unwrap(Trainer.set_initial_training_values)  # without the plugin, which another test may have loaded
    values = own(stand_in, args, range(length))
    return values[1], values[6]


@pytest.mark.parametrize("loader", ["swift", "accelerate"])
def test_the_formula_is_the_trainers(loader):
    compared = 0
    for rows, batch, accumulation, processes, epochs, drop_last in CASES:
        length = dataloader_lengths(rows, batch, processes, drop_last)[loader]
        how = Batching(batch, accumulation, processes, drop_last, loader=loader)
        for max_steps in (-1, 7):
            if length == 0:
                with pytest.raises(GroundswiftError):
                    count_steps(rows, how, epochs, max_steps)
                continue
            steps = count_steps(rows, how, epochs, max_steps)
            assert (steps.per_epoch, steps.total) == trainer_counts(length, accumulation, epochs, max_steps), (rows, how, epochs)
            compared += 1
    assert compared > 2800


@pytest.mark.parametrize(("rows", "batch", "processes", "passes", "generations"), [(10, 2, 1, 4, 4), (9, 4, 2, 2, 8), (33, 8, 1, 1, 2)])
def test_rollouts_repeat_rows(rows, batch, processes, passes, generations):
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler
    from trl.trainer.utils import RepeatSampler

    prompts = batch * processes * passes // generations
    sampler = RepeatSampler(range(rows), mini_repeat_count=generations, batch_size=prompts, repeat_count=2 * passes)
    length = len(BatchSamplerShard(BatchSampler(sampler, batch * passes, False), processes, 0))
    how = Batching(batch, 2, processes, loader="rollout", generations=generations, iterations=2, passes=passes)
    steps = count_steps(rows, how, 1)
    assert steps.batches == length
    assert (steps.per_epoch, steps.total) == trainer_counts(length, 2, 1, -1)


def test_defaults_of_swift():
    from swift.trainers.arguments import TrainArgumentsMixin

    for batch, processes in itertools.product([1, 2, 3, 16, 20], [1, 2, 8]):
        environment = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            made = TrainArgumentsMixin(per_device_train_batch_size=batch)
            made.use_liger_kernel = False
            made.__post_init__()
        assert default_accumulation(batch, processes) == made.gradient_accumulation_steps
    assert default_accumulation(1, 1, "grpo") == 1
    assert [loader_of(name) for name in (None, "dpo", "kto", "grpo")] == ["swift", "swift", "accelerate", "rollout"]


@pytest.fixture
def steps_logged(logged):
    """What swift's log says of optimizer steps."""
    return lambda: [text for record in logged if "optimizer steps" in (text := record.getMessage())]


def write_rows(folder: Path, count: int, **more: object) -> Path:
    """Rows with one image and an answer of their own each."""
    image = plain(folder / "a.png", (56, 56))
    turns = [[{"role": "user", "content": "<image>what"}, {"role": "assistant", "content": f"red {index}"}] for index in range(count)]
    return written(folder / "rows.jsonl", [{"messages": messages, "images": [str(image)]} | more for messages in turns])


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [
        (10, "--gradient_accumulation_steps 4 --num_train_epochs 1", (2, 2)),
        (3, "--num_train_epochs 2.5", (2, 5)),
        (1, "--per_device_train_batch_size 4 --gradient_accumulation_steps 4", (1, 3)),
        (3, "--max_steps 0", (2, 1)),
        (3, "--per_device_train_batch_size 1 --gradient_accumulation_steps 2 --max_steps 5", (2, 5)),
        (3, "--per_device_train_batch_size 1 --num_train_epochs 4 --max_epochs 2", (3, 6)),
    ],
)
def test_a_training_takes_the_steps_that_it_logs(plugin, tmp_path, steps_logged, count, words, expected):
    logged = sft(plugin, write_rows(tmp_path, count), tmp_path / "out", *options(max_steps=-1, **ON_CPU), *words.split())
    (line,) = steps_logged()
    assert line.startswith(
        f"optimizer steps: {expected[0]} per epoch, {expected[1]} in all ({count} row{'' if count == 1 else 's'}, batch "
    )
    assert logged[-1]["global_step"] == expected[1]


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("dpo", {}, 2),
        ("kto", {}, 2),
        ("grpo", {"num_generations": 2, "reward_funcs": "constant", "max_completion_length": 2}, 3),
    ],
)
def test_reinforcement_takes_the_steps_that_it_logs(plugin, tmp_path, steps_logged, monkeypatch, kind, more, expected):
    from swift.rewards import ORM, orms

    class Constant(ORM):
        def __call__(self, completions: list[str], **_: object) -> list[float]:
            return [float(index) for index in range(len(completions))]

    monkeypatch.setitem(orms, "constant", Constant)
    given = {"dpo": {"rejected_response": "green"}, "kto": {"label": True}}.get(kind, {})
    rows = write_rows(tmp_path, 7, **given)
    logged = rlhf(plugin, kind, rows, tmp_path / "out", max_steps=-1, num_train_epochs=1, gradient_accumulation_steps=2, **ON_CPU, **more)
    (line,) = steps_logged()
    assert f", {expected} in all (7 rows, batch 2, accumulation 2, 1 process)" in line
    assert logged[-1]["global_step"] == expected


def test_two_processes_take_the_steps_that_they_log(plugin, tmp_path):
    steps = {"max_steps": -1, "num_train_epochs": 1, "gradient_accumulation_steps": 2}
    shown = sft_process(plugin, write_rows(tmp_path, 11), tmp_path / "out", processes=2, **ON_CPU, **steps)
    assert shown.count("optimizer steps: 2 per epoch, 2 in all (11 rows, batch 2, accumulation 2, 2 processes)") == 1
    assert read_rows(tmp_path / "out" / "logging.jsonl")[-1]["global_step"] == 2


def test_the_formula_loads_no_torch():
    code = "import groundswift.swift_plugins.grounding.training_steps, sys; print(sorted({'torch', 'swift', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
