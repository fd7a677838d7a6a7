"""Answers in text -> boxes in original pixels, one class each, without duplicates; and the counts of what was dropped."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswift.answers import Located, as_truncated
from groundswift.boxes import Boxes, as_boxes, exact_repeats, xywh_to_xyxy, xyxy_to_xywh
from groundswift.errors import error_at
from groundswift.grammars.registry import grammar_of
from groundswift.spaces import space_row

from ..ground_truth import Truth
from .confidence import span_scores
from .counts import Counts
from .label_matching import LabelIndex
from .placement import count_boxes, place_boxes
from .protocol import Rules
from .space_check import BoxSample, Explanation, explain_mismatch, mismatch_warnings

SHOWN_LABELS = 10
WORSE = ("empty", "ok", "truncated", "unreadable")  # statuses, from good to bad
Tokens = tuple[Sequence[str], Sequence[float]]  # what was generated, and the log-probability of each


@dataclass(frozen=True)
class Predictions:
    """Boxes as columns, in the order of image ids and then of the answer: with equal scores that order decides, as in pycocotools."""

    image_index: NDArray[np.int64]
    category_index: NDArray[np.int64]
    boxes_xywh_px: Boxes
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Boxes, and for each image of the ground truth its status (`missing` without an answer) and text.

    `mismatch`: another space than the declared one, if it would explain why boxes of the right class do not overlap their objects.
    """

    predictions: Predictions
    statuses: list[str]
    texts: list[str]
    counts: Counts
    labels: LabelIndex
    mismatch: Explanation | None = None

    def counts_document(self) -> dict[str, Any]:
        """The part of `counts` in `metrics.json` that is about answers."""
        return self.counts.document()

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """Warnings for `metrics.json`: `id`, `message` and what else they count."""
        missing = self.statuses.count("missing")
        message = (
            f"{missing} of {len(self.statuses)} images of the ground truth have no row in the result; their objects are FN. "
            "Score a part of a dataset by its own ground truth, as `groundswift split --gt` writes it."
        )
        partial = [{"id": "images-without-row", "message": message}] if missing else []
        return partial + mismatch_warnings(self.mismatch)

    def lines(self) -> list[str]:
        """What was read and dropped, for the terminal."""
        counts, unknown = self.counts, self.counts.unknown_labels
        lines = [f"rows: {counts.read}; images: {counts.status_line()}", f"predictions: {len(self.predictions.scores)}", *counts.lines()]
        if unknown:
            named = [f"{label!r} {number}" for label, number in unknown.most_common(SHOWN_LABELS)]
            more = len(unknown) - len(named)
            lines.append(f"unknown labels: {', '.join(named)}" + (f" and {more} more" if more else ""))
        hints = [(label, self.labels.would_match(label)) for label, _ in unknown.most_common()]
        close = [f"{label!r} for {name!r}" for label, name in hints if name is not None]
        if close:
            shown = ", ".join(close[:3])
            lines.append(f"{len(close)} unknown labels differ from a class in case only ({shown}). Use --label-match casefold.")
        return lines


