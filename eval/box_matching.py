"""What became of each box: COCO's greedy matching at IoU 0.5 within a class, for a report that shows hits, misses and false alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import paired_iou, xywh_to_xyxy

from .answers.to_boxes import Predictions
from .counted_predictions import default_limit, exhaustive, looked_for, within_limit
from .evaluated_run import DrawnBox, ImageResult, Verdict
from .ground_truth import Truth

IOU_THRESHOLD = 0.5
PAIRS_AT_ONCE = 1_000_000


def verdicts(
    truth: Truth, predictions: Predictions, max_detections: int | None = None, iou_threshold: float = IOU_THRESHOLD
) -> tuple[list[Verdict], list[Verdict]]:
    """(of the truth's boxes, of the predictions), each in its own order.

    Predictions past the limit match nothing. With federated truth those of classes that were not looked for are `not_counted`, and so
    are those without a match of classes that are not annotated exhaustively. Source: pycocotools and lvis-api `evaluateImg`.
    """
    known = looked_for(truth, predictions)
    counting = known & within_limit(truth, predictions, max_detections or default_limit(truth))
    wrong = np.where(known & exhaustive(truth, predictions), "false_alarm", "not_counted").tolist()
    of_truth: list[Verdict] = ["crowd" if crowd else "miss" for crowd in truth.is_crowd.tolist()]
    of_predictions: list[Verdict] = wrong
    settled = np.zeros(len(predictions.scores), dtype=bool).tolist()
    for predicted, wanted in _candidates(truth, predictions, counting, iou_threshold):
        if settled[predicted] or of_truth[wanted] == "hit":
            continue
        settled[predicted] = True
        if of_truth[wanted] == "crowd":
            of_predictions[predicted] = "crowd"
        else:
            of_truth[wanted] = of_predictions[predicted] = "hit"
    return of_truth, of_predictions


def _candidates(truth: Truth, predictions: Predictions, counting: NDArray[np.bool_], iou_threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs (prediction that counts, truth) of an image and class that overlap enough, in the order in which COCO would take them.

    By score, highest first; for one prediction objects before crowds, then by IoU, and of equals the one that stands last.
    """
    classes = max(len(truth.category_ids), 1)
    truth_group = truth.image_index * classes + truth.category_index
    truth_order = np.argsort(truth_group, kind="stable")
    truth_group = truth_group[truth_order]
    group = predictions.image_index * classes + predictions.category_index
    order = np.lexsort((-predictions.scores, group))
    order = order[counting[order]]
    first = np.searchsorted(truth_group, group[order], side="left")
    count = np.searchsorted(truth_group, group[order], side="right") - first
    order, first, count = order[count > 0], first[count > 0], count[count > 0]
    chunk = np.cumsum(count) // PAIRS_AT_ONCE
    truth_xyxy, predicted_xyxy = xywh_to_xyxy(truth.boxes_xywh_px), xywh_to_xyxy(predictions.boxes_xywh_px)
    for number in np.unique(chunk):
        part = chunk == number
        place = np.repeat(np.flatnonzero(part), count[part])
        within = np.arange(len(place)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        wanted = truth_order[first[place] + within]
        crowd = truth.is_crowd[wanted]
        iou = paired_iou(predicted_xyxy[order[place]], truth_xyxy[wanted], crowd)
        near = np.flatnonzero(iou >= iou_threshold)
        near = near[np.lexsort((-within[near], -iou[near], crowd[near], place[near]))]
        yield from zip(order[place[near]].tolist(), wanted[near].tolist(), strict=True)


def image_results(
    truth: Truth, predictions: Predictions, statuses: list[str], texts: list[str], max_detections: int | None = None
) -> list[ImageResult]:
    """Every image with its boxes and their verdicts, in the order of the truth. Coordinates are rounded to 0.01 px."""
    of_truth, of_predictions = verdicts(truth, predictions, max_detections)
    names = truth.category_names
    results = [
        ImageResult(image_id, file_name, (width, height), status, [], [], 1.0, text)
        for image_id, file_name, (width, height), status, text in zip(
            truth.image_ids, truth.file_names, truth.sizes_wh.tolist(), statuses, texts, strict=True
        )
    ]
    boxes = np.round(xywh_to_xyxy(truth.boxes_xywh_px), 2).tolist()
    for image, category, box, verdict in zip(truth.image_index.tolist(), truth.category_index.tolist(), boxes, of_truth, strict=True):
        results[image].truth.append(DrawnBox(names[category], tuple(box), verdict))
    boxes = np.round(xywh_to_xyxy(predictions.boxes_xywh_px), 2).tolist()
    columns = (predictions.image_index.tolist(), predictions.category_index.tolist(), boxes, of_predictions, predictions.scores.tolist())
    for image, category, box, verdict, score in zip(*columns, strict=True):
        results[image].predicted.append(DrawnBox(names[category], tuple(box), verdict, score))
    for result in results:
        result.f1 = f1_of([box.verdict for box in result.truth + result.predicted])
    return results


def f1_of(all_verdicts: Sequence[Verdict]) -> float:
    """F1 of one image from the verdicts on its true and its predicted boxes; 1 where there is neither."""
    counted = [verdict for verdict in all_verdicts if verdict not in ("crowd", "not_counted")]
    return counted.count("hit") / len(counted) if counted else 1.0
