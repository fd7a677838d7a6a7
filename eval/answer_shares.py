"""What share of the answers could be read, and of the questions about absent classes was answered with none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .answers.label_matching import LabelIndex
from .answers.to_boxes import Question
from .evaluated_run import Table
from .ground_truth import Truth

READABLE = ("ok", "empty")
STATUS_TEXTS = {
    "ok": "boxes, read to the end",
    "empty": "none, in the words of the family",
    "truncated": "stopped at the token limit",
    "unreadable": "no readable box",
}


def share(answers: Mapping[str, int], statuses: Sequence[str]) -> float | None:
    """The share of the answers with one of these statuses; None without answers."""
    every = sum(answers.values())
    return sum(answers.get(status, 0) for status in statuses) / every if every else None


def rejections(questions: Sequence[Question], truth: Truth, labels: LabelIndex | None) -> list[tuple[int, int, int]]:
    """(image, 1 where it was answered with none, 1) of each question about classes none of which is annotated in the image.

    Only an `empty` answer is a rejection: text that cannot be read is none. With federated ground truth only questions that name their
    classes count, all of which the image must state as absent.
    """
    classes = max(len(truth.category_ids), 1)
    present = set((truth.image_index * classes + truth.category_index).tolist())
    with_any = set(truth.image_index.tolist())
    index = labels or LabelIndex(truth.category_names)
    found = []
    for question in questions:
        if question.asked is None:
            absent = truth.federated is None and question.image_index not in with_any
        else:
            absent = _absent(question, truth, index, classes, present)
        if absent:
            found.append((question.image_index, int(question.status == "empty"), 1))
    return found


def _absent(question: Question, truth: Truth, labels: LabelIndex, classes: int, present: set[int]) -> bool:
    """Whether no class that was asked for is in the image; False where one is unknown."""
    numbers = [labels.find(name) for name in question.asked or ()]
    known = all(number is not None and question.image_index * classes + number not in present for number in numbers)
    if truth.federated is None:
        return known
    return known and set(numbers) <= set(truth.federated.negative[question.image_index])


def answers_table(answers: Mapping[str, int]) -> Table:
    """Answers by parse status, for the report."""
    rows: list[list[str | float | None]] = []
    for status, text in STATUS_TEXTS.items():
        rows.append([status, text, answers.get(status, 0), share(answers, [status])])
    return Table("answers", "Answers by parse status", ["status", "what", "answers", "share"], rows)
