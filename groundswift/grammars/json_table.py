"""The grammars that are JSON, each made when it is used."""

from __future__ import annotations

from collections.abc import Callable

from .base import Grammar
from .json_boxes import JsonGrammar
from .json_objects import JsonKeys
from .token_table import qwen2_tokens

TABLE: dict[str, Callable[[], Grammar]] = {
    "json_bbox_2d": lambda: JsonGrammar(JsonKeys("bbox_2d", "point_2d"), inline=qwen2_tokens()),
    "json_box_2d": lambda: JsonGrammar(JsonKeys("box_2d", "point", y_first=True)),
    "json_bbox_category": lambda: JsonGrammar(JsonKeys("bbox", "", label="category"), fenced=False),
}
