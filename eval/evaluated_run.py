"""One evaluated run, as the evaluator hands it to the report: metrics, curves, and what was found on each image."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Verdict = Literal["hit", "miss", "false_alarm", "crowd", "not_counted"]
Px = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]  # bounds are checked where a run is read
Side = Annotated[int, msgspec.Meta(ge=0, le=2**31)]  # 0 where the truth does not state it


class DrawnBox(msgspec.Struct):
    """A box to draw. `box_xyxy_px` is in pixels of the upright image. Truth is `hit`, `miss` or `crowd`; a prediction is `hit`,
    `false_alarm`, `crowd` (on a crowd, not counted) or `not_counted` (of a class that federated truth does not tell about). Verdicts are
    COCO's greedy matching at IoU 0.5 within a class."""

    label: str
    box_xyxy_px: tuple[Px, Px, Px, Px]
    verdict: Verdict
    score: float | None = None


class ImageResult(msgspec.Struct):
    """What was found on one image. `f1` at IoU 0.5 is 1 where nothing was to be found and nothing was, so that worst come first by it."""

    image_id: int
    file_name: str
    size_wh: tuple[Side, Side]
    status: str  # of the parsed answer: ok, empty, truncated, unreadable; or missing, where there is no result row
    truth: list[DrawnBox]
    predicted: list[DrawnBox]
    f1: float
    response: str = ""


class Curve(msgspec.Struct):
    """Precision at 101 recalls from 0 to 1 (COCO's), one class or all (`label` None); -1 where undefined."""

    label: str | None
    iou: Literal["0.50", "0.75", "0.50:0.95"]
    precision: Annotated[list[Annotated[float, msgspec.Meta(ge=-1, le=1)]], msgspec.Meta(min_length=2)]


class Run(msgspec.Struct):
    """A run under the name it has in a report. `metrics` is what `metrics.json` holds."""

    name: str
    metrics: dict[str, Any]
    curves: list[Curve]
    images: list[ImageResult]
