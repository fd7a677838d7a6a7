"""Merged adapters: full weights of QLoRA runs, tied embedding and head, and folders that are outdated. Observed with ms-swift 4.6.0.

* swift quantises the full weights of a QLoRA run again: `swift export --merge_lora true` takes `quant_method` from the checkpoint's
  args.json as if it had been given, and copies that file into the merged folder, from which `swift infer` takes it again.
* Adapters on a tied embedding and head each change one of two layers that share a weight, and a merged folder keeps one of them. Measured
  with peft 0.20.0 and transformers 5.19.0: logits of the merged model differ from those with the adapter.
* swift reuses a merged folder that exists, whatever adapter it was made from: `swift infer --merge_lora true` after another training in the
  same folder answers with the earlier weights.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from swift.arguments import BaseArguments, ExportArguments, SftArguments
from swift.pipelines.base import SwiftPipeline
from swift.pipelines.export.export import SwiftExport
from swift.trainers.mixin import SwiftMixin
from swift.utils import get_logger, safe_ddp_context
from torch import nn

from groundswift.errors import GroundswiftError
from groundswift.model_folder import read_settings, write_settings

from ..datasets.fingerprints import fingerprint
from .wrap_once import patch

CALLED_WITH = "words_of_the_command"  # attribute of a pipeline: what it was given, as a list of options
RECORD = "groundswift_merged_from.json"
WEIGHTS = ("*.safetensors", "*.bin")
OF_ADAPTERS = ("adapter_model*", "adapter_config.json", "default/adapter_model*", "vit.safetensors")
MERGE = "swift.pipelines.export.merge_lora"


@patch("_parse_args", SwiftPipeline)
def note_options(parse: Callable[..., Any], self: SwiftPipeline, args: Any = None) -> Any:
    """Note the options that a command was given."""
    setattr(self, CALLED_WITH, list(args) if isinstance(args, list | tuple) else None)
    return parse(self, args)


@patch("run", SwiftExport)
def merge_qlora_into_full_weights(run: Callable[..., Any], self: SwiftExport) -> Any:
    """Let a merge without `--quant_method` write full weights into the folder asked for."""
    export_full_weights(self.args, options_of(self))
    return run(self)


@patch("get_model_processor", BaseArguments)
def warn_quantised_again(get: Callable[..., Any], self: BaseArguments, **kwargs: Any) -> Any:
    """Warn where full weights of a QLoRA run are loaded quantised."""
    if kwargs.get("load_model", True) and (text := quantised_again(self)):
        get_logger().warning(text)
    return get(self, **kwargs)


def options_of(pipeline: Any) -> list[str] | None:
    """What was typed for a pipeline; None where it is not known, as for arguments that were made in Python."""
    given = getattr(pipeline, CALLED_WITH, None)
    if given is None and Path(sys.argv[0]).name == "export.py":  # the command loads the plugin only while it parses its options
        return sys.argv[1:]
    return given


def typed(options: list[str], name: str) -> bool:
    """Whether an option is among the words of a command: `--quant_method bnb`, `--quant-method=bnb`."""
    return any(word.partition("=")[0].replace("-", "_") == f"__{name}" for word in options)


def export_full_weights(args: ExportArguments, options: list[str] | None) -> None:
    """Drop a quantisation that an export with `--merge_lora true` only has from the checkpoint's args.json, and log it."""
    method = trained_with(args)
    if not (args.merge_lora and args.adapters and method and args.quant_method == method):
        return
    checkpoint = args.adapters[0]
    if options is None:
        get_logger().warning(
            f"{checkpoint}: trained with --quant_method {method}, so this export quantises {args.output_dir} too; "
            f"the full weights are in {checkpoint}-merged"
        )
    elif not typed(options, "quant_method"):
        bits = args.quant_bits
        args.quant_method = args.quant_bits = None
        args.output_dir = args.output_dir if typed(options, "output_dir") else f"{checkpoint}-merged"
        get_logger().warning(
            f"{checkpoint}: trained with --quant_method {method}; merging into full weights in {args.output_dir}. To quantise them add "
            f"--quant_method {method} --quant_bits {bits}"
        )


