"""What other packages add to groundswift through entry points of their distribution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from .errors import fault

Kind = TypeVar("Kind")


def loaded_entries(group: str, kind: type[Kind]) -> Iterator[tuple[str, Kind]]:
    """(where it comes from, for messages; the object) of each entry point of a group.

    Raises GroundswiftError where one cannot be loaded or is not of `kind`.
    """
    from importlib.metadata import entry_points

    for entry in entry_points(group=group):
        where = f"entry point {entry.name} of {group}" + (f" (package {entry.dist.name})" if entry.dist else "")
        try:
            value = entry.load()
        except Exception as error:  # it is the code of somebody else
            raise fault(where, f"{entry.value} cannot be loaded ({type(error).__name__}: {error})", "an installed module") from None
        if not isinstance(value, kind):
            raise fault(where, f"{entry.value} is a {type(value).__name__}", f"a {kind.__name__}")
        yield where, value
