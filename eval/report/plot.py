"""Precision-recall curves as lines of an SVG: axes, ticks and points, in the units of its view box."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import NamedTuple

from ..evaluated_run import Curve, Run

WIDTH, HEIGHT = 640, 420
LEFT, TOP, RIGHT, BOTTOM = 64, 14, 16, 50
IOUS = ("0.50", "0.50:0.95", "0.75")
DASHES = ("7 4", "2 4", "12 4 2 4")  # of earlier runs, from the last back, in turn; the last run is solid


class Line(NamedTuple):
    """One curve. `label` is the index of its class, None for all; `iou` the index in IOUS; `points` are `x,y` pairs."""

    points: str
    iou: int
    dash: str
    label: int | None
    title: str


class Plot(NamedTuple):
    """`ticks` are (x, y, text) of 0, 0.2, ... 1 on both axes. `undefined` names curves without any defined precision."""

    lines: list[Line]
    ticks: list[tuple[float, float, str]]
    dashes: list[str]
    undefined: list[str]
    size_wh: tuple[int, int] = (WIDTH, HEIGHT)
    frame_xyxy: tuple[int, int, int, int] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)


def place(recall: float, precision: float) -> tuple[float, float]:
    """(recall, precision), both 0..1 -> (x, y) in the plot."""
    return LEFT + recall * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - precision * (HEIGHT - TOP - BOTTOM)


def points_of(precision: Sequence[float]) -> str:
    """Precision at evenly spaced recalls -> `x,y` pairs; without undefined ones (-1) and those inside a level stretch."""
    last = len(precision) - 1
    kept = []
    for i, value in enumerate(precision):
        level = 0 < i < last and precision[i - 1] == value == precision[i + 1]
        if value >= 0 and not level:
            x, y = place(i / last, value)
            kept.append(f"{x:.1f},{y:.1f}")
    return " ".join(kept)


def plot_of(runs: Sequence[Run], classes: Sequence[str]) -> Plot:
    """All classes at each IoU, and each class at IoU 0.50 (hidden until its class is chosen), of every run."""
    place_of = {name: i for i, name in enumerate(classes)}
    dashes = [("", *islice(cycle(DASHES), len(runs) - 1))[back] for back in reversed(range(len(runs)))]
    lines, undefined = [], []
    for run, dash in zip(runs, dashes, strict=True):
        for curve in filter(drawn, run.curves):
            title = f"{run.name}, {'all classes' if curve.label is None else curve.label}, IoU {curve.iou}"
            points = points_of(curve.precision)
            if points:
                lines.append(Line(points, IOUS.index(curve.iou), dash, None if curve.label is None else place_of[curve.label], title))
            elif curve.label is None:
                undefined.append(title)
    ticks = [(*place(i / 5, i / 5), f"{i / 5:.1f}") for i in range(6)]
    return Plot(lines, ticks, dashes, undefined)


def drawn(curve: Curve) -> bool:
    """Whether a curve has a place in the plot: all classes at every IoU, one class at 0.50."""
    return curve.iou in IOUS if curve.label is None else curve.iou == IOUS[0]
