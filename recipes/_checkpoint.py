"""Print the checkpoint of a training to continue with: `python _checkpoint.py OUTPUT_DIR [--resume]`.

Without `--resume`: the one with the best `--metric_for_best_model`, as the newest `trainer_state.json` names it, else the newest.
With `--resume`: the newest complete one, or nothing. A checkpoint whose process was killed while saving is skipped, and reported on stderr.
OUTPUT_DIR may then also be one checkpoint, which must be complete.
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
    """The best checkpoint in an output folder, which may have been moved since; None if there is none."""
    found = sorted((path.parent for path in folder.glob(f"checkpoint-*/{STATE}")), key=step_of)
    if not found:
        return None
    best = json.loads((found[-1] / STATE).read_text(encoding="utf-8")).get("best_model_checkpoint")
    named = folder / Path(best).name if best else found[-1]
    return named if named in found else found[-1]


def newest_complete(folder: Path) -> Path | None:
    """The newest complete checkpoint of an output folder; newer incomplete ones are reported on stderr."""
    checkpoints = [path for path in folder.glob("checkpoint-*") if step_of(path) >= 0 and path.is_dir()]
    for checkpoint in sorted(checkpoints, key=step_of, reverse=True):
        problem = next(problems(checkpoint), None)
        if problem is None:
            return checkpoint
        print(f"skipped {checkpoint}: {problem}", file=sys.stderr)
    return None


def problems(checkpoint: Path) -> Iterator[str]:
    """Why a checkpoint cannot be resumed from exactly. Nothing is unpickled."""
    if read_json(checkpoint / STATE) is None:
        yield f"{STATE} is missing or truncated; it is saved last"
    args = read_json(checkpoint / "args.json") or {}
    yield from problems_of_weights(checkpoint)
    if not args.get("save_only_model"):
        yield from problems_of_optimizer(checkpoint, args.get("global_world_size") or 1)
    for path in sorted((*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth"), *checkpoint.glob("global_step*/*.pt"))):
        if not is_zipfile(path):
            yield f"{path.relative_to(checkpoint)} is truncated"


def problems_of_weights(checkpoint: Path) -> Iterator[str]:
    """Weights that are missing or truncated; DeepSpeed's are in its own folder."""
    from safetensors import SafetensorError, safe_open

    found = [*checkpoint.glob("*.safetensors"), *checkpoint.glob("default/*.safetensors")]
    if not found and not any(checkpoint.glob("*_model*.bin")) and not any(checkpoint.glob("global_step*")):
        yield "no weights"
    indices = list(checkpoint.glob("*.safetensors.index.json"))
    if not indices and any(checkpoint.glob("*-of-*.safetensors")):
        yield "the index of the weights' parts is missing"
    for index in indices:
        shards = set(((read_json(index) or {}).get("weight_map") or {"": index.name}).values())
        yield from (f"{name} is missing or truncated" for name in sorted(shards) if name == index.name or not (checkpoint / name).is_file())
    for path in sorted(found):
        try:
            with safe_open(path, framework="np"):
                pass
        except (SafetensorError, OSError):
            yield f"{path.relative_to(checkpoint)} is truncated"


def problems_of_optimizer(checkpoint: Path, processes: int) -> Iterator[str]:
    """What each process saves: random states, and its part of DeepSpeed's optimizer; else the one optimizer."""
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
        yield f"{states} of {processes} files rng_state*.pth: saving was interrupted, or the nodes do not share this folder"


def read_json(path: Path) -> dict | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def to_resume(folder: Path) -> Path | None:
    """What `--resume` prints: `folder` itself if it is a checkpoint. Exits with an error if that one is incomplete."""
    if step_of(folder) < 0 or any(folder.glob("checkpoint-*")):
        return newest_complete(folder)
    problem = next(problems(folder), None) if folder.is_dir() else "no such folder"
    if problem:
        sys.exit(f"error: {folder} cannot be resumed from: {problem}")
    return folder


def main() -> None:
    folder, resume = Path(sys.argv[1]), "--resume" in sys.argv[2:]
    checkpoint = to_resume(folder) if resume else chosen(folder)
    if checkpoint is not None:
        print(checkpoint)
    elif resume:
        print(f"no complete checkpoint in {folder}: the training begins at step 0", file=sys.stderr)
    else:
        sys.exit(f"error: no checkpoint in {folder}: the training saved none; see log.txt in the run folder")


if __name__ == "__main__":
    main()
