"""Plots as shapes of an SVG: axes, ticks, lines, bars and points, in the units of its view box."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from typing import NamedTuple

from ..evaluated_run import Line, Plot, Run, notes_of

WIDTH, HEIGHT = 640, 420
LEFT, TOP, RIGHT, BOTTOM = 64, 14, 16, 50
PALETTE = 6  # colours of the style
DASHES = ("7 4", "2 4", "12 4 2 4")  # of earlier runs, from the last back, in turn, and of the lines of a run when its colours are used up
TICKS = 5
MOST_RUNS = 3  # that have their lines in one plot
ENDS = "Lines of the first and the last of {} runs."
Range = tuple[float, float]


class Drawn(NamedTuple):
    """One line of a plot. `points` are `x,y` pairs, in stretches where it is defined; `bars` and `dots` are its other forms.

    `style` is a class of the style sheet, `label` the index of a class whose line is hidden until it is chosen.
    """

    title: str
    style: str
    dash: str
    stretches: list[str]
    bars: list[tuple[float, float, float, float]]
    dots: list[tuple[float, float]]
    label: int | None = None


class Drawing(NamedTuple):
    """A plot to draw. Ticks are (place, text); `key`: (style, dash, text) of its legend."""

    id: str
    title: str
    x_title: str
    y_title: str
    lines: list[Drawn]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    diagonal: tuple[float, float, float, float] | None
    key: list[tuple[str, str, str]]
    notes: list[str]
    size_wh: tuple[int, int] = (WIDTH, HEIGHT)
    frame_xyxy: tuple[int, int, int, int] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)


class Scale(NamedTuple):
    """From values to places in the view box."""

    x: Range
    y: Range

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A point in the view box."""
        across, up = (x - self.x[0]) / (self.x[1] - self.x[0]), (y - self.y[0]) / (self.y[1] - self.y[0])
        return round(LEFT + across * (WIDTH - LEFT - RIGHT), 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)


def dashes_of(count: int) -> list[str]:
    """The dash of each run: the last is solid."""
    return [("", *islice(cycle(DASHES), count - 1))[back] for back in reversed(range(count))]


def style_of(number: int, dash: str) -> tuple[str, str]:
    """(colour, dash) of a line of a run: a colour that is used again has a dash."""
    again, colour = divmod(number, PALETTE)
    return f"line{colour}", dash or ("", *DASHES)[again % (len(DASHES) + 1)]


def number_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def range_of(values: Iterable[float | None], from_zero: bool) -> Range:
    """The least and largest of finite values, from 0 where `from_zero`; 0 to 1 where they are all in it."""
    finite = [value for value in values if value is not None and math.isfinite(value) and abs(value) < 1e15]
    low, high = min(finite, default=0), max(finite, default=1)
    if low >= 0 and high <= 1 and (high > 0.3 or not from_zero):
        return 0, 1
    low = min(low, 0) if from_zero else low
    return (low, high) if high > low else (low, low + (abs(low) or 1))


def tick_text(value: float) -> str:
    """A number at a tick: 0.2, 1,000, 2e+06."""
    return f"{value:,.6g}".replace("-", "\u2212") if abs(value) < 1e6 else f"{value:.3g}"


def finite_points(line: Line) -> list[tuple[float, float] | None]:
    """Points in order, None where undefined."""
    pairs = zip(line.x, line.y, strict=False)
    return [(x, y) if y is not None and math.isfinite(x) and math.isfinite(y) and abs(x) + abs(y) < 1e15 else None for x, y in pairs]


def stretches_of(points: Sequence[tuple[float, float] | None], scale: Scale) -> list[str]:
    """`x,y` pairs of each stretch without an undefined point; points inside a level stretch are dropped."""
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            found.append([])
            continue
        last = found[-1]
        if len(last) > 1 and last[-1][1] == last[-2][1] == point[1]:
            last.pop()
        last.append(point)
    return [" ".join("{:g},{:g}".format(*scale.place(*point)) for point in stretch) for stretch in found if stretch]


