"""TP, FP and FN of an evaluation, box by box, by hotcoco's `image_diagnostics`: COCO's greedy matching within a class.

hotcoco gives no status to some predictions, and this module tells them apart: on a crowd box, beyond the detection limit, over COCO's
largest area, or of a class that LVIS ignores in the image. Nor does it have an entry for an image without boxes, whose F1 is 1 here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswift.coco_columns import LARGEST_AREA_PX2

from .answers.to_boxes import Predictions
from .evaluated_run import CROWD, FN, FP, NOT_COUNTED, OUTCOMES, TP
from .ground_truth import Truth

Codes = NDArray[np.uint8]  # indices into OUTCOMES
IS_TP, IS_FN, IS_FP, IS_CROWD, IS_NOT_COUNTED = map(OUTCOMES.index, (TP, FN, FP, CROWD, NOT_COUNTED))
IOU_THRESHOLD = 0.5
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of COCO
COCO_LIMIT, LVIS_LIMIT = 100, 300  # predictions that count: of an image and class; of an image, over all classes


def default_limit(truth: Truth) -> int:
    """How many predictions count by the rules of the truth's own benchmark."""
    return COCO_LIMIT if truth.federated is None else LVIS_LIMIT


def most_members(groups: NDArray[np.int64]) -> int:
    """How many members the largest group has."""
    return int(np.unique(groups, return_counts=True)[1].max(initial=0))


def within_limit(truth: Truth, predictions: Predictions, max_detections: int) -> NDArray[np.bool_]:
    """(N,) whether a prediction is among the best scored of its image and class, or with federated truth of its image.

    Equal scores: the first in order. Source: pycocotools `evaluateImg`; lvis-api `limit_dets_per_image`.
    """
    groups = predictions.image_index
    if truth.federated is None:
        groups = groups * max(len(truth.category_ids), 1) + predictions.category_index
    if most_members(groups) <= max_detections:  # as nearly always
        return np.ones(len(groups), dtype=bool)
    order = np.lexsort((-predictions.scores, groups))
    rank = np.arange(len(order)) - np.searchsorted(groups[order], groups[order], side="left")
    kept = np.zeros(len(order), dtype=bool)
    kept[order[rank < max_detections]] = True
    return kept


def looked_for(truth: Truth, predictions: Predictions) -> NDArray[np.bool_]:
    """(N,) whether the class of a prediction is annotated in its image or known to be absent from it; all true of ordinary truth."""
    if truth.federated is None:
        return np.ones(len(predictions.scores), dtype=bool)
    classes = len(truth.category_ids)
    annotated = truth.image_index * classes + truth.category_index
    known = np.concatenate([annotated, _groups(truth.federated.negative, classes)])
    return np.isin(predictions.image_index * classes + predictions.category_index, known)


def exhaustive(truth: Truth, predictions: Predictions) -> NDArray[np.bool_]:
    """(N,) whether every object of the class of a prediction is annotated in its image, so that what matches none is wrong."""
    if truth.federated is None:
        return np.ones(len(predictions.scores), dtype=bool)
    classes = len(truth.category_ids)
    groups = predictions.image_index * classes + predictions.category_index
    return ~np.isin(groups, _groups(truth.federated.not_exhaustive, classes))


def _groups(of_images: list[list[int]], classes: int) -> NDArray[np.int64]:
    return np.array([image * classes + number for image, numbers in enumerate(of_images) for number in numbers], dtype=np.int64)


