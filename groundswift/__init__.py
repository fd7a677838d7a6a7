"""groundswift: boxes in and out of vision-language models that ms-swift trains.

The kernel is pure: no torch, no swift. Names load on first use, so that the command line starts at once.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answers import Answer, Located
    from .coordinates import from_original_px, resized_wh, to_original_px
    from .family import families
    from .grammars.columns import parse_many
    from .grammars.registry import format_answer, parse

_HERE = os.path.dirname(os.path.abspath(__file__))
_CLONE = os.path.dirname(_HERE)
if not os.path.isdir(os.path.join(_HERE, "eval")) and os.path.isfile(os.path.join(_CLONE, "eval", "__init__.py")):
    __path__.append(_CLONE)  # in a clone the other packages are siblings of this folder

__version__ = "0.1.0"
__all__ = ["Answer", "Located", "families", "format_answer", "from_original_px", "parse", "parse_many", "resized_wh", "to_original_px"]

_HOMES = {
    "Answer": "answers",
    "Located": "answers",
    "families": "family",
    "format_answer": "grammars.registry",
    "from_original_px": "coordinates",
    "parse": "grammars.registry",
    "parse_many": "grammars.columns",
    "resized_wh": "coordinates",
    "to_original_px": "coordinates",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'groundswift' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
