"""What goes wrong between a source and its rows: problems, and what is skipped or changed by rule; every converter logs both, by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from groundswift.errors import GroundswiftError, Tally
from groundswift.terminal import counted, one_line

from .issue_titles import TITLES

OnError = Literal["stop", "skip"]


def known(id: str) -> str:
    """The same id. Raises GroundswiftError for one that TITLES does not have."""
    if id not in TITLES:
        raise GroundswiftError(f"issue id {id!r} has no title; expected one of data_converters/issue_titles.py or of the format's `issues`")
    return id


def declare(titles: Mapping[str, str]) -> None:
    """Add the titles of a format's own ids. Raises GroundswiftError for an id that has another title."""
    for id, title in titles.items():
        if TITLES.setdefault(id, title) != title:
            raise GroundswiftError(f"issue id {id!r} is taken ({TITLES[id]}); expected another one")


class Issue(NamedTuple):
    """A sample, or a part of one, that cannot be used. `id`: a key of TITLES; `where`: its place, such as `annotation 7 of image 3`."""

    id: str
    where: str
    what: str
    expected: str

    @classmethod
    def of(cls, id: str, where: str, text: str, expected: str = "") -> Issue:
        """From the text of an error, `what; expected this`; `expected` where that does not say."""
        what, _, stated = text.partition("; expected ")
        return cls(id, where, what, stated or expected)

    def __str__(self) -> str:
        return one_line(f"{self.where}: {self.what}; expected {self.expected}")


class SkipSample(Exception):
    """The sample becomes no row. `issue`: why, or None where that is logged already."""

    def __init__(self, issue: Issue | None) -> None:
        super().__init__(issue)
        self.issue = issue


def skip(id: str, where: str, what: str, expected: str) -> SkipSample:
    """The exception that skips a sample with an issue."""
    return SkipSample(Issue(id, where, what, expected))


class IssueLog:
    """Counts by id. With `on_error` stop, problems are collected and `settle` raises them as one error; with skip they are counted too.

    An id that TITLES does not have raises GroundswiftError.
    """

    def __init__(self, on_error: OnError = "stop") -> None:
        self.skipping = on_error == "skip"
        self.counted = Tally()
        self.problems = Tally()

    def add(self, issue: Issue) -> None:
        """Log a problem. What it is about must not become part of any row."""
        tally, example = (self.counted, issue.where) if self.skipping else (self.problems, issue)
        tally.add(known(issue.id), example)

    def count(self, id: str, example: object = "", count: int = 1) -> None:
        """Count what is skipped or changed by rule, which is not a problem."""
        self.counted.add(known(id), example, count)

    def merge(self, other: IssueLog) -> None:
        """Add the log of a later part of the same source."""
        self.counted.merge(other.counted)
        self.problems.merge(other.problems)

    def lines(self) -> list[str]:
        """What was skipped or changed, for people: one line per id, most frequent first."""
        return self.counted.lines(TITLES)

    def nothing_left(self, source: object, what: str) -> GroundswiftError:
        """The error that nothing can be written (`what` says of which kind), with the counts."""
        return GroundswiftError("\n".join([one_line(f"{source}: {what}"), *self.lines()]))

    def settle(self, source: object, in_sets: bool = True) -> None:
        """Raise GroundswiftError with the total and the first problems of each id, if any was collected. `in_sets`: whether a list of
        datasets could set on_error."""
        total = self.problems.counts.total()
        if not total:
            return
        lines = [f"{one_line(source)}: {counted(total, 'problem')}, nothing written"]
        for id, count in self.problems.counts.most_common():
            examples = self.problems.examples[id]
            lines += [f"{count:>8}  {id}: {TITLES[id]}", *(f"{'':>10}{example}" for example in examples)]
            if count > len(examples):
                lines.append(f"{'':>10}... and {count - len(examples)} more")
        how = " (in a list of datasets: on_error: skip)" * in_sets
        lines.append(f"Use --on-error skip to drop and count {'it' if total == 1 else 'them'}{how}.")
        raise GroundswiftError("\n".join(lines))
