"""One answer and the objects of its image, read by the evaluator's own rules: what rewards score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..answers.protocol import Rules
from ..answers.to_boxes import AnswerReader, Predictions
from ..ground_truth import Truth, truth_from_rows

ANY = "object"  # the class of boxes without a label


@dataclass(frozen=True)
class OneTruth:
    """The objects of one image: its (width, height) in px, labels, and boxes, xyxy in original px.

    `labelled`: whether boxes are matched within their class; without it, and where the image has no object, every box counts.
    """

    size_wh: tuple[int, int]
    labels: Sequence[str]
    boxes_xyxy_px: Sequence[Sequence[float]]
    labelled: bool = True


def read_one(text: str, size_wh: tuple[int, int], rules: Rules, truncated: bool) -> AnswerReader:
    """A reader that holds one answer. `truncated`: generation stopped at its token limit."""
    reader = AnswerReader(np.array([size_wh], dtype=np.int64), rules, "answer {}".format)
    reader.add(0, text, truncated=truncated)
    reader.parse()
    return reader


def is_no_answer(reader: AnswerReader, boxes: Sequence[object]) -> bool:
    """Whether the answer is unreadable, or was truncated before its first box."""
    return reader.statuses[0] == "unreadable" or (reader.statuses[0] == "truncated" and not len(boxes))


def truth_and_predictions(text: str, truth: OneTruth, rules: Rules, truncated: bool) -> tuple[Truth, Predictions] | None:
    """Truth and boxes of an answer, of the classes that either has, so that a class that is not there counts; None as `is_no_answer`.

    Points do not count, nor do, where labels are required, boxes without one and exact duplicates.
    """
    reader = read_one(text, truth.size_wh, rules, truncated)
    if truth.labelled and truth.labels:
        names = sorted({*truth.labels, *filter(None, reader.label_ids)})
        known = truth_from_rows([(0, truth.size_wh, truth.labels, truth.boxes_xyxy_px)], names)
        predictions = reader.answers(known).predictions
    else:
        known = truth_from_rows([(0, truth.size_wh, [ANY] * len(truth.boxes_xyxy_px), truth.boxes_xyxy_px)], [ANY])
        predictions = reader.bare_answers().predictions()
    return None if is_no_answer(reader, predictions.scores) else (known, predictions)
