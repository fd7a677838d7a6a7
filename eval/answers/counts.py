"""What is counted while answers are read, by id."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from groundswift.errors import Tally
from groundswift.grammars.parse_warnings import warning_lines

from ..count_ids import tally_lines

STATUSES = ("ok", "empty", "truncated", "unreadable")
NAMED_LABELS = 50  # unknown labels that metrics.json names, most frequent first


@dataclass
class Counts:
    """`read` rows, answers by parse status, parse warnings by id; skipped `rows` and boxes `dropped` or `changed` by reason."""

    read: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    rows: Tally = field(default_factory=Tally)
    dropped: Tally = field(default_factory=Tally)
    changed: Tally = field(default_factory=Tally)
    unknown_labels: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)  # by parse status: an image may have several

    def document(self) -> dict[str, Any]:
        """The part of `counts` in `metrics.json` that is about answers."""
        rows = dict(self.rows.counts)
        return {
            "rows": self.read,
            "missing": self.statuses["missing"],
            "doubled": rows.pop("row-duplicate", 0),
            "unknown": rows.pop("row-unknown", 0),
            "rows_left_out": rows,
            "statuses": {status: self.statuses[status] for status in STATUSES},
            "reasons": dict(self.reasons.most_common()),
            "dropped": dict(self.dropped.counts),
            "changed": dict(self.changed.counts),
            "unknown_labels": dict(self.unknown_labels.most_common(NAMED_LABELS)),
        }

    def status_line(self) -> str:
        """`2 ok, 1 missing`."""
        return ", ".join(f"{number} {status}" for status, number in self.statuses.most_common())

    def lines(self) -> list[str]:
        """What was skipped, dropped or changed, for the terminal."""
        lines = [
            *tally_lines("rows skipped", self.rows),
            *tally_lines("boxes dropped", self.dropped),
            *tally_lines("changed", self.changed),
        ]
        if self.reasons:
            lines += ["parse warnings:", *warning_lines(dict(self.reasons.most_common()))]
        return lines
