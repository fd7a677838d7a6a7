"""Print the checkpoint of a training to go on with: `python _checkpoint.py OUTPUT_DIR [--resume]`.

The one with the best value of `--metric_for_best_model`, as the newest `trainer_state.json` names it; the newest where none is named.
With `--resume`: the newest that can be resumed from, nothing where there is none. A checkpoint is skipped, and named on standard error,
if the process that saved it was killed on the way. OUTPUT_DIR may then also be one checkpoint, which must be complete.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import is_zipfile

STATE = "trainer_state.json"  # what transformers' Trainer writes last


def step_of(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def chosen(folder: Path) -> Path | None:
    """The best checkpoint in a training's output folder, which may have been moved since; None where there is none."""
    found = sorted((path.parent for path in folder.glob(f"checkpoint-*/{STATE}")), key=step_of)
    if not found:
        return None
    best = json.loads((found[-1] / STATE).read_text(encoding="utf-8")).get("best_model_checkpoint")
    named = folder / Path(best).name if best else found[-1]
    return named if named in found else found[-1]


def newest_complete(folder: Path) -> Path | None:
    """The newest checkpoint of an output folder that is complete; what is newer is named on standard error."""
    checkpoints = sorted((path for path in folder.glob("checkpoint-*") if step_of(path) >= 0 and path.is_dir()), key=step_of, reverse=True)
    for checkpoint in checkpoints:
        fault = next(faults(checkpoint), None)
        if fault is None:
            return checkpoint
        print(f"skipped {checkpoint}: {fault}", file=sys.stderr)
    return None


def faults(checkpoint: Path) -> Iterator[str]:
    """Why a training cannot go on from a checkpoint as if it had never stopped. Nothing is unpickled."""
    if read_json(checkpoint / STATE) is None:
        yield f"{STATE} is missing or cut off; it is saved last"
    args = read_json(checkpoint / "args.json") or {}
    yield from faults_of_weights(checkpoint)
    if not args.get("save_only_model"):
        yield from faults_of_optimizer(checkpoint, args.get("global_world_size") or 1)
    for path in sorted((*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth"), *checkpoint.glob("global_step*/*.pt"))):
        if not is_zipfile(path):
            yield f"{path.relative_to(checkpoint)} is cut off"


def faults_of_weights(checkpoint: Path) -> Iterator[str]:
    """Weights that are missing or cut off; those of DeepSpeed are in its own folder."""
    from safetensors import SafetensorError, safe_open

    found = [*checkpoint.glob("*.safetensors"), *checkpoint.glob("default/*.safetensors")]
    if not found and not any(checkpoint.glob("*_model*.bin")) and not any(checkpoint.glob("global_step*")):
        yield "no weights"
    indices = list(checkpoint.glob("*.safetensors.index.json"))
    if not indices and any(checkpoint.glob("*-of-*.safetensors")):
        yield "the index of the weights' parts is missing"
    for index in indices:
        shards = set(((read_json(index) or {}).get("weight_map") or {"": index.name}).values())
        yield from (f"{name} is missing or cut off" for name in sorted(shards) if name == index.name or not (checkpoint / name).is_file())
    for path in sorted(found):
        try:
            with safe_open(path, framework="np"):
                pass
        except (SafetensorError, OSError):
            yield f"{path.relative_to(checkpoint)} is cut off"


def faults_of_optimizer(checkpoint: Path, processes: int) -> Iterator[str]:
    """What each process saves: random states, and DeepSpeed's part of the optimizer; else the one optimizer of all."""
    steps = list(checkpoint.glob("global_step*"))
    if steps:
        parts = len(list(checkpoint.glob("global_step*/*optim_states.pt")))
        latest = checkpoint / "latest"
        if parts < processes or not latest.is_file() or checkpoint / latest.read_text() not in steps:
            yield f"{parts} of {processes} parts of DeepSpeed's optimizer, or no file 'latest' that names them"
    elif not any(checkpoint.glob("optimizer*")) or not (checkpoint / "scheduler.pt").is_file():
        yield "optimizer or scheduler.pt is missing"
    states = len(list(checkpoint.glob("rng_state*.pth")))
    if states < processes:
        yield f"{states} of {processes} files rng_state*.pth: it was not saved to its end, or the nodes do not share this folder"


def read_json(path: Path) -> dict | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def to_resume(folder: Path) -> Path | None:
    """What `--resume` prints: `folder` itself if it is a checkpoint. Exits in words where that one is incomplete."""
    if step_of(folder) < 0 or any(folder.glob("checkpoint-*")):
        return newest_complete(folder)
    fault = next(faults(folder), None) if folder.is_dir() else "no such folder"
    if fault:
        sys.exit(f"error: {folder} cannot be resumed from: {fault}")
    return folder


def main() -> None:
    folder, resume = Path(sys.argv[1]), "--resume" in sys.argv[2:]
    checkpoint = to_resume(folder) if resume else chosen(folder)
    if checkpoint is not None:
        print(checkpoint)
    elif resume:
        print(f"no complete checkpoint in {folder}: the training begins at step 0", file=sys.stderr)
    else:
        sys.exit(f"error: no checkpoint in {folder}: the training saved none; look at log.txt in the folder of the run")


if __name__ == "__main__":
    main()
