"""Checks of the whole set: duplicate ids and rows, classes, and boxes that look like another format.

About 30 bytes per row are kept, and one entry per class.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from groundswift.row_view import RowView, short

from ..line_index import id_key, key64
from ..typed_row import NO_OBJECTS, TypedRun
from .box_counts import BoxCounts, SetFinding
from .checks_boxes import Box
from .findings import Place
from .label_counts import ClassCount, LabelCounts

LONGEST_CLOSE = 60  # characters of a label that is compared
CLOSE_LABELS = 2_000  # distinct labels among which typos are searched
LINE_BITS = 40
LACKING = {  # what all rows of a set have, or none
    "rows-mixed": "{} of {} rows have query and response, the others messages; expected messages",
    "rejected-missing": "{} of {} rows have no rejected_response; expected one in each",
}


class Conversation(NamedTuple):
    """What the checks of a whole row know of its messages, without findings. `ref_of_box`: None where each label has its box, in order;
    `question`: 64 bits of the first one."""

    ref_of_box: tuple[int | None, ...] | None
    detection: bool
    question: int

    @classmethod
    def of(cls, view: RowView) -> Conversation:
        refs = view.pairing.ref_of_box
        in_order = len(view.refs or ()) == len(refs) and refs == list(range(len(refs)))
        return cls(None if in_order else tuple(refs), view.is_detection, question_key(view))

    def labels(self, refs: Sequence[str]) -> Sequence[str]:
        """The labels of the boxes of a row with these labels; where no box has one, all."""
        return refs if self.ref_of_box is None else [refs[ref] for ref in self.ref_of_box if ref is not None] or refs


def question_key(view: RowView) -> int:
    """64 bits of the first question of a row: one image may be asked several. 0 without one."""
    asked = next((content for role, content in view.messages if role == "user"), None)
    return 0 if asked is None else key64(asked)


def row_key(question: int, sample_id: object) -> int:
    """64 bits of the id of a row and its question, never 0; 0 for a row without an id."""
    if type(sample_id) is str or type(sample_id) is bool:
        sample_id = repr(sample_id)
    return id_key(question, sample_id) or 1 if type(sample_id) in (int, str) else 0


class SetFacts:
    """Collects facts of the rows of a block, or of a set by `merge` of its blocks; `check` judges them after the last one."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.rows = self.boxes = self.images = self.negatives = self.detections = 0
        self.lacking: dict[str, list[int | Place]] = {}  # key of LACKING -> number of rows, the first of them
        self.labels = LabelCounts()
        self.box_counts = BoxCounts()
        self.id_types: dict[str, dict[type, Place]] = {}
        self._last_type: type | None = None
        self._places, self._ids, self._lines = array("Q"), array("q"), array("q")

    def add(self, view: RowView, raw: bytes, place: Place, boxes: Sequence[Box]) -> None:
        """One row: its line in the file, and its readable boxes."""
        detection, sample_id = view.is_detection, view.row.get("sample_id")
        self._count([len(view.boxes or ())], len(view.images), [detection])
        self._note([raw], place.file, [place.line], [sample_id], [question_key(view)])
        for rule, lacks in (("rows-mixed", not view.has_messages), ("rejected-missing", view.row.get("rejected_response") is None)):
            if lacks:
                self.lacking.setdefault(rule, [0, place])[0] += 1
        if view.boxes:
            self.labels.add([view.classes()], [detection], place.file, [place.line], [sample_id])
        if view.bbox_type == "real":
            for box in boxes:
                if len(box.numbers) == 4:
                    self.box_counts.add(box, place)

    def add_run(self, run: TypedRun, file: str) -> None:
        """Rows that nothing is wrong with, whose messages are a `Conversation`; their boxes are counted elsewhere."""
        lines, sample_ids = range(run.number, run.number + len(run.rows)), run.sample_ids
        objects = [row.objects or NO_OBJECTS for row in run.rows]
        boxes, detection = [len(each.bbox) for each in objects], [said.detection for said in run.said]
        self._count(boxes, sum([len(row.images) for row in run.rows]), detection)
        self._note(run.lines, file, lines, sample_ids, [said.question for said in run.said])
        self.lacking.setdefault("rejected-missing", [0, Place.of(file, lines[0], sample_ids[0])])[0] += len(lines)
        labels = [said.labels(each.ref) if each.bbox else () for each, said in zip(objects, run.said, strict=True)]
        self.labels.add(labels, detection, file, lines, sample_ids)

    def _count(self, boxes: Sequence[int], images: int, detection: Sequence[bool]) -> None:
        self.rows += len(boxes)
        self.boxes += sum(boxes)
        self.images += images
        self.negatives += boxes.count(0)
        self.detections += sum(detection)

    def _note(self, raws: Sequence[bytes], file: str, lines: Sequence[int], sample_ids: Sequence[object], questions: Sequence[int]) -> None:
        """Keep what tells whether a row repeats another: its line, and its id with its question."""
        if not self.files or self.files[-1] != file:
            self.files.append(file)
            self._last_type = None
        start = (len(self.files) - 1) << LINE_BITS
        self._places.extend([start | line for line in lines])
        self._lines.frombytes(b"".join([blake2b(raw.strip(), digest_size=8).digest() for raw in raws]))
        kinds = set(map(type, sample_ids))
        if kinds != {self._last_type}:
            for line, sample_id in zip(lines, sample_ids, strict=True):
                if type(sample_id) is not self._last_type:
                    self._last_type = type(sample_id)
                    self._note_type(sample_id, Place.of(file, line, sample_id))
        if kinds == {int}:
            self._ids.extend([id_key(question, number) or 1 for question, number in zip(questions, sample_ids, strict=True)])
        else:
            self._ids.extend(map(row_key, questions, sample_ids))

    def merge(self, other: SetFacts) -> None:
        """Take in the facts of later rows."""
        for name in ("rows", "boxes", "images", "negatives", "detections"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        offset = len(self.files) - bool(self.files and other.files and self.files[-1] == other.files[0])
        self.files = self.files[:offset] + other.files
        self._places.frombytes((np.frombuffer(other._places, np.uint64) + np.uint64(offset << LINE_BITS)).tobytes())
        self._lines += other._lines
        self._ids += other._ids
        for rule, (count, first) in other.lacking.items():
            self.lacking.setdefault(rule, [0, first])[0] += count
        for file, firsts in other.id_types.items():
            for kind, first in firsts.items():
                self.id_types.setdefault(file, {}).setdefault(kind, first)
        self.box_counts.merge(other.box_counts)
        self.labels.merge(other.labels)

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

    def classes(self) -> list[ClassCount]:
        """Labels, those with the most boxes first."""
        return sorted(self.labels.classes(), key=lambda each: (-each.boxes, each.label))

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
        listed = {known.label: known for known in self.labels.classes() if known.listed}
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
