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


class Said(NamedTuple):
    """One answer: its image, text, tokens where they score it, whether it is known to be truncated, the number of its question, classes."""

    image_index: int
    text: str
    tokens: Tokens | None
    truncated: bool
    question: int
    asked: tuple[str, ...] | None


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
        self._characters += len(said.text)

    def is_full(self) -> bool:
        """Whether it is time to parse."""
        return self._characters >= CHUNK

    def parse(self) -> Iterator[tuple[Said, str]]:
        """Parse what waits; each answer with its status."""
        waiting, self._waiting, self._characters = self._waiting, [], 0
        if not waiting:
            return
        found = columns_of([said.text for said in waiting], self._grammar, self._limit, [said.truncated for said in waiting])
        for reasons in found.reasons.values():
            self.counts.reasons.update(reasons)
        self._parts.append(self._columns(waiting, found))
        for said, status in zip(waiting, found.statuses.tolist(), strict=True):
            self.counts.answers[STATUSES[status]] += 1
            yield said, STATUSES[status]

    def _columns(self, waiting: Sequence[Said], found: AnswerColumns) -> BoxColumns:
        """The boxes of some answers; points are dropped."""
        answers = np.repeat(np.arange(len(waiting)), np.diff(found.offsets))
        boxes, labels, spans = found.boxes, found.label_ids.astype(np.int64), found.spans
        if found.points is not None:
            is_point = np.isnan(boxes[:, 0])
            for answer, number in zip(*(column.tolist() for column in np.unique(answers[is_point], return_counts=True)), strict=True):
                self.counts.dropped.add("point", self.name(waiting[answer].image_index), number)
            answers, boxes, labels, spans = answers[~is_point], boxes[~is_point], labels[~is_point], spans[~is_point]
        offsets = np.searchsorted(answers, np.arange(len(waiting) + 1))
        labels = self._numbered(*self._asked(waiting, labels, list(found.label_names), offsets))
        images, questions = (
            np.array(column, dtype=np.int64) for column in zip(*((each.image_index, each.question) for each in waiting), strict=True)
        )
        return BoxColumns(images[answers], labels, questions[answers], self._scores(waiting, spans, offsets), boxes)

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

    def _scores(self, waiting: Sequence[Said], spans: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        """The score of each box by the rules."""
        size = int(offsets[-1])
        if self.rules.score == "order":
            return 1 / (np.arange(size) - np.repeat(offsets[:-1], np.diff(offsets)) + 1)
        if self.rules.score != "logprob":
            return np.ones(size)
        scores, apart = scores_of_answers([said.text for said in waiting], [said.tokens for said in waiting], spans, offsets)
        for number in apart:
            self.counts.changed.add("tokens-differ", self.name(waiting[number].image_index))
        return scores

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
