"""Checks of a row's boxes: their numbers, their corners, and their position in the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from groundswift.box_checks import box_problem
from groundswift.row_view import Finding, RowView, box_finding, short

Size = tuple[int, int]
SLIGHT = 1.0  # px by which rounding may move a box beyond its image


class Box(NamedTuple):
    """One readable box. `numbers`: 4 (x1, y1, x2, y2) or 2 (x, y), in px or, for norm1, from 0 to 1. `size_wh`: px of its image."""

    index: int
    numbers: tuple[float, ...]
    size_wh: Size | None


def readable_boxes(view: RowView, sizes_wh: Sequence[Size | None]) -> tuple[list[Box], list[Finding]]:
    """The boxes of a row that are numbers, each with the size of its image, and what is wrong with the others."""
    boxes, findings = [], []
    for index, box in enumerate(view.boxes or ()):
        if problem := box_finding(box):
            findings.append((problem[0], f"box {index} is {problem[1]}"))
            continue
        image = view.image_of(index)
        size = sizes_wh[image] if 0 <= image < len(sizes_wh) else None
        boxes.append(Box(index, tuple(map(float, box)), size))
    return boxes, findings


def check_boxes(view: RowView, boxes: Sequence[Box]) -> Iterator[Finding]:
    """Corners, area, borders and duplicates of the readable boxes."""
    seen: dict[tuple[object, ...], int] = {}
    for box in boxes:
        index, label, message = box.index, view.label_of_box[box.index], view.list_of_box[box.index]
        wrong = () if _is_plain(view.bbox_type, box) else (*_check_corners(box), *_check_borders(view.bbox_type, box))
        for rule, what in wrong:
            yield rule, f"{_name(box, label)} {what}"
        if message is None:
            continue
        first = seen.setdefault((message, label, view.image_of(index), box.numbers), index)
        if first != index:
            yield "box-duplicate", f"{_name(box, label)} repeats box {first}; expected each once"


def _is_plain(bbox_type: str, box: Box) -> bool:
    """Whether a box is in px and has an area inside its image, as nearly all have: nothing else to check, and the fastest way to say so."""
    if bbox_type != "real" or box.size_wh is None or len(box.numbers) != 4:
        return False
    x1, y1, x2, y2 = box.numbers
    return 0 <= x1 < x2 <= box.size_wh[0] and 0 <= y1 < y2 <= box.size_wh[1]


def _name(box: Box, label: str | None) -> str:
    numbers = ", ".join(f"{value:.10g}" for value in box.numbers)
    return f"box {box.index} " + (f"{short(label)} " if label is not None else "") + f"[{numbers}]"


def _check_corners(box: Box) -> Iterator[Finding]:
    if len(box.numbers) != 4:
        return
    problem = box_problem(box.numbers, box.size_wh, allowed=("box-too-large", "box-outside"))
    x1, y1, x2, y2 = box.numbers
    if problem and problem.id == "box-inverted":
        yield problem.id, "has x2 < x1 or y2 < y1; expected x1, y1, x2, y2"
    elif problem:
        yield problem.id, f"is {x2 - x1:g} wide and {y2 - y1:g} high; expected an area"


def _check_borders(bbox_type: str, box: Box) -> Iterator[Finding]:
    if bbox_type == "norm1":
        if min(box.numbers) < 0 or max(box.numbers) > 1:
            yield "box-norm1-range", "is norm1; expected numbers from 0 to 1"
    elif bbox_type == "real" and box.size_wh is not None:
        over, side = overhang(box.numbers, box.size_wh)
        if over > 0:
            rule = "box-outside" if over >= SLIGHT else "box-over-edge"
            yield rule, f"is {over:g} px {side} its image; expected it within {box.size_wh[0]}x{box.size_wh[1]} px"


def overhang(numbers: Sequence[float], size_wh: Size) -> tuple[float, str]:
    """By how many px a box or point extends beyond its image, on the side where it does most; 0 or less if it does not."""
    xs, ys = numbers[::2], numbers[1::2]
    width, height = size_wh
    return max((-min(xs), "left of"), (-min(ys), "above"), (max(xs) - width, "right of"), (max(ys) - height, "below"))
