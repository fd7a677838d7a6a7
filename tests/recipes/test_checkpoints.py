"""From which checkpoint a run goes on: only from one that was saved to its end, whatever the process was writing when it was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from recipe_runner import ROOT, load_script
from safetensors.numpy import save_file

SCRIPT = ROOT / "recipes" / "_checkpoint.py"
PLAIN = ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth")
DEEPSPEED = tuple(f"global_step3/bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt" for rank in (0, 1))


def checkpoint(folder: Path, states: tuple[str, ...] = PLAIN, weights: str = "adapter_model.safetensors", **args) -> Path:
    """What two processes save at a step."""
    folder.mkdir(parents=True)
    for name in states:
        (folder / name).parent.mkdir(exist_ok=True)
        torch.save({"x": torch.zeros(9)}, folder / name)
    save_file({"w": np.zeros((50, 50), np.float32)}, folder / weights)
    (folder / "args.json").write_text(json.dumps({"global_world_size": 2, **args}))
    (folder / "trainer_state.json").write_text('{"global_step": 3}')
    return folder


def deepspeed_checkpoint(folder: Path) -> Path:
    found = checkpoint(folder, (*DEEPSPEED, "rng_state_0.pth", "rng_state_1.pth"), "model-00001-of-00002.safetensors")
    save_file({"v": np.zeros(3, np.float32)}, folder / "model-00002-of-00002.safetensors")
    index = {"w": "model-00001-of-00002.safetensors", "v": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (folder / "latest").write_text("global_step3")
    return found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def resume(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), str(folder), "--resume"], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("make", [checkpoint, deepspeed_checkpoint])
def test_the_newest_complete_checkpoint_is_printed(tmp_path, make):
    for step in (2, 4, 10):
        make(tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-10-merged").mkdir()
    (tmp_path / "checkpoint-12").write_text("no folder")
    assert resume(tmp_path).stdout == f"{tmp_path}/checkpoint-10\n"
    assert resume(tmp_path / "checkpoint-4").stdout == f"{tmp_path}/checkpoint-4\n"


@pytest.mark.parametrize("damage", [Path.unlink, cut])
@pytest.mark.parametrize("name", ["trainer_state.json", "adapter_model.safetensors", *PLAIN])
def test_an_incomplete_checkpoint_is_skipped_and_named(tmp_path, name, damage):
    good, broken = checkpoint(tmp_path / "checkpoint-2"), checkpoint(tmp_path / "checkpoint-4")
    damage(broken / name)
    done = resume(tmp_path)
    assert done.stdout == f"{good}\n"
    assert f"skipped {broken}: " in done.stderr
    alone = resume(broken)
    assert alone.returncode == 1
    assert f"error: {broken} cannot be resumed from: " in alone.stderr


@pytest.mark.parametrize("damage", [Path.unlink, cut])
@pytest.mark.parametrize("name", [*DEEPSPEED, "model-00002-of-00002.safetensors", "model.safetensors.index.json", "latest"])
def test_every_part_of_deepspeed_is_needed(tmp_path, name, damage):
    broken = deepspeed_checkpoint(tmp_path / "checkpoint-4")
    damage(broken / name)
    assert resume(tmp_path).stdout == ""
    assert f"no complete checkpoint in {tmp_path}: the training begins at step 0" in resume(tmp_path).stderr


def test_a_checkpoint_of_weights_alone_is_taken_where_the_run_saves_no_more(tmp_path):
    only = checkpoint(tmp_path / "checkpoint-4", (), save_only_model=True)
    assert resume(tmp_path).stdout == f"{only}\n"


def test_a_folder_that_is_not_there_begins_anew_and_a_checkpoint_that_is_not_there_is_an_error(tmp_path):
    assert (resume(tmp_path / "train").returncode, resume(tmp_path / "train").stdout) == (0, "")
    done = resume(tmp_path / "checkpoint-9")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be resumed from: no such folder" in done.stderr


def test_nothing_is_unpickled(tmp_path):
    """A checkpoint is judged by its files' ends; what they hold is loaded by transformers alone, with its own guards."""
    source = SCRIPT.read_text(encoding="utf-8")
    assert "import torch" not in source
    assert "import pickle" not in source
    assert next(load_script(SCRIPT).problems(checkpoint(tmp_path / "checkpoint-1")), None) is None
