"""COCO's detection metrics: 12 numbers, AP per class, precision-recall curves; by the rules of LVIS where the ground truth is federated.

For a caller that has its answers at hand (a training-time metric):

    truth = truth_from_rows([(id, size_wh, labels, boxes_xyxy_px), ...])
    answers = predictions_from_answers([(id, size_wh, text), ...], truth, Rules("qwen2_vl"))
    result = evaluate(truth, answers.predictions)
    result.summary["AP"], result.per_group["cat"]["AP"]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ..answers.protocol import Rules
from ..answers.to_boxes import Answers, Predictions, predictions_from_answers
from ..box_matching import IOU_THRESHOLDS, looked_for, results_of_outcomes, within_limit
from ..calibration import TERM as CALIBRATION
from ..calibration import calibration_error, reliability, reliability_plot
from ..count_ids import tally_lines
from ..evaluated_run import Curve, Number, NumberTable
from ..family_ceiling import ceiling, ceiling_line
from ..ground_truth import Truth, truth_counts, truth_from_coco, truth_from_rows
from ..metric import Evaluation
from ..precision_recall import exact_mean
from ..resampled_ap import RESAMPLES, ap_intervals
from ..tied_ap import equal_scores, tied
from ..tied_matching import listed_outcomes
from .answer_rewards import det_map
from .coco_engines import AR_LIMITS, AREA_RANGES, Accumulated, accumulate, check_engine
from .detection_base import ANSWER_OPTIONS, IGNORED, DetectionMetric, intervals, max_detections

__all__ = ["CocoMap", "Rules", "evaluate", "predictions_from_answers", "truth_from_coco", "truth_from_rows"]

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
TIES = {"AP_ties": None, "AP50_ties": 0, "AP75_ties": 5}  # AP that no order of equal scores changes -> IoU (None: all)
OF_CLASSES = ("AP", "AP50", "AP75", "AR100")
FREQUENCIES = {"APr": ("r", "rare"), "APc": ("c", "common"), "APf": ("f", "frequent")}
IOU_NAMES = {None: "0.50:0.95", 0: "0.50", 5: "0.75"}
AREAS = {"small": "small, under 32² px", "large": "large, over 96² px"}
CEILING = "AP_ceiling"
INTERVAL_TERM = f"percentile bootstrap over images, matches kept, {RESAMPLES} resamples, 95%, seed 0"
COCO, LVIS = "COCO detection (bbox)", "LVIS detection (bbox)"
FEDERATED_TERMS = {
    "max_detections_are": "of an image, over all classes",
    "classes_not_looked_for": "predictions of classes that an image neither has nor names in neg_category_ids do not count",
    "classes_not_exhaustive": "predictions without a match of classes in not_exhaustive_category_ids do not count",
}
FIXED_TERMS = {
    "tie_order": "equal scores: by image id, then by order in the answer or file",
    "ties": "AP_ties, AP50_ties, AP75_ties: equal scores of a class are one point of its precision-recall curve, whatever their order",
    "annotation_ids": "not used: an annotation with id 0 is matched like any other",
    "missing_image": "no detection",
}
ENGINE = click.Choice(["hotcoco", "pycocotools"])
EXPLANATION = (
    "AP is the mean precision over 101 recalls, AR the mean of the highest recalls, over the IoU thresholds and the classes. "
    "AP_ceiling is the AP of perfect answers in the numbers that the family writes. "
    "AP_ties is AP whatever the order of equal scores: the lowest that any order gives. "
    "\u2013 means undefined: the ground truth has no such object. It is not zero."
)


def _number(key: str) -> Number:
    _, threshold, area_range, limit = SUMMARY[key]
    notes = (IOU_NAMES[threshold], AREAS.get(area_range, area_range), limit)
    return Number(key, key, headline=key in OF_CLASSES, notes=notes, rule=key == "AR1")


class CocoMap(DetectionMetric):
    """COCO mAP of RESULT, the rows that `swift infer` wrote, joined to the ground truth by image id.

    `swift infer` with groundswift's plugin writes RESULT.run.json, the record of the run, next to RESULT: it declares family, space and
    pixel limits. Without a record give --family, and the limits where the family writes pixels of the resized image.

    \b
    Example:
      groundswift eval coco-map result.jsonl --gt annotations.json --images images/ --out scored/
      groundswift eval coco-map result.jsonl --gt annotations.json --family qwen2_vl --out scored/
      groundswift eval coco-map --predictions test_pred.json --gt annotations.json --out scored/ --no-report
    """

    name = "coco_map"
    title = "COCO mAP"
    numbers = tuple(map(_number, SUMMARY))
    protocol_names = (COCO, LVIS)
    rewards = {"det_map": det_map}
    comparable_terms = {**DetectionMetric.comparable_terms, "metric": COCO, "max_detections_of_ap": 100}
    options = (
        *ANSWER_OPTIONS,
        click.option(
            "--engine", type=ENGINE, default="hotcoco", show_default=True, help="Evaluation backend; both give identical numbers."
        ),
        max_detections(
            "Predictions that count, highest scores first: per image and class (COCO; default 100), or per image (LVIS; default 300). "
            "AR1, AR10 and AR100 keep their own limits."
        ),
        IGNORED,
        intervals("Bootstrap intervals over images of AP, AP50 and AP75 (95 %, 200 resamples).", default=False),
    )

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        found = super().source(result)
        check_engine(self.options["engine"])
        return found

    def score(self, answers: Answers, truth: Truth) -> Evaluation:
        engine, limit = self.options["engine"], self.options["max_detections"]
        arrays = accumulate(truth, answers.predictions, engine, limit)
        found = evaluation_of(arrays, truth, answers.predictions, engine)
        counts = {**truth_counts(truth), **answers.counts_document(), **found.counts}
        of_boxes = listed_outcomes(truth, answers.predictions, arrays.max_detections)
        images = results_of_outcomes(truth, answers.predictions, *of_boxes, answers.statuses, answers.texts)
        best = {} if self.rules is None else {CEILING: ceiling(truth, self.rules, limit)}
        summary = {**found.summary, **best}
        between = ap_intervals(truth, answers.predictions, limit) if self.options["intervals"] else {}
        protocol = {**found.protocol, **self.source_terms(), **({"intervals": INTERVAL_TERM} if between else {})}
        return replace(found, summary=summary, counts=counts, per_sample=images, protocol=protocol, intervals=between)

    def lines(self, evaluation: Evaluation) -> list[str]:
        """The 12 lines that pycocotools prints, and more where there are more numbers; -1.000 where undefined."""
        numbers, most, lines = evaluation.summary, evaluation.protocol["max_detections_of_ap"], []
        for name, (array, threshold, area_range, limit) in places(most).items():
            if limit in (None, *evaluation.protocol["max_detections"]):
                where = f"IoU={IOU_NAMES[threshold]:<9} | area={area_range:>6s} | maxDets={limit or most:>3d}"
                lines.append((array, where, numbers[name]))
        for name, (frequency, _) in FREQUENCIES.items():
            if name in numbers:
                lines.append(("precision", f"IoU=0.50:0.95 | classes={frequency:>3s} | maxDets={most:>3d}", numbers[name]))
        if evaluation.counts["equal_scores"]:
            areas = f"area=   all | maxDets={most:>3d}"
            lines += [("ties", f"IoU={IOU_NAMES[at]:<9} | {areas}", numbers[name]) for name, at in TIES.items()]
        titles = {"precision": "Average Precision  (AP)", "recall": "Average Recall     (AR)", "ties": "in any order  (AP_ties)"}
        shown = [f" {titles[array]} @[ {where} ] = {-1.0 if value is None else value:0.3f}" for array, where, value in lines]
        shown += [f" 95 % interval over images: {key} {low:.3f} to {high:.3f}" for key, (low, high) in evaluation.intervals.items()]
        return shown + ([] if numbers.get(CEILING) is None else [ceiling_line(numbers["AP"], numbers[CEILING], self.rules)])

    def count_lines(self, answers: Answers, truth: Truth, evaluation: Evaluation) -> list[str]:
        counts, most = evaluation.counts, evaluation.protocol["max_detections_of_ap"]
        lines = [f"ground truth: {counts['images']} images, {counts['truths']} boxes, {counts['crowd']} crowd boxes"]
        lines += [*tally_lines("annotations skipped or changed", truth.dropped), *answers.lines()]
        if beyond := counts["beyond_max_detections"]:
            where = "per class and image" if truth.federated is None else "per image"
            lines.append(f"{beyond} predictions beyond {most} {where} do not count (--max-detections)")
        if truth.federated is not None:
            ignored = counts["not_looked_for"]
            lines.append(f"federated ground truth: {ignored} predictions of classes not annotated in their image do not count")
        return lines

    def table(self, documents: Sequence[dict[str, Any]]) -> NumberTable:
        """The 12 numbers and those that a run has besides; the limit of AP is that of the last run."""
        most = documents[-1].get("protocol", {}).get("max_detections_of_ap", 100)
        areas = {key: f"all, {name} classes" for key, (_, name) in FREQUENCIES.items()}
        numbers = []
        for number in super().table(documents).numbers:
            at = 0 if number.key == "ECE" else TIES.get(number.key)
            number = number._replace(higher_is_better=number.key != "ECE")
            iou, area, limit = number.notes or (IOU_NAMES[at], areas.get(number.key, "all"), None)
            numbers.append(number._replace(notes=(iou, area, limit or most)))
        return NumberTable(numbers, ("IoU", "Area of the boxes", "Detections per image"), OF_CLASSES, EXPLANATION)


def evaluate(truth: Truth, predictions: Predictions, engine: str = "hotcoco", max_detections: int | None = None) -> Evaluation:
    """Score predictions as COCO does or, where the ground truth is federated, as LVIS does.

    `max_detections`, highest scores first, of an image and class (COCO: 100) or of an image (LVIS: 300). Raises as `accumulate`.
    `summary` holds the 12 numbers, and ARN with a limit N other than 1, 10 and 100; LVIS has APr, APc and APf, AR300, and no AR1, AR10 and
    AR100. `per_group` holds AP, AP50, AP75, AR100, truths (without crowds) and predictions by class name, `curves` COCO's 101 recalls at
    IoU 0.50, 0.75 and the mean of all thresholds.
    """
    return evaluation_of(accumulate(truth, predictions, engine, max_detections), truth, predictions, engine)


def evaluation_of(arrays: Accumulated, truth: Truth, predictions: Predictions, engine: str) -> Evaluation:
    """The numbers of what an engine has accumulated."""
    ties, scores, codes = tied(truth, predictions, arrays.max_detections)
    bins = reliability(scores, codes[0])
    within = within_limit(truth, predictions, arrays.max_detections)
    counts = {
        "predictions": len(predictions.scores),
        "beyond_max_detections": int((~within).sum()),
        "equal_scores": equal_scores(predictions),
    }
    if truth.federated is not None:
        counts["not_looked_for"] = int((within & ~looked_for(truth, predictions)).sum())
    return Evaluation(
        {name: _value(arrays, *place) for name, place in places(arrays.max_detections).items()}
        | _by_frequency(arrays, truth)
        | {name: exact_mean(ties if at is None else ties[at]) for name, at in TIES.items()}
        | ({"ECE": calibration_error(bins)} if bins else {}),
        _per_class(arrays, truth, predictions, ties),
        _curves(arrays, truth),
        counts=counts,
        protocol={
            "metric": COCO if truth.federated is None else LVIS,
            "engine": f"{engine} {version(engine)}",
            "iou_thresholds": [round(float(threshold), 2) for threshold in IOU_THRESHOLDS],
            "max_detections": list(arrays.limits),
            "max_detections_of_ap": arrays.max_detections,
            **({} if truth.federated is None else FEDERATED_TERMS),
            **FIXED_TERMS,
            **({"ECE": CALIBRATION} if bins else {}),
        },
        plots=reliability_plot(bins),
    )


def _by_frequency(arrays: Accumulated, truth: Truth) -> dict[str, float | None]:
    """APr, APc and APf: AP of the rare, common and frequent classes of LVIS. Source: lvis-api `_summarize`."""
    if truth.federated is None:
        return {}
    of_classes = np.array(truth.federated.frequencies)
    return {key: _value(arrays, *SUMMARY["AP"], of_classes == frequency) for key, (frequency, _) in FREQUENCIES.items()}


def places(max_detections: int) -> dict[str, tuple[str, int | None, str, int | None]]:
    """SUMMARY, and with a limit of its own ARN after AR100."""
    rows = list(SUMMARY.items())
    if max_detections not in AR_LIMITS:
        rows.insert(list(SUMMARY).index("AR100") + 1, (f"AR{max_detections}", ("recall", None, "all", max_detections)))
    return dict(rows)


def _value(
    arrays: Accumulated,
    array: str,
    threshold: int | None,
    area_range: str,
    limit: int | None,
    classes: int | NDArray[np.bool_] | None = None,
) -> float | None:
    """The mean over what is defined. Source: pycocotools `_summarizeDets`."""
    if limit is not None and limit not in arrays.limits:
        return None
    at = arrays.limits.index(limit or arrays.max_detections)
    values = (arrays.precision if array == "precision" else arrays.recall)[..., AREA_RANGES.index(area_range), at]
    if threshold is not None:
        values = values[threshold : threshold + 1]
    if classes is not None:
        values = values[..., classes]
    if isinstance(classes, int):
        return float(values.mean()) if values.size and values.flat[0] > -1 else None
    sums, at_each = values.sum(axis=tuple(range(values.ndim - 1))), values.size // max(values.shape[-1], 1)
    defined = sums[sums >= 0].tolist()  # a class is defined at all thresholds or at none
    return math.fsum(defined) / (len(defined) * at_each) if defined else None  # rounded once: the order of the classes does not matter


def _per_class(
    arrays: Accumulated, truth: Truth, predictions: Predictions, ties: NDArray[np.float64]
) -> dict[str, dict[str, float | int | None]]:
    count = len(truth.category_ids)
    truths = np.bincount(truth.category_index[~truth.is_crowd], minlength=count).tolist()
    found = np.bincount(predictions.category_index, minlength=count).tolist()
    out: dict[str, dict[str, float | int | None]] = {}
    for index, name in enumerate(truth.category_names):
        numbers = {key: _value(arrays, *SUMMARY[key], index) for key in OF_CLASSES} | {"AP_ties": exact_mean(ties[:, index])}
        out[name] = {**numbers, "truths": truths[index], "predictions": found[index]}
    return out


def _curves(arrays: Accumulated, truth: Truth) -> list[Curve]:
    precision = arrays.precision[..., AREA_RANGES.index("all"), arrays.limits.index(arrays.max_detections)]  # (T, 101, K)
    curves = []
    for threshold, iou in IOU_NAMES.items():
        by_class = precision.mean(axis=0) if threshold is None else precision[threshold]  # a class is defined at all thresholds or at none
        defined = by_class[:, (by_class > -1).all(axis=0)]
        of_all = defined.mean(axis=1) if defined.size else np.full(len(by_class), -1.0)
        columns = [(None, of_all), *zip(truth.category_names, by_class.T, strict=True)]
        curves += [Curve(label, iou, np.round(column, 6).tolist()) for label, column in columns]
    return curves
