"""A command `swift` that trains nothing: it saves checkpoints whose weights follow from all that went into them.

Weights of a step are a hash of the weights that the run began with, its rows and the step. So a run that was killed and continued ends with
the same weights as an undisturbed one only if it continued from the right checkpoint, with the right rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

STEPS, EVERY = 6, 2
STEP_S = 0.03


def write_command(folder: Path) -> Path:
    """A folder for the PATH with this file as the command `swift`."""
    folder.mkdir(parents=True)
    command = folder / "swift"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n')
    command.chmod(0o755)
    return folder


def option(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


def weights_of(checkpoint: str | None) -> bytes:
    return load_file(Path(checkpoint) / "adapter_model.safetensors")["w"].tobytes() if checkpoint else b""


def save(checkpoint: Path, weights: bytes, step: int, adapters: str | None) -> None:
    """What swift saves at a step, the state last."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.frombuffer(weights, np.uint8)}, checkpoint / "adapter_model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        with zipfile.ZipFile(checkpoint / name, "w") as made:
            made.writestr("x", b"0")
    (checkpoint / "args.json").write_text(json.dumps({"global_world_size": 1, "adapters": [adapters] if adapters else []}))
    (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step, "max_steps": STEPS}))


def sft(words: list[str]) -> None:
    """Train from `--resume_from_checkpoint`, else from `--adapters`, else from nothing."""
    resume, out = option(words, "--resume_from_checkpoint"), Path(option(words, "--output_dir"))
    weights, first = weights_of(resume or option(words, "--adapters")), int(resume.rpartition("-")[2]) + 1 if resume else 1
    rows = Path(option(words, "--dataset")).read_bytes()
    for step in range(first, STEPS + 1):
        time.sleep(STEP_S)
        weights = hashlib.sha256(weights + rows + bytes([step])).digest()
        if step % EVERY == 0:
            save(out / f"checkpoint-{step}", weights, step, option(words, "--adapters"))


def export(words: list[str]) -> None:
    out = Path(option(words, "--output_dir"))
    if out.exists():
        sys.exit(f"{out} exists")
    out.mkdir()
    shutil.copy(Path(option(words, "--adapters")) / "adapter_model.safetensors", out / "model.safetensors")


if __name__ == "__main__":
    with open(os.environ.get("STUB_LOG", os.devnull), "a") as log:
        print(json.dumps(sys.argv[1:]), file=log)
    {"sft": sft, "export": export}[sys.argv[1]](sys.argv[2:])
