"""Which predictions count: the best scored up to a limit and, with federated truth (LVIS), those of classes that were looked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .ground_truth import Truth

COCO_LIMIT, LVIS_LIMIT = 100, 300  # of an image and class; of an image, over all classes


def default_limit(truth: Truth) -> int:
    """How many predictions count by the rules of the truth's own benchmark."""
    return COCO_LIMIT if truth.federated is None else LVIS_LIMIT


def within_limit(truth: Truth, predictions: Predictions, max_detections: int) -> NDArray[np.bool_]:
    """(N,) whether a prediction is among the best scored of its image and class, or with federated truth of its image.

    Equal scores: the first in order. Source: pycocotools `evaluateImg`; lvis-api `limit_dets_per_image`.
    """
    groups = predictions.image_index
    if truth.federated is None:
        groups = groups * max(len(truth.category_ids), 1) + predictions.category_index
    if len(groups) == 0 or np.unique(groups, return_counts=True)[1].max() <= max_detections:  # as nearly always
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
