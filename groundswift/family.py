"""Model families: grammar, coordinate space and model input of each. A row is data: no other code has a case for one family.

groundswift's own rows are in `family_table`. Another package adds one by an entry point of the group `groundswift.families` whose value
is a `Family`; its grammar is the name of one of ours, or an object with the methods of `grammars.registry.Grammar`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from .entry_points import loaded_entries
from .errors import GroundswiftError, fault
from .spaces import quantum, space_row

if TYPE_CHECKING:
    from .grammars.registry import Grammar

GROUP = "groundswift.families"
TEMPLATE_SUFFIX = "_grounding"  # our template is swift's own, with the family's box text


@dataclass(frozen=True)
class Family:
    """How one model family writes a box, and the size of its model input.

    `grammar`: a key of `grammars.registry.GRAMMARS`, or a grammar. `space`: a key of `spaces.SPACES`, which has divisor and rounding.
    `swift_templates`: swift's own templates for models of this family; each has one of ours, with the suffix `_grounding`. Without any
    the family can be parsed but not trained. `axis_order`: as written; our arrays are always x1, y1, x2, y2. `labels`: whether a box has
    a label of its own in the family's pre-training. `boxes`, `points`: whether the family writes them. `empty_answer`: what it writes for
    'no object'. `resize_factor`: both sides of the model input are multiples of it (px); None where the model's own processor does
    something else. `min_pixels`, `max_pixels`: default limits of the input's area in px. `traps`: what goes wrong, one sentence each.
    """

    name: str
    grammar: str | Grammar
    space: str
    swift_model_types: tuple[str, ...]
    swift_templates: tuple[str, ...]
    source: str
    empty_answer: str = "None"
    axis_order: Literal["x1y1x2y2", "y1x1y2x2"] = "x1y1x2y2"
    labels: bool = True
    boxes: bool = True
    points: bool = True
    resize_factor: int | None = None
    min_pixels: int = 0
    max_pixels: int = 0
    traps: tuple[str, ...] = ()

    @property
    def templates(self) -> tuple[str, ...]:
        """Our templates, in the order of `swift_templates`."""
        return tuple(name + TEMPLATE_SUFFIX for name in self.swift_templates)

    def quantum_px(self, size_wh: tuple[int, int], resized_wh: tuple[int, int] | None = None) -> tuple[float, float]:
        """The step of the last written digit in original pixels (x, y): no answer can be more exact than half of it."""
        space = space_row(self.space)
        if space.side == "resized" and resized_wh is None:
            raise GroundswiftError(needs_resized_wh(self.name))
        step_x, step_y = quantum(space, size_wh, resized_wh).tolist()
        return step_x, step_y


def needs_resized_wh(family: str) -> str:
    """What to say where a size that the space needs was not given, and how to get it."""
    return (
        f"family {family} writes boxes in pixels of the resized image, so its resized_wh must be given: "
        "groundswift.resized_wh(size_wh, family, min_pixels, max_pixels) computes it from the limits that the run used"
    )


@cache
def _tables() -> tuple[dict[str, Family], dict[str, Family]]:
    """All families by name, and by swift model type, where the first row wins: groundswift's own, then those of other packages."""
    by_name = dict(_built_in()[0])
    for entry, row in loaded_entries(GROUP, Family):
        _check_outsider(entry, row, by_name)
        by_name[row.name] = row
    return by_name, _by_model_type(by_name)


@cache
def _built_in() -> tuple[dict[str, Family], dict[str, Family]]:
    from .family_table import BUILT_IN

    by_name = {row.name: row for row in BUILT_IN}
    return by_name, _by_model_type(by_name)


def _by_model_type(by_name: dict[str, Family]) -> dict[str, Family]:
    return {model_type: row for row in reversed(by_name.values()) for model_type in row.swift_model_types}


def _check_outsider(entry: str, row: Family, known: dict[str, Family]) -> None:
    """Raise GroundswiftError where a name of another package's family is taken, or its space is unknown."""
    if row.name in known:
        raise fault(entry, f"the family name {row.name!r} is taken", "a name of its own")
    taken = {name for each in known.values() for name in each.swift_templates}.intersection(row.swift_templates)
    if taken:
        raise fault(entry, f"swift template {min(taken)!r} belongs to another family", "templates of its own")
    space_row(row.space)


def families() -> dict[str, Family]:
    """All rows by name, those of other packages too (a new dict). Raises GroundswiftError where a package's row cannot be used."""
    return dict(_tables()[0])


@cache
def family_row(name: str) -> Family:
    """One row, by the family's name or a swift model type of it. Raises GroundswiftError that lists the known names.

    Other packages are asked only for names that are not groundswift's own.
    """
    for tables in (_built_in, _tables):
        by_name, by_model_type = tables()
        if row := by_name.get(name) or by_model_type.get(name):
            return row
    raise GroundswiftError(f"unknown model family {name!r}; expected one of {', '.join(_tables()[0])}")


def __getattr__(name: str) -> dict[str, Family]:
    """`FAMILIES` and `BY_MODEL_TYPE`: the tables, loaded when they are first asked for."""
    if name not in ("FAMILIES", "BY_MODEL_TYPE"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _tables()[name == "BY_MODEL_TYPE"]
