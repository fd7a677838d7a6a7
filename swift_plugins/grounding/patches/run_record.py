"""The record of a run, written by swift's own commands with every output folder, checkpoint and result, and compared at the next run.

swift saves neither the pixel limits of the environment nor `--max_pixels` in a checkpoint. Where they differ at inference, the model sees
another resolution, and boxes in pixels of the resized image are silently shifted. ms-swift 4.6.0 saves paths of plugins and model as typed,
and resolves them where it is started next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from swift.arguments import BaseArguments, DeployArguments, InferArguments, SftArguments
from swift.trainers.mixin import SwiftMixin
from swift.utils import get_logger, is_master

from groundswift import __version__
from groundswift.errors import GroundswiftError, error_at
from groundswift.family import FAMILIES, Family
from groundswift.image_resize import Limits
from groundswift.run_record import (
    FOLDER_RECORD,
    RESULT_SUFFIX,
    RunRecord,
    decoder_name,
    differing_limits,
    read_record,
    record_of_folder,
    write_record,
)
from groundswift.spaces import space_row

from ..datasets.fingerprints import fingerprints
from ..known_bad_versions import versions_of
from ..plugin_shim import stable_path
from ..templates.grounding import template_class
from .lazy_images import wants_exact_pixels
from .wrap_once import patch

LIBRARIES = ("ms-swift", "transformers", "torch", "qwen-vl-utils")
FAMILY_OF_GROUNDING_TEMPLATE = {name: row for row in FAMILIES.values() for name in row.templates}
ENVIRONMENT = {"min_pixels": ("MIN_PIXELS", "IMAGE_MIN_TOKEN_NUM"), "max_pixels": ("MAX_PIXELS", "IMAGE_MAX_TOKEN_NUM")}
WARNED: set[str] = set()  # swift makes a template twice where it merges before it infers


def record_of(template: str | None, max_pixels: int | None) -> RunRecord | None:
    """The record of this process for one of our templates, by name; None for any other, as only ours write what the table says.

    `max_pixels` is swift's own option. The processor must have been made: swift reads the environment then, once a process.
    """
    row = FAMILY_OF_GROUNDING_TEMPLATE.get(template or "")
    if row is None:
        return None
    return RunRecord(
        family=row.name,
        template=template,
        grammar=row.grammar_name,
        space=row.space,
        limits=limits_now(row, max_pixels),
        versions={"groundswift": __version__, **versions_of(LIBRARIES)},
        pixels="quick" if template_class(template).resizes_images and not wants_exact_pixels() else "exact",
    )


def record_of_template(template: Any) -> RunRecord | None:
    """The record of this process for a template; None where it is not ours."""
    return record_of(template.template_meta.template_type, template.max_pixels)


def limits_now(row: Family, max_pixels: int | None) -> Limits:
    """The areas in px that bound a family's input in this process, as qwen-vl-utils has them in force; `max_pixels`: swift's own option."""
    first = max_pixels if max_pixels is not None and max_pixels > 0 else None
    if row.resize_factor is None:
        return Limits(first_max_pixels=first)
    from qwen_vl_utils import vision_process

    token = row.resize_factor**2
    return Limits(vision_process.IMAGE_MIN_TOKEN_NUM * token, vision_process.IMAGE_MAX_TOKEN_NUM * token, first)


@patch("get_template", BaseArguments)
def compare_with_record(get: Callable[..., Any], self: BaseArguments, *args: Any, **kwargs: Any) -> Any:
    """Compare training, inference, export and deployment with the model's record, and write that of a result."""
    template = get(self, *args, **kwargs)
    now = record_of_template(template)
    if now is not None:
        copy_with_model(template.model_meta)
        for path in records_of_sources(self):
            warn_difference(path, now)
        if isinstance(self, InferArguments) and not isinstance(self, DeployArguments) and self.result_path:
            record_result(self.result_path, replace(now, decoder=decoder_of(self)))
    return template


def decoder_of(args: InferArguments) -> str:
    """The engine of an inference, and how it chooses the tokens."""
    speculative = any(getattr(args, name, None) for name in ("sglang_speculative_algorithm", "vllm_speculative_config"))
    return decoder_name(args.infer_backend, args.num_beams or 1, speculative, "diffusion" in str(args.model_type))


@patch("save_args", BaseArguments)
def save_stable_paths(save: Callable[..., None], self: BaseArguments, output_dir: str | None = None) -> None:
    """Save absolute paths, and for this plugin that of the shim, which outlives environments and checkouts."""
    self.external_plugins = [stable_path(path) for path in self.external_plugins]
    if self.model and os.path.isdir(self.model):
        self.model = os.path.abspath(self.model)
    save(self, output_dir)


@patch("save_args", BaseArguments)
def record_training(save: Callable[..., None], self: BaseArguments, output_dir: str | None = None) -> None:
    """Write the record of a training into its output folder."""
    save(self, output_dir)
    now = record_of(self.template, self.max_pixels) if isinstance(self, SftArguments) and is_master() else None
    if now is not None:
        files = fingerprints([*self.dataset, *self.cached_dataset])
        write_record(Path(output_dir or self.output_dir, FOLDER_RECORD), replace(now, data_files=files))


