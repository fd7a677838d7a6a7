"""Evaluated runs side by side: load them, and put their 12 numbers into one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from groundswift.errors import GroundswiftError

from .coco_map import SUMMARY
from .result import Run
from .run_check import read_run

SAME = ("gt_sha256", "score", "label_match")  # terms without which two numbers do not compare


def load_run(folder: Path, name: str) -> Run:
    """The run that `eval coco-map` left in a folder, under a new name. Raises GroundswiftError as `read_run` does."""
    run = read_run(folder)
    run.name = name
    return run


def names_of(folders: Sequence[Path], names: str | None) -> list[str]:
    """One name a run: those given, split at commas, or the folders' own. Raises GroundswiftError where they are too few or the same."""
    found = [folder.resolve().name for folder in folders] if names is None else [name.strip() for name in names.split(",")]
    if len(found) != len(folders):
        raise GroundswiftError(f"--names gives {len(found)} names for {len(folders)} runs; expected one a run, with commas between")
    if len(set(found)) < len(found) or not all(found):
        raise GroundswiftError(f"the runs are named {', '.join(map(repr, found))}; expected names that differ: give --names")
    return found


def numbers_of(run: Run) -> dict[str, float | None]:
    """The 12 numbers of a run by name; None where undefined."""
    return {key: run.metrics.get(key) for key in SUMMARY}


def differing_terms(runs: Sequence[Run]) -> list[str]:
    """The terms of the protocol in which runs differ that should not where their numbers are to compare."""
    protocols = [run.metrics.get("protocol", {}) for run in runs]
    return [term for term in SAME if len({protocol[term] for protocol in protocols if term in protocol}) > 1]


def table_lines(runs: Sequence[Run]) -> list[str]:
    """The 12 numbers, a column a run, and what the last has over the first; a dash where undefined."""
    width = max(8, *(len(run.name) for run in runs)) + 2
    lines = [f"{'':6}" + "".join(f"{run.name:>{width}}" for run in runs) + f"{'change':>10}"]
    for key in SUMMARY:
        values = [run.metrics.get(key) for run in runs]
        change = "-" if values[0] is None or values[-1] is None else f"{values[-1] - values[0]:+.3f}"
        lines.append(f"{key:6}" + "".join(f"{'-' if v is None else format(v, '.3f'):>{width}}" for v in values) + f"{change:>10}")
    return lines
