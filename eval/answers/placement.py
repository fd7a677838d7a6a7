"""Boxes as a model wrote them -> boxes in original pixels, clipped at the borders of their images, for every metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, area, clipped
from groundswift.coordinates import to_original_px
from groundswift.errors import GroundswiftError, Tally, error_at
from groundswift.spaces import quantum, space_row

if TYPE_CHECKING:
    from .protocol import Rules

AT_ONCE = 1 << 14  # boxes: what a step makes of them stays in the cache, and its memory is used again
ROUNDING = 1 + 1e-9  # a move of one written unit, less what float64 makes of it, is the family's own rounding


class Placed(NamedTuple):
    """(N, 4) xyxy in original px, before and after clipping; (N,) whether it moved them by more than rounding, whether area is left."""

    unclipped_xyxy_px: Boxes
    boxes_xyxy_px: Boxes
    clipped: NDArray[np.bool_]
    has_area: NDArray[np.bool_]


def place_boxes(
    written: Boxes, image_index: NDArray[np.int64], sizes_wh: NDArray[np.int64], rules: Rules, name: Callable[[int], str]
) -> Placed:
    """Place (N, 4) boxes as they were written; `image_index` is (N,) into `sizes_wh`, (images, 2).

    Raises GroundswiftError, with the image's `name`, where an image cannot be resized as the rules say.
    """
    resized = resized_wh_of_boxes(image_index, sizes_wh, rules, name)
    shape = (len(written), 4)
    found = Placed(np.empty(shape), np.empty(shape), np.empty(len(written), bool), np.empty(len(written), bool))
    for start in range(0, len(written), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        for column, values in zip(found, _placed(written[part], sizes_wh[image_index[part]], resized, part, rules), strict=True):
            column[part] = values
    return found


def _placed(written: Boxes, sizes: NDArray[np.int64], resized: NDArray[np.float64] | None, part: slice, rules: Rules) -> Placed:
    """`place_boxes` of a part, of which sizes and boxes are given."""
    inputs = None if resized is None else resized[part]
    unclipped = to_original_px(written, rules.family, sizes, inputs, rules.space)
    boxes = clipped(unclipped, sizes)
    step = quantum(space_row(rules.space_name), sizes, inputs)
    moved = (np.abs(boxes - unclipped) > np.concatenate([step, step], axis=-1) * ROUNDING).any(axis=1)
    has_area = area(boxes) > 0
    return Placed(unclipped, boxes, moved & has_area, has_area)


def resized_wh_of_boxes(
    image_index: NDArray[np.int64], sizes_wh: NDArray[np.int64], rules: Rules, name: Callable[[int], str]
) -> NDArray[np.float64] | None:
    """The size of the model input of each box's image, (N, 2) width and height in px; None where the space does not need it.

    Raises GroundswiftError, with the image's `name`, where one cannot be resized.
    """
    if rules.space_name != "resized_px":
        return None
    inputs_wh = np.zeros((len(sizes_wh), 2))
    known: dict[tuple[int, int], tuple[int, int]] = {}
    for index in np.unique(image_index).tolist():
        width, height = sizes_wh[index].tolist()
        if (width, height) not in known:
            try:
                known[width, height] = rules.model_input_wh((width, height))
            except GroundswiftError as error:
                raise error_at(name(index), str(error)) from None
        inputs_wh[index] = known[width, height]
    return inputs_wh[image_index]


def count_boxes(tally: Tally, reason: str, image_index: NDArray[np.int64], mask: NDArray[np.bool_], name: Callable[[int], str]) -> None:
    """Add the boxes of a mask to a tally, with the names of the first images as examples."""
    where = image_index[mask]
    for index in where[: Tally.EXAMPLES].tolist():
        tally.add(reason, name(index))
    if len(where) > Tally.EXAMPLES:
        tally.add(reason, count=len(where) - Tally.EXAMPLES)
