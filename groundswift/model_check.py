"""`groundswift families --check MODEL_DIR`: which template fits a model folder, from its small JSON files. No weights are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import GroundswiftError, error_at
from .family import families
from .family_table import TEMPLATE_SUFFIX, Family
from .model_folder import HUB_NAME, cached_snapshot, read_object, read_settings
from .spaces import SPACES
from .swift_models import SwiftModel, swift_models

EXPECTED = "the folder of a model with its config.json, of an adapter with its adapter_config.json, or of a checkpoint with its args.json"
DOWNLOAD = "a model's folder; the small files of a hub's model are enough: hf download {} --include '*.json'"
UNKNOWN = (
    "No multimodal model type of ms-swift 4.6 has this config: no template is known to fit. `groundswift families` lists those that exist"
)
ADAPTER = "adapter_config.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def check_model(folder: Path) -> dict[str, Any]:
    """What is known of a model folder. `fits`: a dict a template of ours; `other`: model types of swift with this architecture without one.

    `folder` may also be a hub's name of a model that Hugging Face's or ModelScope's own download has put into its cache.
    Raises GroundswiftError for what is not a model.
    """
    folder = local_folder(folder)
    args = read_settings(folder / "args.json") or {}
    base = base_of(folder, args)
    config = read_config(base or folder, required=not args)
    types = model_types(config, args)
    template = str(args.get("template") or args.get("template_type") or "")
    fits = [fit(row, model, stock, name) for row, model, stock, name in templates_of(types) if template in ("", stock, name)]
    return {
        "model": str(folder),
        "adapter_of": str(base) if base else None,
        "config_model_type": config.get("model_type"),
        "architectures": config.get("architectures") or [],
        "trained_with": template or None,
        "fits": fits,
        "other": [{"model_type": model.name, "boxes": model.boxes, "how": model.how, "source": model.source} for model in others(types)],
        "problems": problems(folder, fits),
    }


def local_folder(name: Path) -> Path:
    """A model's folder by its path, or by its name on a hub where it was downloaded. Raises GroundswiftError where there is none."""
    if name.is_dir():
        return name
    if name.exists():
        raise error_at(name, "is not a folder", EXPECTED)
    if not HUB_NAME.fullmatch(str(name)):
        raise error_at(name, "no such folder", EXPECTED)
    if found := cached_snapshot(str(name)):
        return found
    raise error_at(name, "no such folder, and no downloaded model of this name", DOWNLOAD.format(name))


def base_of(folder: Path, args: dict[str, Any]) -> Path | None:
    """The model that an adapter belongs to; None for a folder with a config.json of its own, and where args.json names a model that is not
    there. Raises GroundswiftError where adapter_config.json names one that is not there."""
    if (folder / "config.json").exists():
        return None
    if args:
        trained = Path(str(args.get("model") or ""))
        return trained if (trained / "config.json").exists() else None
    if not (folder / ADAPTER).exists():
        return None
    named = read_object(folder / ADAPTER, "adapter_config.json of an adapter").get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise error_at(folder / ADAPTER, "names no base_model_name_or_path", "the folder of the model that the adapter was trained from")
    try:
        return local_folder(Path(named))
    except GroundswiftError as error:
        raise error_at(folder / ADAPTER, f"base model {error}") from None


def read_config(folder: Path, required: bool) -> dict[str, Any]:
    """config.json of a folder; empty where it has none and needs none."""
    where = folder / "config.json"
    if where.exists():
        return read_object(where, "config.json of a model")
    if not required:
        return {}
    if any(folder.glob("*.gguf")):
        raise error_at(folder, "has GGUF files and no config.json", "the folder of the model that they were converted from")
    raise error_at(folder, "has no config.json", EXPECTED)


def only_model_type(folder: Path) -> str | None:
    """swift's model type for a folder, where all templates that fit it are for one; None otherwise, and for a folder without a model."""
    try:
        found = {each["model_type"] for each in check_model(folder)["fits"]}
    except GroundswiftError:
        return None
    return found.pop() if len(found) == 1 else None


