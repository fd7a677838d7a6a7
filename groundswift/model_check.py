"""`groundswift families --check MODEL_DIR`: which template fits a model folder, from its small JSON files. No weights are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import error_at
from .family import families
from .family_table import TEMPLATE_SUFFIX, Family
from .model_folder import read_object, read_settings
from .spaces import SPACES
from .swift_models import SwiftModel, swift_models

EXPECTED = "the folder of a model with its config.json, or of a checkpoint that swift trained with its args.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def check_model(folder: Path) -> dict[str, Any]:
    """What is known of a model folder. `fits`: a dict a template of ours; `other`: model types of swift with this architecture without one.

    Raises GroundswiftError for a folder that is not one of a model.
    """
    if not folder.is_dir():
        raise error_at(folder, "is not a folder" if folder.exists() else "no such folder", EXPECTED)
    args = read_settings(folder / "args.json") or {}
    config = read_config(folder, args)
    types = model_types(config, args)
    template = str(args.get("template") or args.get("template_type") or "")
    fits = [fit(row, model, stock, name) for row, model, stock, name in templates_of(types) if template in ("", stock, name)]
    return {
        "model": str(folder),
        "config_model_type": config.get("model_type"),
        "architectures": config.get("architectures") or [],
        "trained_with": template or None,
        "fits": fits,
        "other": [{"model_type": model.name, "boxes": model.boxes, "how": model.how, "source": model.source} for model in others(types)],
        "problems": problems(folder, fits),
    }


def read_config(folder: Path, args: dict[str, Any]) -> dict[str, Any]:
    """config.json of a folder, or of the model that an adapter was trained from."""
    where = folder / "config.json"
    if where.exists() or not args:
        if not where.exists():
            raise error_at(folder, "has no config.json", EXPECTED)
        return read_object(where, "config.json of a model")
    base = Path(str(args.get("model") or "")) / "config.json"
    return read_settings(base) or {}


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
        lines += ["", "No multimodal model type of ms-swift 4.6 has this config: no template is known to fit"]
    return "\n".join([*lines, *(f"warning: {problem}" for problem in found["problems"])])


def resize_of(each: dict[str, Any]) -> str:
    """The rule by which the model input gets its size."""
    if each["resize_factor"] is None:
        return "by the model's own processor; the space does not depend on it"
    factor, least, most = each["resize_factor"], each["min_pixels"], each["max_pixels"]
    return f"sides are multiples of {factor} px, an area of {least} to {most} px unless MIN_PIXELS and MAX_PIXELS are set"
