"""Metrics, one file each, and their table: built-ins and those of other distributions (entry points `groundswift.metrics`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from groundswift.entry_points import ClassTable
from groundswift.errors import GroundswiftError, error_at

from ..evaluated_run import Number
from ..metric import Metric

BUILT_IN = {
    "coco_map": ".coco_map:CocoMap",
    "detection": ".detection:Detection",
    "referring": ".referring:Referring",
    "phrase_grounding": ".phrase_grounding:PhraseGrounding",
    "pointing": ".pointing:Pointing",
    "detection_f1": ".detection_f1:DetectionF1",
    "captions": ".captions:Captions",
    "ocr": ".ocr:Ocr",
    "question_answering": ".question_answering:QuestionAnswering",
    "video_answering": ".video_answering:VideoAnswering",
    "anomaly": ".anomaly:Anomaly",
    "protocols": ".protocols:Protocols",
}


class MetricTable(ClassTable[Metric]):
    """Metric classes by name."""

    def __init__(self) -> None:
        super().__init__("metric", "groundswift.metrics", Metric, {name: __name__ + place for name, place in BUILT_IN.items()})

    def __getitem__(self, name: str) -> type[Metric]:
        if "-" in name:  # the subcommand of a metric has dashes for its underscores
            raise error_at(f"metric {name}", "the name has a dash", f"{name.replace('-', '_')!r}, whose subcommand is {name}")
        found = super().__getitem__(name)
        place = f"{found.__module__}:{found.__name__}"
        for method in ("read_truth", "score"):
            if getattr(found, method) is getattr(Metric, method):
                raise error_at(f"metric {name}", f"{place} has no {method}", "the methods read_truth and score on the class")
        for field, (fits, expected) in LISTS.items():
            values = getattr(found, field)
            if not (isinstance(values, (tuple, list)) and all(map(fits, values))):
                raise error_at(f"metric {name}", f"{field} of {place} is not a list of {field}", expected)
        return found


def adds_option(decorator: Any) -> bool:
    """Whether this is a decorator as `click.option` returns it."""

    def bare() -> None: ...

    try:
        return isinstance(decorator(bare).__click_params__[0], click.Parameter)
    except Exception:  # whatever somebody else's class has there
        return False


LISTS: dict[str, tuple[Callable[[Any], bool], str]] = {  # field of a metric class -> (what each in it must be, an example)
    "numbers": (lambda each: isinstance(each, Number), 'numbers = [Number("key", "title"), ...]'),
    "options": (adds_option, 'options = [click.option("--name", ...), ...]'),
}
METRICS = MetricTable()


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
