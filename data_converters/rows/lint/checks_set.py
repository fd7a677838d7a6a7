"""Checks of the whole set: duplicate ids and rows, classes, and boxes that look like another format.

About 30 bytes per row are kept, and one entry per class; what a box says about its format is only counted.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from groundswift.row_view import RowView, short

from .checks_boxes import SLIGHT, Box
from .findings import Place

MOST_LABELS = 100_000  # distinct labels that are counted
LEAST_BOXES = 10  # before the format of all boxes is judged
LEAST_FAR_BOXES = 50
LONGEST_CLOSE = 60  # characters of a label that is compared
CLOSE_LABELS = 2_000  # distinct labels among which typos are searched
LINE_BITS = 40
LACKING = {  # what all rows of a set have, or none
    "rows-mixed": "{} of {} rows have query and response, the others messages; expected messages",
    "rejected-missing": "{} of {} rows have no rejected_response; expected one in each",
}

SetFinding = tuple[str, Place, str, int]  # rule, place, what, how often


@dataclass
class BoxCounts:
    """What boxes in pixels with 4 numbers say about their format. `sized`: those whose image's size is known."""

    boxes: int = 0
    sized: int = 0
    not_xyxy: int = 0  # inverted or outside, read as x1, y1, x2, y2
    fit_xywh: int = 0  # inside, read as x, y, width, height
    ratios: int = 0
    to_1000: int = 0
    outside: int = 0
    in_wide: int = 0  # in an image of at least 1100 px width
    in_wide_to_1000: int = 0
    largest: float = 0.0
    first: dict[str, Place] = field(default_factory=dict)

    def add(self, box: Box, place: Place) -> None:
        """Count one box in pixels."""
        x1, y1, x2, y2 = box.numbers
        self.boxes += 1
        most = max(box.numbers)
        self.largest = max(self.largest, most)
        fits_1000 = min(box.numbers) >= 0 and most <= 1000
        self.to_1000 += fits_1000
        if min(box.numbers) >= 0 and most <= 1 and not all(value.is_integer() for value in box.numbers):
            self.ratios += 1
            self.first.setdefault("ratios", place)
        if box.size_wh is None:
            return
        width, height = box.size_wh
        self.sized += 1
        outside = x2 > width + SLIGHT or y2 > height + SLIGHT
        if outside or x2 < x1 or y2 < y1:
            self.not_xyxy += 1
            self.first.setdefault("xywh", place)
        if outside:
            self.outside += 1
            self.first.setdefault("norm1000", place)
        self.fit_xywh += x2 > 0 and y2 > 0 and x1 > -SLIGHT and y1 > -SLIGHT and x1 + x2 <= width + SLIGHT and y1 + y2 <= height + SLIGHT
        if width >= 1100:
            self.in_wide += 1
            self.in_wide_to_1000 += fits_1000
            self.first.setdefault("wide", place)

    def check(self) -> Iterator[SetFinding]:
        """What the counts show."""
        if self.ratios:
            what = f"{self.ratios} of {self.boxes} boxes are within 0 to 1, with fractions, and bbox_type is real; expected pixels"
            yield "boxes-look-like-ratios", self.first["ratios"], what, self.ratios
        if self.sized >= LEAST_BOXES and self.fit_xywh == self.sized and self.not_xyxy >= 0.1 * self.sized:
            what = (
                f"read as x1, y1, x2, y2, {self.not_xyxy} of {self.sized} boxes are inverted or extend beyond their image; "
                "read as x, y, width, height all fit; expected x1, y1, x2, y2"
            )
            yield "boxes-look-like-xywh", self.first["xywh"], what, self.not_xyxy
        elif self.sized >= LEAST_BOXES and self.to_1000 == self.boxes and self.largest >= 900:
            if self.outside >= 0.1 * self.sized:
                what = f"{self.outside} of {self.sized} boxes extend beyond their image, and no number is above 1000; expected pixels"
                yield "boxes-look-like-norm1000", self.first["norm1000"], what, self.outside
            elif self.in_wide >= LEAST_FAR_BOXES:
                what = f"{self.in_wide} boxes are in images at least 1100 px wide, and no number is above 1000; expected pixels"
                yield "boxes-look-like-norm1000", self.first["wide"], what, self.in_wide


@dataclass
class ClassCount:
    """In how many boxes and rows of the set a label occurs; `listed`: its boxes in detection rows. Elsewhere a label is a phrase, which may
    be spelt in many ways."""

    label: str
    first: Place
    boxes: int = 0
    rows: int = 0
    listed: int = 0


