"""The boxes of many answers as columns, before they are placed: parsed a chunk at a time, with labels as numbers, and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes
from groundswift.grammars.columns import CHUNK, STATUSES, AnswerColumns, columns_of
from groundswift.grammars.registry import grammar_of
from groundswift.spaces import space_row

from .confidence import Tokens, scores_of_answers
from .counts import Counts
from .protocol import Rules


class Parsed(NamedTuple):
    """The boxes of some answers, parsed by another process: without spans, but with their scores where tokens score them.

    `apart`: the answers whose text and tokens do not match.
    """

    columns: AnswerColumns
    scores: NDArray[np.float64] | None = None
    apart: frozenset[int] = frozenset()

    def among(self, places: Sequence[int]) -> Parsed:
        """Those of some of the answers, in order."""
        columns = self.columns
        if len(places) == len(columns):
            return self
        chosen = np.array(places, np.int64)
        counts, new = np.diff(columns.offsets), {place: number for number, place in enumerate(places)}
        kept = np.isin(np.repeat(np.arange(len(counts)), counts), chosen)
        found = AnswerColumns(
            columns.boxes[kept],
            columns.label_ids[kept],
            columns.label_names,
            columns.spans,
            np.append(0, np.cumsum(counts[chosen])),
            columns.statuses[chosen],
            None if columns.points is None else columns.points[kept],
            {new[place]: reasons for place, reasons in columns.reasons.items() if place in new},
        )
        scores = None if self.scores is None else self.scores[kept]
        return Parsed(found, scores, frozenset(new[place] for place in self.apart if place in new))


class Said(NamedTuple):
    """One answer: its image, text, tokens where they score it, whether it is known to be truncated, the number of its question, classes.

    `parsed`, `place`: the boxes of some answers, where they are known already, and which of these it is.
    """

    image_index: int
    text: str
    tokens: Tokens | None
    truncated: bool
    question: int
    asked: tuple[str, ...] | None
    parsed: Parsed | None = None
    place: int = 0


class BoxColumns(NamedTuple):
    """(N,) images, label numbers, question numbers and scores, and (N, 4) boxes as written, in the order of the answers."""

    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    questions: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: Boxes

    def chosen(self, places: NDArray[np.int64]) -> BoxColumns:
        """Some of them, or all in another order."""
        return BoxColumns(*(column[places] for column in self))


class AnswerBoxes:
    """Answers that wait to be parsed, and the columns of those that were. Counts parse warnings, statuses, points and changes."""

    def __init__(self, rules: Rules, counts: Counts, name: Callable[[int], str]) -> None:
        self.rules, self.counts, self.name = rules, counts, name
        self.label_ids: dict[str, int] = {}
        self._grammar, self._limit = grammar_of(rules.family), space_row(rules.space_name).largest
        self._waiting: list[Said] = []
        self._characters = 0
        self._parts: list[BoxColumns] = []

    def add(self, said: Said) -> None:
        """Add one answer."""
        self._waiting.append(said)
        self._characters += len(said.text) if said.parsed is None else 0

    def is_apart(self, said: Said) -> bool:
        """Whether those that wait must be parsed before this one is added: its boxes are known, and theirs are not, or not with them."""
        return bool(self._waiting) and self._waiting[-1].parsed is not said.parsed

    def is_full(self) -> bool:
        """Whether it is time to parse."""
        return self._characters >= CHUNK

    def parse(self) -> Iterator[tuple[Said, str]]:
        """Parse what waits; each answer with its status."""
        waiting, self._waiting, self._characters = self._waiting, [], 0
        if not waiting:
            return
        parsed = self._parsed(waiting)
        found = parsed.columns
        for reasons in found.reasons.values():
            self.counts.reasons.update(reasons)
        self._parts.append(self._columns(waiting, parsed))
        for said, status in zip(waiting, found.statuses.tolist(), strict=True):
            self.counts.answers[STATUSES[status]] += 1
            yield said, STATUSES[status]

    def _parsed(self, waiting: Sequence[Said]) -> Parsed:
        """The boxes of some answers, with their scores where tokens score them."""
        if waiting[0].parsed is not None:
            return waiting[0].parsed.among([said.place for said in waiting])
        texts = [said.text for said in waiting]
        found = columns_of(texts, self._grammar, self._limit, [said.truncated for said in waiting])
        if self.rules.score != "logprob":
            return Parsed(found)
        scores, apart = scores_of_answers(texts, [said.tokens for said in waiting], found.spans, found.offsets)
        return Parsed(found, scores, frozenset(apart))

    def _columns(self, waiting: Sequence[Said], parsed: Parsed) -> BoxColumns:
        """The boxes of some answers; points are dropped."""
        found, scores = parsed.columns, parsed.scores
        answers = np.repeat(np.arange(len(waiting)), np.diff(found.offsets))
        boxes, labels = found.boxes.astype(np.float64, copy=False), found.label_ids.astype(np.int64)
        if found.points is not None:
            is_point = np.isnan(boxes[:, 0])
            for answer, number in zip(*(column.tolist() for column in np.unique(answers[is_point], return_counts=True)), strict=True):
                self.counts.dropped.add("point", self.name(waiting[answer].image_index), number)
            answers, boxes, labels = answers[~is_point], boxes[~is_point], labels[~is_point]
            scores = None if scores is None else scores[~is_point]
        offsets = np.searchsorted(answers, np.arange(len(waiting) + 1))
        labels = self._numbered(*self._asked(waiting, labels, list(found.label_names), offsets))
        images, questions = (
            np.array(column, dtype=np.int64) for column in zip(*((each.image_index, each.question) for each in waiting), strict=True)
        )
        for number in sorted(parsed.apart):
            self.counts.changed.add("tokens-differ", self.name(waiting[number].image_index))
        return BoxColumns(images[answers], labels, questions[answers], self._scores(offsets) if scores is None else scores, boxes)

    def _asked(
        self, waiting: Sequence[Said], labels: NDArray[np.int64], names: list[str], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], list[str]]:
        """Labels where a box without one is of the only class that was asked for."""
        if "" not in names:
            return labels, names
        bare = labels == names.index("")
        for number, said in enumerate(waiting):
            if said.asked is None or len(said.asked) != 1 or not (count := int(bare[offsets[number] : offsets[number + 1]].sum())):
                continue
            self.counts.changed.add("label-asked", self.name(said.image_index), count)
            if said.asked[0] not in names:
                names.append(said.asked[0])
            here = slice(int(offsets[number]), int(offsets[number + 1]))
            labels[here][bare[here]] = names.index(said.asked[0])
        return labels, names

    def _numbered(self, labels: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.int64]:
        """Places in `names` -> numbers of the labels, which grow in order of appearance."""
        first = np.full(len(names), len(labels))
        first[labels[::-1]] = np.arange(len(labels))[::-1]  # of equal places the last one written stays
        numbers = np.zeros(len(names), np.int64)
        for place in np.argsort(first, kind="stable").tolist():
            if first[place] < len(labels):
                numbers[place] = self.label_ids.setdefault(names[place], len(self.label_ids))
        return numbers[labels]

    def _scores(self, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        """The score of each box by the rules, without tokens."""
        size = int(offsets[-1])
        if self.rules.score == "order":
            return 1 / (np.arange(size) - np.repeat(offsets[:-1], np.diff(offsets)) + 1)
        return np.ones(size)

    def columns(self, questions: dict[str, int]) -> BoxColumns:
        """All boxes. With several questions they are ordered by image and the text of their question, whatever the order of the rows."""
        if not self._parts:
            empty = np.zeros(0, np.int64)
            return BoxColumns(empty, empty, empty, np.zeros(0), np.zeros((0, 4)))
        if len(self._parts) > 1:
            self._parts = [BoxColumns(*(np.concatenate(column) for column in zip(*self._parts, strict=True)))]
        columns = self._parts[0]
        if len(questions) < 2:
            return columns
        ranks = np.empty(len(questions), np.int64)
        ranks[[number for _, number in sorted(questions.items())]] = np.arange(len(questions))
        return columns.chosen(np.lexsort((ranks[columns.questions], columns.images)))
