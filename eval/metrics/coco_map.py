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

from ..answers.to_boxes import Predictions, Rules, predictions_from_answers
from ..counted_predictions import looked_for, within_limit
from ..evaluated_run import Curve
from ..ground_truth import Truth, truth_from_coco, truth_from_rows
from .coco_engines import AR_LIMITS, AREA_RANGES, Accumulated, accumulate

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
FREQUENCIES = {"APr": "r", "APc": "c", "APf": "f"}
IOU_NAMES = {None: "0.50:0.95", 0: "0.50", 5: "0.75"}


@dataclass(frozen=True)
class Evaluation:
    """`summary` holds the 12 numbers, `per_class` AP, AP50, AP75, AR100, truths (crowds left out) and predictions by class name.

    With a limit N that is none of 1, 10 and 100 there is an ARN, too. None where there is nothing to find, never 0. `curves` holds
    COCO's 101 recalls at IoU 0.50, 0.75 and the mean of all thresholds. `beyond_limit`, `not_looked_for`: predictions that do not count,
    past the limit, or of classes that federated truth does not tell about in their image. `federated`: by the rules of LVIS, which has
    APr, APc and APf, AR300, and no AR1, AR10 and AR100.
    """

    summary: dict[str, float | None]
    per_class: dict[str, dict[str, float | int | None]]
    curves: list[Curve]
    max_detections: int
    beyond_limit: int
    not_looked_for: int
    federated: bool


def evaluate(truth: Truth, predictions: Predictions, engine: str = "hotcoco", max_detections: int | None = None) -> Evaluation:
    """Score predictions as COCO does or, where the truth is federated, as LVIS does.

    `max_detections`, highest scores first, of an image and class (COCO: 100) or of an image (LVIS: 300). Raises as `accumulate`.
    """
    arrays = accumulate(truth, predictions, engine, max_detections)
    within = within_limit(truth, predictions, arrays.max_detections)
    return Evaluation(
        {**summary(arrays), **_by_frequency(arrays, truth)},
        _per_class(arrays, truth, predictions),
        _curves(arrays, truth),
        arrays.max_detections,
        int((~within).sum()),
        int((within & ~looked_for(truth, predictions)).sum()),
        truth.federated is not None,
    )


def _by_frequency(arrays: Accumulated, truth: Truth) -> dict[str, float | None]:
    """APr, APc and APf: AP of the rare, common and frequent classes of LVIS. Source: lvis-api `_summarize`."""
    if truth.federated is None:
        return {}
    numbers = {}
    for key, frequency in FREQUENCIES.items():
        classes = np.array([each == frequency for each in truth.federated.frequencies], dtype=bool)
        numbers[key] = _number(arrays, *SUMMARY["AP"], classes)
    return numbers


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
    arrays: Accumulated,
    array: str,
    threshold: int | None,
    area_range: str,
    limit: int | None,
    classes: int | NDArray[np.bool_] | None = None,
) -> float | None:
    if limit is not None and limit not in arrays.limits:
        return None
    at = arrays.limits.index(limit or arrays.max_detections)
    values = (arrays.precision if array == "precision" else arrays.recall)[..., AREA_RANGES.index(area_range), at]
    if threshold is not None:
        values = values[threshold : threshold + 1]
    if classes is not None:
        values = values[..., classes]
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


def familiar_lines(evaluation: Evaluation) -> list[str]:
    """The 12 lines that pycocotools prints, and more where there are more numbers; -1.000 where undefined."""
    numbers, most, lines = evaluation.summary, evaluation.max_detections, []
    for name, (array, threshold, area_range, limit) in places(most).items():
        if limit is None or limit == most or not evaluation.federated:
            where = f"IoU={IOU_NAMES[threshold]:<9} | area={area_range:>6s} | maxDets={limit or most:>3d}"
            lines.append(_familiar_line(array == "precision", where, numbers[name]))
    for name in [key for key in FREQUENCIES if key in numbers]:
        lines.append(_familiar_line(True, f"IoU=0.50:0.95 | classes={FREQUENCIES[name]:>3s} | maxDets={most:>3d}", numbers[name]))
    return lines


def _familiar_line(precision: bool, where: str, value: float | None) -> str:
    title, kind = ("Average Precision", "(AP)") if precision else ("Average Recall", "(AR)")
    return f" {title:<18} {kind} @[ {where} ] = {-1.0 if value is None else value:0.3f}"
