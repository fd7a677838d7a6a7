"""Shapes of CVAT that are one object: its box, and its outline in the same group.

Datumaro exports an object of COCO as polygons or a mask, and a box around all of them, with one `group_id`. People also group objects in
CVAT, so only shapes that a box of their group and label bounds exactly are parts of its object.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from ...tasks.labelled_image import Box, bounds

EXACT = 1.0  # px by which sides may differ: Datumaro's box of a mask ends within the last pixel
OUTLINES = ("polygon", "mask")


class GroupedShape(NamedTuple):
    """A shape in a group: its index among the labels of its image, its kind and its box (x1, y1, x2, y2) in px."""

    index: int
    kind: str
    box: Box


def outlines_of_boxes(grouped: Iterable[tuple[tuple[str, int], GroupedShape]]) -> set[int]:
    """The indices of outlines whose object also has its box in the same group. `grouped`: ((group, class), shape), in any order."""
    groups: dict[tuple[str, int], list[GroupedShape]] = defaultdict(list)
    for key, part in grouped:
        groups[key].append(part)
    found: set[int] = set()
    for parts in groups.values():
        boxes = [part.box for part in parts if part.kind == "box"]
        outlines = [part for part in parts if part.kind in OUTLINES]
        sides = [side for part in outlines for side in part.box]
        if len(boxes) == 1 and outlines and _same(boxes[0], bounds(sides[::2], sides[1::2])):
            found.update(part.index for part in outlines)
        else:
            found.update(part.index for part in outlines if any(_same(box, part.box) for box in boxes))
    return found


def _same(box: Box, other: Box) -> bool:
    return all(abs(side - side_of_other) <= EXACT for side, side_of_other in zip(box, other, strict=True))