def model_types(config: dict[str, Any], args: dict[str, Any]) -> list[SwiftModel]:
    """swift's model types for a config: the one that a run named, those of its architecture, else of its model_type."""
    known = swift_models()
    if (named := args.get("model_type")) in known:
        return [known[named]]
    architectures = config.get("architectures")
    wanted = set(architectures if isinstance(architectures, list) else [])
    found = [model for model in known.values() if wanted & set(model.architectures)]
    return found or [model for model in known.values() if config.get("model_type") in (model.name, model.config or model.name)]


def templates_of(types: list[SwiftModel]) -> Iterator[tuple[Family, SwiftModel, str, str]]:
    """(family, model type, swift's template, ours) for each template of ours that a model of these types can take."""
    for row in families().values():
        for stock in row.swift_templates:
            model = next((model for model in types if stock in model.templates and model.name in row.swift_model_types), None)
            if model is not None:
                yield row, model, stock, stock + TEMPLATE_SUFFIX


def others(types: list[SwiftModel]) -> list[SwiftModel]:
    """The model types that no template of ours is for."""
    taken = {model.name for _, model, _, _ in templates_of(types)}
    return [model for model in types if model.name not in taken]


def fit(row: Family, model: SwiftModel, stock: str, name: str) -> dict[str, Any]:
    """One template of ours, and what it means for boxes."""
    return {
        "template": name,
        "swift_template": stock,
        "model_type": model.name,
        "family": row.name,
        "space": row.space,
        "space_is": SPACES[row.space].meaning,
        "resize_factor": row.resize_factor,
        "min_pixels": row.min_pixels if row.resize_factor else None,
        "max_pixels": row.max_pixels if row.resize_factor else None,
        "traps": list(row.traps),
    }


def problems(folder: Path, fits: list[dict[str, Any]]) -> list[str]:
    """What in the folder contradicts a family: patches of another size than the family's resize has."""
    images = next((found for name in PROCESSORS if (found := read_settings(folder / name))), {})
    images = images.get("image_processor", images)
    sides = [images.get(key) for key in ("patch_size", "merge_size")] if isinstance(images, dict) else []
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        return []
    factor = sides[0] * sides[1]
    return [
        f"{each['template']}: the processor's patches make sides a multiple of {factor} px, the family has {each['resize_factor']} px"
        for each in fits
        if each["resize_factor"] not in (None, factor)
    ]


def text_of(found: dict[str, Any]) -> str:
    """The same for a terminal."""
    what = ", ".join(map(str, found["architectures"])) or "no architecture"
    lines = [f"{found['model']}: {what} (model_type {found['config_model_type']})"]
    if found["adapter_of"]:
        lines.append(f"  adapter of {found['adapter_of']}")
    if found["trained_with"]:
        lines.append(f"  trained with template {found['trained_with']}")
    for each in found["fits"]:
        lines += ["", f"{each['template']}  (--model_type {each['model_type']}, family {each['family']})"]
        lines += [f"  space   {each['space']}: {each['space_is']}", f"  resize  {resize_of(each)}"]
        lines += [f"  trap    {trap}" for trap in each["traps"]]
    if len(found["fits"]) > 1:
        lines += ["", "Several templates fit this config: choose the one that the model was made with"]
    for each in found["other"]:
        detail = "; ".join(filter(None, (each["how"], each["source"])))
        lines += ["", f"{each['model_type']}: boxes {each['boxes']}{f' ({detail})' if detail else ''}; no template of groundswift"]
    if not found["fits"] and found["trained_with"]:
        lines += ["", f"No template of groundswift is made from {found['trained_with']}"]
    elif not found["fits"] and not found["other"]:
        lines += ["", UNKNOWN]
    return "\n".join([*lines, *(f"warning: {problem}" for problem in found["problems"])])


def resize_of(each: dict[str, Any]) -> str:
    """The rule by which the model input gets its size."""
    if each["resize_factor"] is None:
        return "by the model's own processor; the space does not depend on it"
    factor, least, most = each["resize_factor"], each["min_pixels"], each["max_pixels"]
    return f"sides are multiples of {factor} px, an area of {least} to {most} px unless MIN_PIXELS and MAX_PIXELS are set"
