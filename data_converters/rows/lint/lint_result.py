"""What a lint found: findings, facts of the set, and what --fix changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from groundswift.errors import Tally

from .checks_set import SetFacts
from .findings import Findings


@dataclass
class Lint:
    """What a pass found; complete once its iterator has ended. `changes`: what --fix did, by ids of `fix.CHANGES`."""

    files: Sequence[str]
    findings: Findings
    facts: SetFacts = field(default_factory=SetFacts)
    changes: Tally = field(default_factory=Tally)
    rows_fixed: int = 0

    def add(self, block: Lint) -> None:
        """Take in what was found in the next lines."""
        self.findings.merge(block.findings)
        self.facts.merge(block.facts)
        self.changes.merge(block.changes)
        self.rows_fixed += block.rows_fixed


@dataclass
class Checked(Lint):
    """What was found in one block of `size` bytes. `lines`: its lines, with --fix."""

    size: int = 0
    lines: list[bytes] = field(default_factory=list)
