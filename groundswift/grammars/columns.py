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
from .byte_words import SPARE, Words, distinct
from .registry import grammar_of, without_surrogates
from .skeleton import Skeleton

STATUSES: tuple[Status, ...] = get_args(Status)
OK, TRUNCATED = STATUSES.index("ok"), STATUSES.index("truncated")
CHUNK = 1 << 19  # characters that are read at once: what the caches of a processor hold
FEW = 2000  # characters that are read as fast one by one
LONGEST_NUMBER, LONGEST_LABEL = 8, 256  # bytes
TENS = 10.0 ** np.arange(LONGEST_NUMBER + 1)


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
        joined.add(part, _none(len(part)) if few or skeleton is None else _well_formed(part, skeleton, limit))
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


@dataclass
class _Part:
    """The boxes of the well-formed ones of some texts. `good`: (T,) which these are; `counts`: (T,) boxes, 0 for the others."""

    good: np.ndarray
    counts: np.ndarray
    boxes: np.ndarray
    label_ids: np.ndarray
    label_names: list[str]
    spans: np.ndarray


def _none(size: int) -> _Part:
    """No text is well-formed."""
    empty = np.zeros(0, np.int64)
    return _Part(np.zeros(size, bool), np.zeros(size, np.int64), np.zeros((0, 4)), empty, [], np.zeros((0, 2), np.int64))


def _well_formed(texts: Sequence[str], skeleton: Skeleton, limit: float | None) -> _Part:
    """What the skeleton finds in the texts whose every character it explains."""
    scan = _Scan(texts, skeleton)
    if not scan.opens():
        return _none(len(texts))
    scan.read_numbers(limit)
    scan.read_labels()
    return scan.part()


