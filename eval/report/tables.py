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
    """One value a run, and the last less the first where both are defined. `intervals`: (low, high) of each value, or None."""

    name: str
    values: list[float | None]
    difference: float | None
    number: Number | None = None
    intervals: list[tuple[float, float] | None] = []


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


def cell_text(value: Any, fractions: bool = False) -> str:
    """A cell of a table: text as it is, undefined as a dash; whole numbers as counts unless their column has `fractions`."""
    if isinstance(value, str) or defined(value) is None:
        return value if isinstance(value, str) else DASH
    return number_text(float(value) if fractions or not float(value).is_integer() else int(value))


def cell_texts(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """All cells of a table as text: a column with a fraction has three digits throughout."""
    fractions = {
        place for row in rows for place, cell in enumerate(row) if isinstance(cell, float) and math.isfinite(cell) and not cell.is_integer()
    }
    return [[cell_text(cell, place in fractions) for place, cell in enumerate(row)] for row in rows]


def numeric_columns(rows: Sequence[Sequence[Any]]) -> set[int]:
    """Places of the columns behind the first that hold a number somewhere; undefined is one."""
    return {place for row in rows for place, cell in enumerate(row) if place and not isinstance(cell, str)}


def largest(row: Sequence[Any]) -> float:
    """The largest number behind the first cell of a row; 0 where there is none."""
    return max((cell for cell in row[1:] if isinstance(cell, (int, float))), default=0)


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
    """All numbers of the table, under their titles."""
    rows = [compared(number.title, [run.metrics.get(number.key) for run in runs], number) for number in table.numbers]
    return [row._replace(intervals=[run.metrics.get("intervals", {}).get(row.number.key) for run in runs]) for row in rows]


def class_table(runs: Sequence[Run], keys: Sequence[str]) -> list[tuple[str, list[Compared]]]:
    """(class, the numbers of `keys`, then `truths` and `predictions`), in the evaluator's order; [] where no class has any of these."""
    tables = [run.metrics.get("per_class", {}) for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    keys = (*keys, "truths", "predictions")
    if not any(key in row for table in tables for row in table.values() for key in keys):
        return []
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


def sizes_of(run: Run) -> dict[str, int | None]:
    """How much a run scored, by what; None where it does not say."""
    counted = {"ground-truth boxes": "truths", "predictions": "predictions", "rows": "rows"}
    images = len({image.file_name or image.image_id for image in run.images}) or total(run, "samples")
    return {"images": images} | {name: total(run, key) for name, key in counted.items()}


SCALE = {"images": "张图片", "ground-truth boxes": "个真值框", "predictions": "个预测", "rows": "行"}


def summary(runs: Sequence[Run], headline: Sequence[Compared]) -> tuple[str, str]:
    """The first two headline numbers of the run, or of the first and the last, and how much was scored; English, Chinese."""
    ends = sorted({0, len(runs) - 1})
    first, last = runs[0].name, runs[-1].name
    ways = ", ".join(f"{row.name} {' → '.join(number_text(row.values[end]) for end in ends)}" for row in headline[:2])
    sizes = [sizes_of(runs[end]) for end in ends]
    scored = {name: dict.fromkeys(number_text(each[name]) for each in sizes) for name in sizes[0] if any(each[name] for each in sizes)}
    scale = {name: " → ".join(numbers) for name, numbers in scored.items()}
    english = ", ".join(f"{numbers} {name}" for name, numbers in scale.items())
    chinese = "，".join(f"{numbers} {SCALE[name]}" for name, numbers in scale.items())
    names = (f"From {first} to {last}: ", f"从 {first} 到 {last}：") if len(ends) > 1 else ("", "")
    return f"{names[0]}{ways}" + (f" on {english}." if english else "."), f"{names[1]}{ways}" + (f"（{chinese}）。" if chinese else "。")
