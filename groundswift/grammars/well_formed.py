"""The well-formed ones of many answers, found with array operations: all that the skeleton of a grammar explains to the last character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .byte_words import JoinedTexts, distinct
from .skeleton import Skeleton

LONGEST_NUMBER, LONGEST_LABEL = 8, 256  # bytes
TENS = 10.0 ** np.arange(LONGEST_NUMBER + 1)


@dataclass
class Part:
    """The boxes that were found in some texts. `good`: (T,) which texts are well-formed; the boxes of others mean nothing.

    `offsets`: (T + 1,), as in `AnswerColumns`. `points`: where these are points; `boxes` are then NaN.
    `reasons`: ids of parse warnings, by text.
    """

    good: np.ndarray
    offsets: np.ndarray
    boxes: np.ndarray
    label_ids: np.ndarray
    label_names: list[str]
    spans: np.ndarray
    points: np.ndarray | None = None
    reasons: dict[int, list[str]] = field(default_factory=dict)


def nothing_found(size: int) -> Part:
    """No text is well-formed."""
    empty = np.zeros(0, np.int64)
    return Part(np.zeros(size, bool), np.zeros(size + 1, np.int64), np.zeros((0, 4)), empty, [], np.zeros((0, 2), np.int64))


def well_formed(texts: Sequence[str], skeleton: Skeleton, limit: float | None) -> Part:
    """What the skeleton finds in the texts whose every character it explains."""
    scan = _Scan(texts, skeleton)
    if not scan.opens():
        return nothing_found(len(texts))
    scan.read_numbers(limit)
    scan.read_labels()
    return scan.part()


class _Scan:
    """One pass over some texts, all arrays by box: each check of a literal notes what it refuses in `bad`."""

    def __init__(self, texts: Sequence[str], skeleton: Skeleton) -> None:
        self.joined, self.skeleton = JoinedTexts(texts), skeleton
        self.words, self.digits = self.joined.words, self.joined.runs

    def opens(self) -> bool:
        """Find the boxes; whether there are any."""
        skeleton, digits = self.skeleton, self.digits
        count = len(skeleton.separators) + 1
        first = digits.behind(skeleton.anchor)
        for separator in {*skeleton.separators, skeleton.joint or ""}:
            if separator.endswith(skeleton.anchor):
                first = first & ~digits.behind(separator)
        group = np.flatnonzero(first[: max(0, len(digits) - count + 1)])
        found, following = [group], group
        while skeleton.joint is not None and len(following):
            following = following[following + 2 * count <= len(digits)] + count
            following = following[digits.follows(skeleton.joint)[following]]
            found.append(following)
        self.runs = np.sort(np.concatenate(found)) if len(found) > 1 else group
        self.heads = first[self.runs] if len(found) > 1 else np.ones(len(group), bool)
        self.bad = np.zeros(len(self.runs), bool)
        apart = np.diff(self.runs)
        self.bad[1:] = np.where(self.heads[1:], apart < count, apart != count)  # numbers that a box before has, perhaps of another text
        self.box_starts, self.box_ends = digits.starts[self.runs], digits.ends[self.runs + count - 1]
        self.offsets = self.joined.offsets(self.box_starts)
        self.counts = np.diff(self.offsets)
        return len(self.runs) > 0

    def read_numbers(self, limit: float | None) -> None:
        """The boxes, and whether what is between their numbers is right."""
        skeleton, digits = self.skeleton, self.digits
        last = len(digits) - len(skeleton.separators)
        whole = np.ones(last, bool)  # by run: whether a box could begin there
        for place, separator in enumerate(skeleton.separators, 1):
            whole &= digits.follows(separator)[place : last + place]
        if digits.longest > LONGEST_NUMBER:
            for place in range(len(skeleton.separators) + 1):
                whole &= digits.lengths[place : last + place] <= LONGEST_NUMBER
        self.bad |= ~whole[self.runs]
        places = self.runs + np.arange(len(skeleton.separators) + 1)[:, None]
        columns = digits.numbers()[places]
        if skeleton.decimals:
            scale = TENS.take(digits.lengths[places[1::2]], mode="clip")
            columns = (columns[::2] * scale + columns[1::2]) / scale
        x1, y1, x2, y2 = corners = skeleton.decode(columns) if skeleton.decode else [columns[place] for place in skeleton.order]
        self.bad |= (x1 > x2) | (y1 > y2)
        if limit is not None:
            self.bad |= (x2 > limit) | (y2 > limit)
        self.boxes = np.empty((len(self.runs), len(corners)))
        for place, corner in enumerate(corners):
            self.boxes[:, place] = corner

    def read_labels(self) -> None:
        """Where the labels are, which they are, and whether what is around them is right."""
        self._edges()
        begins, ends = self._labels_behind() if self.skeleton.label_last else self._labels_before()
        lengths = ends - begins
        at = np.flatnonzero(self.heads)
        self.bad[at] |= (lengths < 1) | (lengths > LONGEST_LABEL)
        ids, examples = distinct(self.words, begins, np.clip(lengths, 0, LONGEST_LABEL))
        names = self.words.texts(begins[examples], np.clip(lengths[examples], 0, LONGEST_LABEL))
        plain = np.array([self.skeleton.label.fullmatch(name) is not None for name in names], bool)
        self.bad[at] |= ~plain[ids]
        self.label_names = names
        self.label_ids = ids if len(at) == len(self.bad) else ids[np.maximum(np.cumsum(self.heads) - 1, 0)]
        self.label_begins, self.label_ends = begins, ends

    def _edges(self) -> None:
        """Which boxes are the first and the last of the texts that have any. A first one needs a label."""
        some = np.flatnonzero(self.counts)
        self.first, self.last = self.offsets[some], self.offsets[some + 1] - 1
        self.text_begins, self.text_stops = self.joined.begins[some], self.joined.stops[some]
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
        return self.joined.spans(starts, ends, self.counts)

    def part(self) -> Part:
        """What is well-formed of all this."""
        good = self.counts > 0
        if self.bad.any():
            good[np.searchsorted(self.offsets, np.flatnonzero(self.bad), side="right") - 1] = False
        return Part(good, self.offsets, self.boxes, self.label_ids, self.label_names, self._spans())
