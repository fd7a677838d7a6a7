"""Perfect answers of a family through every rule: what is lost is lost in reading, whatever the model knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from groundswift.answers import Located
from groundswift.coordinates import from_original_px
from groundswift.family import Family
from groundswift.grammars.registry import format_answer
from groundswift.image_resize import Limits

from ..answers.protocol import Rules
from ..answers.to_boxes import Predictions, predictions_from_answers
from ..ground_truth import Truth, truth_from_rows
from .base import Case
from .card import Scored, card, case_of

LABEL = "dog"
SIZES_WH = ((640, 480), (1920, 1080), (375, 500))
IMAGES = 50  # of each size, with one object
SIDES = (0.1, 0.6)  # of an object, as parts of its image's
SHARP = 0.98  # a mean IoU below it is shown


def perfect_case(row: Family, score: Callable[[Truth, Predictions], Mapping[str, float | None]], seed: int = 0) -> Case:
    """One object an image, and the answer of the family that is right; its own pixel limits."""
    rng, rules = np.random.default_rng(seed), Rules(row.name, limits=Limits())
    rows, answers = [], []
    for image_id in range(IMAGES * len(SIZES_WH)):
        size_wh = SIZES_WH[image_id % len(SIZES_WH)]
        sides = rng.uniform(*SIDES, 2)
        corner = rng.uniform(0, 1 - sides)
        box = np.round(np.concatenate([corner, corner + sides]) * np.tile(size_wh, 2), 1).tolist()
        rows.append((image_id, size_wh, [LABEL], [box]))
        answers.append((image_id, size_wh, _answer(row, rules, size_wh, box)))
    truth = truth_from_rows(rows)
    return case_of(predictions_from_answers(answers, truth, rules), truth, rules, score)


def _answer(row: Family, rules: Rules, size_wh: tuple[int, int], box_xyxy_px: list[float]) -> str:
    """What the family writes for the object; its centre where it has no boxes."""
    input_wh = rules.model_input_wh(size_wh) if row.resize_factor else None
    x1, y1, x2, y2 = box_xyxy_px
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    written = from_original_px([box_xyxy_px if row.boxes else [x, y, x, y]], row.name, size_wh, input_wh)[0].tolist()
    found = Located(LABEL, tuple(written)) if row.boxes else Located(LABEL, None, tuple(written[:2]))
    return format_answer([found], row.name)


def cells_of(case: Case) -> dict[str, str]:
    """By rule its first number in per cent, with AP or the mean IoU where they say more."""
    return {each.rule.id: _cell(each) for each in card(case) if each.rule.id != "coco-copies"}


def _cell(scored: Scored) -> str:
    if scored.stops:
        return "stops"
    numbers = scored.own or scored.placed
    ap, iou = numbers.get("AP50"), numbers.get("mIoU")
    main = ap if ap is not None else next(iter(numbers.values()))
    shown = "-" if main is None else f"{100 * main:.0f}"
    if ap is not None:
        return f"{shown} ({100 * numbers['AP']:.0f})"
    return f"{shown} (IoU {iou:.2f})" if main and iou is not None and iou < SHARP else shown