@patch("_save", SwiftMixin)
def record_checkpoint(save: Callable[..., None], self: SwiftMixin, output_dir: str | None = None, state_dict: Any = None) -> None:
    """Write the record of a training into a checkpoint."""
    save(self, output_dir, state_dict)
    now = record_of_template(self.template)
    if now is not None:
        files = data_files_of(self.args.output_dir)
        write_record(Path(output_dir or self.args.output_dir, FOLDER_RECORD), replace(now, data_files=files))


def data_files_of(folder: str | Path) -> dict[str, str]:
    """The fingerprints that a training took at its start, from the record in its output folder or checkpoint; empty without one."""
    try:
        return read_record(Path(folder, FOLDER_RECORD)).data_files
    except GroundswiftError:
        return {}


def copy_with_model(model_meta: Any) -> None:
    """Let swift copy the record, as it copies a model's own files, wherever it saves the model: merged, quantised, trained in full."""
    if FOLDER_RECORD not in model_meta.additional_saved_files:
        model_meta.additional_saved_files.append(FOLDER_RECORD)


def records_of_sources(args: BaseArguments) -> Iterator[Path]:
    """Records in the folders that a command takes its weights from: those of the adapters or the checkpoint, else that of the model."""
    adapters = [*args.adapters, *(getattr(args, "adapter_mapping", None) or {}).values(), getattr(args, "resume_from_checkpoint", None)]
    found = [path for folder in adapters if folder and (path := record_of_folder(os.path.expanduser(folder)))]
    if not found and args.model and (path := record_of_folder(os.path.expanduser(args.model))):
        found = [path]
    yield from dict.fromkeys(found)


def warn_difference(path: Path, now: RunRecord) -> None:
    """Warn, once a process, where this run differs from the model's record."""
    try:
        text = difference(read_record(path), now)
    except GroundswiftError as error:
        text = f"pixel limits of the training unknown ({error})"
    if text and text not in WARNED:
        WARNED.add(text)
        get_logger().warning(f"{path}: {text}")


def difference_from(folder: str, template: Any) -> str | None:
    """What differs between the training of a model and a template of this process; None: nothing, or unknown."""
    path, now = record_of_folder(folder), record_of_template(template)
    text = difference(read_record(path), now) if path and now else None
    return f"{path}: {text}" if text else None


def difference(trained: RunRecord, now: RunRecord) -> str | None:
    """What differs between the training of a model and a run, what it means, and how to make them equal; None: nothing."""
    if trained.family != now.family:
        return f"the model was trained as family {trained.family}, but this run uses {now.family}. Use --template {trained.template}"
    differing = differing_limits(trained.limits, now.limits, now.family)
    if not differing:
        return None
    changed = "; ".join(f"{name} {_px(before)} in training, {_px(after)} now" for name, (before, after) in differing.items())
    if space_row(trained.space).side == "resized":
        meaning = f"{now.family} writes pixels of the resized image, so boxes are shifted"
    else:
        meaning = "the model sees another resolution than in training; boxes keep their meaning"
    remedies = " and ".join(_remedy(name, before, FAMILIES[now.family]) for name, (before, _) in differing.items())
    return f"pixel limits differ from those of the training: {changed}. {meaning}. To use those of the training: {remedies}"


def _px(area: int | None) -> str:
    return "none" if area is None else f"{area} px"


def _remedy(name: str, area: int | None, row: Family) -> str:
    """What to type so that a limit is `area`. A limit in tokens in the environment takes precedence over one in pixels."""
    if name == "first_max_pixels":
        return "remove --max_pixels" if area is None else f"add --max_pixels {area}"
    in_pixels, in_tokens = ENVIRONMENT[name]
    tokens = area // row.resize_factor**2
    set_px, set_tokens = os.environ.get(in_pixels), os.environ.get(in_tokens)
    if set_tokens and not (set_px and set_tokens == str(int(set_px) // row.resize_factor**2)):  # else swift made it of the pixels
        return f"export {in_tokens}={tokens}"
    return f"export {in_pixels}={area}"


def record_result(result: str, now: RunRecord) -> None:
    """Write the record of an inference run next to its result file, before the first row.

    swift appends to an existing file. Raises GroundswiftError where its rows are of a run with another family or other limits, as one file
    has one record. Where the rows have no record, none is written, with a warning.
    """
    path = Path(result + RESULT_SUFFIX)
    if not (os.path.isfile(result) and os.path.getsize(result)):
        if is_master():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_record(path, now)
    elif not path.is_file():
        get_logger().warning(
            f"{result}: already holds rows of a run without a record, and swift appends to it. No record is written, so evaluation needs "
            "--family and the pixel limits. Use a new --result_path to avoid this"
        )
    elif differing := differing_terms(read_record(path), now):
        raise error_at(
            result,
            f"already holds rows of a different run, and swift appends to it ({path.name}: {'; '.join(differing)})",
            "a new --result_path, or remove the old file",
        )


def differing_terms(earlier: RunRecord, now: RunRecord) -> list[str]:
    """What differs between two runs so that their rows cannot share a file."""
    names = [name for name in ("family", "space") if getattr(earlier, name) != getattr(now, name)]
    names += ["decoder"] if None not in (earlier.decoder, now.decoder) and earlier.decoder != now.decoder else []
    if names:
        return [f"{name} {getattr(earlier, name)}, now {getattr(now, name)}" for name in names]
    limits = differing_limits(earlier.limits, now.limits, now.family)
    return [f"{name} {_px(before)}, now {_px(after)}" for name, (before, after) in limits.items()]
