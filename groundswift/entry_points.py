"""What other packages add to groundswift through entry points of their distribution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from .errors import error_at

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = TypeVar("Kind")


def loaded_entries(group: str, kind: type[Kind]) -> Iterator[tuple[str, Kind]]:
    """(where it comes from, for messages; the object) of each entry point of a group.

    Raises GroundswiftError where one cannot be loaded or is not of `kind`.
    """
    from importlib.metadata import entry_points

    for entry in entry_points(group=group):
        yield place_of(entry), load_entry(entry, kind)


def place_of(entry: EntryPoint) -> str:
    """Where an entry point comes from, for messages."""
    return f"entry point {entry.name} of {entry.group}" + (f" (package {entry.dist.name})" if entry.dist else "")


def load_entry(entry: EntryPoint, kind: type[Kind]) -> Kind:
    """The object of an entry point. Raises GroundswiftError where it cannot be loaded or is not of `kind`."""
    try:
        value = entry.load()
    except Exception as error:  # it is the code of somebody else
        what = f"{entry.value} cannot be loaded ({type(error).__name__}: {error})"
        raise error_at(place_of(entry), what, "an installed module") from None
    if not isinstance(value, kind):
        raise error_at(place_of(entry), f"{entry.value} is a {type(value).__name__}", f"a {kind.__name__}")
    return value
