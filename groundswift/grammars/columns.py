"""Many answers at once: boxes, labels, spans and statuses as columns, the well-formed ones found with array operations.

An answer counts as well-formed where its whole text is the skeleton of its grammar (`skeleton.py`) around plain labels and numbers;
every other one goes through `parse`. So the result is what `parse` finds, text by text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from ..answers import Answer, Located, Status
from ..family import family_row
from ..spaces import space_row
from .base import Grammar
from .registry import grammar_of, without_surrogates
from .well_formed import Part, nothing_found, well_formed

STATUSES: tuple[Status, ...] = get_args(Status)
OK, TRUNCATED = STATUSES.index("ok"), STATUSES.index("truncated")
CHUNK = 1 << 19  # characters that are read at once: what the caches of a processor hold
FEW = 20_000  # characters that are read faster one by one


@dataclass
class AnswerColumns:
    """The boxes of T answers, in order, N in all.

    `boxes`: (N, 4) float64 x1, y1, x2, y2 in the family's own space, NaN for a point; `points`: (N, 2) x, y, NaN for a box, None where
    there are only boxes. `label_ids`: (N,) places in `label_names`. `spans`: (N, 2) start and end, in characters of the answer.
    `offsets`: (T + 1,); the boxes of answer i are `offsets[i]` to `offsets[i + 1]`. `statuses`: (T,) places in `STATUSES`. `reasons`:
    ids of parse warnings of the answers that have any; `polygons`: those of the boxes that have one.
    """

    boxes: np.ndarray
    label_ids: np.ndarray
    label_names: list[str]
    spans: np.ndarray
    offsets: np.ndarray
    statuses: np.ndarray
    points: np.ndarray | None = None
    reasons: dict[int, list[str]] = field(default_factory=dict)
    polygons: dict[int, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many answers there are."""
        return len(self.statuses)

    @property
    def labels(self) -> list[str]:
        """The label of each box."""
        return list(map(self.label_names.__getitem__, self.label_ids.tolist()))

    def answer(self, index: int) -> Answer:
        """One answer as `parse` returns it."""
        places = range(int(self.offsets[index]), int(self.offsets[index + 1]))
        return Answer([self._located(place) for place in places], STATUSES[self.statuses[index]], self.reasons.get(index, []))

    def _located(self, place: int) -> Located:
        point = self.points is not None and not np.isnan(self.points[place, 0])
        span = tuple(self.spans[place].tolist())
        return Located(
            self.label_names[self.label_ids[place]],
            None if point else tuple(self.boxes[place].tolist()),
            tuple(self.points[place].tolist()) if point else None,
            None if span[0] < 0 else span,
            self.polygons.get(place),
        )


def parse_many(texts: Sequence[str], family: str = "qwen2_vl", cut: Sequence[bool] | None = None) -> AnswerColumns:
    """Read many answers of a model: what `parse` finds in each, as columns, several times as fast where the texts are well-formed.

    `cut`: for each text, whether generation stopped at its token limit. Raises GroundswiftError for an unknown family.
    """
    return columns_of(texts, grammar_of(family), space_row(family_row(family).space).largest, cut)


def columns_of(texts: Sequence[str], grammar: Grammar, limit: float | None, cut: Sequence[bool] | None = None) -> AnswerColumns:
    """`parse_many` by a grammar and the largest coordinate of its space, None for no bound."""
    skeleton = getattr(grammar, "skeleton", None)
    joined = _Joined(lambda text: grammar.parse(without_surrogates(text), limit))
    for first, last in _chunks(texts):
        part = texts[first:last]
        few = sum(map(len, part)) < FEW
        joined.add(part, nothing_found(len(part)) if few or skeleton is None else well_formed(part, skeleton, limit))
    columns = joined.columns()
    if cut is not None:
        stopped = np.asarray(cut, bool) & (columns.statuses <= STATUSES.index("empty"))
        columns.statuses[stopped] = TRUNCATED
    return columns


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of texts of about CHUNK characters."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    first = 0
    while first < len(texts):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + CHUNK)))
        yield first, last
        first = last


class _Joined:
    """Collects parts, and reads one by one what they do not have."""

    def __init__(self, read: Callable[[str], Answer]) -> None:
        self.read = read
        self.names: dict[str, int] = {}
        self.arrays: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []  # boxes, label_ids, spans, counts
        self.statuses: list[np.ndarray] = []
        self.reasons: dict[int, list[str]] = {}
        self.polygons: dict[int, tuple[tuple[float, float], ...]] = {}
        self.points: dict[int, tuple[float, float]] = {}
        self.texts = self.boxes = 0

    def add(self, texts: Sequence[str], part: Part) -> None:
        """Add some texts, in order."""
        ids = np.array([self.names.setdefault(name, len(self.names)) for name in part.label_names], np.int32)
        label_ids = ids[part.label_ids] if len(ids) else part.label_ids.astype(np.int32)
        statuses, boxes, spans = np.full(len(texts), OK, np.uint8), part.boxes, part.spans
        others = np.flatnonzero(~part.good).tolist()
        counts = part.counts
        if others:
            answers = [self.read(texts[index]) for index in others]
            counts = counts.copy()
            counts[others] = [len(answer.objects) for answer in answers]
            offsets = np.cumsum(counts) - counts
            boxes, label_ids, spans = self._spread(part, counts, boxes, label_ids, spans)
            for index, answer in zip(others, answers, strict=True):
                self._place(answer, int(offsets[index]), boxes, label_ids, spans)
                statuses[index] = STATUSES.index(answer.status)
                if answer.reasons:
                    self.reasons[self.texts + index] = answer.reasons
        self.arrays.append((boxes, label_ids, spans, counts))
        self.statuses.append(statuses)
        self.texts += len(texts)
        self.boxes += len(boxes)

    def _spread(self, part: Part, counts: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
        """The arrays with room for the boxes of the other answers."""
        mine = np.repeat(part.good, counts)
        spread = []
        for array in arrays:
            wide = np.empty((len(mine), *array.shape[1:]), array.dtype)
            wide[mine] = array
            spread.append(wide)
        return spread

    def _place(self, answer: Answer, at: int, boxes: np.ndarray, label_ids: np.ndarray, spans: np.ndarray) -> None:
        for place, located in enumerate(answer.objects, at):
            boxes[place] = np.nan if located.box is None else located.box
            label_ids[place] = self.names.setdefault(located.label, len(self.names))
            spans[place] = (-1, -1) if located.span is None else located.span
            if located.box is None:
                self.points[self.boxes + place] = located.point
            if located.polygon is not None:
                self.polygons[self.boxes + place] = located.polygon

    def columns(self) -> AnswerColumns:
        """Everything that was added."""
        parts = self.arrays or [(np.zeros((0, 4)), np.zeros(0, np.int32), np.zeros((0, 2), np.int64), np.zeros(0, np.int64))]
        boxes, label_ids, spans, counts = (np.concatenate(column) if len(parts) > 1 else column[0] for column in zip(*parts, strict=True))
        points = None
        if self.points:
            points = np.full((len(boxes), 2), np.nan)
            points[list(self.points)] = list(self.points.values())
        statuses = np.concatenate(self.statuses) if self.statuses else np.zeros(0, np.uint8)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return AnswerColumns(boxes, label_ids, list(self.names), spans, offsets, statuses, points, self.reasons, self.polygons)
