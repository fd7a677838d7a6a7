"""Processes of one machine: they hold the same weights after each step, go on after a kill, and train just what a full training should."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from moved import moved, tensors
from recipe_runner import BIN, ROOT
from tiny_run import EMBEDDED, IN_32_BITS, MODEL, QUIET

CHECKSUMS = ("--external_plugins", str(Path(__file__).resolve().parents[1] / "helpers" / "checksums.py"), "--callbacks", "checksums")
STEPS = 4


@pytest.fixture
def sft(runner, tmp_path):
    """`swift sft` on the embedded model with three steps' worth of options; environment variables by keyword."""

    def run(*words: str, steps: int = STEPS, **variables: str) -> subprocess.CompletedProcess:
        command = ["swift", "sft", *MODEL, *IN_32_BITS, *QUIET, "--custom_register_path", str(ROOT / "swift_plugins" / "register.py")]
        command += ["--dataset", runner.resolved("@train", tmp_path), "--split_dataset_ratio", "0", "--check_model", "false"]
        command += ["--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "1", "--max_steps", str(steps)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PATH": f"{runner.swift}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"CHECKSUMS": str(tmp_path), **variables}
        command += ["--output_dir", str(tmp_path / "out"), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)

    return run


def trained(folder: Path, moment: int | str, rank: int) -> dict[str, str]:
    return json.loads((folder / f"{moment}-rank{rank}.json").read_text())


@pytest.mark.long
def test_two_processes_hold_equal_weights_after_each_step_and_go_on_from_a_kill(sft, tmp_path):
    lora = ("--tuner_type", "lora", "--save_steps", "2", *CHECKSUMS)
    done = sft(*lora, NPROC_PER_NODE="2")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert json.loads((tmp_path / "out" / "args.json").read_text())["global_world_size"] == 2
    steps = [[trained(tmp_path, moment, rank) for rank in (0, 1)] for moment in ("start0", *range(1, STEPS + 1))]
    assert all(one == other for one, other in steps)
    assert len({json.dumps(one) for one, _ in steps}) == STEPS + 1  # each step moves them

    again = ("--output_dir", str(tmp_path / "again"))
    killed = sft(*lora, *again, NPROC_PER_NODE="2", KILL_AT="3", KILL_RANK="1")
    assert killed.returncode != 0
    assert (tmp_path / "killed").exists(), killed.stdout[-3000:] + killed.stderr[-3000:]
    assert not (tmp_path / "again" / f"checkpoint-{STEPS}").exists()
    newest = [*("python", str(ROOT / "recipes" / "_checkpoint.py"), str(tmp_path / "again"), "--resume")]
    checkpoint = subprocess.run(newest, capture_output=True, text=True, check=True).stdout.strip()
    assert checkpoint == str(tmp_path / "again" / "checkpoint-2")
    resumed = sft(*lora, *again, "--resume_from_checkpoint", checkpoint, NPROC_PER_NODE="2")
    assert resumed.returncode == 0, resumed.stdout[-3000:] + resumed.stderr[-1000:]
    assert [trained(tmp_path, "start2", rank) for rank in (0, 1)] == steps[2]
    assert [trained(tmp_path, STEPS, rank) for rank in (0, 1)] == steps[STEPS]  # bit for bit what no kill would have given


@pytest.mark.parametrize("aligner", ["true", "false"])
def test_full_training_with_frozen_vit_moves_the_rest_and_nothing_of_the_vit(sft, tmp_path, aligner):
    full = ("--tuner_type", "full", "--freeze_vit", "true", "--freeze_aligner", aligner, "--save_only_model", "true")
    done = sft(*full, "--learning_rate", "1e-3", "--lr_scheduler_type", "constant", "--warmup_ratio", "0", steps=2)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    changes = moved(EMBEDDED, tmp_path / "out" / "checkpoint-2")
    assert set(changes) == set(tensors(EMBEDDED))
    for name, has_moved in changes.items():
        frozen = name.startswith("visual.") and (aligner == "true" or not name.startswith("visual.merger."))
        assert has_moved != frozen, name
