"""Referring expressions: one question, one true box, and how well the box of the answer fits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from groundswift.boxes import as_boxes, paired_iou
from groundswift.errors import GroundswiftError

NUMBERS = {"acc_iou50": "accuracy at IoU 0.5", "mean_iou": "mean IoU"}  # key -> title; for both, higher is better
THRESHOLD = 0.5
SEVERAL_BOXES = "the first box of an answer counts"


def score_referring(predicted_xyxy_px: Sequence[ArrayLike], true_xyxy_px: ArrayLike) -> dict[str, Any]:
    """`acc_iou50` and `mean_iou` over all samples, None without any; and `counts`.

    `predicted_xyxy_px` has the boxes of each answer, (n, 4) with n from 0; `true_xyxy_px` is (samples, 4), in the same order and unit.
    The first box of an answer counts; it is right at an IoU of 0.5 or more. An answer without a box has IoU 0.
    Raises GroundswiftError where there are not as many answers as true boxes.
    """
    truth = as_boxes(true_xyxy_px)
    found = [as_boxes(boxes) for boxes in predicted_xyxy_px]
    if len(found) != len(truth):
        raise GroundswiftError(f"{len(found)} answers for {len(truth)} true boxes; expected one each")
    counts = np.array([len(boxes) for boxes in found], dtype=np.int64)
    answered = np.flatnonzero(counts)
    overlaps = np.zeros(len(truth))
    if len(answered):
        overlaps[answered] = paired_iou(np.stack([found[index][0] for index in answered]), truth[answered])
    right = overlaps >= THRESHOLD
    return {
        "acc_iou50": float(right.mean()) if len(truth) else None,
        "mean_iou": float(overlaps.mean()) if len(truth) else None,
        "counts": {
            "samples": len(truth),
            "right": int(right.sum()),
            "without_box": int((counts == 0).sum()),
            "with_several_boxes": int((counts > 1).sum()),
        },
    }
