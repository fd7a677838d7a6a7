"""Pointing: whether the points of an answer are in the boxes and masks that were asked for, and how far they are from their centres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import as_boxes
from groundswift.errors import error_at

from ..answers.cli_options import FILE, check_there
from ..answers.point_rows import Mask, centres, on_masks, pointed, read_masks
from ..answers.protocol import Rules
from ..answers.referring_results import Asked, Response, read_texts
from ..answers.referring_rows import AskedQuestion
from ..answers.to_points import PointAnswers, points_of_answers
from ..artifacts import sha256_of
from ..evaluated_run import FN, FP, TP, ImageResult, Number
from ..metric import Evaluation
from ..row_metric import RowMetric, answer_counts, drawn, given, mean, shortened, yes
from ..several_boxes import SEVERAL, Several, fit_of_hits
from .one_answer import OneTruth

MARK = 0.005  # half the side of the square that shows a point in the report, over the diagonal of the image
RULES = {
    "first": "the first point of an answer counts",
    "any": "the point of an answer that fits best counts, which only the ground truth knows",
    "all": "every point of an answer must be right; its distance is that of the farthest",
    "hungarian": "an answer is right if it has one point and that is right; its distance is that of the farthest",
}
BOXES = {"skip": "a box is not a point: dropped and counted", "centre": "a box counts as the point at its centre"}
PROTOCOL = {
    "in_box": "right where the point is in the true box, its borders included",
    "in_mask": "right where the pixel of the point is in the mask of the annotation with the same box (IoU 0.9 or more)",
    "distance": "from the centre of the true box, or from the true point, over the diagonal of the image; of answers with a point",
    "several_true": "several true boxes: right if each point is in a box of its own and none is over on either side",
    "no_true_box": "nothing to point at: right if the answer is readable and says that there is none",
    "parse_failure": "wrong, no distance",
    "missing_answer": "wrong, no distance",
    "labels": "ignored",
}


def point_in_box(text: str, truth: OneTruth, rules: Rules, truncated: bool = False) -> float:
    """1 where the first point of an answer is in a true box, or where there is none and the answer says so; else 0.

    A box is not a point. Labels are ignored.
    """
    found = points_of_answers([Response(text, truncated)], [truth.size_wh], rules, ["answer"])
    if not len(truth.boxes_xyxy_px):
        return float(found.statuses[0] == "empty")
    return float(in_boxes(found.points_xy_px[0][:1], truth.boxes_xyxy_px).any())


class Pointing(RowMetric):
    """Accuracy of points in boxes and masks, and their distance from the centre, of RESULT, where each row asks to point at something.

    The targets are the row's own boxes or points, in `objects.bbox`; a row whose answer is None has none. --masks adds the masks of a
    COCO file, joined by the name of the image and the box. Answers of boxes count only with --boxes centre.

    \b
    Example:
      groundswift eval pointing result.jsonl --rows test.jsonl --masks instances.json --out scored/
    """

    name, title = "pointing", "Pointing"
    numbers = (
        Number("in_box", "point in box", headline=True),
        Number("in_mask", "point in mask", headline=True),
        Number("distance", "distance", higher_is_better=False, headline=True),
        Number("f1_points", "F1 of points"),
        Number("acc_none", "accuracy where none"),
    )
    comparable_terms = {**RowMetric.comparable_terms, "several_points": None, "boxes": None, "masks_sha256": "none"}
    question_of = staticmethod(pointed)
    nothing_to_score = "no row has a box or point to score"
    rewards = {"point_in_box": point_in_box}
    options = (
        click.option("--masks", type=FILE, help="COCO annotations with segmentation, for in_mask."),
        click.option(
            "--boxes",
            type=click.Choice(list(BOXES)),
            default="skip",
            show_default=True,
            help="Boxes of answers: not points, or points at their centres.",
        ),
        click.option(
            "--several",
            type=click.Choice(SEVERAL),
            default="first",
            show_default=True,
            help="Which point counts of an answer that has several to a question of one: the first; any that fits; all must fit; or "
            "hungarian: one only, as where several are true.",
        ),
    )

    @property
    def several(self) -> Several:
        """How an answer of several points is compared with one target."""
        return self.options.get("several", "first")

    @property
    def masks(self) -> Path | None:
        """The file of masks."""
        return self.options.get("masks")

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        found = super().source(result)
        check_there(self.masks, "COCO annotations with segmentation")
        return found

    def read_answers(self, source: Path, truth: Asked, rules: Rules) -> PointAnswers:
        questions = truth.questions.values()
        responses = read_texts(truth, source, self.asks_itself, self.options["on_error"])
        sizes, names = [each.size_wh for each in questions], [each.name for each in questions]
        found = points_of_answers(responses, sizes, rules, names, self.options["boxes"])
        found.counts.rows = truth.dropped
        return found

    def score(self, answers: PointAnswers, truth: Asked) -> Evaluation:
        questions = list(truth.questions.values())
        masks = self.masks_of(questions)
        columns = columns_of(questions, answers, masks, self.several)
        boxes = self.options.get("boxes", "skip")
        terms = {"several_points": RULES[self.several], "boxes": BOXES[boxes]}
        terms |= {"masks": self.masks.name, "masks_sha256": sha256_of(self.masks)} if self.masks else {}
        return self.evaluation(
            columns,
            truth,
            {**PROTOCOL, **terms},
            {**counts_of(questions, answers, masks, columns), **answer_counts(truth, answers.counts)},
            per_sample=[sample_result(number, question, answers, columns) for number, question in enumerate(questions)],
        )

    def masks_of(self, questions: Sequence[AskedQuestion]) -> list[list[Mask] | None]:
        """The masks of each question's targets, None without. Raises GroundswiftError where a file of masks has none for any."""
        if self.masks is None:
            return [None] * len(questions)
        found = list(map(read_masks(self.masks).of, questions))
        if all(each is None for each in found):
            raise error_at(self.masks, "no question has a mask in it", "images of the same file name with annotations of the same boxes")
        return found

    def score_rows(self, texts: Sequence[str], rows: Sequence[Any], rules: Rules) -> Evaluation:
        names = [f"row {number}" for number in range(len(rows))]
        answers = points_of_answers([Response(text) for text in given(texts)], [row.size_wh for row in rows], rules, names)
        questions = [AskedQuestion((name, ""), row.size_wh, list(row.boxes_xyxy_px)) for name, row in zip(names, rows, strict=True)]
        columns = columns_of(questions, answers, [None] * len(rows), self.several)
        return Evaluation({key: mean(values) for key, values in columns.items()})

    def protocol_lines(self, protocol: dict[str, Any]) -> list[str]:
        return [*super().protocol_lines(protocol), f"{'':10}{protocol['several_points']}; {protocol['boxes']}"]

    def count_lines(self, answers: PointAnswers, truth: Asked, evaluation: Evaluation) -> list[str]:
        counts = evaluation.counts
        return [
            f"samples: {counts['samples']}, {counts['right']} right; answers: {answers.counts.status_line()}",
            f"         {counts['without_point']} without a point, {counts['with_several_points']} with several",
            *([f"         {counts['with_mask']} with a mask"] if self.masks else []),
            *answers.counts.lines(),
        ]


