"""Boxes of rows that ask where something is, scored within their classes at IoU 0.5; the truth is that of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from groundswift.errors import Tally
from groundswift.records import count_tags
from groundswift.spaces import space_row

from .answers.protocol import Rules
from .answers.referring_rows import Key, box_px, image_problem
from .answers.swift_results import BAD, NO_ANSWER, RESPONSE_MISSING, Problem, drop, usable_rows
from .answers.text_columns import TextRow
from .answers.to_boxes import Answers, reader_of
from .box_matching import IS_FP, IS_TP, outcomes
from .detection_rates import Rates, rates_of_classes
from .evaluated_run import ImageResult, Number, Table
from .ground_truth import OnError, Truth, truth_from_rows
from .image_results import results_of_outcomes
from .metric import Evaluation
from .text_metric import Column

NUMBERS = (
    Number("box_f1", "box F1 at IoU 0.5", headline=True),
    Number("box_precision", "box precision at IoU 0.5"),
    Number("box_recall", "box recall at IoU 0.5"),
)


@dataclass(frozen=True)
class Target:
    """What a row asks to locate. `size_wh`, and boxes xyxy, in px of the frame; `asked`: all classes that the question is about."""

    row: TextRow
    labels: list[str]
    boxes_xyxy_px: list[list[float]]
    asked: list[str]


@dataclass(frozen=True)
class Located:
    """Rows in the order of their keys with the outcomes of their boxes: of each row its TP, FP and FN; the rates of each class."""

    targets: list[Target]
    found: list[int]
    false: list[int]
    missed: list[int]
    by_class: dict[str, Rates]
    images: list[ImageResult]
    counts: dict[str, Any]
    warnings: list[dict[str, Any]]


def asks_for_boxes(row: Any) -> bool:
    """Whether a row has objects: none of them is an answer, too."""
    return isinstance(row.objects, dict)


def target_of(row: TextRow, resized: bool) -> Target | Problem | None:
    """What a row asks to locate, None where it asks for no box, or why it cannot be scored. Boxes are in its first image, the frame."""
    if not asks_for_boxes(row):
        return None
    of_images = row.objects.get("image_id") or []
    images = row.images if any(of_images) or not isinstance(row.images, list) else row.images[:1]
    row = msgspec.structs.replace(row, images=images)
    if problem := image_problem(row, resized):
        return problem
    boxes = [box_px(box, row) for box in row.boxes()]
    if problem := next((box for box in boxes if isinstance(box, BAD)), None):
        return problem
    refs = row.objects.get("ref")
    labels = list(map(str, refs[count_tags([row.asked()]).refs :])) if isinstance(refs, list) else []
    if len(labels) != len(boxes):
        return Problem("labels-missing", f"the answer of the row has {len(boxes)} boxes and {len(labels)} labels", "a label for each box")
    return Target(row, labels, boxes, row.asked_classes() or [])


def located(rows: Path, result: Path, rules: Rules, kind: type, on_error: OnError) -> Located | None:
    """The boxes of a result, scored; None where no row asks for one. A row without an answer finds nothing.

    Raises GroundswiftError at the first row that cannot be used; with `on_error` `skip` it is counted instead.
    """
    dropped, targets = Tally(), {}
    find = partial(target_of, resized=space_row(rules.space_name).side == "resized")
    for _, row, target in usable_rows(rows, kind, find, dropped, on_error):
        if target is not None:
            targets.setdefault(row.key(), target)
    if not targets:
        return None
    targets = {key: targets[key] for key in sorted(targets)}
    names = sorted({label for each in targets.values() for label in (*each.labels, *each.asked)})
    truth = truth_from_rows(
        [(number, each.row.size_wh, each.labels, each.boxes_xyxy_px) for number, each in enumerate(targets.values())], names
    )
    return scored(list(targets.values()), truth, answers_of(targets, truth, result, rules, kind, dropped, on_error))


def answers_of(
    targets: dict[Key, Target], truth: Truth, result: Path, rules: Rules, kind: type, dropped: Tally, on_error: OnError
) -> Answers:
    """The answers to all targets; the first one to a question counts."""
    reader, seen = reader_of(truth, rules), set()
    numbers = {key: number for number, key in enumerate(targets)}
    for line, row, _ in usable_rows(result, kind, lambda _: None, Tally(), "skip"):  # broken rows are counted where texts are read
        number, where = numbers.get(row.key()), f"{result}:{line}"
        if number is None:
            continue
        if row.error:
            dropped.add(NO_ANSWER, f"{where}: {row.error}")
        elif row.response is None:
            drop(RESPONSE_MISSING, where, dropped, on_error)
        elif number in seen:
            dropped.add("row-duplicate", where)
        else:
            seen.add(number)
            reader.counts.read += 1
            reader.add(number, row.response, None, row.was_truncated(), 0, row.asked_classes())
    reader.counts.rows = dropped
    return reader.answers(truth)


def scored(targets: list[Target], truth: Truth, answers: Answers) -> Located:
    """The outcomes of all boxes."""
    ((of_truth, of_predictions),) = outcomes(truth, answers.predictions)
    images = results_of_outcomes(truth, answers.predictions, of_truth, of_predictions, answers.statuses, answers.texts)
    for image, target in zip(images, targets, strict=True):
        image.file_name, image.sample_id, image.question = target.row.image(), target.row.sample_id, target.row.question()
    objects = np.bincount(truth.image_index, minlength=len(targets))
    found, false = (np.bincount(answers.predictions.image_index[of_predictions == code], minlength=len(targets)) for code in (IS_TP, IS_FP))
    rates = rates_of_classes(truth, answers.predictions, of_predictions[None], np.ones(len(truth.image_index), dtype=bool))
    by_class = {name: each for name, (each,) in zip(truth.category_names, rates, strict=True)}
    columns = (column.tolist() for column in (found, false, objects - found))
    return Located(targets, *columns, by_class, images, answers.counts_document(), [*answers.warnings])


def same_rows(targets: Sequence[Target]) -> list[str]:
    """What the rows of one image have in common, for intervals."""
    return [target.row.image_key() for target in targets]


def box_columns(boxes: Located) -> dict[str, Column]:
    """The numbers of boxes: sums over rows."""
    found, false, missed = ([float(value) for value in column] for column in (boxes.found, boxes.false, boxes.missed))
    said = [a + b for a, b in zip(found, false, strict=True)]
    wanted = [a + b for a, b in zip(found, missed, strict=True)]
    both = [a + b for a, b in zip(said, wanted, strict=True)]
    return {
        "box_f1": Column([2 * value for value in found], both),
        "box_precision": Column(found, said),
        "box_recall": Column(found, wanted),
    }


def add_boxes(evaluation: Evaluation, boxes: Located, stage_group: Callable[[Any], str], class_group: Callable[[str], str]) -> None:
    """Put the numbers of boxes, by stage and by class, and their images into an evaluation."""
    columns, units = box_columns(boxes), same_rows(boxes.targets)
    for key, column in columns.items():
        evaluation.summary[key] = column.number()
        if (found := column.interval(units)) is not None:
            evaluation.intervals[key] = found
    stages: dict[str, list[int]] = {}
    for place, target in enumerate(boxes.targets):
        if stage := stage_group(target.row):
            stages.setdefault(stage, []).append(place)
    rows = [[name, *(columns[key].number(chosen) for key in columns), len(chosen)] for name, chosen in sorted(stages.items())]
    rows += [[class_group(name), each.f1, each.precision, each.recall, each.found + each.missed] for name, each in boxes.by_class.items()]
    for name, f1, precision, recall, count in rows:
        group = evaluation.per_group.setdefault(name, {})
        group |= {"box_f1": f1, "box_precision": precision, "box_recall": recall, "rows" if name in stages else "boxes": count}
    heads = ["group", *(number.title for number in NUMBERS), "objects or rows"]
    evaluation.tables.append(Table("boxes", "Boxes", heads, rows))
    first = len(evaluation.per_sample)
    evaluation.per_sample.extend(renumbered(image, first + number) for number, image in enumerate(boxes.images))
    evaluation.counts["boxes"] = boxes.counts


def renumbered(image: ImageResult, number: int) -> ImageResult:
    """The result on a row under a number that no sample of text has."""
    image.image_id = number
    return image
