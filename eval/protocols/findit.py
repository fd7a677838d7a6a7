"""FindIt's rule: Hungarian matching, F1 over all boxes, mean IoU over all objects, and how many answers adhere to the prompted format."""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.family import family_row
from groundswift.spaces import space_row

from ..assignment import assigned
from .base import Case, Labelled, Numbers, Rule, Sample, Stops, f1_of, ratio
from .text_parts import between, fenced

NUMBER = r"\d+(?:\.\d+)?"
FOUR = r"\[\s*" + r"\s*,\s*".join([f"({NUMBER})"] * 4) + r"\s*\]"
BARE, BEHIND_COLON = re.compile(FOUR), re.compile(r":\s*" + FOUR)
LABEL_ENDS = re.compile(r"[:\[\]]")
EMPTY_LIST = re.compile(r"\[\s*\]")
GLM_MARKS = ("<|begin_of_box|>", "<|end_of_box|>")
JSON_KEYS = {"json_bbox_2d": "bbox_2d", "json_box_2d": "box_2d"}  # of the grammars that are JSON; all others are prompted for text
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
HIT = np.float32(0.5)


class Answer(NamedTuple):
    """Boxes in original px with their labels, and whether all of the text has the prompted format."""

    found: list[Labelled]
    adheres: bool


def _read(sample: Sample, case: Case) -> Answer:
    """The answer in the format of the family, its JSON key and order of axes or lists behind `label:`, in the declared space."""
    row, several = family_row(case.rules.family), len(case.classes) > 1
    key = JSON_KEYS.get(row.grammar_name)
    found, adheres = read_text(sample.text, several) if key is None else read_json(sample.text, key, several)
    scale_x, scale_y = _scale(sample, case)
    y_first = key is not None and row.axis_order == "y1x1y2x2"
    ordered = [(label, (box[1], box[0], box[3], box[2]) if y_first else box) for label, box in found]
    return Answer([(label, [x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y]) for label, (x1, y1, x2, y2) in ordered], adheres)


def _scale(sample: Sample, case: Case) -> tuple[float, float]:
    """Original px of one written number: the image's own pixels, those of the model input, parts of 1, or of 1000."""
    space, (width, height) = space_row(case.rules.space_name), sample.size_wh
    if space.units is None and space.side == "original":
        return 1.0, 1.0
    if space.units is None:
        wide, high = case.rules.model_input_wh(sample.size_wh)
        return width / wide, height / high
    return (float(width), float(height)) if space.units == 1 else (width / 1000.0, height / 1000.0)


def read_text(text: str, several: bool) -> Answer:
    """Lists of four numbers, where several classes were asked for each behind its label; of GLM's marks the first one's content."""
    text = next(between(text, *GLM_MARKS), text)
    found = list(_labelled(text) if several else ((None, tuple(map(_literal, numbers))) for numbers in BARE.findall(text)))
    return Answer(found, bool(found) or EMPTY_LIST.search(text) is not None)


def _labelled(text: str) -> Iterator[Labelled]:
    """`label: [a, b, c, d]`, the label without colons and brackets."""
    last = 0
    for found in BEHIND_COLON.finditer(text):
        label = LABEL_ENDS.split(text[last : found.start()])[-1]
        if label:
            yield label.strip(), tuple(map(_literal, found.groups()))
        last = found.end()


def _literal(text: str) -> float:
    """A number as Python's literals are. Raises Stops at a whole one with leading zeros."""
    if text.isdigit() and text[0] == "0" and text.strip("0"):
        raise Stops(f"SyntaxError at the number {text}")
    return float(text)


def read_json(text: str, key: str, several: bool) -> Answer:
    """A JSON list of objects, in a fence or GLM's marks or bare; what is not such an object is dropped, and the answer does not adhere."""
    text = next(fenced(text), text)
    text = next((block for block in between(text, *GLM_MARKS) if _decoded(block) is not None), text)
    items = _decoded(text)
    if items is None:
        return Answer([], False)
    if not isinstance(items[0], (list, dict, str)):
        raise Stops(f"TypeError at an answer that is {text.strip()[:20]}")
    found = []
    for item in items[0]:
        box = _box_in(item, key)
        if box is not None:
            found.append((str(item.get("label", "")).strip() if several else None, box))
    return Answer(found, len(found) == len(items[0]))