def bars_of(points: Sequence[tuple[float, float] | None], scale: Scale, place: int, count: int) -> list[tuple[float, float, float, float]]:
    """x, y, width, height of each bar; those of `count` lines share the room between two values."""
    values = sorted({point[0] for point in points if point})
    room = min((after - before for before, after in zip(values, values[1:], strict=False)), default=scale.x[1] - scale.x[0])
    width = 0.9 * room * (WIDTH - LEFT - RIGHT) / (scale.x[1] - scale.x[0]) / count
    bars = []
    for point in filter(None, points):
        (x, y), (_, zero) = scale.place(*point), scale.place(point[0], 0)
        bars.append((round(x + (place - count / 2) * width, 1), min(y, zero), round(max(width, 0.5), 1), abs(zero - y)))
    return bars


def drawn_line(line: Line, kind: str, scale: Scale, style: str, dash: str, place: tuple[int, int], label: int | None = None) -> Drawn:
    """One line in the form of its plot. A line with a single point is a dot."""
    points = finite_points(line)
    alone = sum(point is not None for point in points) == 1 and kind == "line"
    return Drawn(
        line.label,
        style,
        dash,
        stretches_of(points, scale) if kind == "line" and not alone else [],
        bars_of(points, scale, *place) if kind == "bars" else [],
        [scale.place(*point) for point in (points if kind == "points" or alone else [line.operating_point_xy]) if point],
        label,
    )


def scale_of(lines: Sequence[Line], kind: str) -> Scale:
    """The ranges of both axes; bars have half a bar of room at each end."""
    points = [point for line in lines for point in finite_points(line) if point]
    x = range_of([point[0] for point in points], from_zero=False)
    if kind == "bars" and points:
        values = sorted({point[0] for point in points})
        room = min((after - before for before, after in zip(values, values[1:], strict=False)), default=1)
        x = values[0] - room / 2, values[-1] + room / 2
    return Scale(x, range_of([point[1] for point in points], from_zero=True))


def ticks_of(scale: Scale) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """(place, text) of the ticks of both axes."""
    x = [(scale.place(value, 0)[0], tick_text(value)) for value in number_ticks(*scale.x)]
    return x, [(scale.place(0, value)[1], tick_text(value)) for value in number_ticks(*scale.y)]


def diagonal_of(scale: Scale) -> tuple[float, float, float, float] | None:
    """y = x where both axes have it."""
    low, high = max(scale.x[0], scale.y[0]), min(scale.x[1], scale.y[1])
    return (*scale.place(low, low), *scale.place(high, high)) if high > low else None


def drawing_of(plots: Sequence[tuple[str, str, Plot]]) -> Drawing:
    """One plot of several runs, as (name of the run or "", its dash, plot)."""
    first = plots[0][2]
    lines = [(name, dash, line, number) for name, dash, plot in plots for number, line in enumerate(plot.lines)]
    scale = scale_of([line for _, _, line, _ in lines], first.kind)
    drawn = []
    for place, (name, dash, line, number) in enumerate(lines):
        titled = Line(f"{name}: {line.label}" if name else line.label, line.x, line.y, line.operating_point_xy)
        drawn.append(drawn_line(titled, first.kind, scale, *style_of(number, dash), (place, len(lines))))
    notes = dict.fromkeys(note for _, _, plot in plots for note in notes_of(plot))
    key = [(line.style, line.dash, line.title) for line in drawn]
    return Drawing(
        first.id,
        first.title,
        first.x_title,
        first.y_title,
        drawn,
        *ticks_of(scale),
        diagonal_of(scale) if first.diagonal else None,
        key,
        list(notes),
    )


def drawings_of(runs: Sequence[Run]) -> list[Drawing]:
    """Every plot once, with the lines of all runs that have it; of many runs those of the first and the last."""
    ends = (0, len(runs) - 1)
    found: dict[str, list[tuple[str, str, Plot]]] = {}
    for place, (run, dash) in enumerate(zip(runs, dashes_of(len(runs)), strict=True)):
        for plot in run.plots:
            if plot.of_all_runs or len(runs) == 1:
                found.setdefault(plot.id, []).append(("", "", plot))
            elif place in ends or len(runs) <= MOST_RUNS:
                found.setdefault(plot.id, []).append((run.name, dash, plot))
    notes = [ENDS.format(len(runs))] if len(runs) > MOST_RUNS else []
    drawings = [(plots[0][0], drawing_of(plots)) for plots in found.values()]
    return [drawing._replace(notes=[*drawing.notes, *notes]) if name else drawing for name, drawing in drawings]
