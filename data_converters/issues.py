"""What happens on the way from a source to rows: faults, and what is left out or changed by rule. Every converter notes it here."""

from __future__ import annotations

from typing import Literal, NamedTuple

from groundswift.errors import GroundswiftError, Tally
from groundswift.terminal import one_line

OnError = Literal["stop", "skip"]


class Issue(NamedTuple):
    """One thing that cannot be used: `thing` says where it stands in the source, such as `annotation 7 of image 3 (b.jpg)`."""

    reason: str
    thing: str
    what: str
    expected: str

    @classmethod
    def of(cls, reason: str, thing: str, text: str, expected: str = "") -> Issue:
        """From the text of an error, `what; expected this`; `expected` where that does not say."""
        what, _, stated = text.partition("; expected ")
        return cls(reason, thing, what, stated or expected)

    def __str__(self) -> str:
        return one_line(f"{self.thing}: {self.what}; expected {self.expected}")


class SkipSample(Exception):
    """There can be no row: the fault, or None where it is noted already."""

    def __init__(self, fault: Issue | None) -> None:
        super().__init__(fault)
        self.fault = fault


class IssueLog:
    """`on_error` stop collects every fault, and `settle` raises them as one error; skip counts each among what was left out."""

    def __init__(self, on_error: OnError = "stop") -> None:
        self.skipping = on_error == "skip"
        self.left_out = Tally()
        self.collected = Tally()

    def add(self, fault: Issue) -> None:
        """Note a fault; what it is about becomes no part of any row."""
        if self.skipping:
            self.left_out.add(fault.reason, fault.thing)
        else:
            self.collected.add(fault.reason, fault)

    def count(self, reason: str, example: object = "", count: int = 1) -> None:
        """Note something that is left out or changed by rule, and is no fault."""
        self.left_out.add(reason, example, count)

    def merge(self, other: IssueLog) -> None:
        """Take in the notes of a later part of the same source."""
        self.left_out.merge(other.left_out)
        self.collected.merge(other.collected)

    def nothing_left(self, source: object, what: str) -> GroundswiftError:
        """The error that `what`, since all of it was left out."""
        return GroundswiftError("\n".join([one_line(f"{source}: {what}"), *self.left_out.lines()]))

    def settle(self, source: object, in_sets: bool = True) -> None:
        """Raises GroundswiftError with the total and the first faults of each reason, where any was collected. `in_sets`: whether a list
        of sets could say to skip them, too."""
        total = self.collected.counts.total()
        if not total:
            return
        lines = [f"{one_line(source)}: {total} {'fault' if total == 1 else 'faults'}; nothing was written"]
        for reason, count in self.collected.counts.most_common():
            examples = self.collected.examples[reason]
            lines += [f"{count:>8}  {reason}", *(f"{'':>10}{example}" for example in examples)]
            if count > len(examples):
                lines.append(f"{'':>10}... and {count - len(examples)} more")
        lines.append("--on-error skip leaves them out and counts them" + " (in a list of sets: on_error: skip)" * in_sets)
        raise GroundswiftError("\n".join(lines))
