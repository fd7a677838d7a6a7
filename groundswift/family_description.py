"""What is written of one model family: a row of the table of families, in `family_table` or in another package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import GroundswiftError
from .spaces import quantum, space_row

if TYPE_CHECKING:
    from .grammars.base import Grammar

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
