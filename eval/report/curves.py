"""Precision over recall and F1 over recall, or the operating point of a run whose scores are all the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..evaluated_run import Curve, Line, Run
from .image_index import operating_points
from .plots import Drawing, Drawn, Scale, dashes_of, drawn_line, ticks_of
from .tables import number_text
from .words import both

IOUS = ("0.50", "0.50:0.95", "0.75")
UNIT = Scale((0, 1), (0, 1))


class Curves(NamedTuple):
    """The two plots; `undefined` names curves without any defined precision, `points` says which runs have a point and no curve."""

    drawings: list[Drawing]
    undefined: list[str]
    points: list[tuple[str, str]]
    dashes: list[str]


def precision_line(curve: Curve, title: str) -> Line:
    """Precision at evenly spaced recalls; None where undefined (-1)."""
    last = len(curve.precision) - 1
    return Line(title, [i / last for i in range(last + 1)], [value if value >= 0 else None for value in curve.precision])


def f1_line(line: Line) -> Line:
    """F1 at the same recalls; None where undefined."""
    pairs = zip(line.x, line.y, strict=True)
    return Line(line.label, line.x, [None if p is None else 2 * p * r / (p + r) if p + r else 0.0 for r, p in pairs])


def has_one_score(run: Run) -> bool:
    """Whether the run's boxes all have the same score, so that any order of them, and any curve, is arbitrary."""
    scores = [box.score for image in run.images for box in image.predicted]
    return run.metrics.get("protocol", {}).get("score") == "constant" or (len(scores) > 1 and set(scores) == {scores[0]} - {None})


def point_lines(run: Run, dash: str, place_of: dict[str, int]) -> tuple[list[Drawn], tuple[str, str]]:
    """The operating points of all classes and of each class, and what is to be said of them."""
    drawn, said = [], both("point.none", run=run.name)
    for label, (precision, recall) in operating_points(run).items():
        if precision is None or recall is None or not (label is None or label in place_of):
            continue
        style, place = ("line0", None) if label is None else ("one", place_of[label])
        title = f"{run.name}, {'all classes' if label is None else label}, IoU 0.50"
        drawn.append(drawn_line(Line(title, [recall], [precision]), "points", UNIT, style, dash, (0, 1), place))
        if label is None:
            said = both("point.note", run=run.name, precision=number_text(float(precision)), recall=number_text(float(recall)))
    return drawn, said


def curves_of(runs: Sequence[Run], classes: Sequence[str]) -> Curves:
    """All classes at each IoU, and each class at IoU 0.50 (hidden until its class is chosen), of every run."""
    place_of = {name: i for i, name in enumerate(classes)}
    dashes, undefined, points = dashes_of(len(runs)), [], []
    plots: tuple[list[Drawn], list[Drawn]] = ([], [])
    for run, dash in zip(runs, dashes, strict=True):
        if run.curves and has_one_score(run):
            drawn, said = point_lines(run, dash, place_of)
            plots[0].extend(drawn)
            points.append(said)
            continue
        for curve in run.curves:
            title = f"{run.name}, {'all classes' if curve.label is None else curve.label}, IoU {curve.iou}"
            line = precision_line(curve, title)
            if all(value is None for value in line.y):
                undefined += [title] if curve.label is None else []
                continue
            style, place = (f"line{IOUS.index(curve.iou)}", None) if curve.label is None else ("one", place_of[curve.label])
            for lines, each in zip(plots, (line, f1_line(line)), strict=True):
                lines.append(drawn_line(each, "line", UNIT, style, dash, (0, 1), place))
    named = zip(("pr", "f1"), ("precision", "f1"), plots, strict=True)
    drawings = [Drawing(name, "", "recall", y, lines, *ticks_of(UNIT), None, [], []) for name, y, lines in named if lines]
    return Curves(drawings, undefined, points, dashes)
