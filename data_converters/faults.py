"""Faults of a source: collected by reason, then told all at once, or left out and counted. Every converter uses this."""

from __future__ import annotations

from typing import Literal, NamedTuple

from groundswift.errors import GroundswiftError, Tally

OnError = Literal["stop", "skip"]


class Fault(NamedTuple):
    """One thing that cannot be used: `thing` says where it stands in the source, such as `annotation 7 of image 3 (b.jpg)`."""

    reason: str
    thing: str
    what: str
    expected: str

    def __str__(self) -> str:
        return f"{self.thing}: {self.what}; expected {self.expected}"


class Faults:
    """`stop` collects every fault, and `settle` raises them as one error; `skip` counts each in the tally of what was left out."""

    def __init__(self, source: object, on_error: OnError, tally: Tally) -> None:
        self.source = source
        self.skipping = on_error == "skip"
        self.left_out = tally
        self.collected = Tally()

    def add(self, fault: Fault) -> None:
        if self.skipping:
            self.left_out.add(fault.reason, fault.thing)
        else:
            self.collected.add(fault.reason, fault)

    def settle(self) -> None:
        """Raises GroundswiftError with the total and the first faults of each reason, where any was collected."""
        total = self.collected.counts.total()
        if not total:
            return
        lines = [f"{self.source}: {total} {'fault' if total == 1 else 'faults'}; nothing was written"]
        for reason, count in self.collected.counts.most_common():
            examples = self.collected.examples[reason]
            lines += [f"{count:>8}  {reason}", *(f"{'':>10}{example}" for example in examples)]
            if count > len(examples):
                lines.append(f"{'':>10}... and {count - len(examples)} more")
        lines.append("--on-error skip leaves them out and counts them (in a list of sets: on_error: skip)")
        raise GroundswiftError("\n".join(lines))