def coco_evaluation(truth: Truth, predictions: Predictions, limits: Sequence[int]) -> Any:
    """A `hotcoco.COCOeval` of the boxes, by the rules of LVIS where the ground truth is federated; `limits` upwards.

    Ids are indices from 1 on: an id of 0 would read as `not matched`, and one over 2**53 would not survive a float array.
    """
    from hotcoco import COCO, COCOeval

    found = COCO.from_arrays(
        _images(truth),
        _categories(truth),
        truth.image_index + 1,
        truth.category_index + 1,
        truth.boxes_xywh_px,
        area=truth.areas_px2,
        iscrowd=truth.is_crowd,
    )
    columns = (predictions.image_index + 1, predictions.boxes_xywh_px, predictions.scores, predictions.category_index + 1)
    results = found.load_res(np.column_stack(columns))
    if truth.federated is not None:
        return COCOeval(found, results.cap_detections_per_image(limits[-1]), "bbox", lvis_style=True)
    evaluation = COCOeval(found, results, "bbox")
    evaluation.params.max_dets = list(limits)
    return evaluation


def _images(truth: Truth) -> list[dict]:
    """Images as dicts, numbered from 1, with the class lists of LVIS."""
    if truth.federated is None:
        return [{"id": number} for number in range(1, len(truth.image_ids) + 1)]
    lists = zip(truth.federated.negative, truth.federated.not_exhaustive, strict=True)
    return [
        {"id": number, "neg_category_ids": [n + 1 for n in negative], "not_exhaustive_category_ids": [n + 1 for n in partly]}
        for number, (negative, partly) in enumerate(lists, 1)
    ]


def _categories(truth: Truth) -> list[dict]:
    """Classes as dicts, numbered from 1, with the frequency of LVIS."""
    frequencies = truth.federated.frequencies if truth.federated is not None else [""] * len(truth.category_ids)
    return [
        {"id": number, "name": str(number)} | ({"frequency": frequency} if frequency else {})
        for number, frequency in enumerate(frequencies, 1)
    ]


def outcomes(
    truth: Truth,
    predictions: Predictions,
    max_detections: int | None = None,
    iou_thresholds: Sequence[float] = (IOU_THRESHOLD,),
    matched: Any = None,
) -> list[tuple[Codes, Codes]]:
    """For each IoU threshold of COCO: outcomes (of the ground truth's boxes, of the predictions), each in its own order.

    Predictions beyond the limit are FP and match nothing. With federated ground truth those of classes that are not annotated in the image
    are NOT_COUNTED, and so are those without a match of classes that are not annotated exhaustively.
    `matched`: a `coco_evaluation` of these boxes that has been evaluated with these thresholds; used if its last limit is the same.
    """
    limit = max_detections or default_limit(truth)
    known = looked_for(truth, predictions)
    false = np.where(known & exhaustive(truth, predictions), np.uint8(IS_FP), np.uint8(IS_NOT_COUNTED))
    small = predictions.boxes_xywh_px[:, 2] * predictions.boxes_xywh_px[:, 3] <= LARGEST_AREA_PX2
    on_crowd = (false == IS_FP) & within_limit(truth, predictions, limit) & small
    without_status = np.where(on_crowd, np.uint8(IS_CROWD), false)
    without_match = np.where(truth.is_crowd, np.uint8(IS_CROWD), np.uint8(IS_FN))
    if not truth.category_ids or not truth.image_ids:
        return [(without_match, false) for _ in iou_thresholds]
    if matched is None or matched.params.max_dets[-1] != limit:
        matched = coco_evaluation(truth, predictions, [limit])
        wanted = matched.params
        wanted.iou_thrs, wanted.area_rng, wanted.area_rng_lbl = list(iou_thresholds), wanted.area_rng[:1], wanted.area_rng_lbl[:1]
        matched.evaluate()
    found = [matched.image_diagnostics(iou_thr=threshold, score_thr=2) for threshold in iou_thresholds]  # 2: no label errors
    return [(_placed(without_match, each["gt_match"]), _placed(without_status, each["dt_match"], each["dt_status"])) for each in found]


def _placed(outcomes: Codes, matched: Iterable[int], false: Iterable[int] = ()) -> Codes:
    """The outcomes with IS_TP, and IS_FP of those in `false` that are not matched. Ids count from 1."""
    placed = outcomes.copy()
    placed[np.fromiter(false, np.intp) - 1] = IS_FP
    placed[np.fromiter(matched, np.intp) - 1] = IS_TP
    return placed
