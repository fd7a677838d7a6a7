"""Findings: counted by rule, with the first examples of each."""

from __future__ import annotations

from typing import NamedTuple

from .rules import RULES, SEVERITIES, Severity

LARGEST = 1 << 63


class Place(NamedTuple):
    """Where something was found: `file:line`, and the row's id if it has one."""

    file: str
    line: int = 0
    sample_id: int | str | None = None

    @classmethod
    def of(cls, file: str, line: int, sample_id: object) -> Place:
        """With the id of a row, if it is an integer or text."""
        return cls(file, line, short_id(sample_id))

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return where if self.sample_id is None else f"{where} (sample_id {self.sample_id!r})"


def short_id(sample_id: object) -> int | str | None:
    """The id of a row, if it is an integer or text: long ones are shortened."""
    if type(sample_id) is int and -LARGEST < sample_id < LARGEST:
        return sample_id
    if not isinstance(sample_id, int | str):
        return None
    return sample_id if isinstance(sample_id, bool) else str(sample_id)[:60]


class Findings:
    """Counts by rule, and at most `keep` examples of each: (place, what was found)."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[tuple[Place, str]]] = {}

    def add(self, rule: str, place: Place, what: str, count: int = 1) -> None:
        self.counts[rule] = self.counts.get(RULES[rule].id, 0) + count
        examples = self.examples.setdefault(rule, [])
        if len(examples) < self.keep:
            examples.append((place, what))

    def merge(self, other: Findings) -> None:
        """Take in the findings of later lines."""
        for rule, count in other.counts.items():
            self.counts[rule] = self.counts.get(rule, 0) + count
            examples = self.examples.setdefault(rule, [])
            examples += other.examples[rule][: self.keep - len(examples)]

    def of(self, severity: Severity) -> int:
        """The number of findings of a severity."""
        return sum(count for rule, count in self.counts.items() if RULES[rule].severity == severity)

    def in_order(self) -> list[str]:
        """Ids of the rules found: errors first, the most frequent first."""
        return sorted(self.counts, key=lambda rule: (SEVERITIES.index(RULES[rule].severity), -self.counts[rule], rule))
