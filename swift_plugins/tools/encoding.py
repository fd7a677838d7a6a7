"""A row as the model gets it: encoded by swift's processor and template, without the model's weights.

swift is imported inside functions, so that its output while it loads can be suppressed.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image

from groundswift.errors import GroundswiftError, error_at
from groundswift.family import FAMILIES
from groundswift.images import open_image
from groundswift.model_check import only_model_type
from groundswift.model_folder import read_object, read_settings

from .quiet import quiet

NO_LOSS = -100  # the label of a token without loss
RUN = "the args.json of a swift run"
HYBRID_LOSS = "default+ignore_empty_think"  # what `swift sft` makes of its default for models that may think or not
OF_THE_RUN = (  # what a run's args.json says about its template, and `get_template` takes by the same name
    *("max_length", "max_pixels", "norm_bbox", "loss_scale", "is_binary_loss_scale", "use_chat_template", "agent_template"),
    *("enable_thinking", "preserve_thinking", "add_non_thinking_prefix"),
)


@dataclass(frozen=True)
class Encoded:
    """What a model gets of one row.

    `labels`: as `input_ids`, NO_LOSS where a token has none. Per image: `sizes_wh` (px, upright original), `model_input_wh` (px, after
    every resize), `images` (RGB, of `model_input_wh`). `tiles`: (count, their width and height in px) where the model gets images in tiles;
    `model_input_wh` is then the size of the whole image. `family`: a name of the table.
    """

    input_ids: list[int]
    labels: list[int]
    sizes_wh: list[tuple[int, int]]
    model_input_wh: list[tuple[int, int]]
    images: list[Image.Image]
    family: str
    tiles: tuple[int, tuple[int, int]] | None = None

    @property
    def has_loss(self) -> list[list[int]]:
        """Runs of tokens with loss, in order: usually one per turn."""
        return [list(run) for has_loss, run in groupby(self.labels, lambda token: token != NO_LOSS) if has_loss]


def load_plugin() -> None:
    """Load the plugin, unless it is."""
    from swift.template.register import TEMPLATE_MAPPING

    if not all(name in TEMPLATE_MAPPING for row in FAMILIES.values() for name in row.templates):
        import groundswift.swift_plugins.register  # noqa: F401


def open_token_counter(model: str, model_type: str | None = None, template: str | None = None) -> Callable[[dict], int]:
    """A function from a row to its number of tokens; see `open_template`, also for what it raises."""
    opened = open_template(model, model_type=model_type, template=template)
    return lambda row: len(encoded(opened, row).input_ids)


def open_template(model: str, model_type: str | None = None, template: str | None = None, max_pixels: int | None = None) -> Any:
    """The template of a model, ready to encode rows for training; no weights are read.

    `model`: a local folder, a hub id, or a checkpoint of a run, whose args.json then names model, model type and template, and how the
    template was set. Where no template is named it is the grounding template that belongs to the model's type.
    Raises GroundswiftError for an unknown model, and, with the choices, where model type or template are ambiguous.
    """
    model, run = _resolved(str(model))
    model_type, named = model_type or run.get("model_type"), template or run.get("template")
    given = {**{name: run.get(name) for name in OF_THE_RUN}, "default_system": run.get("system")}
    settings = {name: value for name, value in given.items() if value is not None} | ({"max_pixels": max_pixels} if max_pixels else {})
    with quiet():
        from swift.model import MODEL_MAPPING, get_processor
        from swift.template import get_template
        from swift.template.register import TEMPLATE_MAPPING

        load_plugin()
        from ..grounding.templates.grounding import FAMILY_OF_TEMPLATE

        if model_type is not None and model_type not in MODEL_MAPPING:
            raise error_at(f"model type {model_type}", "unknown model type", _close_to(model_type, MODEL_MAPPING))
        if named is not None and named not in TEMPLATE_MAPPING:
            raise error_at(f"template {named}", "unknown template", _close_to(named, TEMPLATE_MAPPING))
        if named is not None and named not in FAMILY_OF_TEMPLATE:
            raise error_at(f"template {named}", "not in the table of families", "a template that `groundswift families` lists")
        model_type = model_type or _type_of_template(model, named) or _type_of_folder(model)
        try:
            with quiet(trusted=holds_no_code(model)):
                processor = get_processor(model, model_type=model_type)
        except Exception as error:  # configuration, tokenizer and remote code: many kinds
            raise _no_processor(model, error) from None
        name = named or _template_of(processor.model_meta)
        if TEMPLATE_MAPPING[name].is_thinking and TEMPLATE_MAPPING[name].non_thinking_prefix:
            settings.setdefault("loss_scale", HYBRID_LOSS)
        try:
            made = get_template(processor, template_type=name, **settings)
        except GroundswiftError:
            raise
        except Exception as error:
            what = f"template {name} cannot be made for it ({one_line(error)})"
            raise error_at(model, what, "a template of this model's family") from None
        made.set_mode("train")
    return made


def encoded(template: Any, row: dict[str, Any]) -> Encoded:
    """Encode one row (`messages`, `images`, `objects`) as training does. The row is not changed.

    Raises GroundswiftError where swift cannot encode it, or its template is of no family of the table.
    """
    from ..grounding.templates.grounding import family_of

    family = family_of(template)
    with quiet():
        originals = [open_image(_source(image)) for image in row.get("images") or []]
        try:
            encoding = template.encode(deepcopy(row), return_template_inputs=True)
        except GroundswiftError:
            raise
        except Exception as error:  # swift asserts, and so do the processors behind it
            raise GroundswiftError(f"swift cannot encode this row ({one_line(error)})") from None
    images = [_upright(image) for image in encoding["template_inputs"].images or []]
    model_input_wh = _model_input_wh(template, encoding, images)
    images = [image.resize(size, Image.BICUBIC) for image, size in zip(images, model_input_wh, strict=True)]
    ids = list(encoding["input_ids"])
    labels = list(encoding.get("labels") or [NO_LOSS] * len(ids))
    return Encoded(ids, labels, [image.size for image in originals], model_input_wh, images, family, _tiles(encoding, len(images)))


def _resolved(model: str) -> tuple[str, dict[str, Any]]:
    """(the folder or id that has the processor, what the args.json of a run says)."""
    folder = os.path.expanduser(model)
    if _is_missing_folder(model):
        raise error_at(model, "no such folder", "a model's folder, a checkpoint's, or a hub id (owner/name)")
    where = os.path.join(folder, "args.json")
    if not os.path.isfile(where):
        return folder, {}
    run = read_object(where, RUN)
    if os.path.isfile(os.path.join(folder, "config.json")):
        return folder, run
    base = run.get("model")
    if not isinstance(base, str):
        raise error_at(where, "names no model", RUN)
    if _is_missing_folder(base):
        raise error_at(where, f"model not found: {base}", "the folder that the run was started from, where its path is relative")
    return os.path.expanduser(base), run


def _is_missing_folder(model: str) -> bool:
    """Whether a name is a path, not a hub id, and no folder is there."""
    return (model.startswith(("/", ".", "~")) or model.count("/") > 1) and not os.path.isdir(os.path.expanduser(model))


def holds_no_code(model: str) -> bool:
    """Whether a model is a folder whose configuration names no remote code."""
    files = list(Path(model).glob("*config.json")) if os.path.isdir(model) else []
    return bool(files) and not any("auto_map" in path.read_text(encoding="utf-8", errors="replace") for path in files)


def _type_of_template(model: str, template: str | None) -> str | None:
    """The one of several model types of an architecture that the family of a named template has; None where it is not one, and where
    swift knows the model by its name."""
    from swift.model.model_meta import get_matched_model_meta, get_matched_model_types

    from ..grounding.templates.grounding import FAMILY_OF_TEMPLATE

    if template not in FAMILY_OF_TEMPLATE or get_matched_model_meta(model) is not None:
        return None
    config = read_settings(Path(model, "config.json"))
    candidates = get_matched_model_types(config.get("architectures")) if config else []
    known = set(FAMILIES[FAMILY_OF_TEMPLATE[template]].swift_model_types) & set(candidates)
    return known.pop() if len(known) == 1 else None


def _type_of_folder(model: str) -> str | None:
    """The model type that `groundswift families --check` prints for a folder, where it is one and swift does not know the model by its
    name: swift would also take a type that gives embeddings only."""
    from swift.model.model_meta import get_matched_model_meta

    return None if not os.path.isdir(model) or get_matched_model_meta(model) is not None else only_model_type(Path(model))


def _template_of(model_meta: Any) -> str:
    """The one grounding template of a model's type. Raises GroundswiftError where there is none or more than one."""
    stock = [model_meta.template] if model_meta.template else model_meta.candidate_templates
    named = {name: ours for row in FAMILIES.values() for name, ours in zip(row.swift_templates, row.templates, strict=True)}
    found = [named[name] for name in stock if name in named]
    if len(found) == 1:
        return found[0]
    where = f"model type {model_meta.model_type}"
    if found:
        raise error_at(where, "has more than one grounding template", f"--template, one of {', '.join(found)}")
    what = f"has no grounding template (swift's own for it: {', '.join(stock) or 'none'})"
    raise error_at(where, what, "a family that `groundswift families` lists, or --template")


