"""The rules of VLMEvalKit's RefCOCO and GroundingME: one box an image, its space guessed from its numbers or from the truth."""

from __future__ import annotations

import json
import re

import numpy as np

from .base import NO_BOX, Box, Case, Numbers, Rule, Sample, one_object, scaled
from .one_box import NUMBERS, accuracy, first_found, iou_of, of_ious
from .text_parts import BLANKS_OR_COMMAS

COMMIT = "https://github.com/open-compass/VLMEvalKit/blob/e8e78f05f3080fe28154f2130321f17951c3be94/vlmeval/dataset"
ANY = r"([-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?)"
LIST = re.compile(r"\[\s*" + r"(?:\s*,\s*|\s+)".join([ANY] * 4) + r"\s*\]")
NUMBER = re.compile(ANY)
KEY = '"bbox_2d"'


def read_refcoco(sample: Sample, case: Case) -> Box:
    """The first list of four numbers, else the first four numbers of the text; fractions up to 1.5, thousandths up to 1000, else pixels."""
    found = LIST.search(sample.text)
    numbers = list(map(float, found.groups() if found else NUMBER.findall(sample.text)[:4]))
    if len(numbers) < 4:
        return NO_BOX
    largest = max(map(abs, numbers))
    if largest <= 1000:
        numbers = scaled(numbers, sample.size_wh, 1 if largest <= 1.5 else 1000)
    width, height = sample.size_wh
    x1, y1, x2, y2 = np.clip(numbers, 0, [width, height, width, height]).tolist()
    return [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]


def read_grounding_me(text: str) -> Box:
    """`bbox_2d` of the JSON object in a text, null as no box; else the last four numbers in a row; else no box."""
    start, end = text.find("{"), text.rfind("}")
    if 0 <= text.find(KEY, start + 1) <= end - len(KEY) and start >= 0:
        try:
            box = json.loads(text[start : end + 1])["bbox_2d"]
            if box is None:
                return NO_BOX
            if isinstance(box, list) and len(box) == 4:
                return [float(number) for number in box]
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
    runs = BLANKS_OR_COMMAS.findall(text)
    return list(map(float, runs[-1])) if runs else NO_BOX


def _candidates(sample: Sample, case: Case) -> list[Box]:
    """A box as it is written and as parts of 1 or, with a number over 1, of 999."""
    box = read_grounding_me(sample.text)
    return [box, scaled(box, sample.size_wh, 1 if max(box) <= 1 else 999)]


def _grounding_me(samples: list[Sample], candidates: list[list[Box]], case: Case) -> Numbers:
    """The best candidate; an image without an object is a rejection, which an answer without a box gets right."""
    return of_ious([_best(sample, boxes) for sample, boxes in zip(samples, candidates, strict=True)])


def _best(sample: Sample, boxes: list[Box]) -> float:
    if not sample.boxes_xyxy_px:
        return float(any(list(box) == [0, 0, 0, 0] for box in boxes))
    return max(iou_of(box, sample.boxes_xyxy_px[0]) for box in boxes)


RULES = (
    Rule(
        "vlmevalkit-refcoco",
        "VLMEvalKit RefCOCO",
        "The first four numbers; up to 1.5 they are fractions, up to 1000 thousandths, else pixels; images with one object.",
        {"reading": "the first [a, b, c, d], else the first four numbers", "space": "guessed from the largest number", "box": "the first"},
        NUMBERS,
        f"{COMMIT}/refcoco.py",
        read_refcoco,
        first_found,
        accuracy,
        one_object,
    ),
    Rule(
        "vlmevalkit-groundingme",
        "VLMEvalKit GroundingME",
        "One box as pixels or parts of 999, the better against the truth; no readable box rejects; images with one object or none.",
        {"reading": "bbox_2d, else the last four numbers", "space": "the better of two against the truth", "unreadable": "a rejection"},
        NUMBERS,
        f"{COMMIT}/groundingme.py",
        _candidates,
        lambda sample, case: [first_found(sample, case)],
        _grounding_me,
        lambda sample: len(sample.boxes_xyxy_px) <= 1,
    ),
)
