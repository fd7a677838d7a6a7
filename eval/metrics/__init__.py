"""Metrics, one file each, and their table: built-ins and those of other distributions (entry points `groundswift.metrics`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from groundswift.entry_points import ClassTable
from groundswift.errors import GroundswiftError

from ..metric import Metric

BUILT_IN = {"coco_map": ".coco_map:CocoMap", "referring": ".referring:Referring", "detection_f1": ".detection_f1:DetectionF1"}
METRICS = ClassTable("metric", "groundswift.metrics", Metric, {name: __name__ + place for name, place in BUILT_IN.items()})


def rewards() -> dict[str, Callable[..., float]]:
    """The rewards of all usable metrics by name. Raises GroundswiftError where two have one name."""
    found: dict[str, Callable[..., float]] = {}
    for metric, kind in METRICS.loaded[0].items():
        for name, scorer in kind.rewards.items():
            if name in found:
                raise GroundswiftError(f"reward {name!r} of metric {metric!r}: the name is taken")
            found[name] = scorer
    return found


def metric_of_run(metrics: dict[str, Any]) -> Metric:
    """The metric that wrote a `metrics.json`; a bare `Metric`, which shows every number, where it is not installed."""
    written = metrics.get("protocol", {}).get("metric", "COCO detection (bbox)")
    if written in METRICS:
        return METRICS[written]()
    for name in BUILT_IN:
        if written in METRICS[name].protocol_names:
            return METRICS[name]()
    return Metric()
