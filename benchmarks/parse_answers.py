"""Well-formed answers of every family, for the benchmarks of parsing."""

from __future__ import annotations

import numpy as np

from groundswift import Located, families, format_answer, from_original_px, resized_wh
from groundswift.spaces import space_row

SIZE_WH = (640, 480)
AN_ANSWER, CUT_END = 60, 12  # boxes of an answer; characters: no grammar ends a box with as many
CLASSES = [f"class {number}" for number in range(1, 81)]
CLASS_NUMBER = {name: number for number, name in enumerate(CLASSES)}


def model_input_wh(family: str) -> tuple[int, int] | None:
    """The model input size, for families whose boxes are in its pixels."""
    return resized_wh(SIZE_WH, family) if space_row(families()[family].space).side == "resized" else None


def write_answers(family: str, boxes: int, seed: int = 0) -> list[str]:
    """Well-formed answers of 60 boxes; points, where the family has nothing else."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.7, (boxes, 2))
    px = np.hstack([low, low + rng.uniform(0.05, 0.3, (boxes, 2))]) * np.array([*SIZE_WH, *SIZE_WH])
    rows = from_original_px(px, family, SIZE_WH, model_input_wh(family)).tolist()
    rows = [[int(n) if n.is_integer() else n for n in row] for row in rows]
    has_boxes = families()[family].boxes
    things = [
        Located(CLASSES[number], tuple(row)) if has_boxes else Located(CLASSES[number], None, tuple(row[:2]))
        for row, number in zip(rows, rng.integers(len(CLASSES), size=boxes).tolist(), strict=True)
    ]
    return [format_answer(things[start : start + AN_ANSWER], family) for start in range(0, boxes, AN_ANSWER)]


def some_cut(answers: list[str]) -> list[str]:
    """The answers, one in a hundred cut in its last box."""
    return [text[:-CUT_END] if index % 100 == 50 else text for index, text in enumerate(answers)]
