"""The rules of Rex-Omni's evaluation, which LocateAnything (Eagle) has taken over with another reading: F1 of mean precision and recall."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from groundswift.boxes import iou

from .base import Box, Case, Numbers, Rule, Sample, f1_of, grouped, mean
from .text_parts import Finder

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
Found = dict[str, list[Box]]
PHRASE = re.compile(r"<\|object_ref_start\|>([^<]+)<\|object_ref_end\|>\s*<\|box_start\|>")
REF = "<|object_ref_start|>"
COORDINATE = re.compile(r"<(\d+)>")
PLAIN_NUMBER = r"<\s*([0-9]+(?:\.[0-9]+)?)\s*>"
LOCATED = re.compile(r"<ref>([^<]+)</ref>")
LOCATED_BOX = re.compile(r"<box>\s*" + r"\s*".join([PLAIN_NUMBER] * 4) + r"\s*</box>")
LARGEST = 10_000  # of LocateAnything's numbers


def read_rex_omni(text: str, size_wh: tuple[int, int]) -> Found:
    """Shapes by phrase: bins of 0 to 999 in angle brackets; of a text that is cut within its only phrase what is there."""
    text = text.partition("<|im_end|>")[0]
    parts, cut = list(_phrases(text)), False
    if not parts and text.count(REF) == 1:
        parts, cut = [(found[1], text[found.end() :]) for found in PHRASE.finditer(text)], True
    found: Found = {}
    for phrase, numbers in parts:
        shapes = found.setdefault(phrase.strip(), [])
        for each in numbers.split(","):
            shapes += _shapes(list(map(int, COORDINATE.findall(each))), size_wh, cut)
    return found


def _phrases(text: str) -> Iterator[tuple[str, str]]:
    """(phrase, what is between its box marks on one line)."""
    closing, line_end, last = Finder(text, "<|box_end|>"), Finder(text, "\n"), 0
    for found in PHRASE.finditer(text):
        end = closing.after(found.end())
        if found.start() >= last and end < min(line_end.after(found.end()), len(text)):
            yield found[1], text[found.end() : end]
            last = end


def _shapes(bins: list[int], size_wh: tuple[int, int], cut: bool) -> list[Box]:
    """Boxes of four bins each, upper left before lower right; from the first other four on, all that is left is one shape."""
    shapes, at = [], 0
    while at < len(bins):
        step = left = len(bins) - at
        if left >= 4:
            step = 4 if bins[at + 2] > bins[at] and bins[at + 3] > bins[at + 1] else left
        elif cut and left >= 2:
            step = 2
        shapes.append([number / 999.0 * size_wh[place % 2] for place, number in enumerate(bins[at : at + step], at)])
        at += step
    return shapes


def read_locate_anything(text: str, size_wh: tuple[int, int]) -> Found:
    """Boxes by phrase: thousandths in angle brackets, corners put in order, clipped to the last pixel."""
    (width, height), found = size_wh, {}
    for phrase, boxes in _located(text):
        for numbers in LOCATED_BOX.findall(boxes):
            x1, y1, x2, y2 = map(float, numbers)
            if max(x1, y1, x2, y2) <= LARGEST:
                xs, ys = ([min(each * side / 1000, side - 1) for each in pair] for pair, side in (((x1, x2), width), ((y1, y2), height)))
                found.setdefault(phrase, []).append([min(xs), min(ys), max(xs), max(ys)])
    return found


def _located(text: str) -> Iterator[tuple[str, str]]:
    """(phrase, the boxes that follow it without anything between)."""
    closing, line_end = Finder(text, "</box>"), Finder(text, "\n")
    for found in LOCATED.finditer(text):
        at = found.end()
        while text.startswith("<box>", at):
            end = closing.after(at + len("<box>"))
            if end >= min(line_end.after(at), len(text)):
                break
            at = end + len("</box>")
        yield found[1], text[found.end() : at]


def _letters(found: Found) -> Found:
    """Labels of letters only, in lower case; of labels that become equal the last one's boxes stay."""
    lower = {label.lower(): boxes for label, boxes in found.items()}
    return {"".join(letter.lower() for letter in label if letter.isalpha()): boxes for label, boxes in lower.items()}


