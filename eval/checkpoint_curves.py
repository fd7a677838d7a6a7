"""Numbers of several checkpoints of one training over their steps, as plots of the report."""

from __future__ import annotations

import re
from collections.abc import Sequence

from groundswift.errors import GroundswiftError

from .evaluated_run import Line, Number, Plot, Run

CHECKPOINT = re.compile(r"(?:.*[^0-9A-Za-z])?(?:checkpoint|step|epoch)[-_]?([0-9]{1,15})", re.IGNORECASE)
KINDS = {"stage: ": "by stage", "class_name: ": "by class"}  # how groups with a line of their own begin, and the plot that they are in
MOST = 12  # groups with a line of their own
SOME = "The {} groups with the most samples or boxes, of {}."


def steps_of(runs: Sequence[Run], stated: str | None) -> list[int] | None:
    """The step of each run: stated, comma-separated, or of names such as checkpoint-100; None where the names have none.

    Raises GroundswiftError where the stated ones are not one whole number for each run, all different.
    """
    if stated is None:
        found = [CHECKPOINT.fullmatch(run.name) for run in runs]
        steps = [int(each[1]) for each in found if each]
        return steps if len(steps) == len(runs) == len(set(steps)) else None
    parts = [part.strip() for part in stated.split(",")]
    if len(parts) != len(runs) or not all(re.fullmatch("[0-9]{1,15}", part) for part in parts) or len(set(map(int, parts))) < len(parts):
        raise GroundswiftError(f"--steps {stated[:200]!r}; expected {len(runs)} different whole numbers, one for each run, comma-separated")
    return list(map(int, parts))


def curves(runs: Sequence[Run], steps: Sequence[int], numbers: Sequence[Number]) -> list[Plot]:
    """The headline numbers over the steps in one plot; where runs have groups by stage or by class, a plot of each number for them, too."""
    ordered = [run for _, run in sorted(zip(steps, runs, strict=True), key=lambda pair: pair[0])]
    x, headline = [float(step) for step in sorted(steps)], [number for number in numbers if number.headline]
    plots = [plot_of("checkpoints", "Checkpoints", [Line(each.title, x, values(ordered, each.key)) for each in headline])]
    groups = {title: groups_of(runs, prefix) for prefix, title in KINDS.items()}
    for title, names in groups.items():
        for number in headline:
            lines = defined([Line(name, x, values(ordered, number.key, name)) for name in names])
            note = SOME.format(MOST, len(lines)) if len(lines) > MOST else ""
            id = f"checkpoints-{number.key}-{title.split()[-1]}"
            plots.append(plot_of(id, f"Checkpoints, {title}: {number.title}", lines[:MOST], note))
    return [plot for plot in plots if plot.lines]


def groups_of(runs: Sequence[Run], prefix: str) -> list[str]:
    """The groups whose name begins so, of any run: in order where they are few, else the largest ones first."""
    sizes: dict[str, int] = {}
    for run in runs:
        for name, group in (run.metrics.get("per_class") or {}).items():
            if name.startswith(prefix):
                sizes[name] = max(sizes.get(name, 0), group.get("samples") or 0, group.get("boxes") or 0)
    return sorted(sizes, key=lambda name: (-sizes[name] if len(sizes) > MOST else 0, name))


def defined(lines: Sequence[Line]) -> list[Line]:
    """The lines that are defined somewhere."""
    return [line for line in lines if any(value is not None for value in line.y)]


def plot_of(id: str, title: str, lines: Sequence[Line], note: str = "") -> Plot:
    """A plot of the lines that are defined somewhere."""
    return Plot(id, title, "step", "", defined(lines), note=note, of_all_runs=True)


def values(runs: Sequence[Run], key: str, group: str | None = None) -> list[float | None]:
    """A number of each run, or of one of its groups; None where undefined."""
    places = [run.metrics if group is None else (run.metrics.get("per_class") or {}).get(group, {}) for run in runs]
    return [float(value) if isinstance(value := place.get(key), int | float) else None for place in places]
