"""The table of rules, `data_converters/lint_rules.tsv`: what lint can find, its severity, what swift 4.6 does with such a row, the remedy.

`error`: swift stops, drops or replaces the row, or silently trains on wrong text or a wrong image; or the row cannot be scored.
`warning`: probably a mistake. `info`: good to know.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ...issue_titles import LINT_RULES

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Rule(NamedTuple):
    """One rule. `title`: what is wrong; `effect`: what follows; `remedy`: what to do; `fixed`: whether --fix does it where it can."""

    id: str
    severity: Severity
    title: str
    effect: str
    remedy: str
    fixed: bool = False


RULES: dict[str, Rule] = {row[0]: Rule(*row[:5], fixed=bool(row[5])) for row in LINT_RULES}


def rules_text() -> str:
    """The table as `groundswift lint --rules` prints it."""
    lines = []
    for rule in RULES.values():
        lines += [f"{rule.id:<26}{rule.severity:<9}{rule.title}", f"{'':<35}{rule.effect}", f"{'':<35}Fix: {remedy_text(rule)}"]
    return "\n".join(lines)


def remedy_text(rule: Rule) -> str:
    """The remedy, and whether --fix does it."""
    return rule.remedy + (" (--fix)" if rule.fixed else "")
