"""What a check finds in a run: an id, one sentence with value and remedy, and whether the run must stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from swift.utils import get_logger, is_master

from groundswift.errors import GroundswiftError

from ..patches.wrap_once import Patch, patch


class Finding(NamedTuple):
    """`id`: for tests and users. `text`: what, with which value, and what to do. `fatal`: the run would fail or be wrong."""

    id: str
    text: str
    fatal: bool = False


def report(findings: Iterable[Finding]) -> None:
    """Log the warnings, in the first process only. Raises GroundswiftError with all fatal findings."""
    found = list(findings)
    for finding in found:
        if not finding.fatal and is_master():
            get_logger().warning(f"{finding.text} [{finding.id}]")
    fatal = [f"{finding.text} [{finding.id}]" for finding in found if finding.fatal]
    if fatal:
        raise GroundswiftError("\n".join(fatal))


def check_before(owner: type, name: str, *checks: Callable[[Any], Iterable[Finding]]) -> Patch:
    """A patch that reports what checks find in an object of swift before its method `name` runs."""

    def with_checks(method: Callable[..., Any], self: Any, *given: Any, **more: Any) -> Any:
        report(finding for check in checks for finding in check(self))
        return method(self, *given, **more)

    with_checks.__module__ = checks[0].__module__
    return patch(name, owner)(with_checks)
