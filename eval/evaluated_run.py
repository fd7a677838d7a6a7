"""One evaluated run, as a metric passes it to the report and the comparison: numbers, curves, and the result on each image."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec

Outcome = Literal["true_positive", "false_negative", "false_positive", "crowd", "not_counted", "unknown_label"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
TP, FN, FP, CROWD, NOT_COUNTED, UNKNOWN_LABEL = OUTCOMES
Px = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]  # bounds are checked where a run is read
Side = Annotated[int, msgspec.Meta(ge=0, le=2**31)]  # 0 where the ground truth does not state it


class DrawnBox(msgspec.Struct, gc=False):
    """A box to draw. `box_xyxy_px` is in pixels of the upright image.

    Ground truth is TP, FN or CROWD; a prediction is TP, FP, CROWD (on a crowd box, ignored), NOT_COUNTED (its class is not annotated in
    this image of a federated ground truth) or UNKNOWN_LABEL (its label is not a class, or it has none: dropped and counted, drawn all the
    same). Matching is COCO's, at IoU 0.5 within a class.
    """

    label: str
    box_xyxy_px: tuple[Px, Px, Px, Px]
    outcome: Outcome
    score: float | None = None


class ImageResult(msgspec.Struct, omit_defaults=True):
    """The result on one image, or on one question to it.

    `f1` is at IoU 0.5, and 1 where there are neither objects nor predictions; None where the metric is not about sets of boxes.
    `values` are the metric's own numbers and words for this sample, by title.
    """

    image_id: int
    file_name: str
    size_wh: tuple[Side, Side]
    status: str  # of the parsed answer: ok, empty, truncated, unreadable; or missing: no row in the result
    truth: list[DrawnBox]
    predicted: list[DrawnBox]
    f1: float | None = None
    response: str = ""
    sample_id: int | str | None = None  # of the row, where a metric is about rows
    question: str = ""
    references: list[str] = []  # the true answers in text
    values: dict[str, float | str | None] = {}


class Curve(msgspec.Struct):
    """Precision at 101 recalls from 0 to 1 (COCO's), one class or all (`label` None); -1 where undefined."""

    label: str | None
    iou: Literal["0.50", "0.75", "0.50:0.95"]
    precision: Annotated[list[Annotated[float, msgspec.Meta(ge=-1, le=1)]], msgspec.Meta(min_length=2)]


class Table(msgspec.Struct):
    """A table of the report: cells by row, as many as `columns`; None is undefined.

    `matrix`: counts to be coloured; `columns` and the first cell of each row name its classes. `note`: one, or several.
    """

    id: str
    title: str
    columns: list[str]
    rows: list[list[str | float | None]]
    matrix: bool = False
    note: str | list[str] = ""


class Line(msgspec.Struct, omit_defaults=True):
    """One line of a plot; None in `y` is undefined. `operating_point_xy` is marked by a dot."""

    label: str
    x: list[float]
    y: list[float | None]
    operating_point_xy: tuple[float, float] | None = None


class Plot(msgspec.Struct):
    """A plot of the report. `diagonal` draws y = x, as calibration needs. `of_all_runs`: its lines compare runs, and are of none.

    `note`: one, or several.
    """

    id: str
    title: str
    x_title: str
    y_title: str
    lines: list[Line]
    kind: Literal["line", "bars", "points"] = "line"
    diagonal: bool = False
    note: str | list[str] = ""
    of_all_runs: bool = False


def notes_of(shown: Table | Plot) -> list[str]:
    """The notes of a table or plot."""
    return [note for note in ([shown.note] if isinstance(shown.note, str) else shown.note) if note]


class Run(msgspec.Struct):
    """A run under the name it has in a report. `metrics` is the content of `metrics.json`."""

    name: str
    metrics: dict[str, Any]
    curves: list[Curve]
    images: list[ImageResult]
    tables: list[Table] = []
    plots: list[Plot] = []


class Number(NamedTuple):
    """One number of a metric: its key in `metrics.json`, its title, whether higher is better.

    In the report: `headline` numbers are shown large; `notes` are cells next to the number; `rule` draws a line above it.
    """

    key: str
    title: str
    higher_is_better: bool = True
    headline: bool = False
    notes: tuple[Any, ...] = ()
    rule: bool = False


class NumberTable(NamedTuple):
    """How the numbers of some runs are shown: `notes` heads the cells of `Number.notes`, `of_groups` are the keys in `per_class`."""

    numbers: list[Number]
    notes: tuple[str, ...] = ()
    of_groups: tuple[str, ...] = ()
    explanation: str = ""
