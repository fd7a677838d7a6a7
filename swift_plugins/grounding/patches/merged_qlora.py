"""Merged QLoRA runs: swift quantises the full weights again, as args.json of the training says.

Observed with ms-swift 4.6.0: `swift export --merge_lora true` takes `quant_method` from the checkpoint's args.json as if it had been given,
and copies that args.json into the merged folder, from which `swift infer` takes it again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swift.arguments import BaseArguments, ExportArguments, SftArguments
from swift.pipelines.base import SwiftPipeline
from swift.pipelines.export.export import SwiftExport
from swift.utils import get_logger

from ..model_folder import read_settings, write_settings
from .wrap_once import patch

CALLED_WITH = "words_of_the_command"  # attribute of a pipeline: what it was given, as a list of options


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
