"""Rows of referring expressions: what was asked, the one ground-truth box, and whether a row is one."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from groundswift.box_checks import box_problem
from groundswift.coco_file import BOX_LENGTH
from groundswift.records import BOX, count_tags, read_jsonl

from .swift_results import Problem, ResultRow, own_limits, size_missing

CHECKED = 50  # rows of a result that are read before it is scored
AROUND_BOXES = " ,;[]\n\t"  # what an answer of boxes alone may hold besides them
Key = tuple[int | str | None, str]


class Turn(msgspec.Struct, gc=False):
    """One turn of a conversation; text of another shape is kept as it is."""

    role: str = ""
    content: Any = None


class ReferringRow(ResultRow):
    """One line of rows or of a result. `labels` is the answer of the dataset, which swift keeps in a result."""

    labels: Any = None
    messages: list[Turn] = []
    images: Any = None
    objects: Any = None

    def asked(self) -> str:
        """All that the user said."""
        return "\n".join(str(turn.content) for turn in self.messages if turn.role == "user")

    def key(self) -> Key:
        """Identifies the question; rows of the same question have equal keys."""
        return (self.sample_id if self.sample_id is not None else str(self.images)), self.asked()

    def true_answer(self) -> str | None:
        """The answer of the dataset, placeholders included; None where the row does not have it."""
        if isinstance(self.labels, str):
            return self.labels
        said = [turn.content for turn in self.messages if turn.role == "assistant"]
        return said[-1] if self.response is None and said and isinstance(said[-1], str) else None

    def boxes(self) -> list[Any]:
        """The boxes of the answer: those of `objects` that the questions do not use."""
        found = self.objects.get("bbox") if isinstance(self.objects, dict) else None
        return found[count_tags([self.asked()]).boxes :] if isinstance(found, list) else []


class Referred(NamedTuple):
    """One question: its key, the size of its image in px, and its ground-truth box, xyxy in original px."""

    key: Key
    size_wh: tuple[int, int]
    box_xyxy_px: list[float]

    @property
    def name(self) -> str:
        """What errors and counts call it."""
        return f"sample {self.key[0]}"


def answers_bare(row: ReferringRow) -> bool:
    """Whether the answer of a row is boxes without labels."""
    if not row.boxes():
        return False
    answer = row.true_answer()
    if answer is not None and BOX in answer:
        return not answer.replace(BOX, "").strip(AROUND_BOXES)
    return not row.objects.get("ref")


def holds_bare_boxes(path: str | Path) -> bool:
    """Whether the first rows of a file that have boxes all have bare ones. Raises GroundswiftError where it cannot be read."""
    rows = [row for _, row in islice(read_jsonl(path, ReferringRow), CHECKED) if isinstance(row, ReferringRow) and row.boxes()]
    return bool(rows) and all(map(answers_bare, rows))


def referred(row: ReferringRow, resized: bool = False) -> Referred | Problem:
    """The question of a row, or why it cannot be scored. `resized`: answers are in pixels of the resized image."""
    size, boxes = row.size_wh, row.boxes()
    if problem := size_missing(size):
        return problem
    if len(boxes) != 1:
        reason = "true-boxes-several" if boxes else "true-box-missing"
        return Problem(reason, f"the answer of the row has {len(boxes)} boxes", "one ground-truth box per row")
    if resized and (problem := own_limits(row.chat_template_kwargs)):
        return problem
    if isinstance(row.images, list) and len(row.images) > 1:
        return Problem("images-several", f"the row has {len(row.images)} images", "one image per row")
    box = boxes[0] if isinstance(boxes[0], list) and all(isinstance(number, int | float) for number in boxes[0]) else []
    if row.objects.get("bbox_type") == "norm1" and len(box) == 4:
        box = (np.array(box, dtype=np.float64) * [*size, *size]).tolist()
    problem = box_problem(box, size) if len(box) == 4 else BOX_LENGTH
    if problem is not None:
        return Problem(problem.id, f"ground-truth box {boxes[0]}: {problem.id}", "x1, y1, x2, y2 in pixels of the image")
    return Referred(row.key(), size, box)
