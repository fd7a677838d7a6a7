"""`--ckpt_dir`: a folder of LoRA weights is `--adapters`, a whole model `--model`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from .commands import Option
from .job import Job
from .shell import quoted
from .tables import models

WHOLE = re.compile(r"merged|-(?:gptq|awq|bnb|int[48])")
GUESSED = "a folder that is not here: taken for {}. A LoRA checkpoint is --adapters, a whole model --model"
OF_2X = "{} was written by 2.x and has no args.json: 4.6 takes nothing from it, so --model is named. Check an answer"
NO_DATA = "{} has no args.json: name the validation set with --val_dataset instead of --load_data_args"


def migrate_ckpt_dir(job: Job, option: Option) -> None:
    """Write --adapters or --model for a checkpoint, and the base model where 4.6 cannot read it off the folder."""
    word = option.values[0] if option.values else None
    value = (word and job.known(word)) or ""
    folder = job.settings.folder / value
    there = bool(value) and os.path.isdir(folder)
    flag = _by_files(folder) if there else None
    guessed = flag is None
    if flag is None:
        flag = "model" if WHOLE.search(Path(value).name) or job.trained == "full" else "adapters"
    job.report("changed", option.word.start, job.shown(option), f"--{flag}")
    job.rename(option, flag)
    if guessed:
        job.report("todo", option.word.start, job.shown(option), f"--{flag}", GUESSED.format(f"--{flag}"))
    if there and (folder / "sft_args.json").is_file() and not (folder / "args.json").is_file():
        _of_2x(job, option, folder, value, flag)


def _by_files(folder: Path) -> str | None:
    if any((folder / name).is_file() for name in ("adapter_config.json", "default/adapter_config.json")):
        return "adapters"
    return "model" if (folder / "config.json").is_file() else None


def _of_2x(job: Job, option: Option, folder: Path, value: str, flag: str) -> None:
    try:
        saved = json.loads((folder / "sft_args.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        saved = {}
    model = models().get(saved.get("model_type") or "")
    base = saved.get("model_id_or_path")
    if flag == "adapters" and not job.option("model_type", "model_id_or_path", "model_cache_dir"):
        if isinstance(base, str) and (Path(base).is_dir() or model is None):
            job.add("model", quoted(base), OF_2X.format(value), raw=True)
        elif model is not None:
            job.add("model", model.id, OF_2X.format(value))
    if job.option("load_dataset_config"):
        job.report("todo", option.word.start, job.shown(option), note=NO_DATA.format(value))