def _matches(truth: Found, found: Found, thresholds: tuple[float, ...]) -> list[tuple[float, float]] | None:
    """(recall, precision) of an image at each threshold; None where their code skips the image: a shape of fewer than four numbers.

    Each object takes the best of the boxes left, whatever their classes; boxes of classes that the image lacks count as predictions only.
    """
    predicted = sum(map(len, found.values()))
    if not truth:
        return [(float(predicted == 0),) * 2] * len(thresholds)
    objects = [box for boxes in truth.values() for box in boxes]
    pool = [box for label in truth for box in found.get(label, [])]
    if any(len(shape) < 4 for shape in pool):
        return None
    if not pool:
        return [(0.0, 0.0)] * len(thresholds)
    table = iou(objects, [shape[:4] for shape in pool])
    matched = [_greedy(table.copy(), threshold) for threshold in thresholds]
    return [(count / len(objects), count / predicted) for count in matched]


def _greedy(table: np.ndarray, threshold: float) -> int:
    """How many rows, in order, find a column that is left with at least this IoU."""
    matched = 0
    for row in table:
        best = int(np.argmax(row))
        if row[best] >= threshold:
            matched += 1
            table[:, best] = -1
    return matched


def score(samples: list[Sample], found: list[Found], case: Case) -> Numbers:
    """F1 of the mean precision and the mean recall of images, at 0.5, 0.95 and over the thresholds."""
    of_images = [_matches(_letters(sample.by_label()), _letters(each), THRESHOLDS) for sample, each in zip(samples, found, strict=True)]
    kept = [each for each in of_images if each is not None]
    if not kept:
        return dict.fromkeys(NUMBERS)
    recalls, precisions = ([mean(column) for column in table.T.tolist()] for table in np.array(kept).transpose(2, 0, 1))
    f1 = [f1_of(precision, recall) for precision, recall in zip(precisions, recalls, strict=True)]
    numbers = (f1[0], f1[-1], sum(f1) / len(f1), precisions[0], recalls[0])
    return dict(zip(NUMBERS, numbers, strict=True))


def _own(reader: Any, sample: Sample, case: Case) -> Found:
    return reader(sample.text, sample.size_wh)


def _placed(sample: Sample, case: Case) -> Found:
    return grouped((label or "", box) for label, box in sample.found)


NUMBERS = {"F1_50": "F1 at 0.5", "F1_95": "F1 at 0.95", "F1": "F1 0.50:0.95", "P_50": "precision at 0.5", "R_50": "recall at 0.5"}
SWITCHES = {
    "matching": "each object in turn takes the best box left, IoU at least the threshold; classes of the image are one pool",
    "labels": "letters only, lower case; other classes count in precision only",
    "empty image": "1 without a prediction, else 0",
    "average": "F1 of mean precision and mean recall over images",
    "copies": "kept",
}
PUBLISHED = "their figures of COCO and LVIS are not of this rule but of another program (fastevaluate), by class, which this card lacks"
RULES = (
    Rule(
        "rex-omni",
        "Rex-Omni",
        "F1 of mean precision and mean recall over images; boxes are matched whatever their class, if the image has it.",
        {**SWITCHES, "reading": "<x1><y1><x2><y2> behind a phrase, bins over 999", "published": PUBLISHED},
        NUMBERS,
        "https://github.com/IDEA-Research/Rex-Omni/tree/478e44f86e7e63a3c24d7bf145a096e0dd170fcd/evaluation",
        partial(_own, read_rex_omni),
        _placed,
        score,
    ),
    Rule(
        "locate-anything",
        "LocateAnything (Eagle)",
        "Rex-Omni's rule with another reading of the text: numbers over 1000, clipped to the last pixel.",
        {**SWITCHES, "reading": "<ref>phrase</ref><box><x1><y1><x2><y2></box>, over 1000"},
        NUMBERS,
        "https://github.com/NVlabs/Eagle/tree/783f656d127ee498137b5ff52603ce36c292d317/Embodied/evaluation",
        partial(_own, read_locate_anything),
        _placed,
        score,
    ),
)
