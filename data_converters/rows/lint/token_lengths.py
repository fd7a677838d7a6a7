"""How many tokens a row has, by a counter that the command is given: swift's own template, which no converter imports."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from groundswift.errors import GroundswiftError
from groundswift.row_view import Finding, RowView, template_row

Counter = Callable[[dict], int]


def check_length(view: RowView, counter: Counter, most: int) -> Iterator[Finding]:
    """Whether swift's template takes the row, and with how many tokens."""
    try:
        tokens = counter(template_row(view))
    except GroundswiftError as error:
        yield "row-not-encodable", f"{error}; expected a row that swift can encode"
        return
    if tokens > most:
        yield "row-too-long", f"{tokens} tokens; expected at most {most}"
