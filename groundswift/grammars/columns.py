"""Many answers at once: boxes, labels, spans and statuses as columns, the well-formed ones found with array operations.

An answer counts as well-formed where its whole text is the skeleton of its grammar (`skeleton.py`) around plain labels and numbers;
every other one goes through `parse`. So the result is what `parse` finds, text by text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple, get_args

import numpy as np

from ..answers import Answer, Located, Status
from ..family import family_row
from ..gc_control import keep_freed, without_collection
from ..spaces import space_row
from .base import Grammar
from .registry import grammar_of, without_surrogates
from .well_formed import Part, nothing_found, well_formed

STATUSES: tuple[Status, ...] = get_args(Status)
OK, TRUNCATED = STATUSES.index("ok"), STATUSES.index("truncated")
CHUNK = 1 << 19  # characters that are read at once: what the caches of a processor hold
NO_BOX, NO_POINT, NO_SPAN = (np.nan,) * 4, (np.nan,) * 2, (-1, -1)
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
    find = _finder(grammar, limit)
    joined = _Joined(lambda text: grammar.parse(without_surrogates(text), limit))
    keep_freed()
    for first, last in _chunks(texts):
        part = texts[first:last]
        few = sum(map(len, part)) < FEW
        joined.add(part, nothing_found(len(part)) if few or find is None else find(part))
    columns = joined.columns()
    if cut is not None:
        stopped = np.asarray(cut, bool) & (columns.statuses <= STATUSES.index("empty"))
        columns.statuses[stopped] = TRUNCATED
    return columns


def _finder(grammar: Grammar, limit: float | None) -> Callable[[Sequence[str]], Part] | None:
    """What finds the well-formed ones of some texts; None where the grammar has nothing for it."""
    if (skeleton := getattr(grammar, "skeleton", None)) is not None:
        return partial(well_formed, skeleton=skeleton, limit=limit)
    from .tags import THOUSAND, TagGrammar
    from .well_formed_points import well_formed_points

    units = THOUSAND if isinstance(grammar, TagGrammar) and grammar.coords else None
    return partial(well_formed_points, limit=limit, units=units) if isinstance(grammar, TagGrammar) else None


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of texts of about CHUNK characters."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    first = 0
    while first < len(texts):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + CHUNK)))
        yield first, last
        first = last


class _Boxes(NamedTuple):
    """Some boxes as columns, as `AnswerColumns` has them."""

    boxes: np.ndarray
    label_ids: np.ndarray
    spans: np.ndarray
    points: np.ndarray | None

    def slice(self, first: int, last: int) -> _Boxes:
        """Those from one place to another one."""
        return _Boxes(*(column if column is None else column[first:last] for column in self))


NO_BOXES = _Boxes(np.zeros((0, 4)), np.zeros(0, np.int32), np.zeros((0, 2), np.int64), None)


def _rows(tuples: Sequence[tuple[float, ...]], kind: type[np.generic]) -> np.ndarray:
    """(N, k) of tuples that are equally long: several times as fast as `np.array`."""
    size = len(tuples[0])
    return np.fromiter(chain.from_iterable(tuples), kind, size * len(tuples)).reshape(-1, size)


class _Joined:
    """Collects parts, and reads one by one what they do not have."""

    def __init__(self, read: Callable[[str], Answer]) -> None:
        self.read = read
        self.names: dict[str, int] = {}
        self.pieces: list[_Boxes] = [NO_BOXES]
        self.counts: list[np.ndarray] = [np.zeros(1, np.int64)]
        self.statuses: list[np.ndarray] = [np.zeros(0, np.uint8)]
        self.reasons: dict[int, list[str]] = {}
        self.polygons: dict[int, tuple[tuple[float, float], ...]] = {}
        self.texts = self.boxes = 0

    def add(self, texts: Sequence[str], part: Part) -> None:
        """Add some texts, in order."""
        ids = np.array([self.names.setdefault(name, len(self.names)) for name in part.label_names], np.int32)
        found = _Boxes(part.boxes, ids[part.label_ids] if len(ids) else part.label_ids.astype(np.int32), part.spans, part.points)
        counts, statuses, others = np.diff(part.offsets), np.full(len(texts), OK, np.uint8), np.flatnonzero(~part.good)
        self.reasons |= {self.texts + index: reasons for index, reasons in part.reasons.items()}
        if len(others):
            with without_collection():
                answers = [self.read(texts[index]) for index in others.tolist()]
            counts[others] = [len(answer.objects) for answer in answers]
            statuses[others] = [STATUSES.index(answer.status) for answer in answers]
            self.reasons |= {self.texts + index: each.reasons for index, each in zip(others.tolist(), answers, strict=True) if each.reasons}
            self._weave(found, part.offsets, self._boxes_of(answers, others, counts), others, np.append(0, np.cumsum(counts[others])))
        else:
            self.pieces.append(found)
        self.counts.append(counts)
        self.statuses.append(statuses)
        self.texts += len(texts)
        self.boxes += int(counts.sum())

    def _weave(self, found: _Boxes, offsets: np.ndarray, more: _Boxes, others: np.ndarray, more_offsets: np.ndarray) -> None:
        """Put the boxes of the other answers in the places of those that were found there, by runs of texts."""
        ends = np.append(np.flatnonzero(np.diff(others) > 1) + 1, len(others))
        begins = np.append(0, ends[:-1])
        cut_from, cut_to = offsets[others[begins]].tolist(), offsets[others[ends - 1] + 1].tolist()
        put_from, put_to = more_offsets[begins].tolist(), more_offsets[ends].tolist()
        for kept, (first, last), put in zip([0, *cut_to], zip(cut_from, put_from, strict=False), put_to, strict=False):
            self.pieces += [found.slice(kept, first), more.slice(last, put)]
        self.pieces.append(found.slice(cut_to[-1], int(offsets[-1])))

    def _boxes_of(self, answers: Sequence[Answer], texts: np.ndarray, counts: np.ndarray) -> _Boxes:
        """The boxes of answers that were read one by one. `texts`: which ones; `counts`: (T,) boxes of all texts."""
        objects = [located for answer in answers for located in answer.objects]
        if not objects:
            return NO_BOXES
        boxes = _rows([NO_BOX if located.box is None else located.box for located in objects], np.float64)
        label_ids = [self.names.setdefault(located.label, len(self.names)) for located in objects]
        spans = _rows([located.span or NO_SPAN for located in objects], np.int64)
        points = None
        if np.isnan(boxes[:, 0]).any():
            points = _rows([NO_POINT if located.box is not None else located.point for located in objects], np.float64)
        if any(located.polygon is not None for located in objects):
            before = np.repeat((np.cumsum(counts) - counts)[texts] - (np.cumsum(counts[texts]) - counts[texts]), counts[texts])
            places = self.boxes + before + np.arange(len(objects))
            self.polygons |= {at: each.polygon for at, each in zip(places.tolist(), objects, strict=True) if each.polygon is not None}
        return _Boxes(boxes, np.array(label_ids, np.int32), spans, points)

    def columns(self) -> AnswerColumns:
        """Everything that was added."""
        boxes, label_ids, spans = (np.concatenate([piece[column] for piece in self.pieces]) for column in range(3))
        points = None
        if any(piece.points is not None for piece in self.pieces):
            none = np.broadcast_to(np.nan, (len(boxes), 2))
            points = np.concatenate([none[: len(piece.boxes)] if piece.points is None else piece.points for piece in self.pieces])
        offsets = np.cumsum(np.concatenate(self.counts))
        statuses = np.concatenate(self.statuses)
        return AnswerColumns(boxes, label_ids, list(self.names), spans, offsets, statuses, points, self.reasons, self.polygons)
