"""COCO's detection metrics: 12 numbers, AP per class, precision-recall curves; by the rules of LVIS where the ground truth is federated.

For a caller that has its answers at hand (a training-time metric):

    truth = truth_from_rows([(id, size_wh, labels, boxes_xyxy_px), ...])
    answers = predictions_from_answers([(id, size_wh, text), ...], truth, Rules("qwen2_vl"))
    result = evaluate(truth, answers.predictions)
    result.summary["AP"], result.per_group["cat"]["AP"]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..answers.protocol import Rules
from ..answers.to_boxes import Answers, Predictions, predictions_from_answers
from ..box_matching import IOU_THRESHOLDS, looked_for, within_limit
from ..calibration import TERM as CALIBRATION
from ..calibration import calibration_error, reliability, reliability_plot
from ..close_pairs import Pairs
from ..count_ids import tally_lines
from ..evaluated_run import NumberTable
from ..family_ceiling import ceiling, ceiling_line
from ..ground_truth import Truth, truth_counts, truth_from_coco, truth_from_rows
from ..image_results import ImageResults
from ..listed_ap import AREA_RANGES, listed_outcomes, near_pairs
from ..metric import Evaluation, Scoring
from ..resampled_ap import RESAMPLES, ap_intervals
from ..tied_ap import Tied, equal_scores, tied
from .answer_rewards import det_map
from .coco_engines import OWN, Accumulated, accumulating, check_engine, engine_version, limits_of
from .coco_numbers import (
    FIXED_TERMS,
    FREQUENCIES,
    IOU_NAMES,
    OF_CLASSES,
    SUMMARY,
    curves,
    number_of,
    numbers_in_any_order,
    per_class,
    places,
    plain_numbers,
    tie_lines,
    with_notes,
    without_ties,
)
from .detection_base import ANSWER_OPTIONS, IGNORED, DetectionMetric, intervals, max_detections

__all__ = ["CocoMap", "Rules", "evaluate", "predictions_from_answers", "truth_from_coco", "truth_from_rows"]

CEILING = "AP_ceiling"
INTERVAL_TERM = f"percentile bootstrap over images, matches kept, {RESAMPLES} resamples, 95%, seed 0"
COCO, LVIS = "COCO detection (bbox)", "LVIS detection (bbox)"
FEDERATED_TERMS = {
    "max_detections_are": "of an image, over all classes",
    "classes_not_looked_for": "predictions of classes that an image neither has nor names in neg_category_ids do not count",
    "classes_not_exhaustive": "predictions without a match of classes in not_exhaustive_category_ids do not count",
}
ENGINE = click.Choice([OWN, "hotcoco", "pycocotools"])
EXPLANATION = (
    "AP is the mean precision over 101 recalls, AR the mean of the highest recalls, over the IoU thresholds and the classes. "
    "AP_ceiling is the AP of perfect answers in the numbers that the family writes. "
    "AP to ARl are pycocotools' numbers, which take equal scores by image id, then in the order of the answer or file: renumbered images "
    "change them. The numbers in any order (_ties) are those of no order: the lowest that equal scores allow. "
    "\u2013 means undefined: the ground truth has no such object. It is not zero."
)


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
    most_images = 500  # with more they take several times as long as everything else
    fewest_images = 20  # of fewer, the resamples differ too little for an interval to cover what it should
    title = "COCO mAP"
    numbers = tuple(map(number_of, SUMMARY))
    protocol_names = (COCO, LVIS)
    rewards = {"det_map": det_map}
    comparable_terms = {**DetectionMetric.comparable_terms, "metric": COCO, "max_detections_of_ap": 100}
    options = (
        *ANSWER_OPTIONS,
        click.option("--engine", type=ENGINE, default=OWN, show_default=True, help="Evaluation backend; all give identical numbers."),
        max_detections(
            "Predictions that count, highest scores first: per image and class (COCO; default 100), or per image (LVIS; default 300). "
            "AR1, AR10 and AR100 keep their own limits."
        ),
        IGNORED,
        intervals("Bootstrap intervals over images of AP, AP50 and AP75 (95 %, 200 resamples).  [default: 20 to 500 images]"),
    )

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        found = super().source(result)
        check_engine(self.options["engine"])
        return found

    def score(self, answers: Answers, truth: Truth) -> Evaluation:
        return self._started(answers, truth).finish()

    def start(self, answers: Answers, truth: Truth) -> Scoring | None:
        return self._started(answers, truth) if type(self).score is CocoMap.score else None  # of a subclass: its own way to score

    def _started(self, answers: Answers, truth: Truth) -> Scoring:
        """All but what waits for the engine."""
        engine, limit = self.options["engine"], self.options["max_detections"]
        near = near_pairs(truth, answers.predictions)
        running = accumulating(truth, answers.predictions, engine, limit, near)
        ties = ties_of(truth, answers.predictions, limit, near)
        codes = listed_outcomes(truth, answers.predictions, limits_of(truth, limit)[1], near)
        images = ImageResults(truth, answers.predictions, codes, answers.statuses, answers.texts, answers.unknown)
        best = {} if self.rules is None else {CEILING: ceiling(truth, self.rules, limit)}
        between = ap_intervals(truth, answers.predictions, limit) if self.wants_intervals(truth) else {}

        terms = {**self.source_terms(), **({"intervals": INTERVAL_TERM} if between else {})}

        def finish() -> Evaluation:
            found = evaluation_of(running.result(), ties, truth, answers.predictions, engine)
            counts = {**truth_counts(truth), **answers.counts_document(), **found.counts}
            summary, protocol = {**found.summary, **best}, {**found.protocol, **terms}
            return replace(found, summary=summary, counts=counts, per_sample=images, protocol=protocol, intervals=between)

        return Scoring(images, finish)

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
        titles = {"precision": "Average Precision  (AP)", "recall": "Average Recall     (AR)"}
        shown = [f" {titles[array]} @[ {where} ] = {-1.0 if value is None else value:0.3f}" for array, where, value in lines]
        shown += tie_lines(evaluation) if evaluation.counts["equal_scores"] else []
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
        shown = super().table([without_ties(each) for each in documents]).numbers
        numbers = [with_notes(number, most) for number in shown]
        return NumberTable(numbers, ("IoU", "Area of the boxes", "Detections per image"), OF_CLASSES, EXPLANATION)


def evaluate(truth: Truth, predictions: Predictions, engine: str = OWN, max_detections: int | None = None) -> Evaluation:
    """Score predictions as COCO does or, where the ground truth is federated, as LVIS does.

    `max_detections`, highest scores first, of an image and class (COCO: 100) or of an image (LVIS: 300). Raises as `accumulating`.
    `summary` holds the 12 numbers, and ARN with a limit N other than 1, 10 and 100; LVIS has APr, APc and APf, AR300, and no AR1, AR10 and
    AR100. `per_group` holds AP, AP50, AP75, AR100, truths (without crowds) and predictions by class name, `curves` COCO's 101 recalls at
    IoU 0.50, 0.75 and the mean of all thresholds.
    """
    near = near_pairs(truth, predictions)
    running = accumulating(truth, predictions, engine, max_detections, near)
    ties = ties_of(truth, predictions, max_detections, near)
    return evaluation_of(running.result(), ties, truth, predictions, engine)


def ties_of(truth: Truth, predictions: Predictions, max_detections: int | None, near: Pairs | None = None) -> Tied:
    """What the numbers in any order are made of, with the limits of `accumulate`."""
    limits, most = limits_of(truth, max_detections)
    return tied(truth, predictions, most, limits, AREA_RANGES, near)


def evaluation_of(arrays: Accumulated, ties: Tied, truth: Truth, predictions: Predictions, engine: str) -> Evaluation:
    """The numbers of what an engine has accumulated."""
    bins = reliability(ties.scores, ties.outcomes)
    within = within_limit(truth, predictions, arrays.max_detections)
    counts = {
        "predictions": len(predictions.scores),
        "beyond_max_detections": int((~within).sum()),
        "equal_scores": equal_scores(predictions),
    }
    if truth.federated is not None:
        counts["not_looked_for"] = int((within & ~looked_for(truth, predictions)).sum())
    return Evaluation(
        plain_numbers(arrays, truth) | numbers_in_any_order(ties, arrays, truth) | ({"ECE": calibration_error(bins)} if bins else {}),
        per_class(arrays, truth, predictions, ties),
        curves(arrays, truth),
        counts=counts,
        protocol={
            "metric": COCO if truth.federated is None else LVIS,
            "engine": f"{engine} {engine_version(engine)}",
            "iou_thresholds": [round(float(threshold), 2) for threshold in IOU_THRESHOLDS],
            "max_detections": list(arrays.limits),
            "max_detections_of_ap": arrays.max_detections,
            **({} if truth.federated is None else FEDERATED_TERMS),
            **FIXED_TERMS,
            **({"ECE": CALIBRATION} if bins else {}),
        },
        plots=reliability_plot(bins),
    )
