"""Rows that nothing is wrong with, found fast: most of a set are of the form that the converters write, with few conversations.

A row is decoded with types; what is left to check depends on its conversation and on how many labels, boxes and images it has. What the
checks of a whole row say of those is remembered: the next row with the same ones needs none. A row that may have a finding is checked as a
whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.row_view import RowView

from ..typed_row import TypedRow, typed_row
from .checks_images import ImageCheck
from .checks_labels import label_problems
from .checks_rows import check_conversation
from .checks_set import PlainRow, Talk

LONGEST_SIDE = 1 << 31  # px
MOST_TALKS, MOST_LABELS = 2_000, 50_000  # that are remembered
Key = tuple[bytes, int, int, int, bool]


class PlainRows:
    """Reads plain rows, and remembers conversations and labels without findings."""

    def __init__(self, family: str | None) -> None:
        self.family = family
        self._talks: dict[Key, Talk] = {}
        self._labels: set[str] = set()

    def read(self, raw: bytes) -> PlainRow | None:
        """A row that is plain if its boxes have an area inside their image (`BoxTable`) and its images are as it says; None for others."""
        row = typed_row(raw)
        if row is None or not (row.images and is_size(row.size_wh) and all(map(str.strip, row.images))):
            return None
        boxes, refs = (row.objects.bbox, row.objects.ref) if row.objects else ((), ())
        if not (self._labels.issuperset(refs) or self._are_sound(refs)) or (len(boxes) > 1 and len(set(boxes)) < len(boxes)):
            return None
        grounded = row.prompt is not None and row.prompt.startswith("phrase_grounding.")
        key = (bytes(row.messages), len(row.images), len(refs), len(boxes), grounded)
        talk = self._talks.get(key) or self._read_talk(key, raw)
        if talk is None:
            return None
        labels = refs if talk.ref_of_box is None else [refs[ref] for ref in talk.ref_of_box if ref is not None] or refs
        return PlainRow(row, boxes, labels, talk)

    def _are_sound(self, labels: Sequence[str]) -> bool:
        if any(label_problems(label, self.family) for label in labels):
            return False
        if len(self._labels) > MOST_LABELS:
            self._labels.clear()
        self._labels.update(labels)
        return True

    def _read_talk(self, key: Key, raw: bytes) -> Talk | None:
        """The conversation of a row, if the checks of a whole row find nothing in it."""
        try:
            view = RowView.of(msgspec.json.decode(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # the messages were skipped so far
            return None
        in_messages = view.videos or len(view.images) != key[1]
        if view.findings or in_messages or any(check_conversation(view)):
            return None
        if len(self._talks) > MOST_TALKS:
            self._talks.clear()
        talk = self._talks[key] = Talk.of(view)
        return talk


def sound_images(row: TypedRow, checks: Sequence[ImageCheck]) -> bool:
    """Whether the opened images are as the row says, and nothing is wrong with them."""
    first = checks[0]
    upright = first.orientation == 1 and first.size_wh == tuple(row.size_wh)
    return upright and not any(check.findings for check in checks)


def is_size(size_wh: object) -> bool:
    """Whether a value from a file is a width and a height in px."""
    if type(size_wh) is not list or len(size_wh) != 2:
        return False
    width, height = size_wh
    return type(width) is int and type(height) is int and 0 < width < LONGEST_SIDE and 0 < height < LONGEST_SIDE


class BoxTable(NamedTuple):
    """The N boxes of some rows: `boxes_xyxy_px` (N, 4), the sizes of their images, and of which row each is."""

    boxes_xyxy_px: NDArray[np.float64]
    widths_px: NDArray[np.int64]
    heights_px: NDArray[np.int64]
    owners: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[PlainRow]) -> BoxTable:
        counts = np.fromiter((len(each.boxes) for each in rows), np.int64, len(rows))
        numbers = chain.from_iterable(chain.from_iterable(each.boxes for each in rows))
        boxes = np.fromiter(numbers, np.float64, 4 * int(counts.sum())).reshape(-1, 4)
        sides = chain.from_iterable(each.row.size_wh for each in rows)
        widths, heights = np.fromiter(sides, np.int64, 2 * len(rows)).reshape(-1, 2).T
        owners = np.repeat(np.arange(len(rows)), counts)
        return cls(boxes, widths[owners], heights[owners], owners)

    def plain(self) -> NDArray[np.bool_]:
        """(N,) whether a box has an area inside its image."""
        x1, y1, x2, y2 = self.boxes_xyxy_px.T
        return (x1 >= 0) & (x1 < x2) & (x2 <= self.widths_px) & (y1 >= 0) & (y1 < y2) & (y2 <= self.heights_px)

    def at(self, wanted: NDArray[np.bool_]) -> BoxTable:
        """Some of them."""
        return BoxTable(*(column[wanted] for column in self))
