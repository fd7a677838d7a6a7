"""Rows of referring expressions: what was asked, the true boxes (one, several or none), and whether a row is one."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from groundswift.box_checks import box_problem
from groundswift.coco_file import BOX_LENGTH
from groundswift.records import BOX, IMAGE, REF, count_tags, read_jsonl

from .swift_results import Problem, ResultRow, own_limits, size_missing

CHECKED = 50  # rows of a result that are read before it is scored
AROUND_BOXES = " ,;[]\n\t"  # what an answer of boxes alone may hold besides them
SPLITS = {name.lower(): name for name in ("train", "val", "validation", "test", "testA", "testB", "testC")}
BBOX_TYPES = ("real", "norm1")  # swift reads any other as real
Key = tuple[str, str]


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
    split: Any = None

    def asked(self) -> str:
        """All that the user said."""
        return "\n".join(str(turn.content) for turn in self.messages if turn.role == "user")

    def image(self) -> str:
        """The path of the first image as the row has it; "" where it has none."""
        first = self.images[0] if isinstance(self.images, list) and self.images else self.images
        first = first.get("path") if isinstance(first, dict) else first
        return first if isinstance(first, str) else ""

    def image_key(self) -> str:
        """What rows of the same image have in common: its path, else what `images` holds, else the row's own id."""
        return self.image() or str(self.images or self.sample_id)

    def key(self) -> Key:
        """Identifies the question; rows of the same question have equal keys. Ids are compared as text."""
        return (str(self.sample_id) if self.sample_id is not None else str(self.images)), self.question()

    def question(self) -> str:
        """The question in words: labels in their places, no placeholder of the image."""
        refs = self.objects.get("ref") if isinstance(self.objects, dict) else None
        text = self.asked()
        for ref in refs if isinstance(refs, list) and REF in text else []:
            text = text.replace(REF, str(ref), 1)
        return text.replace(IMAGE, "").strip()

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


class AskedQuestion(NamedTuple):
    """One question: its key, the size of its image in px, and its targets in original px; [] where there is nothing to find.

    A target is a box (xyxy) or, of pointing, a point (x, y).
    """

    key: Key
    size_wh: tuple[int, int]
    targets: list[list[float]]
    text: str = ""
    image: str = ""
    image_key: str = ""
    split: str = ""

    @property
    def name(self) -> str:
        """What errors and counts call it."""
        return f"sample {self.key[0]}"

    def truth(self) -> tuple[Any, ...]:
        """What the numbers depend on."""
        return self.key, self.size_wh, self.targets


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


def split_of(row: ReferringRow, file_name: str) -> str:
    """The split of a row: its `split`, or its sample_id up to the word (refcoco/unc/testA), or the word in the name of its file; or ""."""
    if isinstance(row.split, str) and row.split.strip():
        return row.split.strip()
    parts = row.sample_id.split("/") if isinstance(row.sample_id, str) else []
    for number, part in enumerate(parts[:-1], 1):
        if part.lower() in SPLITS:
            return "/".join([*parts[: number - 1], SPLITS[part.lower()]])
    words = [SPLITS[word] for word in re.split("[^a-z]+", Path(file_name).stem.lower()) if word in SPLITS]
    return words[-1] if words else ""


def image_problem(row: ReferringRow, resized: bool) -> Problem | None:
    """Why the boxes of a row cannot be placed. `resized`: answers are in pixels of the resized image."""
    if problem := size_missing(row.size_wh):
        return problem
    if resized and (problem := own_limits(row.chat_template_kwargs)):
        return problem
    if isinstance(row.images, list) and len(row.images) > 1:
        return Problem("images-several", f"the row has {len(row.images)} images", "one image per row")
    bbox_type = (row.objects.get("bbox_type") if isinstance(row.objects, dict) else None) or "real"
    if bbox_type not in BBOX_TYPES:
        return Problem("bbox-type-unknown", f"objects.bbox_type is {str(bbox_type)[:200]!r}", "real (pixels) or norm1 (0 to 1)")
    return None


def box_px(box: Any, row: ReferringRow) -> list[float] | Problem:
    """A true box of a row, xyxy in px of the upright image, or what is wrong with it."""
    numbers = box if isinstance(box, list) and all(isinstance(number, int | float) for number in box) else []
    if row.objects.get("bbox_type") == "norm1" and len(numbers) == 4:
        numbers = (np.array(numbers, dtype=np.float64) * [*row.size_wh, *row.size_wh]).tolist()
    problem = box_problem(numbers, row.size_wh) if len(numbers) == 4 else BOX_LENGTH
    if problem is not None:
        return Problem(problem.id, f"ground-truth box {str(box)[:200]}: {problem.id}", "x1, y1, x2, y2 in pixels of the image")
    return numbers


def question_about(row: ReferringRow, targets: list[list[float]], file_name: str) -> AskedQuestion:
    """The question of a row with its targets."""
    return AskedQuestion(row.key(), row.size_wh, targets, row.question(), row.image(), row.image_key(), split_of(row, file_name))


def referred(row: ReferringRow, resized: bool = False, file_name: str = "") -> AskedQuestion | Problem:
    """The question of a row, or why it cannot be scored. `resized`: answers are in pixels of the resized image."""
    if problem := image_problem(row, resized):
        return problem
    boxes = [box_px(box, row) for box in row.boxes()]
    if problem := next((box for box in boxes if isinstance(box, Problem)), None):
        return problem
    if not boxes and not _says_nothing(row):
        expected = "one box or several; or the answer None where there is nothing to find"
        return Problem("true-box-missing", "the answer of the row has 0 boxes", expected)
    refs = row.objects.get("ref") if len(boxes) > 1 else None
    if isinstance(refs, list) and len(labels := set(map(str, refs[count_tags([row.asked()]).refs :]))) > 1:
        shown = ", ".join(map(repr, sorted(labels)[:3]))
        return Problem("true-labels-several", f"the answer of the row has several labels ({shown})", "one; eval coco-map scores detection")
    return question_about(row, boxes, file_name)


def _says_nothing(row: ReferringRow) -> bool:
    """Whether the row's true answer says that there is nothing to find."""
    from groundswift.placeholders import is_empty_answer  # its regular expressions take 2 ms to compile

    return is_empty_answer(row.true_answer() or "", 0)