class SetFacts:
    """Collects facts of each row; `check` judges them after the last one."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.rows = self.boxes = self.images = self.negatives = self.detections = 0
        self.lacking: dict[str, list[int | Place]] = {}  # key of LACKING -> number of rows, the first of them
        self.other_labels = 0
        self.labels: dict[str, ClassCount] = {}
        self.box_counts = BoxCounts()
        self.id_types: dict[str, dict[type, Place]] = {}
        self._places, self._ids, self._lines = array("Q"), array("q"), array("q")

    def add(self, view: RowView, raw: bytes, place: Place, boxes: Sequence[Box]) -> None:
        """One row: its line in the file, and its readable boxes."""
        self.rows += 1
        self.boxes += len(view.boxes or ())
        self.images += len(view.images)
        self.negatives += not view.boxes
        detection = view.is_detection
        self.detections += detection
        if not self.files or self.files[-1] != place.file:
            self.files.append(place.file)
        self._places.append((len(self.files) - 1) << LINE_BITS | place.line)
        self._lines.append(hash(raw.strip()))
        sample_id = view.row.get("sample_id")
        asked = next((content for role, content in view.messages if role == "user"), None)  # one image may be asked several questions
        self._note_type(sample_id, place)
        self._ids.append(hash((repr(sample_id), asked)) or 1 if isinstance(sample_id, int | str) else 0)
        for rule, lacks in (("rows-mixed", not view.has_messages), ("rejected-missing", view.row.get("rejected_response") is None)):
            if lacks:
                self.lacking.setdefault(rule, [0, place])[0] += 1
        self._add_labels(view.classes(), bool(view.boxes), detection, place)
        if view.bbox_type == "real":
            for box in boxes:
                if len(box.numbers) == 4:
                    self.box_counts.add(box, place)

    def _note_type(self, sample_id: object, place: Place) -> None:
        """Keep where each file has its first number and its first string as an id."""
        if type(sample_id) in (int, float, str):
            self.id_types.setdefault(place.file, {}).setdefault(str if isinstance(sample_id, str) else int, place)

    def _check_id_types(self) -> Iterator[SetFinding]:
        for firsts in self.id_types.values():
            if len(firsts) > 1:
                (kind, first), (_, second) = firsts.items()
                here, there = ("a string", "a number") if kind is int else ("a number", "a string")
                yield "sample-id-types", second, f"sample_id is {here}, but {there} in line {first.line}; expected one type", 1

    def _add_labels(self, labels: Sequence[str], boxed: bool, detection: bool, place: Place) -> None:
        new_rows = set()
        for label in labels if boxed else ():
            known = self.labels.get(label)
            if known is None:
                if len(self.labels) >= MOST_LABELS:
                    self.other_labels += 1
                    continue
                known = self.labels[label] = ClassCount(label, place)
            known.boxes += 1
            known.listed += detection
            if label not in new_rows:
                known.rows += 1
                new_rows.add(label)

    def classes(self) -> list[ClassCount]:
        """Labels, those with the most boxes first."""
        return sorted(self.labels.values(), key=lambda each: (-each.boxes, each.label))

    def check(self, place: Place) -> Iterator[SetFinding]:
        """All findings about the set. `place`: the set itself, for findings without a line."""
        if self.detections and not self.negatives:
            yield "no-negatives", place, f"all {self.detections} detection rows have objects; expected some without", 1
        for rule, (count, first) in self.lacking.items():
            if count < self.rows:
                yield rule, first, LACKING[rule].format(count, self.rows), count
        yield from self._check_id_types()
        yield from self._check_duplicates()
        yield from self.box_counts.check()
        listed = {label: known for label, known in self.labels.items() if known.listed}
        yield from variants(listed)
        if len(listed) <= CLOSE_LABELS:
            yield from close(listed)

    def _check_duplicates(self) -> Iterator[SetFinding]:
        ids, lines = np.frombuffer(self._ids, np.int64), np.frombuffer(self._lines, np.int64)
        again = repeats(lines)
        for later, first in again:
            yield "row-duplicate", self._place(later), f"duplicate of {self._place(first)}; expected each row once", 1
        same_rows = {later for later, _ in again}
        for later, first in repeats(ids):
            if ids[later] and later not in same_rows:
                what = f"sample_id and question of {self._place(first)}; expected each once"
                yield "sample-id-duplicate", self._place(later), what, 1
        missing = np.flatnonzero(ids == 0)
        if len(missing):
            what = f"{len(missing)} of {self.rows} rows have no sample_id; expected a number or a string"
            yield "sample-id-missing", self._place(int(missing[0])), what, len(missing)

    def _place(self, row: int) -> Place:
        packed = self._places[row]
        return Place(self.files[packed >> LINE_BITS], packed & ((1 << LINE_BITS) - 1))


def variants(labels: dict[str, ClassCount]) -> Iterator[SetFinding]:
    """Labels that differ only in case or blanks."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike["".join(label.casefold().split())].append(label)
    for same in alike.values():
        if len(same) > 1:
            same.sort(key=lambda label: (-labels[label].listed, label))
            shown = ", ".join(f"{short(label)} ({labels[label].listed})" for label in same)
            for label in same[1:]:
                yield "label-variants", labels[label].first, f"{shown}; expected one spelling", labels[label].listed


def close(labels: dict[str, ClassCount]) -> Iterator[SetFinding]:
    """Rare labels that are one letter from a frequent one."""
    by_piece: dict[str, set[str]] = defaultdict(set)
    for label in labels:
        if 5 <= len(label) <= LONGEST_CLOSE:
            for piece in {label, *(label[:index] + label[index + 1 :] for index in range(len(label)))}:
                by_piece[piece].add(label)
    reported = set()
    for near in by_piece.values():
        if len(near) < 2:
            continue
        often = max(near, key=lambda label: (labels[label].listed, label))
        for label in sorted(near - {often} - reported):
            rare, much = labels[label].listed, labels[often].listed
            if rare * 50 <= much and label.casefold() != often.casefold():
                reported.add(label)
                what = f"{short(label)} ({rare}) and {short(often)} ({much}); expected different classes, or one spelling"
                yield "label-close", labels[label].first, what, rare


def repeats(values: np.ndarray) -> list[tuple[int, int]]:
    """(index of a repeated value, index of its first occurrence), ordered by the former. `values`: (N,) int64."""
    if not len(values):
        return []
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    first_of = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    return sorted((int(order[index]), int(first_of[index])) for index in same)