class _Scan:
    """One pass over some texts, all arrays by box: each check of a literal notes what it refuses in `bad`."""

    def __init__(self, texts: Sequence[str], skeleton: Skeleton) -> None:
        data = "\0".join(texts).encode("utf-8", "replace")
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self.continued = None
        if len(data) != lengths.sum() + len(texts) - 1:  # not ASCII alone: bytes of a character behind its first
            content = np.frombuffer(data, np.uint8)
            self.continued = np.concatenate([np.zeros(SPARE, np.int32), np.cumsum((content & 0xC0) == 0x80, dtype=np.int32)])
            lengths = np.fromiter((len(text.encode("utf-8", "replace")) for text in texts), np.int64, len(texts))
        self.skeleton, self.size = skeleton, len(texts)
        self.words = Words(data)
        self.stops = np.cumsum(lengths + 1) - 1 + SPARE
        self.begins = self.stops - lengths
        self.starts, self.ends = self.words.runs_of_digits()

    def opens(self) -> bool:
        """Find the boxes; whether there are any."""
        skeleton, words = self.skeleton, self.words
        count = len(skeleton.separators) + 1
        first = words.before(self.starts, skeleton.anchor)
        for separator in {*skeleton.separators, skeleton.joint or ""}:
            if separator.endswith(skeleton.anchor):
                first &= ~words.before(self.starts, separator)
        group = np.flatnonzero(first)
        group = group[group + count <= len(self.starts)]
        found, following = [group], group
        while skeleton.joint is not None and len(following):
            following = following[following + 2 * count <= len(self.starts)] + count
            apart = self.starts[following] - self.ends[following - 1] == len(skeleton.joint)
            following = following[apart & words.after(self.ends[following - 1], skeleton.joint)]
            found.append(following)
        self.runs = np.sort(np.concatenate(found)) if len(found) > 1 else group
        self.heads = first[self.runs] if len(found) > 1 else np.ones(len(group), bool)
        self.bad = np.zeros(len(self.runs), bool)
        apart = np.diff(self.runs)
        self.bad[1:] = np.where(self.heads[1:], apart < count, apart != count)  # numbers that a box before has, perhaps of another text
        self.box_starts, self.box_ends = self.starts[self.runs], self.ends[self.runs + count - 1]
        self.offsets = np.append(np.searchsorted(self.box_starts, self.begins), len(self.runs))
        self.counts = np.diff(self.offsets)
        return len(self.runs) > 0

    def read_numbers(self, limit: float | None) -> None:
        """The boxes, and whether what is between their numbers is right."""
        skeleton, runs = self.skeleton, self.runs
        for place, separator in enumerate(skeleton.separators):
            behind = self.ends[runs + place]
            self.bad |= (self.starts[runs + place + 1] - behind != len(separator)) | ~self.words.after(behind, separator)
        columns = [self._numbers_of(runs + place) for place in range(len(skeleton.separators) + 1)]
        if skeleton.decimals:
            columns = [
                (whole * TENS[digits] + part) / TENS[digits] for (whole, _), (part, digits) in zip(columns[::2], columns[1::2], strict=True)
            ]
        else:
            columns = [numbers for numbers, _ in columns]
        numbers = np.stack(columns, axis=1)
        boxes = skeleton.decode(numbers) if skeleton.decode else numbers[:, skeleton.order]
        self.boxes = boxes.astype(np.float64)
        x1, y1, x2, y2 = self.boxes.T
        self.bad |= (x1 > x2) | (y1 > y2)
        if limit is not None:
            self.bad |= (x2 > limit) | (y2 > limit)

    def _numbers_of(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Runs of digits -> the numbers, and how many digits they have."""
        ends = self.ends[runs]
        lengths = ends - self.starts[runs]
        self.bad |= lengths > LONGEST_NUMBER
        lengths = np.minimum(lengths, LONGEST_NUMBER)
        return self.words.numbers(ends, lengths), lengths

    def read_labels(self) -> None:
        """Where the labels are, which they are, and whether what is around them is right."""
        self._edges()
        begins, ends = self._labels_behind() if self.skeleton.label_last else self._labels_before()
        lengths = ends - begins
        at = np.flatnonzero(self.heads)
        self.bad[at] |= (lengths < 1) | (lengths > LONGEST_LABEL)
        ids, examples = distinct(self.words, begins, np.clip(lengths, 0, LONGEST_LABEL))
        names = [self.words.text(begins[place], begins[place] + max(0, min(lengths[place], LONGEST_LABEL))) for place in examples]
        plain = np.array([self.skeleton.label.fullmatch(name) is not None for name in names], bool)
        self.bad[at] |= ~plain[ids]
        self.label_names = names
        self.label_ids = ids if len(at) == len(self.bad) else ids[np.maximum(np.cumsum(self.heads) - 1, 0)]
        self.label_begins, self.label_ends = begins, ends

    def _edges(self) -> None:
        """Which boxes are the first and the last of the texts that have any. A first one needs a label."""
        some = np.flatnonzero(self.counts)
        self.first, self.last = self.offsets[some], self.offsets[some + 1] - 1
        self.text_begins, self.text_stops = self.begins[some], self.stops[some]
        self.bad[self.first] |= ~self.heads[self.first]

    def _labels_before(self) -> tuple[np.ndarray, np.ndarray]:
        """The labels of the boxes that begin a group; checks `start`, `between`, `end`."""
        skeleton, words, first, last = self.skeleton, self.words, self.first, self.last
        begins = np.empty_like(self.box_ends)
        begins[1:] = self.box_ends[:-1] + len(skeleton.between)
        begins[first] = self.text_begins + len(skeleton.start)
        fits = words.before(begins, skeleton.between)
        fits[first] = words.after(self.text_begins, skeleton.start)
        self.bad |= self.heads & ~fits
        ends = self.box_ends[last]
        self.bad[last] |= (ends + len(skeleton.end) != self.text_stops) | ~words.after(ends, skeleton.end)
        ends = self.box_starts - len(skeleton.anchor)
        return (begins, ends) if self.heads.all() else (begins[self.heads], ends[self.heads])

    def _labels_behind(self) -> tuple[np.ndarray, np.ndarray]:
        """The labels behind the boxes; checks `start`, `inner`, `between`, `end`."""
        skeleton, words, first, last = self.skeleton, self.words, self.first, self.last
        anchors = self.box_starts - len(skeleton.anchor)  # what follows is looked at already
        fits = words.before(anchors, skeleton.between.removesuffix(skeleton.anchor))
        at_start = self.box_starts[first] - len(skeleton.start) == self.text_begins
        fits[first] = at_start & words.after(self.text_begins, skeleton.start)
        self.bad |= ~(fits & words.after(self.box_ends, skeleton.inner))
        self.bad[last] |= ~words.before(self.text_stops, skeleton.end)
        ends = np.empty_like(self.box_starts)
        ends[:-1] = self.box_starts[1:] - len(skeleton.between)
        ends[last] = self.text_stops - len(skeleton.end)
        return self.box_ends + len(skeleton.inner), ends

    def _spans(self) -> np.ndarray:
        """(N, 2) start and end of each box, in characters of its text."""
        skeleton = self.skeleton
        if skeleton.label_last:
            starts, ends = self.box_starts - skeleton.lead, self.label_ends + skeleton.closing
        else:
            starts = self.box_starts - skeleton.joint_lead
            starts[self.heads] = self.label_begins - skeleton.lead
            joined = np.append(~self.heads[1:], False)
            ends = self.box_ends + np.where(joined, skeleton.joint_closing, skeleton.closing)
        spans = np.stack([starts, ends], axis=1)
        origin = self.begins
        if self.continued is not None:
            spans = spans - self.continued[np.clip(spans - 1, 0, len(self.continued) - 1)]
            origin = origin - self.continued[origin - 1]
        return spans - np.repeat(origin, self.counts)[:, None]

    def part(self) -> _Part:
        """What is well-formed of all this."""
        texts = np.repeat(np.arange(self.size), self.counts)
        bad = np.bincount(texts[self.bad], minlength=self.size) > 0
        good = ~bad & (self.counts > 0)
        counts = np.where(good, self.counts, 0)
        spans = self._spans()
        if not bad.any():
            return _Part(good, counts, self.boxes, self.label_ids, self.label_names, spans)
        keep = good[texts]
        return _Part(good, counts, self.boxes[keep], self.label_ids[keep], self.label_names, spans[keep])


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

    def add(self, texts: Sequence[str], part: _Part) -> None:
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

    def _spread(self, part: _Part, counts: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
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
