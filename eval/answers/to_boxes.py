"""Answers in text -> boxes in original pixels, by class or whatever their labels; and the counts of what was dropped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, area, as_boxes, exact_repeats, xyxy_to_xywh
from groundswift.errors import error_at

from ..evaluated_run import UNKNOWN_LABEL, DrawnBox
from ..ground_truth import Truth
from .answer_boxes import AnswerBoxes, BoxColumns, Parsed, Said
from .confidence import Tokens
from .counts import Counts
from .label_matching import LabelIndex
from .placement import Placed, count_boxes, place_boxes
from .protocol import Rules
from .space_check import BoxSample, Explanation, explained_by_space, mismatch_warnings

SHOWN_LABELS = 10
WORSE = ("empty", "ok", "truncated", "unreadable")  # statuses, from good to bad


@dataclass(frozen=True)
class Predictions:
    """Boxes as columns, in the order of image ids and then of the answer: with equal scores that order decides, as in pycocotools."""

    image_index: NDArray[np.int64]
    category_index: NDArray[np.int64]
    boxes_xywh_px: Boxes
    scores: NDArray[np.float64]


class Question(NamedTuple):
    """What one answer is to: its image, the classes that were asked for (None: all), and its parse status."""

    image_index: int
    asked: tuple[str, ...] | None
    status: str


@dataclass(frozen=True)
class Answers:
    """Boxes, and for each image of the ground truth its status (`missing` without an answer) and text.

    `copies`: the exact duplicates that are not in `predictions`. `questions`: one for each answer.
    `mismatch`: another space than the declared one, if it would explain why boxes of the right class do not overlap their objects.
    """

    predictions: Predictions
    statuses: list[str]
    texts: list[str]
    counts: Counts
    labels: LabelIndex | None = None
    copies: Predictions | None = None
    questions: Sequence[Question] = ()
    mismatch: Explanation | None = None
    unknown: dict[int, list[DrawnBox]] = field(default_factory=dict)  # by image id: boxes whose label is not a class, for the report

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


@dataclass(frozen=True)
class BareAnswers:
    """For each answer its boxes, (n, 4) xyxy in original pixels, their labels and scores (n,), its status (`missing`: no text) and text.

    `sample` has the same boxes as `space_check.explain_mismatch` takes them, one group per answer; `mismatch` is what it said of them.
    """

    boxes_xyxy_px: list[Boxes]
    labels: list[list[str]]
    statuses: list[str]
    counts: Counts
    sample: BoxSample
    mismatch: Explanation | None = None
    scores: list[NDArray[np.float64]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """Warnings for `metrics.json`."""
        return mismatch_warnings(self.mismatch)

    def predictions(self) -> Predictions:
        """The boxes with an area, as predictions of one class."""
        boxes = as_boxes(np.concatenate(self.boxes_xyxy_px))
        kept = area(boxes) > 0
        answers = self.sample.groups[kept]
        return Predictions(answers, np.zeros_like(answers), xyxy_to_xywh(boxes[kept]), np.ones(len(answers)))


class AnswerReader:
    """Collects answers, one or several for each image, and parses and places many at once.

    `sizes_wh` is (images, 2), `name` what errors and counts call an image; `label_ids` numbers the labels in order of appearance.
    """

    def __init__(self, sizes_wh: NDArray[np.int64], rules: Rules, name: Callable[[int], str]) -> None:
        self.rules, self.counts = rules, Counts()
        self.statuses = ["missing"] * len(sizes_wh)
        self.texts = [""] * len(sizes_wh)
        self._sizes_wh, self._name = sizes_wh, name
        self.questions: dict[str, int] = {}  # text -> its number, for answers that `add` was given with one
        self.asked: list[Question] = []
        self._boxes = AnswerBoxes(rules, self.counts, name)

    def add(
        self,
        image_index: int,
        text: str,
        tokens: Tokens | None = None,
        truncated: bool = False,
        question: int = 0,
        asked: Sequence[str] | None = None,
        parsed: Parsed | None = None,
        place: int = 0,
    ) -> None:
        """Add an answer to one image; of several the worst status counts. `tokens` are used where the rules score by log-probability.

        `truncated`: generation is known to have stopped at its token limit. `question`: its number in `questions`, whose texts order the
        answers to one image. `asked`: the classes that it asks for; where that is one, boxes without a label are of it. Points are dropped.
        `parsed`, `place`: the boxes of some answers, where they are known, and which of these it is.
        """
        said = Said(image_index, text, tokens, truncated, question, None if asked is None else tuple(asked), parsed, place)
        if self._boxes.is_apart(said):
            self.parse()
        self._boxes.add(said)
        if self._boxes.is_full():
            self.parse()

    def parse(self) -> None:
        """Parse the answers that were added since the last time."""
        for said, status in self._boxes.parse():
            image = said.image_index
            if self.statuses[image] == "missing":
                self.statuses[image], self.texts[image] = status, said.text
            else:
                self.statuses[image] = max(self.statuses[image], status, key=WORSE.index)
                self.texts[image] += f"\n{said.text}"
            self.asked.append(Question(image, said.asked, status))

    @property
    def label_ids(self) -> dict[str, int]:
        """Numbers of the labels that were read so far."""
        return self._boxes.label_ids

    def answers(self, truth: Truth) -> Answers:
        """The boxes whose label is a class of the truth, ordered by image, without duplicates and those that have no area in the image."""
        self.parse()
        columns = self._boxes.columns(self.questions)
        labels = LabelIndex(truth.category_names, self.rules.label_match, self.rules.synonyms)
        categories = self._categories(columns, labels)
        known = categories >= 0
        others = columns.chosen(np.flatnonzero(~known))
        if not known.all():
            columns, categories = columns.chosen(np.flatnonzero(known)), categories[known]
        sample, placed = self._placed(columns)
        images, boxes, scores = sample.groups, placed.boxes_xyxy_px, columns.scores
        repeated = placed.has_area & exact_repeats((images, categories), boxes, scores)
        count_boxes(self.counts.dropped, "box-empty", images, ~placed.has_area, self._name)
        count_boxes(self.counts.dropped, "box-duplicate", images, repeated, self._name)

        def chosen(mask: NDArray[np.bool_]) -> Predictions:
            kept = np.flatnonzero(mask)
            kept = kept[np.argsort(images[kept], kind="stable")]
            return Predictions(images[kept], categories[kept], xyxy_to_xywh(boxes[kept]), scores[kept])

        found, copies = chosen(placed.has_area & ~repeated), chosen(repeated)
        mismatch, unknown = explained_by_space(sample, categories, truth), self._unknown(others, truth)
        return Answers(found, self.statuses, self.texts, self.counts, labels, copies, self.asked, mismatch, unknown)

    def _unknown(self, others: BoxColumns, truth: Truth) -> dict[int, list[DrawnBox]]:
        """Of boxes whose label is not a class, those that have an area in their image, by image id."""
        if not len(others.images):
            return {}
        placed = place_boxes(others.boxes, others.images, self._sizes_wh, self.rules, self._name)
        names, scores, found = list(self.label_ids), others.scores.tolist(), defaultdict(list)
        for place in np.flatnonzero(placed.has_area).tolist():
            corners = tuple(np.round(placed.boxes_xyxy_px[place], 2).tolist())
            box = DrawnBox(names[others.labels[place]], corners, UNKNOWN_LABEL, scores[place])
            found[truth.image_ids[others.images[place]]].append(box)
        return dict(found)

    def bare_answers(self) -> BareAnswers:
        """All boxes, of answers that were added in the order of their images; one without area there is kept, empty, in its place."""
        self.parse()
        read = self._boxes.columns(self.questions)
        sample, placed = self._placed(read)
        count_boxes(self.counts.changed, "box-empty", sample.groups, ~placed.has_area, self._name)
        names, split = list(self.label_ids), np.searchsorted(sample.groups, np.arange(1, len(self.statuses)))
        columns = (placed.boxes_xyxy_px, read.labels, read.scores)
        boxes, labels, scores = (np.split(column, split) if self.statuses else [] for column in columns)
        labels = [[names[number] for number in part] for part in labels]
        return BareAnswers(boxes, labels, self.statuses, self.counts, sample, scores=scores, texts=self.texts)

    def _categories(self, columns: BoxColumns, labels: LabelIndex) -> NDArray[np.int64]:
        """(N,) the class of each box; -1, counted, where its label is none."""
        of_boxes, dropped = columns.labels, self.counts.dropped
        times = np.bincount(of_boxes, minlength=len(self.label_ids)).tolist()
        of_labels = [labels.find(label) for label in self.label_ids]
        for (label, number), category in zip(self.label_ids.items(), of_labels, strict=True):
            if category is None and label:
                self.counts.unknown_labels[label] = times[number]
                dropped.add("label-unknown", repr(label), times[number])
            elif category is None:
                count_boxes(dropped, "label-missing", columns.images, of_boxes == number, self._name)
            elif label and (how := labels.how(label)) is not None:
                self.counts.changed.add(how, repr(label), times[number])
        return np.array([-1 if category is None else category for category in of_labels], dtype=np.int64)[of_boxes]

    def _placed(self, columns: BoxColumns) -> tuple[BoxSample, Placed]:
        """Boxes as they were written and as they are placed; a group is an image."""
        self.counts.statuses = Counter(self.statuses)
        images = columns.images
        placed = place_boxes(columns.boxes, images, self._sizes_wh, self.rules, self._name)
        count_boxes(self.counts.changed, "box-clipped", images, placed.clipped, self._name)
        return BoxSample(columns.boxes, placed.unclipped_xyxy_px, self._sizes_wh[images], images), placed


def boxes_of_answers(
    texts: Sequence[str | None],
    sizes_wh: Sequence[tuple[int, int]],
    rules: Rules,
    names: Sequence[str],
    truncated: Sequence[bool] | None = None,
    tokens: Sequence[Tokens | None] | None = None,
) -> BareAnswers:
    """Parse and place answers, one per sample, whatever their labels; None: no answer. `sizes_wh` are those of their images, `names`
    the samples' names in errors and counts. `truncated`: which answers stopped at their token limit, where that is known. `tokens`: what
    their scores are made of, where the rules score by log-probability.
    """
    reader = AnswerReader(np.array(sizes_wh, dtype=np.int64).reshape(-1, 2), rules, names.__getitem__)
    for number, (text, stopped, generated) in enumerate(zip(texts, truncated or repeat(False), tokens or repeat(None), strict=False)):
        if text is not None:
            reader.counts.read += 1
            reader.add(number, text, generated, stopped)
    return reader.bare_answers()


def reader_of(truth: Truth, rules: Rules) -> AnswerReader:
    """A reader of answers to the images of a truth."""
    return AnswerReader(truth.sizes_wh, rules, lambda index: f"image {truth.image_ids[index]}")


def predictions_from_answers(answers: Iterable[tuple[int, tuple[int, int], str]], truth: Truth, rules: Rules) -> Answers:
    """Answers in memory as (image id, size_wh, text), one per image and in any order.

    Raises GroundswiftError for an unknown or duplicate id, or a size that differs from the ground truth.
    """
    reader = reader_of(truth, rules)
    index_of = {image_id: index for index, image_id in enumerate(truth.image_ids)}
    seen: set[int] = set()
    for image_id, size_wh, text in answers:
        index = index_of.get(image_id)
        if index is None:
            raise error_at(f"image {image_id!r}", "not in the ground truth")
        if index in seen:
            raise error_at(f"image {image_id!r}", "two answers", "one")
        if tuple(size_wh) != tuple(truth.sizes_wh[index].tolist()):
            raise error_at(f"image {image_id!r}", size_problem(size_wh, truth.sizes_wh[index].tolist()))
        seen.add(index)
        reader.counts.read += 1
        reader.add(index, text)
    return reader.answers(truth)


def size_problem(size_wh: Sequence[int], truth_wh: Sequence[int]) -> str:
    """The message for an image whose size is not the truth's."""
    return (
        f"is {size_wh[0]}x{size_wh[1]} px in the result and {truth_wh[0]}x{truth_wh[1]} in the ground truth; "
        "is this the ground truth of another file, or of images without their EXIF rotation?"
    )
