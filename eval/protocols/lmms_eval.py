"""The rules of lmms-eval's tasks: odinw13 (detection), refcoco_bbox_rec and refcoco_grounding (one object)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from groundswift.boxes import iou

from .base import NO_BOX, Box, Case, Labelled, Numbers, Rule, Sample, Stops, columns_of, mean, one_object, scaled
from .one_box import NUMBERS, accuracy, best, best_of, first_found
from .text_parts import BLANKS_OR_COMMAS, COMMA_OR_BLANKS, SIGNED, fenced

COMMIT = "https://github.com/EvolvingLMMs-Lab/lmms-eval/tree/75571cfe0fa36ca5ec2e6aa2bb268f9d38295af3/lmms_eval/tasks"
LIST = re.compile(r"\[\s*" + r",\s*".join([f"({SIGNED})"] * 4) + r"\s*\]")
MOST_STEPS = 5_000_000  # of the search for closing braces, which theirs repeats from each brace on
BOX_KEYS = ("bbox_2d", "bbox", "box_2d", "box")
LABEL_KEYS = ("label", "class", "category", "name", "class_name")
GROUNDING_KEYS = ("bbox_2d", "bbox", "box", "coordinates", "coord", "location", "position")
THRESHOLD = 0.5


def _decoded(text: str) -> tuple[Any] | None:
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):
        return None


def _objects_in(text: str) -> list[Any]:
    """Every JSON object in a text that is not within another one; what cannot be read is passed over brace by brace."""
    found, at, steps = [], text.find("{"), 0
    while at >= 0:
        end = _closing(text, at)
        steps += max(end, at) - at
        if end < 0:
            break
        if steps > MOST_STEPS:
            raise Stops(f"over {MOST_STEPS} steps to find closing braces")
        read = _decoded(text[at:end])
        found += list(read or ())
        at = text.find("{", end if read else at + 1)
    return found


def _closing(text: str, start: int) -> int:
    """The end of the object that opens at `start`, by its braces outside strings; -1 without one."""
    depth, quoted, escaped = 0, False, False
    for at in range(start, len(text)):
        letter = text[at]
        if escaped or letter == "\\":
            escaped = not escaped
        elif letter == '"':
            quoted = not quoted
        elif not quoted and letter in "{}":
            depth += 1 if letter == "{" else -1
            if depth == 0:
                return at + 1
    return -1


def read_odinw(text: str) -> list[Labelled]:
    """Boxes as they are written, last list item first; without JSON every four numbers in a row, without a label."""
    blocks = [_decoded(text), *(_decoded(each) for each in fenced(text))] if text else []
    readable = next((block for block in blocks if block is not None), None) or ((_objects_in(text),) if text else ())
    found, stack = [], list(readable)
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            box = next((node[key] for key in BOX_KEYS if key in node), None)
            if isinstance(box, list) and len(box) == 4:
                found.append((next((node[key] for key in LABEL_KEYS if key in node), None), _numbers(box)))
            else:
                stack.extend(node.values())
    return found or [(None, list(map(float, numbers))) for numbers in BLANKS_OR_COMMAS.findall(text)]


def _numbers(values: list[Any]) -> list[float]:
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise Stops(f"{type(error).__name__} at a box of {values}") from None


def _name(label: Any) -> str:
    return str(label).strip().lower()


def _placed_by_truth(sample: Sample, box: Box, label: str) -> Box:
    """Of a box as pixels, fractions and thousandths the one that overlaps an object of its label most."""
    objects = [each for name, each in zip(sample.labels, sample.boxes_xyxy_px, strict=True) if _name(name) == label]
    if not objects:
        return box
    units = [each for each in (1.0, 1000.0) if max(box) <= each]
    candidates = [list(box), *(scaled(box, sample.size_wh, each) for each in units)]
    best = iou(candidates, objects).max(axis=1)
    return candidates[int(best.argmax())]


def _read(sample: Sample, case: Case) -> list[tuple[str, Box]]:
    return [(_name(label), _placed_by_truth(sample, box, _name(label))) for label, box in read_odinw(sample.text)]


def _matched(sample: Sample, found: list[tuple[str, Box]]) -> list[float]:
    """IoU of each object with its box, 0 without one: within a label the best pair first."""
    names, values, used = [_name(label) for label in sample.labels], [0.0] * len(sample.labels), set()
    if not found or not names:
        return values
    table = iou(sample.boxes_xyxy_px, [box for _, box in found])
    pairs = [
        (float(table[row, column]), row, column)
        for row, name in enumerate(names)
        for column, (label, _) in enumerate(found)
        if name == label and table[row, column] > 0
    ]
    for value, row, column in sorted(pairs, key=lambda pair: -pair[0]):
        if ("row", row) not in used and ("column", column) not in used:
            used |= {("row", row), ("column", column)}
            values[row] = value
    return values


def _score(samples: list[Sample], found: list[list[tuple[str, Box]]], case: Case) -> Numbers:
    """AP with constant scores in the order of reading, and accuracy over all objects."""
    names = list(dict.fromkeys(map(_name, case.classes)))
    index_of = {name: number for number, name in enumerate(names)}
    known = [[(index_of[label], box) for label, box in each if label in index_of] for each in found]
    lowered = [sample._replace(labels=[_name(label) for label in sample.labels]) for sample in samples]
    summary = case.coco(*columns_of(lowered, names, known))
    ious = [value for sample, each in zip(samples, found, strict=True) for value in _matched(sample, each)]
    aps = {key: summary[key] for key in ("AP", "AP50", "AP75")}
    return {**aps, "acc_50": mean([float(value >= THRESHOLD) for value in ious]), "mIoU": mean(ious)}


def read_rec(sample: Sample, case: Case) -> Box:
    """The first list of four numbers, as fractions of the image."""
    found = LIST.search(sample.text)
    return scaled(list(map(float, found.groups())), sample.size_wh, 1) if found else NO_BOX


def read_grounding(text: str) -> list[Box]:
    """Every box in the JSON of a text; without any, every four numbers."""
    try:
        boxes = list(_boxes_in(_json_of(text)))
    except RecursionError:
        raise Stops("RecursionError at lists in lists") from None
    return boxes or [list(map(float, found)) for found in COMMA_OR_BLANKS.findall(text)]


def _json_of(text: str) -> Any:
    """The JSON in the first fence, else all of the text, else from the first bracket to the last, else from brace to brace."""
    text = text.strip()
    spans = [text[text.find(opening) : text.rfind(closing) + 1] for opening, closing in ("[]", "{}") if text.find(opening) >= 0]
    for candidate in [*islice(fenced(text), 1), text, *spans]:
        if (read := _decoded(candidate)) is not None:
            return read[0]
    return None


def _boxes_in(node: Any) -> Iterator[Box]:
    if isinstance(node, list) and len(node) == 4 and all(isinstance(each, (int, float)) for each in node):
        yield _numbers(node)
    elif isinstance(node, list):
        for each in node:
            yield from _boxes_in(each)
    elif isinstance(node, dict):
        lists = [node[key] for key in GROUNDING_KEYS if isinstance(node.get(key), list) and len(node[key]) == 4]
        if (box := next((box for box in map(_floats, lists) if box is not None), None)) is not None:
            yield box
            return
        for each in node.values():
            yield from _boxes_in(each)


def _floats(values: list[Any]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError):
        return None


def _grounding(sample: Sample, case: Case) -> Box:
    return best_of(sample, read_grounding(sample.text), 1000)


def _best_found(sample: Sample, case: Case) -> Box:
    return best([box for _, box in sample.found], sample)


RULES = (
    Rule(
        "lmms-odinw13",
        "lmms-eval odinw13",
        "COCO AP at constant scores; each box is taken as pixels, fractions or thousandths, whichever fits the truth best.",
        {
            "reading": "bbox_2d, bbox, box_2d or box in JSON, last first; else every four numbers, without a label",
            "space": "the best of three against the truth",
            "labels": "lower case; others are dropped",
            "score": "1.0; equal scores in the order of reading",
            "average": "COCO's; accuracy over objects, best pairs first",
            "copies": "kept",
        },
        {"AP": "AP", "AP50": "AP50", "AP75": "AP75", **NUMBERS},
        f"{COMMIT}/odinw13",
        _read,
        lambda sample, case: [(_name(label), box) for label, box in sample.found],
        _score,
    ),
    Rule(
        "lmms-refcoco-rec",
        "lmms-eval refcoco_bbox_rec",
        "The first list of four numbers as fractions of the image; accuracy at 0.5 and mean IoU of images with one object.",
        {"reading": "the first [a, b, c, d]", "space": "0 to 1", "box": "the first", "unreadable": "IoU 0"},
        NUMBERS,
        f"{COMMIT}/refcoco/utils_rec.py",
        read_rec,
        first_found,
        accuracy,
        one_object,
    ),
    Rule(
        "lmms-refcoco-grounding",
        "lmms-eval refcoco_grounding",
        "The best of all boxes, as pixels and as thousandths, against the truth; images with one object.",
        {"reading": "boxes in JSON, else every four numbers", "space": "the better of two against the truth", "box": "the best"},
        NUMBERS,
        f"{COMMIT}/refcoco_grounding",
        _grounding,
        _best_found,
        accuracy,
        one_object,
    ),
)
