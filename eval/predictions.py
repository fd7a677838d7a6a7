"""Answers in text -> boxes in original pixels, one class each, without doubles; and the counts of all that was left out on the way."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, area, as_boxes, clipped, xyxy_to_xywh
from groundswift.errors import GroundswiftError, Tally, fault
from groundswift.family import family_row
from groundswift.grammars import GRAMMARS
from groundswift.located import Located
from groundswift.placing import resized_wh, to_original_px
from groundswift.resizing import Limits
from groundswift.spaces import quantum, space_row

from .labels import LabelIndex, LabelMatch
from .scores import span_scores
from .truth import Truth

ROUNDING = 1 + 1e-9  # a move of one written unit, less what float64 makes of it, is the family's own rounding
WORSE = ("empty", "ok", "truncated", "unreadable")  # statuses, from good to bad
ScorePolicy = Literal["constant", "logprob"]
Tokens = tuple[Sequence[str], Sequence[float]]  # what was generated, and the log-probability of each


@dataclass(frozen=True)
class Rules:
    """How answers are read. The space is the family's unless `space` names another; it is never guessed.

    `limits` bounded the model's input, each None for the family's own; they must be given where boxes are written in pixels of the
    resized image. `space_declared_by`, `limits_declared_by`: who says so, for the protocol.
    Raises GroundswiftError for a name that there is not, and where limits miss.
    """

    family: str
    space: str | None = None
    limits: Limits | None = None
    label_match: LabelMatch = "exact"
    score: ScorePolicy = "constant"
    space_declared_by: str = "family"
    limits_declared_by: str = "the caller"

    def __post_init__(self) -> None:
        factor = family_row(self.family).resize_factor
        resized = space_row(self.space_name).side == "resized"
        if resized and factor is None:
            raise GroundswiftError(
                f"how family {self.family} resizes an image is not in the table of families, so the space resized_px cannot be taken "
                "back to pixels"
            )
        if resized and self.limits is None:
            raise GroundswiftError(
                f"family {self.family} writes boxes in pixels of the resized image, and how it was resized is not known: no record of the "
                "run lies beside the result, so give --min-pixels and --max-pixels as the run had MIN_PIXELS and MAX_PIXELS in its "
                f"environment (a limit in tokens is that many times {factor} x {factor} px), or the word `default` for each not set; and "
                "--first-max-pixels where swift was given its own --max_pixels, which is another, first resize"
            )

    @property
    def space_name(self) -> str:
        """The space of the boxes: the one that was named, or the family's own."""
        return self.space or family_row(self.family).space

    def fed_wh(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Size (width, height) in px of what the model was fed, by the limits of the run."""
        limits = self.limits or Limits()
        return resized_wh(size_wh, self.family, limits.min_pixels, limits.max_pixels, limits.first_max_pixels)


@dataclass(frozen=True)
class Predictions:
    """Boxes as columns, in the order of image ids and then of the answer: with equal scores that order decides, as in pycocotools."""

    image_index: NDArray[np.int64]
    category_index: NDArray[np.int64]
    boxes_xywh_px: Boxes
    scores: NDArray[np.float64]


@dataclass
class Counts:
    """What was met while reading. `rows` left out and boxes `dropped` or `changed` go by reason; so do the oddities of the texts."""

    read: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    rows: Tally = field(default_factory=Tally)
    dropped: Tally = field(default_factory=Tally)
    changed: Tally = field(default_factory=Tally)
    unknown_labels: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Answers:
    """All that was read: boxes, and for each image of the truth its status (`missing` where there is no answer) and text."""

    predictions: Predictions
    statuses: list[str]
    texts: list[str]
    counts: Counts
    labels: LabelIndex


class AnswerReader:
    """Takes in the answers, one or several an image, and turns all their boxes into predictions at the end, at once."""

    def __init__(self, truth: Truth, rules: Rules) -> None:
        self.truth, self.rules, self.counts = truth, rules, Counts()
        self.labels = LabelIndex(truth.category_names, rules.label_match)
        self.statuses = ["missing"] * len(truth.image_ids)
        self.texts = [""] * len(truth.image_ids)
        self._parse = GRAMMARS[family_row(rules.family).grammar].parse
        self._limit = space_row(rules.space_name).largest
        self._image_index, self._category_index = array("q"), array("q")
        self._boxes, self._scores = array("d"), array("d")

    def add(self, image_index: int, text: str, tokens: Tokens | None = None) -> None:
        """Parse an answer to one image; of several the worst status stands. `tokens` are used where the rules score by log-probability."""
        answer = self._parse(text, self._limit)
        if self.statuses[image_index] == "missing":
            self.statuses[image_index], self.texts[image_index] = answer.status, text
        else:
            self.statuses[image_index] = max(self.statuses[image_index], answer.status, key=WORSE.index)
            self.texts[image_index] += f"\n{text}"
        if answer.reasons:
            self.counts.reasons.update(answer.reasons)
        category_of, boxes, kept = self.labels.index, self._boxes, []
        for located in answer.objects:
            category = category_of.get(located.label)
            if category is None or located.box is None:
                category = self._unusual(located, image_index)
                if category is None:
                    continue
            boxes.extend(located.box)
            self._category_index.append(category)
            kept.append(located)
        self._image_index.extend([image_index] * len(kept))
        if tokens is not None and self.rules.score == "logprob":
            scores, aligned = span_scores(*tokens, text, [located.span or (0, len(text)) for located in kept])
            self._scores.extend(scores)
            if not aligned:
                self.counts.changed.add("answers scored as a whole: tokens and text differ", self._image(image_index))
        else:
            self._scores.extend([1.0] * len(kept))

    def _unusual(self, located: Located, image_index: int) -> int | None:
        """The class of a box whose label is not literally one; None, counted, for what cannot be a prediction."""
        if located.box is None:
            self.counts.dropped.add("points", self._image(image_index))
        elif not located.label:
            self.counts.dropped.add("boxes without a label", self._image(image_index))
        else:
            category = self.labels.find(located.label)
            if category is not None:
                return category
            self.counts.unknown_labels[located.label] += 1
            self.counts.dropped.add("boxes with an unknown label", repr(located.label))
        return None

    def _image(self, image_index: int) -> str:
        return f"image {self.truth.image_ids[image_index]}"

    def answers(self) -> Answers:
        """Place, clip, drop and order all boxes that were taken in."""
        self.counts.statuses = Counter(self.statuses)
        images = np.array(self._image_index, dtype=np.int64)
        sizes = self.truth.sizes_wh[images]
        resized = self._resized(images) if self.rules.space_name == "resized_px" else None
        written = as_boxes(np.array(self._boxes).reshape(-1, 4))
        placed = to_original_px(written, self.rules.family, sizes, resized, self.rules.space)
        boxes = clipped(placed, sizes)
        step = quantum(space_row(self.rules.space_name), sizes, resized)
        moved = (np.abs(boxes - placed) > np.concatenate([step, step], axis=-1) * ROUNDING).any(axis=1)
        categories = np.array(self._category_index, dtype=np.int64)
        has_area = area(boxes) > 0
        self._count(self.counts.changed, "boxes cut at the border of their image", images, moved & has_area)
        self._count(self.counts.dropped, "boxes without area in their image", images, ~has_area)
        doubled = has_area & doubles(images, categories, boxes)
        self._count(self.counts.dropped, "exact duplicates", images, doubled)
        kept = np.flatnonzero(has_area & ~doubled)
        kept = kept[np.argsort(images[kept], kind="stable")]
        scores = np.array(self._scores)[kept]
        predictions = Predictions(images[kept], categories[kept], xyxy_to_xywh(boxes[kept]), scores)
        return Answers(predictions, self.statuses, self.texts, self.counts, self.labels)

    def _count(self, tally: Tally, reason: str, images: NDArray[np.int64], mask: NDArray[np.bool_]) -> None:
        where = images[mask]
        for image_index in where[: Tally.EXAMPLES]:
            tally.add(reason, self._image(int(image_index)))
        if len(where) > Tally.EXAMPLES:
            tally.add(reason, count=len(where) - Tally.EXAMPLES)

    def _resized(self, images: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the model was fed for each box's image, (N, 2) width and height in px."""
        fed = np.zeros((len(self.truth.image_ids), 2))
        known: dict[tuple[int, int], tuple[int, int]] = {}
        for index in np.unique(images).tolist():
            width, height = self.truth.sizes_wh[index].tolist()
            if (width, height) not in known:
                try:
                    known[width, height] = self.rules.fed_wh((width, height))
                except GroundswiftError as error:
                    raise fault(self._image(index), str(error)) from None
            fed[index] = known[width, height]
        return fed[images]


def doubles(images: NDArray[np.int64], categories: NDArray[np.int64], boxes: Boxes) -> NDArray[np.bool_]:
    """(N,) whether the same image, class and box stand further ahead already."""
    order = np.lexsort((*boxes.T, categories, images))
    same = (images[order][1:] == images[order][:-1]) & (categories[order][1:] == categories[order][:-1])
    same &= (boxes[order][1:] == boxes[order][:-1]).all(axis=1)
    repeated = np.zeros(len(images), dtype=bool)
    repeated[order[1:]] = same
    return repeated


def predictions_from_answers(answers: Iterable[tuple[int, tuple[int, int], str]], truth: Truth, rules: Rules) -> Answers:
    """Answers at hand, as (image id, size_wh, text), one an image and in any order.

    Raises GroundswiftError for an id that the truth does not have, one that comes twice, or a size that contradicts it.
    """
    reader = AnswerReader(truth, rules)
    index_of = {image_id: index for index, image_id in enumerate(truth.image_ids)}
    for image_id, size_wh, text in answers:
        index = index_of.get(image_id)
        if index is None:
            raise fault(f"image {image_id!r}", "is not in the truth")
        if reader.statuses[index] != "missing":
            raise fault(f"image {image_id!r}", "has two answers", "one")
        if tuple(size_wh) != tuple(truth.sizes_wh[index].tolist()):
            raise fault(f"image {image_id!r}", size_fault(size_wh, truth.sizes_wh[index].tolist()))
        reader.counts.read += 1
        reader.add(index, text)
    return reader.answers()


def size_fault(size_wh: Sequence[int], truth_wh: Sequence[int]) -> str:
    """The message for an image whose size is not the truth's."""
    return (
        f"is {size_wh[0]}x{size_wh[1]} px in the result and {truth_wh[0]}x{truth_wh[1]} in the truth; "
        "is this the truth of another file, or of pictures with their EXIF orientation not applied?"
    )
