"""Flags, models, templates and datasets of ms-swift 2.6.1, and their names in 2.0 to 2.4: tables, read on first use."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

from groundswift.tsv_tables import table_rows

SOURCE = "ms-swift 2.6.1"
GENERATION = "-generation"  # ends the names of 2.x's templates for base models
OLD_MODEL_NAMES = {  # older names that 2.x still accepted
    "openbmb-minicpm-2b-sft-chat": "minicpm-2b-sft-chat",
    "openbmb-minicpm-2b-chat": "minicpm-2b-chat",
    "cogvlm-17b-instruct": "cogvlm-17b-chat",
    "minicpm-v-v2": "minicpm-v-v2-chat",
    "mplug-owl2d1-chat": "mplug-owl2_1-chat",
    "llava1d6-mistral-7b-instruct": "llava1_6-mistral-7b-instruct",
    "llava1d6-yi-34b-instruct": "llava1_6-yi-34b-instruct",
}
_rows = partial(table_rows, __package__)


class Flag(NamedTuple):
    """A flag of one 2.x command: `values` is `one`, `bool` (its value may be omitted) or `list`; `default` as text, empty for none."""

    name: str
    values: str
    default: str


class OldModel(NamedTuple):
    """A model_type of 2.x: the model's id today, and 4.6's model_type and template. `targets`: what DEFAULT meant for LoRA, or None
    for the language model of a multimodal model, whose group is `group`."""

    id: str
    model_type: str
    template: str
    targets: tuple[str, ...] | None
    group: str | None


@lru_cache
def flags_of(command: str) -> dict[str, Flag]:
    """The flags of a 2.x command by name."""
    return {name: Flag(name, kind, default) for name, kind, default, commands in _rows("flags.tsv", 4) if command in commands.split()}


@lru_cache
def models() -> dict[str, OldModel]:
    """Every model_type of 2.x."""
    found = {}
    for name, model, model_type, template, targets in _rows("models.tsv", 5):
        group = targets[1:] if targets.startswith("@") else None
        found[name] = OldModel(model, model_type, template, None if group else tuple(filter(None, targets.split(","))), group)
    return found | {old: found[new] for old, new in OLD_MODEL_NAMES.items()}


@lru_cache
def model_of_id() -> dict[str, OldModel]:
    """The models by id, in lower case, as 2.x looked them up."""
    return {model.id.lower(): model for model in models().values()}


@lru_cache
def name_of_id() -> dict[str, str]:
    """2.x's model_type for an id in lower case, which named its output folders too."""
    return {model.id.lower(): name for name, model in models().items() if name not in OLD_MODEL_NAMES}


@lru_cache
def templates() -> dict[str, tuple[str, ...]]:
    """4.6's templates for each of 2.x, by model; the first if the model is unknown. Empty if only the model decides."""
    return {name: () if new == "-" else tuple(new.split(",")) for name, new in _rows("templates.tsv", 2)}


def template_of(name: str, model: OldModel | None) -> str:
    """4.6's template for one of 2.x; empty if it cannot be known."""
    found = templates()[name]
    if model and (model.template in found or not found):
        return model.template
    return found[0] if found else ""


@lru_cache
def datasets() -> dict[str, str]:
    """4.6's `--dataset` for each name of 2.x."""
    return dict(_rows("datasets.tsv", 2))
