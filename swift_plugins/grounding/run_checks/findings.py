"""What a check says about a run: an id, one sentence with the value and the remedy, and whether the run can go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from swift.utils import get_logger, is_master

from groundswift.errors import GroundswiftError


class Finding(NamedTuple):
    """`id`: by which tests and users name it. `text`: what, with which value, and what to do. `fatal`: the run would fail or be wrong."""

    id: str
    text: str
    fatal: bool = False


def report(findings: Iterable[Finding]) -> None:
    """Log the warnings, of several processes by the first one alone. Raises GroundswiftError with everything that is fatal."""
    found = list(findings)
    for finding in found:
        if not finding.fatal and is_master():
            get_logger().warning(f"{finding.text} [{finding.id}]")
    fatal = [finding.text for finding in found if finding.fatal]
    if fatal:
        raise GroundswiftError("\n".join(fatal))
