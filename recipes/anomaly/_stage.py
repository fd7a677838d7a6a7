"""Say how a stage of training is to start: `python _stage.py FOLDER --run OUT --input FILE... --set NAME=VALUE... -- COMMAND...`.

Prints `new`, the newest complete checkpoint to resume from, or `done`. What the stage was begun with is kept in FOLDER/stage.json: the
command, and hashes of the input files. A stage that was begun with others is refused, and what differs is named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _checkpoint import STATE, newest_complete, read_json

KEPT = "stage.json"
ENVIRONMENT = ("MIN_PIXELS", "MAX_PIXELS", "IMAGE_MAX_TOKEN_NUM", "NUM_CROPS", "QWENVL_BBOX_FORMAT", "NPROC_PER_NODE")
FREE = {  # options that may change at any time: they change no weights, or only when weights are saved
    *("--custom_register_path", "--output_dir", "--ddp_timeout", "--logging_steps", "--save_steps", "--eval_steps", "--save_total_limit"),
    *("--dataloader_num_workers", "--report_to", "--check_model", "--per_device_eval_batch_size"),
}
WHILE_TRAINING = {  # they change how a step is computed: a finished stage does not depend on them
    *("NPROC_PER_NODE", "--gradient_accumulation_steps", "--per_device_train_batch_size", "--deepspeed", "--gradient_checkpointing"),
}
Settings = dict[str, str]


def settings_of(words: list[str], named: list[str], run: Path) -> Settings:
    """Every option of a command with its value, and variables. Paths in the run's folder are relative to it: it may be moved."""
    found: dict[str, list[str]] = {}
    option = "command"
    for word in words:
        if word.startswith("--"):
            option = word
            found[option] = []  # the last of an option counts, as for swift
        else:
            found.setdefault(option, []).append(word.replace(f"{run}/", ""))
    settings = {name: " ".join(values) for name, values in found.items() if name not in FREE}
    settings |= dict(pair.split("=", 1) for pair in named)
    return settings | {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}


def digest(path: Path) -> str:
    made = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            made.update(block)
    return made.hexdigest()


def inputs_of(paths: list[Path], settings: Settings, run: Path) -> Settings:
    """The hash of each file that a stage reads: rows, and the adapter that it starts from."""
    found = {path.name: digest(path) for path in paths}
    if adapter := settings.get("--adapters"):
        found["adapter of the stage before"] = digest(run / adapter / "adapter_model.safetensors")
    return found


def differences(kept: dict[str, Settings], now: dict[str, Settings], finished: bool) -> list[str]:
    """What differs from the beginning of a stage, each in words."""
    then_set, now_set = kept["settings"], now["settings"]
    names = [name for name in {**then_set, **now_set} if name != "--adapters" and not (finished and name in WHILE_TRAINING)]
    found = [
        f"{name}: {then_set.get(name, 'not set')!r}, now {now_set.get(name, 'not set')!r}"
        for name in names
        if then_set.get(name) != now_set.get(name)
    ]
    then_in, now_in = kept["inputs"], now["inputs"]
    return found + [f"{name} has changed" for name in {**then_in, **now_in} if then_in.get(name) != now_in.get(name)]


def is_finished(folder: Path) -> bool:
    """Whether the newest complete checkpoint is that of the last step."""
    newest = newest_complete(folder)
    state = read_json(newest / STATE) or {} if newest else {}
    return bool(newest) and state.get("global_step", 0) >= state.get("max_steps", float("inf"))


def state_of(folder: Path, now: dict[str, Settings]) -> str:
    """What to print. Exits with an error if the stage was begun with other inputs or settings."""
    kept = read_json(folder / KEPT)
    if kept is None:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{KEPT}.partial"
        partial.write_text(json.dumps(now, indent=1), encoding="utf-8")
        partial.replace(folder / KEPT)
        return "new"
    finished = is_finished(folder)
    if changed := differences(kept, now, finished):
        number = folder.name.removeprefix("stage")
        sys.exit(
            f"error: {folder} was trained with other data or settings ({'; '.join(changed)}). "
            f"REDO={number} trains stage {number} and those after it again; a new OUT=... keeps both"
        )
    return "done" if finished else str(newest_complete(folder) or "new")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--input", type=Path, nargs="+", default=[])
    parser.add_argument("--set", nargs="+", default=[])
    mark = sys.argv.index("--")
    asked, words = parser.parse_args(sys.argv[1:mark]), sys.argv[mark + 1 :]
    settings = settings_of(words, asked.set, asked.run)
    print(state_of(asked.folder, {"settings": settings, "inputs": inputs_of(asked.input, settings, asked.run)}))


if __name__ == "__main__":
    main()