def _no_processor(model: str, error: Exception) -> GroundswiftError:
    found = re.search(r"Multiple possible types found: *\[?([^\]]*)|no suitable `model_type`", str(error))
    if found:
        choice = f"one of {found[1].replace(chr(39), '')}" if found[1] else "a model type of swift that `groundswift families --json` names"
        return error_at(model, "its model type is not clear", f"--model-type, {choice}")
    return error_at(model, f"cannot load its processor ({one_line(error)})", "a folder or hub id with configuration and tokenizer")


def one_line(error: Exception) -> str:
    """Type and first line of another library's error, at most 300 characters."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"[:300] if first else type(error).__name__


def _close_to(name: str, names: Any) -> str:
    close = get_close_matches(name, list(names), 5)
    return f"for example {', '.join(close)}" if close else "a name that `groundswift families --json` lists"


def _source(image: Any) -> Any:
    """A row's image as what `open_image` reads: a path (swift's ROOT_IMAGE_DIR in front of a relative one that is not here) or bytes."""
    if isinstance(image, dict):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, str) and not os.path.exists(image):
        below = os.path.join(os.environ.get("ROOT_IMAGE_DIR") or "", image)
        return below if os.path.exists(below) else image
    return image


def _upright(image: Any) -> Image.Image:
    """An image of swift's, possibly still a path, as an upright image."""
    return image.convert("RGB") if isinstance(image, Image.Image) else open_image(_source(image))


def _model_input_wh(template: Any, encoding: dict[str, Any], images: list[Image.Image]) -> list[tuple[int, int]]:
    """(width, height) in px of every image, read off the pixel arrays; the image's own size where they hold tiles."""
    grids = encoding.get("image_grid_thw")
    if grids is not None:
        patch = template.processor.image_processor.patch_size
        return [(wide * patch, high * patch) for _, high, wide in grids.tolist()]
    shape = _shape(encoding)
    if len(shape) == 4 and shape[0] == len(images):
        return [(shape[3], shape[2])] * len(images)
    return [image.size for image in images]


def _tiles(encoding: dict[str, Any], images: int) -> tuple[int, tuple[int, int]] | None:
    """(count, width and height in px) where there are more pixel arrays than images."""
    shape = _shape(encoding)
    count = math.prod(shape[:-3])
    return (count, (shape[-1], shape[-2])) if len(shape) > 3 and count > images else None


def _shape(encoding: dict[str, Any]) -> tuple[int, ...]:
    return tuple(getattr(encoding.get("pixel_values"), "shape", ()))
