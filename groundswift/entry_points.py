"""What other packages add to groundswift through entry points of their distribution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import GroundswiftError, error_at

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = TypeVar("Kind")


class ClassTable(Mapping[str, type[Kind]]):
    """Classes by their `name`: built-in ones, and those of other packages. One is imported when it is looked up.

    `what`: what messages call one; `group`: of the entry points; `built_in`: name -> `module:class`. A lookup raises GroundswiftError for
    one that cannot be loaded, is of another kind or name, has no docstring, or shares its name with another package's; all others stay
    usable, and so does a built-in one whose name a package takes.
    """

    def __init__(self, what: str, group: str, kind: type[Kind], built_in: Mapping[str, str]) -> None:
        self.what, self.group, self.kind, self.built_in = what, group, kind, built_in

    @cached_property
    def entries(self) -> dict[str, list[EntryPoint]]:
        """Where each is; more than one place where a package adds a name that is taken."""
        from importlib.metadata import EntryPoint

        found = {name: [EntryPoint(name, place, self.group)] for name, place in self.built_in.items()}
        for entry in entries_of(self.group):
            found.setdefault(entry.name, []).append(entry)
        return found

    def __getitem__(self, name: str) -> type[Kind]:
        if place := self.built_in.get(name):  # without the entry points of all packages, which take 20 ms to read
            return resolve_name(place)
        entry, *others = self.entries[name]
        if others:
            raise self.taken(name, others[0])
        found = load_entry(entry, type)
        if not (issubclass(found, self.kind) and found.name == name):
            expected = f"a subclass of {self.kind.__name__} with name = {name!r}"
            raise error_at(f"{self.what} {name}", f"{entry.value} is not a {self.what} of this name", expected)
        if not (found.__doc__ or "").strip():
            raise error_at(f"{self.what} {name}", f"{entry.value} has no docstring", "one: it is the help of the command")
        return found

    def taken(self, name: str, entry: EntryPoint) -> GroundswiftError:
        """The error for an entry point whose name another one has."""
        owner = self.entries[name][0].value
        return error_at(f"{self.what} {name} of {entry.value}", f"the name is taken by {owner}", "another name")

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def loaded(self) -> tuple[dict[str, type[Kind]], list[str]]:
        """(all that can be used, by name; a line for each that cannot)."""
        usable, problems = {}, []
        for name in self:
            try:
                usable[name] = self[name]
            except GroundswiftError as error:
                problems.append(str(error))
        problems += [str(self.taken(name, other)) for name in self.built_in for other in self.entries[name][1:]]
        return usable, problems

    def write_problems(self, formatter: Any) -> None:
        """Add to a help page (click's `HelpFormatter`) a line for each that cannot be used."""
        if self.loaded[1]:
            with formatter.section("Not usable"):
                formatter.write("".join(f"  {problem}\n" for problem in self.loaded[1]))


def entries_of(group: str) -> Iterable[EntryPoint]:
    """The entry points of a group, of all installed packages."""
    from importlib.metadata import entry_points

    return entry_points(group=group)


def place_of(entry: EntryPoint) -> str:
    """Where an entry point comes from, for messages."""
    return f"entry point {entry.name} of {entry.group}" + (f" (package {entry.dist.name})" if entry.dist else "")


def load_entry(entry: EntryPoint, kind: type[Kind]) -> Kind:
    """The object of an entry point. Raises GroundswiftError where it cannot be loaded or is not of `kind`."""
    try:
        value = entry.load()
    except Exception as error:  # it is the code of somebody else
        what = f"{entry.value} cannot be loaded ({type(error).__name__}: {error})"
        raise error_at(place_of(entry), what, "an installed module" if isinstance(error, ModuleNotFoundError) else "") from None
    if not isinstance(value, kind):
        raise error_at(place_of(entry), f"{entry.value} is a {type(value).__name__}", f"a {kind.__name__}")
    return value
