"""Model families: grammar, coordinate space and model input of each. A row is data: no other code has a case for one family.

groundswift's own rows are in `family_table`. Another package adds one by an entry point of the group `groundswift.families` whose value
is a `Family`; its grammar is the name of one of ours, or an object with the methods of `grammars.base.Grammar`.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from .entry_points import entries_of, load_entry, place_of
from .errors import GroundswiftError, error_at
from .family_table import BUILT_IN
from .family_table import TEMPLATE_SUFFIX as TEMPLATE_SUFFIX
from .family_table import Family as Family
from .family_table import needs_resized_wh as needs_resized_wh
from .spaces import space_row

GROUP = "groundswift.families"


class Tables(NamedTuple):
    """Families by name, and by swift model type, where the first row wins; `problems`: entry points that cannot be used, by their name."""

    by_name: dict[str, Family]
    by_model_type: dict[str, Family]
    problems: dict[str, GroundswiftError]


@cache
def _tables(with_others: bool) -> Tables:
    """groundswift's own rows, then those of other packages."""
    by_name, problems = {row.name: row for row in BUILT_IN}, {}
    for entry in entries_of(GROUP) if with_others else ():
        try:
            row = load_entry(entry, Family)
            _check_outsider(place_of(entry), row, by_name)
            if entry.name != row.name:
                raise error_at(place_of(entry), f"its family is named {row.name!r}", "an entry point of the family's name")
            by_name[row.name] = row
        except GroundswiftError as error:
            problems[entry.name] = error
    return Tables(by_name, {model_type: row for row in reversed(by_name.values()) for model_type in row.swift_model_types}, problems)


def _check_outsider(entry: str, row: Family, known: dict[str, Family]) -> None:
    """Raise GroundswiftError where a name, template or model type of another package's family is taken, its grammar or space is unknown,
    or its resize is not stated."""
    if row.name in known:
        raise error_at(entry, f"the family name {row.name!r} is taken", "a name of its own")
    for what in ("template", "model_type"):
        owners = {name: each.name for each in known.values() for name in getattr(each, f"swift_{what}s")}
        if taken := owners.keys() & getattr(row, f"swift_{what}s"):
            name, thing = min(taken), what.replace("_", " ")
            raise error_at(entry, f"family {row.name!r} names swift's {thing} {name!r} of family {owners[name]!r}", f"{thing}s of its own")
    grammars = {each.grammar: None for each in BUILT_IN}
    if isinstance(row.grammar, str) and row.grammar not in grammars:
        raise error_at(entry, f"family {row.name}: unknown grammar {row.grammar!r}", f"one of {', '.join(grammars)}")
    try:
        space_row(row.space)
    except GroundswiftError as error:
        raise error_at(entry, f"family {row.name}: {error}") from None
    if row.space == "resized_px" and not row.resize_factor:
        raise error_at(entry, f"family {row.name} writes px of the resized image", "resize_factor, min_pixels and max_pixels")


def families() -> dict[str, Family]:
    """All rows by name, those of other packages too (a new dict)."""
    return dict(_tables(True).by_name)


def not_usable() -> list[str]:
    """A line for each family of another package that cannot be used."""
    return list(map(str, _tables(True).problems.values()))


@cache
def family_row(name: str) -> Family:
    """One row, by the family's name or a swift model type of it. Raises GroundswiftError that lists the known names, or says why the
    family of this name cannot be used.

    Other packages are asked only for names that are not groundswift's own.
    """
    for with_others in (False, True):
        tables = _tables(with_others)
        if row := tables.by_name.get(name) or tables.by_model_type.get(name):
            return row
    if name in tables.problems:
        raise tables.problems[name]
    more = f" (not usable: {'; '.join(not_usable())})" if tables.problems else ""
    raise GroundswiftError(f"unknown model family {name!r}; expected one of {', '.join(tables.by_name)}{more}")


def __getattr__(name: str) -> dict[str, Family]:
    """`FAMILIES` and `BY_MODEL_TYPE`: the tables, loaded when they are first asked for."""
    if name not in ("FAMILIES", "BY_MODEL_TYPE"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    tables = _tables(True)
    return tables.by_model_type if name == "BY_MODEL_TYPE" else tables.by_name
