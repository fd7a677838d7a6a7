"""Numbers as text and as rows of tables. Undefined is a dash, never 0."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..count_ids import COUNTS, GROUPS, sentence
from ..evaluated_run import Number, NumberTable, Run

DASH = "\u2013"
MINUS = "\u2212"


class Compared(NamedTuple):
    """One value a run, and the last less the first where both are defined."""

    name: str
    values: list[float | None]
    difference: float | None
    number: Number | None = None


class Warned(NamedTuple):
    """Rows, answers and boxes of a run that were lost or changed, and the warnings of its evaluation."""

    run: str
    lines: list[tuple[str, int]]
    messages: list[str]


def defined(value: Any) -> float | None:
    """A number, or None for null and NaN."""
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


def number_text(value: Any) -> str:
    """0.1234 -> 0.123, 12345 -> 12,345, undefined -> a dash."""
    value = defined(value)
    if value is None:
        return DASH
    return f"{value:.3f}".replace("-", MINUS) if isinstance(value, float) else f"{value:,}"


def signed_text(value: float | None) -> str:
    """A difference with its sign: +0.250, −0.031, 0.000; undefined -> a dash."""
    text = number_text(value)
    return f"+{text}" if value is not None and value > 0 and text != "0.000" else text.replace(f"{MINUS}0.000", "0.000")


def plain_text(value: Any) -> str:
    """A value of the protocol as text: lists with commas, booleans as words, undefined as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain_text(item) for item in value) or "none"
    return DASH if defined(value) is None else str(value)


def compared(name: str, values: Sequence[Any], number: Number | None = None) -> Compared:
    """A number of each run, and the last less the first; None where either is undefined."""
    known = [defined(value) for value in values]
    first, last = known[0], known[-1]
    return Compared(name, known, None if first is None or last is None else last - first, number)


def metric_rows(runs: Sequence[Run], table: NumberTable) -> list[Compared]:
    """All numbers of the table."""
    return [compared(number.key, [run.metrics.get(number.key) for run in runs], number) for number in table.numbers]


def class_table(runs: Sequence[Run], keys: Sequence[str]) -> list[tuple[str, list[Compared]]]:
    """(class, the numbers of `keys`, then `truths` and `predictions`), in the evaluator's order."""
    tables = [run.metrics.get("per_class", {}) for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    keys = (*keys, "truths", "predictions")
    return [(name, [compared(key, [table.get(name, {}).get(key) for table in tables]) for key in keys]) for name in names]


def flat_counts(counts: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Nested counts as (keys from the outermost, number), in order."""
    for key, value in counts.items():
        if isinstance(value, dict):
            yield from flat_counts(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def joined(tables: Sequence[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Tables of several runs as rows: (name, one value a run), None where a run has none."""
    names = dict.fromkeys(name for table in tables for name in table)
    return [(name.replace("_", " "), [table.get(name) for table in tables]) for name in names]


def count_rows(runs: Sequence[Run]) -> list[tuple[str, list[Any]]]:
    """Every count of every run: (name, one number a run)."""
    return joined([{": ".join(path): count for path, count in flat_counts(run.metrics.get("counts", {}))} for run in runs])


def meaning(path: tuple[str, ...]) -> str | None:
    """What a count of that path says was lost or changed; None for a count of anything else."""
    for group in path[:-1]:
        if group in GROUPS:
            return f"{GROUPS[group]}: {path[-1] if group == 'unknown_labels' else sentence(path[-1], group)}"
    return COUNTS.get(path[-1])


def warnings_of(runs: Sequence[Run]) -> list[Warned]:
    """What was lost or changed in each run; a run without any such count has no lines."""
    warned = []
    for run in runs:
        lines = [(meaning(path), count) for path, count in flat_counts(run.metrics.get("counts", {})) if count]
        messages = [warning["message"] for warning in run.metrics.get("warnings", [])]
        warned.append(Warned(run.name, [(text, count) for text, count in lines if text is not None], messages))
    return warned


def total(run: Run, name: str) -> int | None:
    """The evaluator's own count of that name, or the classes' together where it counted none."""
    counted = run.metrics.get("counts", {}).get(name)
    if counted is not None:
        return counted
    rows = run.metrics.get("per_class", {}).values()
    return sum(row.get(name) or 0 for row in rows) if rows else None


def summary(runs: Sequence[Run], headline: Sequence[Compared]) -> str:
    """The first two headline numbers of the run, or of the first and the last, in one sentence."""
    first, last, shown = runs[0], runs[-1], headline[:2]
    scale = f"{number_text(len(last.images))} images with {number_text(total(last, 'truths'))} ground-truth boxes"
    after = f"{number_text(total(last, 'predictions'))} predictions"
    if len(runs) == 1:
        return f"{' and '.join(f'{row.name} {number_text(row.values[0])}' for row in shown)} on {scale} and {after}."
    ways = [f"{row.name} {number_text(row.values[0])} → {number_text(row.values[-1])}" for row in shown]
    before = number_text(total(first, "predictions"))
    return f"From {first.name} to {last.name}: {', '.join(ways)} on {scale}; {before} → {after}."
