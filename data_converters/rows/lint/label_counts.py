"""In how many boxes and rows of a set each label occurs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, repeat

from .findings import Place, short_id

MOST_LABELS = 100_000  # distinct labels that are counted
COUNTED = ("boxes", "shared_boxes", "shared_rows", "listed")


@dataclass(slots=True)
class ClassCount:
    """In how many boxes and rows of the set a label occurs; `listed`: its boxes in detection rows. Elsewhere a label is a phrase, which may
    be spelt in many ways."""

    label: str
    first: Place
    boxes: int = 0
    rows: int = 0
    listed: int = 0


@dataclass
class LabelCounts:
    """Counts by label, as columns, which another process sends several times faster than a record of each label.

    `boxes`: of each label; `shared_boxes`: those in rows with several boxes, `shared_rows`: such rows; `listed`: boxes in detection rows.
    `first`: (file, line, sample_id) of the first row with a label; `others`: boxes of further labels.
    """

    boxes: Counter[str] = field(default_factory=Counter)
    shared_boxes: Counter[str] = field(default_factory=Counter)
    shared_rows: Counter[str] = field(default_factory=Counter)
    listed: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[str, int, int | str | None]] = field(default_factory=dict)
    others: int = 0

    def add(
        self, labels: Sequence[Sequence[str]], detection: Sequence[bool], file: str, lines: Sequence[int], sample_ids: Sequence[object]
    ) -> None:
        """Count the labels of the boxes of some rows, given their lines."""
        every, shared = list(chain.from_iterable(labels)), [each for each in labels if len(each) > 1]
        self.boxes.update(every)
        self.shared_boxes.update(chain.from_iterable(shared))
        self.shared_rows.update(chain.from_iterable(map(set, shared)))
        self.listed.update(chain.from_iterable(compress(labels, detection)))
        first_row: dict[str, int] = {}
        rows = chain.from_iterable(map(repeat, range(len(labels)), map(len, labels)))
        deque(map(first_row.setdefault, every, rows), maxlen=0)
        for label in first_row.keys() - self.first.keys():
            row = first_row[label]
            self.first[label] = file, lines[row], short_id(sample_ids[row])

    def merge(self, other: LabelCounts) -> None:
        """Take in the counts of later rows."""
        room = MOST_LABELS - len(self.boxes)
        if len(other.boxes) > room:
            new = [label for label in other.boxes if label not in self.boxes]
            other = other.without(new[max(room, 0) :])
        self.others += other.others
        for name in COUNTED:
            getattr(self, name).update(getattr(other, name))
        for label in other.first.keys() - self.first.keys():
            self.first[label] = other.first[label]

    def without(self, labels: Sequence[str]) -> LabelCounts:
        """The counts without some labels, whose boxes are among the others."""
        kept = LabelCounts(others=self.others + sum(map(self.boxes.__getitem__, labels)))
        dropped = set(labels)
        for name in (*COUNTED, "first"):
            getattr(kept, name).update({label: value for label, value in getattr(self, name).items() if label not in dropped})
        return kept

    def classes(self) -> Iterator[ClassCount]:
        """Each label, in the order of the first rows."""
        for label, boxes in self.boxes.items():
            rows = boxes - self.shared_boxes[label] + self.shared_rows[label]
            yield ClassCount(label, Place(*self.first[label]), boxes, rows, self.listed[label])
