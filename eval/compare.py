"""Evaluated runs side by side: load them, and put their 12 numbers into one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from groundswift.errors import GroundswiftError

from .evaluated_run import Run
from .metrics.coco_map import SUMMARY
from .run_check import NO_NUMBERS, read_run

SAME = {  # terms without which two numbers do not compare -> what a run has that does not name them; None: unknown
    "metric": "COCO detection (bbox)",
    "gt_sha256": None,
    "score": None,
    "label_match": None,
    "max_detections_of_ap": 100,
}


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


def number_keys(runs: Sequence[Run]) -> list[str]:
    """The names of COCO's 12 numbers, and of those that any run has besides."""
    more = [key for run in runs for key in run.metrics if key not in NO_NUMBERS]
    return list(dict.fromkeys([*SUMMARY, *more]))


def numbers_of(run: Run) -> dict[str, float | None]:
    """The numbers of a run by name; None where undefined."""
    return {key: run.metrics.get(key) for key in number_keys([run])}


def differing_terms(runs: Sequence[Run]) -> list[str]:
    """The terms of the protocol in which runs differ that should not where their numbers are to compare."""
    protocols = [run.metrics.get("protocol", {}) for run in runs]
    terms = [SAME | {term: protocol[term] for term in SAME if term in protocol} for protocol in protocols]
    return [term for term in SAME if len({values[term] for values in terms} - {None}) > 1]


def table_lines(runs: Sequence[Run]) -> list[str]:
    """The numbers, a column a run, and what the last has over the first; a dash where undefined."""
    width = max(8, *(len(run.name) for run in runs)) + 2
    lines = [f"{'':6}" + "".join(f"{run.name:>{width}}" for run in runs) + f"{'change':>10}"]
    for key in number_keys(runs):
        values = [run.metrics.get(key) for run in runs]
        change = "-" if values[0] is None or values[-1] is None else f"{values[-1] - values[0]:+.3f}"
        lines.append(f"{key:6}" + "".join(f"{'-' if v is None else format(v, '.3f'):>{width}}" for v in values) + f"{change:>10}")
    return lines
