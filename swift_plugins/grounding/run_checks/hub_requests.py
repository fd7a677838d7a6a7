"""Useless requests to hubs: for a misspelled file, taken as a hub dataset, and for newer versions of a local model.

Observed with ms-swift 4.6.0 and modelscope 1.40.2: about 45 s for a dataset and 7 to 22 s for the model, without a network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from modelscope.hub.utils.utils import get_cache_dir
from swift.arguments.base_args.data_args import DataArguments
from swift.dataset import DATASET_MAPPING, DatasetSyntax
from swift.trainers.mixin import SwiftMixin
from swift.utils import get_logger

from ..patches.wrap_once import patch
from .findings import Finding, report

SETTINGS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "MODELSCOPE_OFFLINE")
DATA_FILES = (".jsonl", ".json", ".csv", ".txt", ".parquet", ".arrow")
OF_MODELSCOPE = (".mdl", ".git")  # in a folder whose model ModelScope knows by name


@patch("__post_init__", DataArguments)
def refuse_unknown_datasets(init: Callable[..., None], self: DataArguments) -> None:
    """Refuse dataset names that cannot exist."""
    init(self)
    report(unknown_datasets([*self.dataset, *self.val_dataset]))


@patch("__init__", SwiftMixin)
def skip_useless_check(init: Callable[..., None], self: SwiftMixin, model: Any = None, args: Any = None, *given: Any, **more: Any) -> None:
    """Ask ModelScope only about models that it has, and only online."""
    if args is not None and args.check_model and (reason := useless_check(getattr(model, "model_dir", None))):
        args.check_model = False
        get_logger().info(f"check_model false: {reason}")
    init(self, model, args, *given, **more)


def offline() -> bool:
    """Whether the environment forbids the hubs."""
    return any(os.environ.get(name, "").strip().lower() in {"1", "on", "yes", "true"} for name in SETTINGS)


def useless_check(model_dir: str | None) -> str | None:
    """Why asking ModelScope about the model in a folder is of no use; None where it may be."""
    if offline():
        return f"{next(name for name in SETTINGS if os.environ.get(name))} is set"
    if model_dir and not any(Path(model_dir, name).exists() for name in OF_MODELSCOPE):
        return f"{model_dir} was not downloaded from ModelScope, which cannot have a later version of it"
    return None


def unknown_datasets(names: Iterable[str]) -> Iterator[Finding]:
    """Values of `--dataset` and `--val_dataset` that are neither a file nor a known set, and that no hub can or may be asked for.

    dataset-missing: `--dataset` or `--val_dataset` names a file or folder that does not exist.
    dataset-unknown: `--dataset` or `--val_dataset` is neither a file nor a known dataset, and the hubs are offline.
    """
    for name in names:
        dataset = DatasetSyntax.parse(name).dataset
        if os.path.exists(dataset) or dataset in DATASET_MAPPING:
            continue
        if is_path(dataset):
            yield Finding("dataset-missing", f"dataset {name}: file or folder not found{similar_file(dataset)}", fatal=True)
        elif offline() and not is_known_or_cached(dataset):
            close = get_close_matches(dataset, {*DATASET_MAPPING, *known_ids()}, 1)
            meant = f"; did you mean {close[0]}?" if close else ""
            settings = ", ".join(f"{setting}={os.environ[setting]}" for setting in SETTINGS if os.environ.get(setting))
            text = f"dataset {name}: neither a file nor a known dataset, and the hubs are offline ({settings}){meant}"
            yield Finding("dataset-unknown", text, fatal=True)


def is_path(dataset: str) -> bool:
    """Whether a name can only be meant as a local path: a hub's name is `owner/name` without the suffix of a data file."""
    return dataset.startswith(("/", "./", "../", "~")) or dataset.count("/") > 1 or dataset.lower().endswith(DATA_FILES)


def similar_file(dataset: str) -> str:
    """A file or folder with a similar name in the same place, as the end of a sentence."""
    folder = Path(os.path.expanduser(dataset)).parent
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return f" (the folder {folder} does not exist either)"
    close = get_close_matches(Path(dataset).name, names, 1)
    return f"; did you mean {folder / close[0]}?" if close else ""


def known_ids() -> set[str]:
    """The hubs' datasets that swift has a description of."""
    return {each for meta in DATASET_MAPPING.values() for each in (meta.ms_dataset_id, meta.hf_dataset_id) if each}


def is_known_or_cached(dataset: str) -> bool:
    """Whether swift knows a hub's dataset, or an earlier run left a copy of it."""
    named = any(dataset in (each, each.rsplit("/", 1)[-1]) for each in known_ids())
    return named or any(path.exists() for path in copies(dataset))


def copies(dataset: str) -> Iterator[Path]:
    """Where ModelScope, the Hugging Face hub and `datasets` keep a dataset `owner/name`."""
    from datasets import config
    from huggingface_hub import constants

    flat = dataset.replace("/", "___")
    for cache in (Path(get_cache_dir()), Path(get_cache_dir()).parent):
        yield from (cache / "datasets" / dataset, cache / "hub" / "datasets" / dataset, cache / "datasets" / flat)
    yield from (Path(constants.HF_HUB_CACHE, f"datasets--{dataset.replace('/', '--')}"), Path(config.HF_DATASETS_CACHE, flat))
