"""How many tokens a row has, through swift's own template, which is loaded by name and only where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from groundswift.errors import GroundswiftError

from .rules import Found
from .views import View, bare_row

ENCODING = "groundswift.swift_plugins.grounding.encoding"
NO_SWIFT = "--max-length counts tokens through swift's template, and swift cannot be loaded ({}); expected pip install 'groundswift[swift]'"
Counter = Callable[[dict], int]


def open_counter(model: str, model_type: str | None, template: str | None) -> Counter:
    """A function from a row to its number of tokens. Raises GroundswiftError without swift, or where the model has no such template."""
    try:
        encoding = import_module(ENCODING)
        opened = encoding.open_template(model, model_type=model_type, template=template)
    except ImportError as error:
        raise GroundswiftError(NO_SWIFT.format(error)) from None
    return lambda row: len(encoding.encoded(opened, row).input_ids)


def check_length(view: View, counter: Counter, most: int) -> Iterator[Found]:
    """Whether swift's template takes the row, and with how many tokens."""
    try:
        tokens = counter(bare_row(view))
    except GroundswiftError as error:
        yield "row-not-encodable", f"{error}; expected a row that swift can encode"
        return
    if tokens > most:
        yield "row-too-long", f"{tokens} tokens; expected at most {most}"
