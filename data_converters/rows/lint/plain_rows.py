"""Rows that nothing is wrong with, found fast: most of a set are of the form that the converters write, with few conversations.

A row is decoded with types; what is left to check depends on its conversation and on how many labels, boxes and images it has. What the
checks of a whole row say of those is remembered: the next row with the same ones needs none. Boxes are checked as columns. A row that may
have a finding is checked as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.row_view import RowView

from ..typed_row import NO_OBJECTS, Messages, TypedRow, typed_rows
from .checks_images import ImageCheck
from .checks_labels import label_problems
from .checks_rows import check_conversation
from .checks_set import Conversation

MOST_LABELS = 50_000  # that are remembered
MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, without a pattern


class PlainRows:
    """Reads plain rows, and remembers conversations and labels without findings."""

    def __init__(self, family: str | None) -> None:
        self.family = family
        self._messages = Messages(conversation_of)
        self._labels: set[str] = set()

    def read(self, lines: Sequence[bytes]) -> tuple[list[TypedRow | None], list[Conversation | None]]:
        """Each line as a typed row, and its conversation: None unless the row is plain if its boxes are (`BoxTable`) and its images are as
        it says."""
        rows = typed_rows(lines)
        said = self._messages.of(rows, lines)
        unsound = self._unsound({label for row in rows if row and row.objects for label in row.objects.ref})
        for index, row in enumerate(rows):
            if row is None:
                continue
            if not (row.images and row.size_wh) or (unsound and not unsound.isdisjoint((row.objects or NO_OBJECTS).ref)):
                said[index] = None
        return rows, said

    def _unsound(self, labels: set[str]) -> set[str]:
        """The labels that something is wrong with."""
        new = labels - self._labels
        unsound = {label for label in new if label_problems(label, self.family)}
        if len(self._labels) > MOST_LABELS:
            self._labels.clear()
        self._labels |= new - unsound
        return unsound


def conversation_of(view: RowView) -> Conversation | None:
    """The conversation of a row, if the checks of a whole row find nothing in it."""
    return None if any(check_conversation(view)) else Conversation.of(view)


def sound_images(row: TypedRow, checks: Sequence[ImageCheck]) -> bool:
    """Whether the opened images are as the row says, and nothing is wrong with them."""
    first = checks[0]
    upright = first.orientation == 1 and first.size_wh == tuple(row.size_wh)
    return upright and not any(check.findings for check in checks)


class BoxTable(NamedTuple):
    """The N boxes of some rows: `boxes_xyxy_px` (N, 4), the sizes of their images, and of which row each is."""

    boxes_xyxy_px: NDArray[np.float64]
    widths_px: NDArray[np.int64]
    heights_px: NDArray[np.int64]
    owners: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[TypedRow]) -> BoxTable:
        boxes = [row.objects.bbox if row.objects else () for row in rows]
        counts = np.fromiter(map(len, boxes), np.int64, len(rows))
        numbers = chain.from_iterable(chain.from_iterable(boxes))
        boxes_xyxy_px = np.fromiter(numbers, np.float64, 4 * int(counts.sum())).reshape(-1, 4)
        sides = chain.from_iterable([row.size_wh for row in rows])
        widths, heights = np.fromiter(sides, np.int64, 2 * len(rows)).reshape(-1, 2).T
        owners = np.repeat(np.arange(len(rows)), counts)
        return cls(boxes_xyxy_px, widths[owners], heights[owners], owners)

    def odd(self) -> NDArray[np.bool_]:
        """(N,) whether a box has no area inside its image, or, by 64 bits of it, is equal to another one of its row."""
        x1, y1, x2, y2 = self.boxes_xyxy_px.T
        inside = (x1 >= 0) & (x1 < x2) & (x2 <= self.widths_px) & (y1 >= 0) & (y1 < y2) & (y2 <= self.heights_px)
        keys = self.owners.astype(np.uint64)
        for side in (self.boxes_xyxy_px + 0.0).view(np.uint64).T:  # -0.0 becomes 0.0
            keys = (keys ^ side) * MIX
            keys ^= keys >> np.uint64(32)
        order = np.argsort(keys)
        inside[order[1:][keys[order[1:]] == keys[order[:-1]]]] = False
        return ~inside

    def at(self, wanted: NDArray[np.bool_]) -> BoxTable:
        """Some of them."""
        return BoxTable(*(column[wanted] for column in self))
