"""The multimodal model types of ms-swift 4.6 and what is known of their boxes: `swift_models.tsv`, so that no command has to load swift."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from .family_table import BUILT_IN
from .tsv_tables import table_rows

FAMILY, NO_BOXES = "family", "none"
COLUMNS = 7


@dataclass(frozen=True)
class SwiftModel:
    """One of swift's model types.

    `templates`: swift's own; `architectures`: names in config.json that swift finds it by. `boxes`: `family` where a family of groundswift
    names it, else `known` with `how` and `source`, `unknown`, or `none` where its answers have no text about an image (`how`: why).
    `config`: model_type of config.json, where swift names no architecture.
    """

    name: str
    templates: tuple[str, ...]
    architectures: tuple[str, ...]
    boxes: str
    how: str
    source: str
    config: str


@cache
def swift_models() -> dict[str, SwiftModel]:
    """Every row by its name."""
    named = {name for family in BUILT_IN for name in family.swift_model_types}
    rows = table_rows(__package__, "swift_models.tsv", COLUMNS)
    return {
        name: SwiftModel(
            name,
            tuple(templates.split()),
            tuple(architectures.split()),
            *((FAMILY, "", "") if name in named else (boxes, how, source)),
            config,
        )
        for name, templates, architectures, boxes, how, source, config in rows
    }