def trained_with(args: BaseArguments) -> str | None:
    """The `quant_method` in the args.json that a command takes its defaults from."""
    return (read_settings(Path(args.ckpt_dir, "args.json")) or {}).get("quant_method") if args.ckpt_dir and args.load_args else None


def quantised_again(args: BaseArguments) -> str | None:
    """A warning where full weights are about to be quantised only because of args.json; else None."""
    if isinstance(args, ExportArguments | SftArguments) or args.adapters or args.quant_method is None:
        return None
    config = read_settings(Path(args.model, "config.json"))
    if args.quant_method != trained_with(args) or config is None or "quantization_config" in config:
        return None
    if getattr(args, "merge_lora", False):
        remedy = f"give --model {args.model} instead of --adapters and --merge_lora"
    else:
        remedy = "set quant_method and quant_bits to null there, or give --load_args false with --model_type and --template"
    return (
        f"{args.model}: full weights, loaded with --quant_method {args.quant_method} as {Path(args.ckpt_dir, 'args.json')} says. "
        f"To load them in full, {remedy}"
    )


def load_as_saved(folder: Path) -> None:
    """Remove the quantisation of the training from the args.json of a folder with full weights, so that swift loads them as they are."""
    config, args = read_settings(folder / "config.json"), read_settings(folder / "args.json")
    if config is None or args is None or "quantization_config" in config or args.get("quant_method") is None:
        return
    write_settings(folder / "args.json", {**args, "quant_method": None, "quant_bits": None})


@patch("train", SwiftMixin)
def warn_tied_weights(train: Callable[..., Any], self: SwiftMixin, *args: Any, **kwargs: Any) -> Any:
    """Warn of adapters on tied weights before the first step."""
    if text := tied_adapter(self.model):
        get_logger().warning(text)
    return train(self, *args, **kwargs)


@patch("check_tie_word_embeddings", MERGE)
def merge_tied_weights_apart(check: Callable[[Any], None], model: Any) -> None:
    """Let swift's merge keep embedding and head as two weights where an adapter is on one of them."""
    check(model)
    if tied_adapter(model):
        untie(model)
        get_logger().warning("tied embedding and head: the adapter is on one of them, so two weights are saved (tie_word_embeddings false)")


def untie(model: Any) -> None:
    """Untie the head's weight. peft sets `tie_word_embeddings` to false where the two differ after merging."""
    head = base_of(model).get_output_embeddings()
    layer = head.get_base_layer() if isinstance(head, BaseTunerLayer) else head
    layer.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)


def tied_adapter(model: Any) -> str | None:
    """A warning where an adapter is on the embedding or the head of a model that ties them; None for any other.

    A full copy of the head (`--modules_to_save lm_head`) is not affected: merging saves it as a separate weight.
    """
    base = base_of(model)
    config = getattr(base, "config", None)
    if config is None or not tied(config):
        return None
    ends = {"embedding": base.get_input_embeddings(), "head": base.get_output_embeddings()}
    named = [name for name, module in ends.items() if isinstance(module, BaseTunerLayer)]
    if not named:
        return None
    return (
        f"the adapter is on the {' and the '.join(named)} of a model whose embedding and head share one weight: merged by peft alone "
        "it gives other answers; this plugin merges it into two weights. To keep one weight, remove both from --target_modules and train "
        "the head with --modules_to_save lm_head"
    )


def base_of(model: Any) -> Any:
    """The model under an adapter of peft or swift."""
    return model.get_base_model() if hasattr(model, "get_base_model") else getattr(model, "base_model", model)


def tied(config: Any) -> bool:
    """Whether a model's configuration, or that of its language model, ties embedding and head."""
    return any(getattr(each, "tie_word_embeddings", False) for each in (config, config.get_text_config()))


@patch("merge_lora", MERGE)
def refuse_outdated_merges(merge: Callable[..., None], args: Any, device_map: Any = None, replace_if_exists: bool = False) -> None:
    """Record what a merge was made from, and stop where swift would reuse a folder made from something else."""
    folder = Path(getattr(args, "output_dir", None) or f"{args.adapters[0]}-merged")
    with safe_ddp_context(str(folder), use_barrier=False):  # of several processes one merges, and the others find its folder
        merge_or_use(merge, folder, args, device_map, replace_if_exists)


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
