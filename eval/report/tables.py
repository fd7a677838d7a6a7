"""Numbers as text and as rows of tables. Undefined is a dash, never a zero."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..compare import number_keys
from ..evaluated_run import Run

DASH = "\u2013"
MINUS = "\u2212"
BIG = ("AP", "AP50", "AP75", "AR100")
METRICS = {  # key -> IoU, area, detections an image and class (None: the limit of AP); source: COCO's twelve
    "AP": ("0.50:0.95", "all", None),
    "AP50": ("0.50", "all", None),
    "AP75": ("0.75", "all", None),
    "APs": ("0.50:0.95", "small, under 32² px", None),
    "APm": ("0.50:0.95", "medium", None),
    "APl": ("0.50:0.95", "large, over 96² px", None),
    "AR1": ("0.50:0.95", "all", 1),
    "AR10": ("0.50:0.95", "all", 10),
    "AR100": ("0.50:0.95", "all", 100),
    "ARs": ("0.50:0.95", "small, under 32² px", None),
    "ARm": ("0.50:0.95", "medium", None),
    "ARl": ("0.50:0.95", "large, over 96² px", None),
}
OF_CLASSES = {"APr": "all, rare classes", "APc": "all, common classes", "APf": "all, frequent classes"}  # of LVIS
CLASS_METRICS = ("AP", "AP50", "AP75", "AR100")
TOLD = {  # counts of the evaluator that a reader has to know of, where they are over zero
    "missing": "image without an answer in the result file: all that is on it counts as missed",
    "doubled": "row whose image and question had one before: the first one counts",
    "unknown": "row of an image that the truth does not hold: left out",
    "beyond_max_detections": "prediction past the limit of its image and class (LVIS: of its image): it does not count",
    "not_looked_for": "prediction of a class that was not looked for in its image: it does not count",
    "truncated": "answer that stops in the middle: what stands before counts",
    "unreadable": "answer that says something in which no box can be read: no detection",
}
TOLD_GROUPS = {  # and groups of them: the reason stands in the key
    "annotations_left_out": "annotation left out of the truth",
    "rows_left_out": "row left out",
    "predictions_left_out": "prediction left out",
    "dropped": "dropped from answers",
    "changed": "changed in answers",
    "reasons": "parse warning",
    "unknown_labels": "box of an unknown class",
}


@dataclass(frozen=True)
class Compared:
    """One value a run, and the last less the first where both are defined."""

    name: str
    values: list[float | None]
    difference: float | None
    note: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Warned:
    """What a run's counts tell of rows, answers and boxes that were lost or changed, and the warnings of its evaluation."""

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


def compared(name: str, values: Sequence[Any], note: tuple[Any, ...] = ()) -> Compared:
    """A number of each run, and what the last has over the first; None where either is undefined."""
    known = [defined(value) for value in values]
    first, last = known[0], known[-1]
    return Compared(name, known, None if first is None or last is None else last - first, note)


def headline(runs: Sequence[Run]) -> list[Compared]:
    """The numbers that stand large at the top."""
    return [compared(key, [run.metrics.get(key) for run in runs]) for key in BIG]


def metric_rows(runs: Sequence[Run]) -> list[Compared]:
    """All numbers, each with its IoU, area and number of detections as `note`; the limit of AP is that of the last run."""
    most = runs[-1].metrics.get("protocol", {}).get("max_detections_of_ap", 100)
    rows = []
    for key in number_keys(runs):
        iou, area, limit = METRICS.get(key, ("0.50:0.95", OF_CLASSES.get(key, "all"), None))
        rows.append(compared(key, [run.metrics.get(key) for run in runs], (iou, area, limit or most)))
    return rows


def class_table(runs: Sequence[Run]) -> list[tuple[str, list[Compared]]]:
    """(class, its AP, AP50, AP75, AR100, truths and predictions), in the evaluator's order."""
    tables = [run.metrics.get("per_class", {}) for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    keys = (*CLASS_METRICS, "truths", "predictions")
    return [(name, [compared(key, [table.get(name, {}).get(key) for table in tables]) for key in keys]) for name in names]


def leaves(counts: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Nested counts as (keys from the outermost, number), in order."""
    for key, value in counts.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _joined(tables: Sequence[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    names = dict.fromkeys(name for table in tables for name in table)
    return [(name, [table.get(name) for table in tables]) for name in names]


def count_rows(runs: Sequence[Run]) -> list[tuple[str, list[Any]]]:
    """Every count of every run: (name, one number a run)."""
    flat = [{": ".join(path): count for path, count in leaves(run.metrics.get("counts", {}))} for run in runs]
    return [(name.replace("_", " "), values) for name, values in _joined(flat)]


def protocol_rows(runs: Sequence[Run]) -> list[tuple[str, list[Any]]]:
    """Every term of the protocol: (name, one value a run)."""
    return [(name.replace("_", " "), values) for name, values in _joined([run.metrics.get("protocol", {}) for run in runs])]


def told(path: tuple[str, ...]) -> str | None:
    """What a count of that path tells of something lost or changed; None where it tells of nothing of the kind."""
    for group in path[:-1]:
        if group in TOLD_GROUPS:
            reason = path[-1] if group == "unknown_labels" else path[-1].replace("_", " ")
            return f"{TOLD_GROUPS[group]}: {reason}"
    return TOLD.get(path[-1])


def warnings_of(runs: Sequence[Run]) -> list[Warned]:
    """What each run's counts tell of something lost or changed; a run with nothing of the kind has no lines."""
    warned = []
    for run in runs:
        lines = [(told(path), count) for path, count in leaves(run.metrics.get("counts", {})) if count]
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


def summary(runs: Sequence[Run]) -> str:
    """The run, or the way from the first to the last, in one sentence."""
    first, last = runs[0], runs[-1]
    scale = f"{number_text(len(last.images))} images with {number_text(total(last, 'truths'))} true boxes"
    after = f"{number_text(total(last, 'predictions'))} predictions"
    if len(runs) == 1:
        return f"AP {number_text(last.metrics.get('AP'))} and AP50 {number_text(last.metrics.get('AP50'))} on {scale} and {after}."
    ways = [f"{key} {number_text(first.metrics.get(key))} → {number_text(last.metrics.get(key))}" for key in ("AP", "AP50")]
    before = number_text(total(first, "predictions"))
    return f"From {first.name} to {last.name}: {', '.join(ways)} on {scale}; {before} → {after}."
