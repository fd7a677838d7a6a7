"""What a model folder of swift needs to be the same model outside swift: the chat template of the run, and its pixel limits.

swift writes a merged, quantised or fully trained model with the chat template and the processor limits of the base model. Its own text
comes from its template and its limits from environment and options: none of them travels with the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from swift.arguments import BaseArguments, SftArguments
from swift.model import utils as model_utils
from swift.utils import get_logger

from groundswift.atomic_write import write_whole
from groundswift.coordinates import limits_in_force
from groundswift.errors import GroundswiftError
from groundswift.family import FAMILIES, Family
from groundswift.image_resize import Limits, in_whole_tokens
from groundswift.model_folder import read_settings, write_settings
from groundswift.run_record import RunRecord, read_record
from groundswift.spaces import space_row

from ..templates.chat_template import ChatTemplateChoice, choose, warning_of
from ..templates.grounding import PADDING
from .merged_adapters import load_as_saved
from .model_code import save_generation_config
from .run_record import record_of_template, records_of_sources
from .wrap_once import patch

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")


@dataclass
class SaveSource:
    """What a processor is saved with: the template that swift made for it, and the limits of the run. `chosen`: set at the first save."""

    template: Any
    family: Family
    limits: Limits
    chosen: ChatTemplateChoice | None = None


SAVE_SOURCES: WeakKeyDictionary[Any, SaveSource] = WeakKeyDictionary()  # processor -> what it is saved with


def origin_of(args: BaseArguments, template: Any, now: RunRecord) -> SaveSource:
    """What the folders that are saved with this template's processor are to hold. `now`: the record of this process.

    Training leaves its own limits; what merges, exports and quantises leaves those that the model was trained with.
    """
    for path in () if isinstance(args, SftArguments) else records_of_sources(args):
        with suppress(GroundswiftError):  # reported where records are compared
            trained = read_record(path)
            if trained.family == now.family:
                return SaveSource(template, FAMILIES[now.family], trained.limits)
    return SaveSource(template, FAMILIES[now.family], now.limits)


@patch("get_template", BaseArguments)
def note_save_source(get: Callable[..., Any], self: BaseArguments, *args: Any, **kwargs: Any) -> Any:
    """Note what folders are completed with that are saved with one of our templates."""
    template = get(self, *args, **kwargs)
    now = record_of_template(template)
    if now is not None:
        SAVE_SOURCES[template.processor] = origin_of(self, template, now)
    return template


@patch("save_checkpoint", model_utils)
def save_for_plain_transformers(save: Callable[..., None], model: Any, processor: Any, output_dir: str, **kwargs: Any) -> None:
    """Wherever swift saves a model folder with one of our templates, add the run's chat template and limits to it."""
    save(model, processor, output_dir, **kwargs)
    save_generation_config(model, Path(output_dir))
    origin = SAVE_SOURCES.get(processor)
    if origin is not None:
        complete(Path(output_dir), origin)


def complete(folder: Path, origin: SaveSource) -> None:
    """Write chat template and limits into a saved model folder, and log what transformers will do otherwise than swift."""
    if origin.chosen is None:
        origin.chosen = choose(origin.template)
        for text in filter(None, (warning_of(origin.chosen), *differences(origin.family, origin.limits))):
            get_logger().warning(f"{folder}: {text}")
    write_chat_template(folder, origin.chosen.text)
    size = processor_size(origin.family, origin.limits)
    if size is not None:
        write_size(folder, size)
    load_as_saved(folder)


def write_chat_template(folder: Path, text: str) -> None:
    """Write `chat_template.jinja`, and the older places of a chat template where the folder has them."""
    write_whole(folder / "chat_template.jinja", [text.encode()])
    for name in ("tokenizer_config.json", "chat_template.json"):
        settings = read_settings(folder / name)
        if settings is not None and "chat_template" in settings:
            settings["chat_template"] = text
            write_settings(folder / name, settings)


def processor_size(family: Family, limits: Limits) -> dict[str, int] | None:
    """The `size` of an image processor (areas in px) that resizes as the run did; None for a family with another kind of resize.

    A first resize (`--max_pixels`) has no place in a processor: its area bounds the only one there is.
    """
    if family.resize_factor is None:
        return None
    force = limits_in_force(limits, family.name)
    most = force.max_pixels
    if force.first_max_pixels is not None:
        most = min(most, max(in_whole_tokens(force.first_max_pixels, family.resize_factor), force.min_pixels, family.resize_factor**2))
    return {"shortest_edge": force.min_pixels, "longest_edge": most}


def write_size(folder: Path, size: dict[str, int]) -> None:
    """Put limits into the image processor of a folder, under each name that its files have for them."""
    for name in PROCESSOR_FILES:
        settings = read_settings(folder / name)
        if settings is None:
            continue
        images = settings.get("image_processor", settings) if name == PROCESSOR_FILES[0] else settings
        if not isinstance(images, dict) or images.get("image_processor_type") is None and "size" not in images:
            continue
        images["size"] = dict(size)
        for edge, older in (("shortest_edge", "min_pixels"), ("longest_edge", "max_pixels")):
            if older in images:
                images[older] = size[edge]
        write_settings(folder / name, settings)


def differences(family: Family, limits: Limits) -> list[str]:
    """Warnings of what a processor cannot do as the run did."""
    found = []
    if limits.first_max_pixels is not None:
        found.append(
            f"--max_pixels: the run resized images to at most {limits.first_max_pixels} px before the model's own resize, which a "
            "processor cannot. Outside swift, resize them first, or train with "
            f"{'MAX_PIXELS in the environment' if family.resize_factor else 'no limit'} instead"
        )
    if space_row(family.space).side == "square":
        found.append(
            f"the run padded images to a square, which this processor does not. Outside swift, pad them first with colour {PADDING}"
        )
    return found