def columns_of(
    questions: Sequence[AskedQuestion], answers: PointAnswers, masks: Sequence[list[Mask] | None], several: Several
) -> dict[str, list[float | None]]:
    """Each number of each question; None where it is undefined."""
    columns: dict[str, list[float | None]] = {key.key: [] for key in Pointing.numbers}
    for question, points, status, of_question in zip(questions, answers.points_xy_px, answers.statuses, masks, strict=True):
        says_none = status == "empty"
        boxed = all(len(target) == 4 for target in question.targets)
        in_box = fit_of_hits(in_boxes(points, question.targets), several, says_none) if boxed else (None, None)
        in_mask = fit_of_hits(on_masks(points, of_question), several, says_none) if of_question else (None, None)
        columns["in_box"].append(None if in_box[0] is None else float(in_box[0]))
        columns["in_mask"].append(None if in_mask[0] is None else float(in_mask[0]))
        columns["distance"].append(distance(points, question, several))
        columns["f1_points"].append(in_box[1] if in_mask[1] is None else in_mask[1])
        columns["acc_none"].append(None if question.targets else float(says_none))
    return columns


def in_boxes(points_xy_px: NDArray[np.float64], boxes_xyxy_px: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """(n, m) whether a point is in a box or on its border."""
    boxes, points = as_boxes(boxes_xyxy_px), points_xy_px[:, None]
    return ((points >= boxes[:, :2]) & (points <= boxes[:, 2:])).all(axis=2)


def distance(points_xy_px: NDArray[np.float64], question: AskedQuestion, several: Several) -> float | None:
    """The distance of the point that counts from the only target, over the diagonal of the image; None without a point or of a set."""
    if len(question.targets) != 1 or not len(points_xy_px):
        return None
    lengths = [math.dist(point, centres(question)[0]) for point in points_xy_px.tolist()]
    chosen = lengths[0] if several == "first" else min(lengths) if several == "any" else max(lengths)
    return chosen / math.hypot(*question.size_wh)


def counts_of(
    questions: Sequence[AskedQuestion],
    answers: PointAnswers,
    masks: Sequence[list[Mask] | None],
    columns: dict[str, list[float | None]],
) -> dict[str, int]:
    """How many questions and answers there are of each kind."""
    lengths, wanted = [len(points) for points in answers.points_xy_px], [len(question.targets) for question in questions]
    return {
        "samples": len(questions),
        "right": sum(value == 1 for value in columns["in_box"]),
        "without_point": lengths.count(0),
        "with_several_points": sum(length > 1 for length in lengths),
        "sets": sum(count > 1 for count in wanted),
        "none": wanted.count(0),
        "with_mask": sum(each is not None for each in masks),
    }


def sample_result(number: int, question: AskedQuestion, answers: PointAnswers, columns: dict[str, list[float | None]]) -> ImageResult:
    """One question for the report; a point is a square of 1 % of the diagonal, TP in any true box."""
    points, half = answers.points_xy_px[number], MARK * math.hypot(*question.size_wh)
    square = partial(np.add, [-half, -half, half, half])
    truth = as_boxes([target if len(target) == 4 else square([*target, *target]).tolist() for target in question.targets])
    hits = in_boxes(points, truth)
    predicted = as_boxes(square(np.concatenate([points, points], axis=1)))
    values = {title: columns[key][number] for title, key in (("in mask", "in_mask"), ("distance", "distance"))}
    in_box = columns["in_box"][number]
    return ImageResult(
        number,
        question.image,
        question.size_wh,
        answers.statuses[number],
        drawn([""] * len(truth), truth, np.where(hits.any(axis=0), TP, FN).tolist()),
        drawn(answers.labels[number], predicted, np.where(hits.any(axis=1), TP, FP).tolist()),
        columns["f1_points"][number],
        shortened(answers.texts[number]),
        question.key[0],
        shortened(question.text),
        values={"in box": None if in_box is None else yes(in_box == 1), **values, "split": question.split or None},
    )