class AnswerReader:
    """Collects answers, one or several per image, and makes predictions of all boxes at once."""

    def __init__(self, truth: Truth, rules: Rules) -> None:
        self.truth, self.rules, self.counts = truth, rules, Counts()
        self.labels = LabelIndex(truth.category_names, rules.label_match)
        self.statuses = ["missing"] * len(truth.image_ids)
        self.texts = [""] * len(truth.image_ids)
        self._parse = grammar_of(rules.family).parse
        self._limit = space_row(rules.space_name).largest
        self._image_index, self._category_index = array("q"), array("q")
        self._boxes, self._scores = array("d"), array("d")

    def add(self, image_index: int, text: str, tokens: Tokens | None = None, truncated: bool = False) -> None:
        """Parse an answer to one image; of several the worst status counts. `tokens` are used where the rules score by log-probability.

        `truncated`: generation is known to have stopped at its token limit.
        """
        answer = self._parse(text, self._limit)
        if truncated:
            answer = as_truncated(answer)
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
                self.counts.changed.add("tokens-differ", self._image(image_index))
        else:
            self._scores.extend([1.0] * len(kept))

    def _unusual(self, located: Located, image_index: int) -> int | None:
        """The class of a box whose label is not literally one; None, counted, for what cannot be a prediction."""
        if located.box is None:
            self.counts.dropped.add("point", self._image(image_index))
        elif not located.label:
            self.counts.dropped.add("label-missing", self._image(image_index))
        else:
            category = self.labels.find(located.label)
            if category is not None:
                return category
            self.counts.unknown_labels[located.label] += 1
            self.counts.dropped.add("label-unknown", repr(located.label))
        return None

    def _image(self, image_index: int) -> str:
        return f"image {self.truth.image_ids[image_index]}"

    def answers(self) -> Answers:
        """Place, clip, drop and order all boxes that were taken in."""
        self.counts.statuses = Counter(self.statuses)
        images = np.array(self._image_index, dtype=np.int64)
        written = as_boxes(np.array(self._boxes).reshape(-1, 4))
        placed = place_boxes(written, images, self.truth.sizes_wh, self.rules, self._image)
        boxes, has_area = placed.boxes_xyxy_px, placed.has_area
        categories = np.array(self._category_index, dtype=np.int64)
        count_boxes(self.counts.changed, "box-clipped", images, placed.clipped, self._image)
        count_boxes(self.counts.dropped, "box-empty", images, ~has_area, self._image)
        repeated = has_area & exact_repeats((images, categories), boxes)
        count_boxes(self.counts.dropped, "box-duplicate", images, repeated, self._image)
        kept = np.flatnonzero(has_area & ~repeated)
        kept = kept[np.argsort(images[kept], kind="stable")]
        scores = np.array(self._scores)[kept]
        predictions = Predictions(images[kept], categories[kept], xyxy_to_xywh(boxes[kept]), scores)
        mismatch = explained_by_space(
            BoxSample(written, placed.unclipped_xyxy_px, self.truth.sizes_wh[images], images), categories, self.truth
        )
        return Answers(predictions, self.statuses, self.texts, self.counts, self.labels, mismatch)


def explained_by_space(found: BoxSample, category_index: NDArray[np.int64], truth: Truth) -> Explanation | None:
    """`explain_mismatch` of boxes whose groups are images, within the classes; crowds are not compared."""
    classes, objects = max(len(truth.category_ids), 1), ~truth.is_crowd
    groups = found.groups * classes + category_index
    true_groups = truth.image_index * classes + truth.category_index
    return explain_mismatch(found._replace(groups=groups), xywh_to_xyxy(truth.boxes_xywh_px)[objects], true_groups[objects])


def predictions_from_answers(answers: Iterable[tuple[int, tuple[int, int], str]], truth: Truth, rules: Rules) -> Answers:
    """Answers in memory as (image id, size_wh, text), one per image and in any order.

    Raises GroundswiftError for an unknown or duplicate id, or a size that differs from the ground truth.
    """
    reader = AnswerReader(truth, rules)
    index_of = {image_id: index for index, image_id in enumerate(truth.image_ids)}
    for image_id, size_wh, text in answers:
        index = index_of.get(image_id)
        if index is None:
            raise error_at(f"image {image_id!r}", "not in the ground truth")
        if reader.statuses[index] != "missing":
            raise error_at(f"image {image_id!r}", "two answers", "one")
        if tuple(size_wh) != tuple(truth.sizes_wh[index].tolist()):
            raise error_at(f"image {image_id!r}", size_problem(size_wh, truth.sizes_wh[index].tolist()))
        reader.counts.read += 1
        reader.add(index, text)
    return reader.answers()


def size_problem(size_wh: Sequence[int], truth_wh: Sequence[int]) -> str:
    """The message for an image whose size is not the truth's."""
    return (
        f"is {size_wh[0]}x{size_wh[1]} px in the result and {truth_wh[0]}x{truth_wh[1]} in the ground truth; "
        "is this the ground truth of another file, or of images without their EXIF rotation?"
    )
