"""COCO's detection metrics: 12 numbers, AP per class, precision-recall curves.

For a caller that has its answers at hand (a training-time metric):

    truth = truth_from_rows([(id, size_wh, labels, boxes_xyxy_px), ...])
    answers = predictions_from_answers([(id, size_wh, text), ...], truth, Rules("qwen2_vl"))
    result = evaluate(truth, answers.predictions)
    result.summary["AP"], result.per_class["cat"]["AP"]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .engines import AR_LIMITS, AREA_RANGES, MAX_DETECTIONS, Accumulated, accumulate
from .predictions import Predictions, Rules, predictions_from_answers
from .result import Curve
from .truth import Truth, truth_from_coco, truth_from_rows

__all__ = ["Rules", "evaluate", "predictions_from_answers", "truth_from_coco", "truth_from_rows"]

SUMMARY: dict[str, tuple[str, int | None, str, int | None]] = {  # array, IoU (None: all), area, limit (None: AP's)
    "AP": ("precision", None, "all", None),
    "AP50": ("precision", 0, "all", None),
    "AP75": ("precision", 5, "all", None),
    "APs": ("precision", None, "small", None),
    "APm": ("precision", None, "medium", None),
    "APl": ("precision", None, "large", None),
    "AR1": ("recall", None, "all", 1),
    "AR10": ("recall", None, "all", 10),
    "AR100": ("recall", None, "all", 100),
    "ARs": ("recall", None, "small", None),
    "ARm": ("recall", None, "medium", None),
    "ARl": ("recall", None, "large", None),
}
IOU_NAMES = {None: "0.50:0.95", 0: "0.50", 5: "0.75"}


@dataclass(frozen=True)
class Evaluation:
    """`summary` holds the 12 numbers, `per_class` AP, AP50, AP75, AR100, truths (crowds left out) and predictions by class name.

    With a limit N that is none of 1, 10 and 100 there is an ARN, too. None where there is nothing to find, never 0. `curves` holds
    COCO's 101 recalls at IoU 0.50, 0.75 and the mean of all thresholds. `beyond_limit`: predictions past the limit of their image and
    class, which do not count.
    """

    summary: dict[str, float | None]
    per_class: dict[str, dict[str, float | int | None]]
    curves: list[Curve]
    max_detections: int = MAX_DETECTIONS
    beyond_limit: int = 0


def evaluate(truth: Truth, predictions: Predictions, engine: str = "hotcoco", max_detections: int = MAX_DETECTIONS) -> Evaluation:
    """Score predictions as COCO does, at most `max_detections` of an image and class, highest scores first.

    Raises GroundswiftError for an engine that there is not or that is not installed.
    """
    arrays = accumulate(truth, predictions, engine, max_detections)
    beyond = beyond_limit(truth, predictions, max_detections)
    return Evaluation(summary(arrays), _per_class(arrays, truth, predictions), _curves(arrays, truth), max_detections, beyond)


def beyond_limit(truth: Truth, predictions: Predictions, max_detections: int) -> int:
    """How many predictions come after the first `max_detections` of their image and class."""
    groups = predictions.image_index * max(len(truth.category_ids), 1) + predictions.category_index
    counts = np.unique(groups, return_counts=True)[1]
    return int(np.clip(counts - max_detections, 0, None).sum())


def summary(arrays: Accumulated, category_index: int | None = None) -> dict[str, float | None]:
    """The 12 numbers, of all classes or of one: means over what is defined. Source: pycocotools `_summarizeDets`."""
    return {name: _number(arrays, *place, category_index) for name, place in places(arrays.max_detections).items()}


def places(max_detections: int) -> dict[str, tuple[str, int | None, str, int | None]]:
    """SUMMARY, and with a limit of its own ARN after AR100."""
    rows = list(SUMMARY.items())
    if max_detections not in AR_LIMITS:
        rows.insert(list(SUMMARY).index("AR100") + 1, (f"AR{max_detections}", ("recall", None, "all", max_detections)))
    return dict(rows)


def _number(
    arrays: Accumulated, array: str, threshold: int | None, area_range: str, limit: int | None, category_index: int | None = None
) -> float | None:
    at = arrays.limits.index(limit or arrays.max_detections)
    values = (arrays.precision if array == "precision" else arrays.recall)[..., AREA_RANGES.index(area_range), at]
    if threshold is not None:
        values = values[threshold : threshold + 1]
    if category_index is not None:
        values = values[..., category_index]
    defined = values[values > -1]
    return float(np.mean(defined)) if defined.size else None


def _per_class(arrays: Accumulated, truth: Truth, predictions: Predictions) -> dict[str, dict[str, float | int | None]]:
    count = len(truth.category_ids)
    truths = np.bincount(truth.category_index[~truth.is_crowd], minlength=count).tolist()
    found = np.bincount(predictions.category_index, minlength=count).tolist()
    out: dict[str, dict[str, float | int | None]] = {}
    for index, name in enumerate(truth.category_names):
        numbers = {key: _number(arrays, *SUMMARY[key], index) for key in ("AP", "AP50", "AP75", "AR100")}
        out[name] = {**numbers, "truths": truths[index], "predictions": found[index]}
    return out


def _curves(arrays: Accumulated, truth: Truth) -> list[Curve]:
    precision = arrays.precision[..., AREA_RANGES.index("all"), arrays.limits.index(arrays.max_detections)]  # (T, 101, K)
    curves = []
    for threshold, name in IOU_NAMES.items():
        by_class = precision.mean(axis=0) if threshold is None else precision[threshold]  # a class is defined at all thresholds or at none
        defined = by_class[:, (by_class > -1).all(axis=0)]
        curves.append(_curve(None, name, defined.mean(axis=1) if defined.size else np.full(len(by_class), -1.0)))
        curves += [_curve(label, name, by_class[:, index]) for index, label in enumerate(truth.category_names)]
    return curves


def _curve(label: str | None, iou: str, precision: NDArray[np.float64]) -> Curve:
    return Curve(label, iou, np.round(precision, 6).tolist())


def familiar_lines(numbers: dict[str, float | None], max_detections: int = MAX_DETECTIONS) -> list[str]:
    """The 12 lines that pycocotools prints, and one more with a limit of its own; -1.000 where undefined."""
    lines = []
    for name, (array, threshold, area_range, limit) in places(max_detections).items():
        title, kind = ("Average Precision", "(AP)") if array == "precision" else ("Average Recall", "(AR)")
        value = -1.0 if numbers[name] is None else numbers[name]
        where = f"IoU={IOU_NAMES[threshold]:<9} | area={area_range:>6s} | maxDets={limit or max_detections:>3d}"
        lines.append(f" {title:<18} {kind} @[ {where} ] = {value:0.3f}")
    return lines
