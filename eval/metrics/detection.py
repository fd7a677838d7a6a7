"""Precision, recall and F1 of detection, where they are lost, and how answers fail. No order of rows, boxes or ids changes a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from .. import bootstrap
from ..answer_shares import READABLE, answers_table, rejections, share
from ..answers.protocol import Rules
from ..answers.to_boxes import Answers, Predictions, Question, predictions_from_answers
from ..box_matching import IOU_THRESHOLDS, IS_CROWD, IS_FN, IS_FP, IS_NOT_COUNTED, IS_TP
from ..calibration import TERM as CALIBRATION
from ..calibration import calibration_error, reliability, reliability_plot
from ..confusion import confusion, matrix_table, pairs_table
from ..count_ids import tally_lines
from ..detection_rates import BestThreshold, Rates, best_threshold, cumulative, mean_rate, rates_at, rates_of_classes
from ..evaluated_run import ImageResult, Line, Number, NumberTable, Plot, Table
from ..ground_truth import Truth, truth_counts, truth_from_rows
from ..image_results import results_of_outcomes
from ..metric import Evaluation, Metric
from ..protocols.card import Scored, card, card_lines, case_of, summary_of, table_of
from ..rate_intervals import counts_by_image, rate_intervals, share_interval
from ..tide import tide, tide_table
from ..tied_matching import AREAS_PX2, Matches, chosen, counting, match
from .coco_map import evaluate
from .detection_base import ANSWER_OPTIONS, IGNORED, DetectionMetric, intervals, max_detections

SHOWN_IOUS = {"50": 0, "75": 5, "95": 9}  # name in keys -> index into IOU_THRESHOLDS
OF_CLASSES = ("f1", "f1_50", "precision_50", "recall_50")
MOST_POINTS = 200  # of a plot
MOST_UNKNOWN = 50  # unknown labels in the report
TERMS = {
    "matching": "greedy within a class, highest score first; of equal scores the higher IoU, then by coordinates",
    "averaging": "TP, FP and FN summed over images and classes; f1, precision and recall: mean over IoU 0.50:0.95",
    "f1_best": "F1 at IoU 0.5 of the boxes with at least best_threshold, the score that makes it highest on this ground truth",
    "rejection": "share of the questions about classes that are absent from the image with an empty answer",
    "ece": CALIBRATION,
    "copies": "exact duplicates are removed; precision_50_copies and f1_50_copies count them as FP",
    "missing_image": "no detection",
}
EXPLANATION = (
    "Precision is TP / (TP + FP), recall TP / objects, F1 2 TP / (2 TP + FP + FN), over all images and classes. "
    "\u2013 means undefined: there is nothing to divide by. It is not zero."
)


def _numbers() -> tuple[Number, ...]:
    titles = {"f1": "F1", "precision": "precision", "recall": "recall"}
    found = [Number(key, f"{title}, IoU 0.50:0.95", headline=key == "f1") for key, title in titles.items()]
    for name in SHOWN_IOUS:
        found += [
            Number(f"{key}_{name}", f"{title}, IoU 0.{name}", headline=name == "50", rule=key == "f1") for key, title in titles.items()
        ]
    return (
        *found,
        Number("f1_best", "F1, best threshold", rule=True),
        Number("best_threshold", "best threshold of score"),
        Number("ece", "calibration error", higher_is_better=False),
        Number("f1_50_classes", "F1, mean of classes"),
        Number("precision_50_copies", "precision with copies", rule=True),
        Number("f1_50_copies", "F1 with copies"),
        Number("fp_per_empty_image", "FP per empty image", higher_is_better=False, rule=True),
        Number("rejection", "rejection"),
        Number("format_adherence", "readable answers", rule=True),
        Number("truncated", "truncated answers", higher_is_better=False),
        Number("unknown_label", "boxes, unknown label", higher_is_better=False),
        Number("copies", "boxes, exact copies", higher_is_better=False),
    )


class Detection(DetectionMetric):
    """Precision, recall, F1 and kinds of errors of RESULT, the rows that `swift infer` wrote, or of a COCO result file.

    All boxes count unless --max-detections limits them. At one score there is one operating point; with --score logprob or order
    `best_threshold` is the score from which on boxes should count.

    \b
    Example:
      groundswift eval detection result.jsonl --gt annotations.json --images images/ --out scored/
      groundswift eval detection result.jsonl --gt annotations.json --score logprob --synonyms synonyms.json --out scored/
    """

    name = "detection"
    title = "Detection"
    numbers = _numbers()
    comparable_terms = {**Metric.comparable_terms, "max_detections_of_f1": None}
    options = (
        *ANSWER_OPTIONS,
        max_detections("Predictions that count, highest scores first: per image and class, with LVIS per image.  [default: all]"),
        IGNORED,
        click.option(
            "--protocol",
            type=click.Choice(["own", "all"]),
            default="own",
            show_default=True,
            help="`all`: also score by the rules of Rex-Omni, LocateAnything, FindIt, lmms-eval and VLMEvalKit, a line a rule.",
        ),
        intervals("Bootstrap intervals over images (95 %, 1,000 resamples).  [default: up to 5,000 images]"),
    )
    scored: Sequence[Scored] = ()  # of --protocol all

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        if result is None and self.options.get("protocol") == "all":
            raise click.UsageError("--protocol all reads answers in text; give RESULT")
        return super().source(result)

    def score_rows(self, texts: Sequence[str | None], rows: Sequence[Any], rules: Rules) -> Evaluation:
        """Rows with boxes that all have a label, and rows without boxes."""
        known = [(number, row) for number, row in enumerate(rows) if all(row.labels)]
        truth = truth_from_rows((number, row.size_wh, row.labels, row.boxes_xyxy_px) for number, row in known)
        if not truth.category_ids:
            return Evaluation({number.key: None for number in self.numbers})
        self.options = {"max_detections": None, "predictions": None, **self.options, "intervals": False}
        given = [(number, row.size_wh, texts[number]) for number, row in known if texts[number] is not None]
        return self.score(predictions_from_answers(given, truth, rules), truth)

    def score(self, answers: Answers, truth: Truth) -> Evaluation:
        limit = self.options["max_detections"] or max(len(answers.predictions.scores), 1)
        kept = counting(truth, answers.predictions, limit)
        found = chosen(answers.predictions, kept)
        matches = match(truth, found, areas=tuple(AREAS_PX2))
        outcomes, objects = matches.outcomes[0], matches.objects[0]
        by_iou, best = rates_at(outcomes, int(objects.sum())), best_threshold(found.scores, outcomes[0], int(objects.sum()))
        bins = reliability(found.scores, outcomes[0])
        by_class = rates_of_classes(truth, found, outcomes, objects)
        with_copies = copies_rates(answers, truth, limit)
        summary = {
            **_means(by_iou),
            "f1_best": best.f1,
            "best_threshold": best.score,
            "ece": calibration_error(bins),
            "f1_50_classes": mean_rate([rates[0].f1 for rates in by_class if rates[0].found + rates[0].missed]),
            "precision_50_copies": with_copies.precision,
            "f1_50_copies": with_copies.f1,
            "fp_per_empty_image": fp_per_empty_image(truth, found, outcomes[0]),
            **answer_numbers(answers, truth),
        }
        if self.options.get("protocol") == "all":
            self.scored = card(case_of(answers, truth, self.rules, lambda *columns: evaluate(*columns).summary))
            summary |= summary_of(self.scored)
        wanted = self.wants_intervals(truth)
        by_image = counts_by_image(truth, found, outcomes, objects)
        between = rate_intervals(by_image, SHOWN_IOUS) | share_intervals(answers, truth) if wanted else {}
        return Evaluation(
            summary,
            intervals=between,
            per_group=dict(zip(truth.category_names, _per_class(by_class, truth, answers.predictions), strict=True)),
            per_sample=images_of(answers, truth, kept, matches),
            counts={**counts_of(answers, truth), "predictions_that_count": len(found.scores)},
            protocol={"iou_thresholds": IOU_THRESHOLDS.round(2).tolist(), **self.own_terms(bool(between)), **self.source_terms()},
            tables=[*tables_of(truth, found, matches, by_iou, best, answers), *([table_of(self.scored)] if self.scored else [])],
            plots=[*plots_of(found, outcomes[0], int(objects.sum())), *reliability_plot(bins)],
        )

    def lines(self, evaluation: Evaluation) -> list[str]:
        shared = {key: value for key, value in evaluation.summary.items() if "." not in key}
        return [*super().lines(replace(evaluation, summary=shared)), *card_lines(self.scored)]

    def own_terms(self, has_intervals: bool) -> dict[str, Any]:
        """How many predictions count, what the intervals are, and what never changes."""
        terms = {"max_detections_of_f1": self.options["max_detections"] or "all", **TERMS}
        return terms | ({"intervals": bootstrap.term("images")} if has_intervals else {})

    def count_lines(self, answers: Answers, truth: Truth, evaluation: Evaluation) -> list[str]:
        counts = evaluation.counts
        lines = [f"ground truth: {counts['images']} images, {counts['truths']} boxes, {counts['crowd']} crowd boxes"]
        lines += [*tally_lines("annotations skipped or changed", truth.dropped), *answers.lines()]
        if beyond := counts["predictions"] - counts["predictions_that_count"]:
            lines.append(f"{beyond} predictions do not count: beyond --max-detections, or of classes not annotated in their image")
        return lines

    def table(self, documents: Sequence[dict[str, Any]]) -> NumberTable:
        return super().table(documents)._replace(of_groups=OF_CLASSES, explanation=EXPLANATION)


def _means(by_iou: list[Rates]) -> dict[str, float | None]:
    """P, R and F1 by key: the means over all thresholds, and at some."""
    names = ("f1", "precision", "recall")
    means = {name: mean_rate([getattr(rates, name) for rates in by_iou]) for name in names}
    return means | {f"{name}_{iou}": getattr(by_iou[at], name) for iou, at in SHOWN_IOUS.items() for name in names}


def counts_of(answers: Answers, truth: Truth) -> dict[str, Any]:
    """What was read and dropped."""
    counts = {**truth_counts(truth), **answers.counts_document(), "answers": dict(sorted(answers.counts.answers.items()))}
    return {**counts, "predictions": len(answers.predictions.scores)}


def copies_rates(answers: Answers, truth: Truth, limit: int) -> Rates:
    """The rates at IoU 0.5 with the exact copies that are removed otherwise."""
    found = answers.predictions
    if answers.copies is not None and len(answers.copies.scores):
        columns = zip(*(vars(each).values() for each in (found, answers.copies)), strict=True)
        found = Predictions(*map(np.concatenate, columns))
        limit += len(answers.copies.scores)
    found = chosen(found, counting(truth, found, limit))
    matches = match(truth, found, IOU_THRESHOLDS[:1])
    return rates_at(matches.outcomes[0], int(matches.objects[0].sum()))[0]


def fp_per_empty_image(truth: Truth, predictions: Predictions, outcomes: NDArray[np.uint8]) -> float | None:
    """FP per image without any annotation; None where every image has one."""
    empty = np.ones(len(truth.image_ids), dtype=bool)
    empty[truth.image_index] = False
    return float((empty[predictions.image_index] & (outcomes == IS_FP)).sum() / empty.sum()) if empty.any() else None


def share_intervals(answers: Answers, truth: Truth) -> dict[str, tuple[float, float]]:
    """Intervals over images of the shares of answers."""
    questions = questions_of(answers)
    found = {"rejection": share_interval(rejections(questions, truth, answers.labels))}
    if answers.questions:
        found["format_adherence"] = share_interval((each.image_index, int(each.status in READABLE), 1) for each in questions)
        found["truncated"] = share_interval((each.image_index, int(each.status == "truncated"), 1) for each in questions)
    return {key: between for key, between in found.items() if between is not None}


def questions_of(answers: Answers) -> Sequence[Question]:
    """What was asked; of a COCO result file one question an image, about all classes."""
    return answers.questions or [Question(index, None, status) for index, status in enumerate(answers.statuses)]


def answer_numbers(answers: Answers, truth: Truth) -> dict[str, float | None]:
    """The numbers about answers as text."""
    absent = rejections(questions_of(answers), truth, answers.labels)
    unknown = answers.counts.unknown_labels.total()
    copies = 0 if answers.copies is None else len(answers.copies.scores)
    boxes = len(answers.predictions.scores) + copies
    of_text = answers.labels is not None
    return {
        "rejection": sum(rejected for _, rejected, _ in absent) / len(absent) if absent else None,
        "format_adherence": share(answers.counts.answers, READABLE),
        "truncated": share(answers.counts.answers, ["truncated"]),
        "unknown_label": unknown / (boxes + unknown) if of_text and boxes + unknown else None,
        "copies": copies / boxes if of_text and boxes else None,
    }


def _per_class(by_class: list[list[Rates]], truth: Truth, predictions: Predictions) -> list[dict[str, float | int | None]]:
    found = np.bincount(predictions.category_index, minlength=len(truth.category_ids)).tolist()
    columns = ("f1", "f1_50", "precision_50", "recall_50", "f1_75")
    numbers = [{key: value for key, value in _means(rates).items() if key in columns} for rates in by_class]
    rows = zip(numbers, by_class, found, strict=True)
    return [{**each, "truths": rates[0].found + rates[0].missed, "predictions": count} for each, rates, count in rows]


def images_of(answers: Answers, truth: Truth, kept: NDArray[np.int64], matches: Matches) -> list[ImageResult]:
    """The results by image at IoU 0.5; predictions that do not count are shown as such."""
    outcomes, matched = matches.outcomes[0, 0], matches.truth[0, 0]
    of_predictions = np.full(len(answers.predictions.scores), IS_NOT_COUNTED, dtype=np.uint8)
    on_crowd = (matched >= 0) & (outcomes == IS_NOT_COUNTED)
    of_predictions[kept] = np.where(on_crowd, np.uint8(IS_CROWD), outcomes)
    of_truth = np.where(truth.is_crowd, np.uint8(IS_CROWD), np.uint8(IS_FN))
    of_truth[matched[outcomes == IS_TP]] = IS_TP
    return results_of_outcomes(truth, answers.predictions, of_truth, of_predictions, answers.statuses, answers.texts)


def tables_of(
    truth: Truth, found: Predictions, matches: Matches, by_iou: list[Rates], best: BestThreshold, answers: Answers
) -> list[Table]:
    """The tables of the report."""
    confused = confusion(truth, found)
    tables = [points_table(found, matches, by_iou, best), sizes_table(matches), tide_table(tide(truth, found))]
    tables += [matrix_table(confused, truth.category_names), pairs_table(confused, truth.category_names)]
    if answers.labels is not None:
        tables.append(answers_table(answers.counts.answers))
    if unknown := answers.counts.unknown_labels:
        rows = [[label, count] for label, count in sorted(unknown.items(), key=lambda each: (-each[1], each[0]))[:MOST_UNKNOWN]]
        tables.append(Table("unknown-labels", "Unknown labels", ["label", "boxes"], rows))
    return tables


def points_table(found: Predictions, matches: Matches, by_iou: list[Rates], best: BestThreshold) -> Table:
    """The operating points: all predictions at each IoU, and those from the best threshold on."""
    columns = ["IoU", "score at least", "precision", "recall", "F1", "TP", "FP", "FN"]
    rows: list[list[Any]] = [[f"{iou:.2f}", "-", *rates] for iou, rates in zip(IOU_THRESHOLDS, by_iou, strict=True)]
    if best.score is not None:
        above = matches.outcomes[0, :1, found.scores >= best.score].T
        rows.append(["0.50", f"{best.score:.3f}", *rates_at(above, int(matches.objects[0].sum()))[0]])
    return Table("operating-points", "Operating points", columns, rows)


def sizes_table(matches: Matches) -> Table:
    """P, R and F1 at IoU 0.5 by COCO's sizes; predictions without a match are of their own size."""
    rows: list[list[Any]] = []
    for name, outcomes, objects in zip(AREAS_PX2, matches.outcomes, matches.objects, strict=True):
        rows.append([name, *rates_at(outcomes[:1], int(objects.sum()))[0]])
    note = "Borders at 32 x 32 and 96 x 96 px."
    return Table("sizes", "By size, IoU 0.5", ["size", "precision", "recall", "F1", "TP", "FP", "FN"], rows, note=note)


def plots_of(found: Predictions, outcomes: NDArray[np.uint8], objects: int) -> list[Plot]:
    """P, R and F1 by the lowest score that counts; none where all scores are equal."""
    points, true, false = cumulative(found.scores, outcomes)
    if len(points) < 2 or not objects:
        return []
    at = np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))[::-1]
    points, true, false = points[at], true[at], false[at]
    values = {
        "precision": true / np.maximum(true + false, 1),
        "recall": true / objects,
        "F1": 2 * true / (true + false + objects),
    }
    lines = [Line(label, points.tolist(), value.round(6).tolist()) for label, value in values.items()]
    return [Plot("f1-by-score", "Precision, recall and F1 by threshold", "score at least", "at IoU 0.5", lines)]
