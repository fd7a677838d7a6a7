"""Outdated folders of merged weights: swift reuses a folder that exists, whatever adapter it was made from.

Observed with ms-swift 4.6.0: `swift infer --merge_lora true` after another training in the same folder answers with the earlier weights.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from inspect import unwrap
from pathlib import Path
from typing import Any

from swift.utils import safe_ddp_context

from groundswift.errors import GroundswiftError

from ..datasets.fingerprints import fingerprint
from ..model_folder import read_settings, write_settings
from ..patches.wrap_once import wrap_once

RECORD = "groundswift_merged_from.json"
WEIGHTS = ("*.safetensors", "*.bin")
OF_ADAPTERS = ("adapter_model*", "adapter_config.json", "default/adapter_model*", "vit.safetensors")


def refuse_outdated_merges() -> None:
    """Record what a merge was made from, and stop where swift would reuse a folder made from something else."""

    def comparing(merge: Callable[..., None], args: Any, device_map: Any = None, replace_if_exists: bool = False) -> None:
        folder = Path(getattr(args, "output_dir", None) or f"{args.adapters[0]}-merged")
        with safe_ddp_context(str(folder), use_barrier=False):  # of several processes one merges, and the others find its folder
            merge_or_use(merge, folder, args, device_map, replace_if_exists)

    owner = import_module("swift.pipelines.export.merge_lora")
    original = unwrap(owner.merge_lora)
    wrap_once(owner, "merge_lora", comparing)
    for module in list(sys.modules.values()):  # commands have imported the function by its name
        if vars(module).get("merge_lora") is original:
            module.merge_lora = owner.merge_lora


def merge_or_use(merge: Callable[..., None], folder: Path, args: Any, device_map: Any, replace_if_exists: bool) -> None:
    """Merge into a new folder and note its sources. Raises GroundswiftError where a folder that exists has others."""
    weights = files_of(args.model, WEIGHTS)
    model = fingerprint(max(weights)) if weights else args.model  # the last file is one that another training changes
    sources = {"adapters": [fingerprint(path) for adapter in args.adapters for path in files_of(adapter, OF_ADAPTERS)], "model": model}
    reused = folder.exists() and not replace_if_exists
    if reused and (reason := outdated(folder, sources, args.adapters)):
        raise GroundswiftError(
            f"{folder}: {reason}, and swift would reuse it. Remove the folder to merge again, or use it as it is with "
            f"--model {folder} and without --adapters and --merge_lora"
        )
    merge(args, device_map, replace_if_exists)
    if not reused and folder.is_dir():
        write_settings(folder / RECORD, sources)


def outdated(folder: Path, sources: dict[str, Any], adapters: list[str]) -> str | None:
    """Why a folder is not what merging would make now; None where it is. Without a record, by modification time."""
    weights = files_of(folder, WEIGHTS)
    if not weights:
        return "holds no weights (an interrupted merge)"
    record = read_settings(folder / RECORD)
    if record is None:
        newest = max((path.stat().st_mtime for adapter in adapters for path in files_of(adapter, OF_ADAPTERS)), default=0.0)
        return "is older than the adapter" if newest > min(path.stat().st_mtime for path in weights) else None
    if record.get("adapters") != sources["adapters"]:
        return f"was merged from another adapter ({shown(record.get('adapters'))}; {adapters[0]} has {shown(sources['adapters'])})"
    if record.get("model") != sources["model"]:
        return f"was merged into another model ({record.get('model')}; now {sources['model']})"
    return None


def files_of(folder: str | Path, patterns: tuple[str, ...]) -> list[Path]:
    """The files of a folder that decide what is merged, pattern by pattern; empty where the folder does not exist."""
    here = Path(os.path.expanduser(folder))
    return [path for pattern in patterns for path in sorted(here.glob(pattern)) if path.is_file()]


def shown(fingerprints: list[str] | None) -> str:
    """The first fingerprint, which is that of the weights."""
    return fingerprints[-1] if fingerprints else "nothing"
