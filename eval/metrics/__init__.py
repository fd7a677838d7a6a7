"""Metrics, one file each, and their table: built-ins and those of other distributions (entry points `groundswift.metrics`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from groundswift.errors import GroundswiftError

from ..metric import Metric

GROUP = "groundswift.metrics"
BUILT_IN = {"coco_map": ".coco_map:CocoMap", "referring": ".referring:Referring", "detection_f1": ".detection_f1:DetectionF1"}


@cache
def table() -> dict[str, EntryPoint]:
    """Every metric by name, not loaded yet. Raises GroundswiftError where two have one name."""
    found = {name: EntryPoint(name, __name__ + place, GROUP) for name, place in BUILT_IN.items()}
    for entry in entry_points(group=GROUP):
        if entry.name in found:
            raise GroundswiftError(f"metric {entry.name!r} of {entry.value}: the name is taken by {found[entry.name].value}")
        found[entry.name] = entry
    return found


def metric_class(name: str) -> type[Metric]:
    """One metric. Raises GroundswiftError for an unknown name, and where the entry point is not a metric of that name."""
    if name not in table():
        raise GroundswiftError(f"unknown metric {name!r}; expected one of {', '.join(table())}")
    kind = table()[name].load()
    if getattr(kind, "name", None) != name:
        raise GroundswiftError(f"entry point {name} of {GROUP}: {table()[name].value} has the name {getattr(kind, 'name', None)!r}")
    return kind


def rewards() -> dict[str, Callable[..., float]]:
    """The rewards of all metrics by name. Raises GroundswiftError where two have one name."""
    found: dict[str, Callable[..., float]] = {}
    for metric in table():
        for name, scorer in metric_class(metric).rewards.items():
            if name in found:
                raise GroundswiftError(f"reward {name!r} of metric {metric!r}: the name is taken")
            found[name] = scorer
    return found


def metric_of_run(metrics: dict[str, Any]) -> Metric:
    """The metric that wrote a `metrics.json`; a bare `Metric`, which shows every number, where it is not installed."""
    written = metrics.get("protocol", {}).get("metric", "COCO detection (bbox)")
    if written in table():
        return metric_class(written)()
    for name in BUILT_IN:
        if written in metric_class(name).protocol_names:
            return metric_class(name)()
    return Metric()
