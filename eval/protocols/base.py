"""What a rule of another evaluator gets, and what it is: a way to read an answer, and a way to score what was read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import xyxy_to_xywh

from ..answers.protocol import Rules
from ..answers.to_boxes import Predictions
from ..ground_truth import Truth

Box = Sequence[float]  # x1, y1, x2, y2 in original px
Labelled = tuple[str | None, Box]
Numbers = dict[str, float | None]
NO_BOX = (0.0, 0.0, 0.0, 0.0)


class Sample(NamedTuple):
    """One image: the answer's text ("" where there is none), its objects without crowds, the boxes that
    groundswift reads in it, and its parse status."""

    text: str
    size_wh: tuple[int, int]
    labels: list[str]
    boxes_xyxy_px: list[list[float]]
    found: list[Labelled]
    status: str

    def by_label(self) -> dict[str, list[Box]]:
        """Boxes of the truth by their labels, in order of appearance."""
        return grouped(zip(self.labels, self.boxes_xyxy_px, strict=True))


@dataclass(frozen=True)
class Case:
    """One result file. `classes` are those that were asked for; `coco` scores columns as `coco_map.evaluate` and returns its summary."""

    samples: list[Sample]
    classes: list[str]
    rules: Rules
    truth: Truth
    predictions: Predictions
    coco: Callable[[Truth, Predictions], Mapping[str, float | None]]


class Stops(Exception):
    """The other evaluator's code raises an exception at this answer, so that its run has no numbers."""


@dataclass(frozen=True)
class Rule:
    """One rule. `line` says it in one line, `switches` what it fixes; `numbers` are keys and titles; `source` is where its code is.

    `read`: an answer by the rule's own reading; None: it has none, groundswift's boxes are scored. `placed`: groundswift's boxes in the
    form of `read`. `score`: one reading a sample to numbers from 0 to 1, None where undefined. `uses`: which samples the rule scores.
    """

    id: str
    title: str
    line: str
    switches: dict[str, str]
    numbers: dict[str, str]
    source: str
    read: Callable[[Sample, Case], Any] | None
    placed: Callable[[Sample, Case], Any]
    score: Callable[[list[Sample], list[Any], Case], Numbers]
    uses: Callable[[Sample], bool] = field(default=lambda sample: True)

    def numbers_of(self, case: Case, placed: bool) -> tuple[Numbers, int]:
        """(the numbers of its own reading or of `placed` boxes, how many samples they are of). Raises Stops."""
        samples = [sample for sample in case.samples if self.uses(sample)]
        if not samples:
            return dict.fromkeys(self.numbers), 0
        reading = self.placed if placed or self.read is None else self.read
        return self.score(samples, [reading(sample, case) for sample in samples], case), len(samples)


def grouped(labelled: Any) -> dict[Any, list[Any]]:
    """Label -> its boxes, in order of appearance."""
    found: dict[Any, list[Any]] = {}
    for label, box in labelled:
        found.setdefault(label, []).append(box)
    return found


def one_object(sample: Sample) -> bool:
    """Whether an image has exactly one object."""
    return len(sample.boxes_xyxy_px) == 1


def scaled(box: Box, size_wh: tuple[int, int], units: float) -> list[float]:
    """A box in parts of `units` of each side -> original px."""
    width, height = size_wh
    return [box[0] / units * width, box[1] / units * height, box[2] / units * width, box[3] / units * height]


def ratio(part: float, whole: float) -> float:
    """0 where the whole is 0."""
    return part / whole if whole else 0.0


def f1_of(precision: float, recall: float) -> float:
    """The harmonic mean, 0 where both are 0."""
    return ratio(2 * precision * recall, precision + recall)


def mean(values: Sequence[float]) -> float | None:
    """Rounded once, so that the order of the values does not matter; None where there are none."""
    return math.fsum(values) / len(values) if len(values) else None


def columns_of(samples: list[Sample], names: list[str], found: list[list[tuple[int, Box]]]) -> tuple[Truth, Predictions]:
    """Truth and predictions as columns. `names` are the classes, in which the samples' labels are; `found` are (class index, box)."""
    index_of = {name: number for number, name in enumerate(names)}
    truths = [
        (image, index_of[label], *box)
        for image, sample in enumerate(samples)
        for label, box in zip(sample.labels, sample.boxes_xyxy_px, strict=True)
    ]
    images, categories, boxes = _columns(truths)
    truth = Truth(
        image_ids=list(range(1, len(samples) + 1)),
        file_names=[""] * len(samples),
        sizes_wh=np.array([sample.size_wh for sample in samples], dtype=np.int64).reshape(-1, 2),
        category_ids=list(range(1, len(names) + 1)),
        category_names=names,
        image_index=images,
        category_index=categories,
        boxes_xywh_px=boxes,
        areas_px2=boxes[:, 2] * boxes[:, 3],
        is_crowd=np.zeros(len(images), dtype=bool),
    )
    images, categories, boxes = _columns([(image, category, *box) for image, each in enumerate(found) for category, box in each])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 0)
    return truth, Predictions(images, categories, boxes, np.ones(len(images)))


def _columns(rows: list[tuple[float, ...]]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(image index, class index, boxes xywh) of rows (image, class, x1, y1, x2, y2)."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), xyxy_to_xywh(table[:, 2:])
