"""Options that swift silently ignores when a training is resumed: warnings before the first step, with both values.

Observed with ms-swift 4.6.0 and transformers 5.19.0: optimizer and schedule come from the checkpoint with their own settings, the adapter
with its own shape, and rows are skipped by their number, whatever they are now.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from swift.arguments import BaseArguments, SftArguments
from swift.dataset import DatasetSyntax
from swift.utils import get_logger, is_master

from groundswift.model_folder import read_settings

from ..datasets.fingerprints import files_of, fingerprints
from ..patches.run_record import data_files_of
from ..patches.wrap_once import patch

SHAPE_OF_ADAPTER = ("lora_rank", "lora_alpha", "lora_dropout", "lora_bias", "use_rslora", "use_dora")
IN_ADAPTER_CONFIG = {"lora_rank": "r", "lora_bias": "bias"}  # others have the same name there
MODULES_OF_ADAPTER = ("target_modules", "target_regex", "modules_to_save", "freeze_llm", "freeze_vit", "freeze_aligner")
LISTS_OF_ADAPTER = ("target_modules", "modules_to_save")
IN_THE_OPTIMIZER = ("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon")
ORDER_OF_ROWS = (
    *("data_seed", "dataset_shuffle", "train_dataloader_shuffle", "split_dataset_ratio"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "global_world_size"),
)
REPEATED = "rows are shuffled differently, so this epoch repeats some and skips others"


@patch("save_args", BaseArguments)
def warn_ignored_options(save: Callable[..., None], self: BaseArguments, output_dir: str | None = None) -> None:
    """Compare a training that continues a checkpoint or an adapter with it."""
    save(self, output_dir)
    if isinstance(self, SftArguments) and is_master():
        for text in ignored(self):
            get_logger().warning(text)


def ignored(args: Any) -> Iterator[str]:
    """Warnings of every option that the checkpoint overrides; none for a training without a checkpoint."""
    source = args.resume_from_checkpoint or next(iter(args.adapters), None)
    if not source:
        return
    checkpoint = Path(source)
    before = read_settings(checkpoint / "args.json") or {}
    found = [*ignored_by_adapter(args, checkpoint, before)]
    if args.resume_from_checkpoint and not args.resume_only_model:
        found += ignored_by_optimizer(args, checkpoint, before)
    if args.resume_from_checkpoint and not args.ignore_data_skip:
        found += changed_rows(args, checkpoint, before)
    yield from (f"{checkpoint}: {text}" for text in found)


def ignored_by_adapter(args: Any, checkpoint: Path, before: dict[str, Any]) -> Iterator[str]:
    """Options of a new LoRA adapter, where one is loaded instead."""
    places = (checkpoint / "adapter_config.json", checkpoint / "default" / "adapter_config.json")
    adapter = next(filter(None, map(read_settings, places)), {})
    if adapter.get("peft_type") not in ("LORA", "ADALORA"):
        return
    shape = {option: adapter.get(IN_ADAPTER_CONFIG.get(option, option)) for option in SHAPE_OF_ADAPTER}
    saved = {option: value for option, value in shape.items() if value is not None}
    saved |= {option: before[option] for option in MODULES_OF_ADAPTER if option in before}
    saved |= {option: names for option in LISTS_OF_ADAPTER if (names := names_in(adapter, args, option)) is not None}
    for option, held in saved.items():
        now = getattr(args, option)
        if sorted(now) != sorted(held) if option in LISTS_OF_ADAPTER and now and held else now != held:
            yield f"--{option} {shown(now)} is ignored: the adapter of the checkpoint has {shown(held)}. Start a new adapter to change it"


def names_in(adapter: dict[str, Any], args: Any, option: str) -> list[str] | None:
    """The modules that an adapter itself names; None where it has a pattern, or the option a group of modules (`all-linear`). args.json
    has what the last training was given, which may have been ignored."""
    held = adapter.get(option, "")
    if held is None and option == "modules_to_save":
        held = []
    is_group = any(str(name).startswith("all-") for name in getattr(args, option) or ())
    return sorted(held) if isinstance(held, list) and not is_group else None


def ignored_by_optimizer(args: Any, checkpoint: Path, before: dict[str, Any]) -> Iterator[str]:
    """Options of the optimizer where its state is loaded; else that none is loaded."""
    if not args.deepspeed and not (any(checkpoint.glob("optimizer*")) and (checkpoint / "scheduler.pt").is_file()):
        saved_by = "the optimizer was saved by DeepSpeed, and this run has no --deepspeed"
        reason = saved_by if any(checkpoint.glob("global_step*")) else "it was saved without its optimizer"
        yield f"{reason}: weights and step continue, optimizer and schedule restart"
        return
    rates = scheduled_rates(checkpoint / "scheduler.pt") or [rate for rate in [before.get("learning_rate")] if rate is not None]
    remedy = "--resume_only_model true resumes the weights only, with a new optimizer and schedule"
    if rates and not any(math.isclose(args.learning_rate, rate) for rate in rates):
        held = ", ".join(map(shown, dict.fromkeys(rates)))
        yield f"--learning_rate {args.learning_rate} is ignored: the schedule of the checkpoint continues with {held}. {remedy}"
    for option in IN_THE_OPTIMIZER:
        now, held = getattr(args, option), before.get(option)
        if held is not None and now != held:
            yield f"--{option} {now} is ignored: the optimizer of the checkpoint continues with {held}. {remedy}"


def scheduled_rates(path: Path) -> list[float]:
    """The base learning rate of each parameter group in a saved schedule; empty where it holds none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        return []
    rates = state.get("base_lrs") if isinstance(state, dict) else None
    return [float(rate) for rate in rates] if isinstance(rates, list) else []


def changed_rows(args: Any, checkpoint: Path, before: dict[str, Any]) -> Iterator[str]:
    """Files and options because of which the rows that a resume skips are not those that were trained on."""
    recorded = data_files_of(checkpoint)  # empty for a run without the plugin: nothing is known of its files
    now = fingerprints([*args.dataset, *args.cached_dataset])
    changed = [path for path, held in recorded.items() if now.get(path, held) != held]
    for path in changed:
        yield f"{path} has changed since the checkpoint (then {recorded[path]}, now {now[path]}): {REPEATED}"
    if not changed and other_rows(before.get("dataset"), args.dataset, set(recorded.values()), set(now.values())):
        yield f"--dataset {shown(args.dataset)} was {shown(before['dataset'])}: {REPEATED}"
    for option in ORDER_OF_ROWS:
        held = before.get(option)
        if held is not None and getattr(args, option, held) != held:
            yield f"--{option} {shown(getattr(args, option))} was {shown(held)}: {REPEATED}"


def other_rows(before: list[str] | None, now: list[str], held: set[str], found: set[str]) -> bool:
    """Whether two values of `--dataset` name other rows; files that were only moved (equal fingerprints) are the same."""
    if before is None or before == now:
        return False
    counts = [[DatasetSyntax.parse(name).dataset_sample for name in names] for names in (before, now)]
    elsewhere = [name for name in now if not files_of(name)]
    return held != found or counts[0] != counts[1] or any(name not in before for name in elsewhere)


def shown(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