def _decoded(text: str) -> tuple[Any] | None:
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):
        return None


def _box_in(item: Any, key: str) -> tuple[float, ...] | None:
    """The four numbers of a JSON object; None for anything else."""
    numbers = item.get(key) if isinstance(item, dict) else None
    if not isinstance(numbers, list) or len(numbers) != 4:
        return None
    try:
        return tuple(map(float, numbers))
    except (TypeError, ValueError):
        return None


def _placed(sample: Sample, case: Case) -> Answer:
    """groundswift's boxes; an answer adheres where it was read without a parse warning's end: it has boxes, or says that there are none."""
    labelled = len(case.classes) > 1
    return Answer([(label or "" if labelled else None, box) for label, box in sample.found], sample.status in ("ok", "empty"))


def normalised(label: str) -> str:
    """Lower case, without punctuation, blanks made one."""
    return " ".join(label.lower().translate(WITHOUT_PUNCTUATION).split())


def iou_32(boxes: list[Any], others: list[Any]) -> NDArray[np.float32]:
    """IoU of (n, 4) and (m, 4) boxes in single precision, as torchvision computes it; 0 where the union is empty."""
    first, second = (np.array(each, dtype=np.float32).reshape(-1, 4) for each in (boxes, others))
    areas = [(each[:, 2] - each[:, 0]) * (each[:, 3] - each[:, 1]) for each in (first, second)]
    low, high = np.maximum(first[:, None, :2], second[:, :2]), np.minimum(first[:, None, 2:], second[:, 2:])
    sides = np.clip(high - low, 0, None)
    shared = sides[..., 0] * sides[..., 1]
    union = areas[0][:, None] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union != 0)


def _of_image(sample: Sample, answer: Answer, several: bool) -> tuple[int, list[float]]:
    """(true positives, IoU of each object, 0 where it has no box)."""
    objects = [0.0] * len(sample.boxes_xyxy_px)
    if not answer.found or not objects:
        return 0, objects
    table = iou_32([box for _, box in answer.found], sample.boxes_xyxy_px)
    agree = np.ones(table.shape)
    if several:
        names, found = np.array(list(map(normalised, sample.labels))), np.array([normalised(str(label)) for label, _ in answer.found])
        agree = (found[:, None] == names).astype(np.float64)
    hits, gains = 0, table - np.float32(1)
    for row, column in assigned(gains + agree if several else gains):
        objects[column] = float(table[row, column])
        hits += int(table[row, column] >= HIT and agree[row, column] == 1)
    return hits, objects


def _score(samples: list[Sample], answers: list[Answer], case: Case) -> Numbers:
    """Sums over the images; 0 where nothing was predicted."""
    several = len(case.classes) > 1
    of_images = [_of_image(sample, answer, several) for sample, answer in zip(samples, answers, strict=True)]
    hits, ious = sum(count for count, _ in of_images), [value for _, values in of_images for value in values]
    precision, recall = ratio(hits, sum(len(answer.found) for answer in answers)), ratio(hits, len(ious))
    adherence = sum(answer.adheres for answer in answers) / len(answers)
    mean_iou = ratio(math.fsum(ious), len(ious))
    return {"F1_50": f1_of(precision, recall), "mIoU": mean_iou, "FA": adherence, "P_50": precision, "R_50": recall}


RULES = (
    Rule(
        "findit",
        "FindIt",
        "F1 at 0.5 of all boxes by Hungarian matching, where an equal label outweighs any IoU; mean IoU of all objects; format adherence.",
        {
            "reading": "the family's JSON key and axes, or `label: [x1, y1, x2, y2]`; numbers over 1000, 1 or pixels as the space says",
            "matching": "Hungarian on 1 - IoU, less 1 where labels agree; IoU at least 0.5, in single precision",
            "labels": "lower case, without punctuation; one class asked: not compared",
            "empty image": "its predictions count in precision",
            "average": "over all boxes",
            "copies": "kept",
        },
        {"F1_50": "F1 at 0.5", "mIoU": "mean IoU", "FA": "format adherence", "P_50": "precision at 0.5", "R_50": "recall at 0.5"},
        "https://github.com/esh04/FindIt/tree/4d99bfde3553886af36c4343a1bc45eea57e435e/src/findit",
        _read,
        _placed,
        _score,
    ),
)
