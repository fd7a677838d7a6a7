"""COCO's rule, on the boxes that groundswift reads: what `eval coco-map` prints, and the same with exact copies kept."""

from __future__ import annotations

from typing import Any

from .base import Case, Labelled, Numbers, Rule, Sample, columns_of

KEYS = {"AP": "AP", "AP50": "AP50", "AP75": "AP75", "AP_ties": "AP, any order"}


def _score(samples: list[Sample], found: list[Any], case: Case) -> Numbers:
    summary = case.coco(case.truth, case.predictions)
    return {key: summary[key] for key in KEYS}


def _with_copies(samples: list[Sample], found: list[list[Labelled]], case: Case) -> Numbers:
    """The boxes of known classes that have an area, copies too."""
    index_of = {name: number for number, name in enumerate(case.truth.category_names)}
    kept = [[(index_of[label], box) for label, box in each if label in index_of and box[2] > box[0] and box[3] > box[1]] for each in found]
    _, predictions = columns_of(samples, case.truth.category_names, kept)
    summary = case.coco(case.truth, predictions)
    return {key: summary[key] for key in KEYS}


SOURCE = "https://github.com/cocodataset/cocoapi"
SWITCHES = {
    "matching": "greedy within a class, IoU at least the threshold",
    "score": "as --score says; AP, AP50 and AP75 take equal scores by image id, then in file order",
    "limit": "100 boxes of an image and class",
    "average": "of 101 recalls, thresholds and classes",
}
RULES = (
    Rule(
        "coco",
        "COCO",
        "AP over IoU 0.50:0.95 of the boxes as groundswift reads and places them; exact copies of a box are dropped.",
        {**SWITCHES, "copies": "dropped"},
        KEYS,
        SOURCE,
        None,
        lambda sample, case: None,
        _score,
    ),
    Rule(
        "coco-copies",
        "COCO, copies kept",
        "The same with constant scores and every exact copy kept, which counts as a false positive.",
        {**SWITCHES, "score": "1.0", "copies": "kept"},
        KEYS,
        SOURCE,
        None,
        lambda sample, case: sample.found,
        _with_copies,
    ),
)
