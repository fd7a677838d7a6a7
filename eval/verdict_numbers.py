"""Numbers of verdicts about anomalies: precision, recall, F1, ROC. What a group of samples cannot have is undefined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answers.verdicts import Verdict
from .bootstrap import Interval
from .evaluated_run import Line, Plot
from .roc import area, curve_of
from .text_metric import Column


@dataclass(frozen=True)
class OfBothKinds(Column):
    """A number that says nothing without anomalous and normal images: undefined there. `kinds`: of each sample, None without a verdict."""

    kinds: Sequence[bool | None] = ()

    def number(self, chosen: Sequence[int] | None = None) -> float | None:
        places = range(len(self.kinds)) if chosen is None else chosen
        return super().number(chosen) if {True, False} <= {self.kinds[place] for place in places} else None

    def interval(self, units: Sequence[Any]) -> Interval | None:
        return super().interval(units) if self.number() is not None else None


@dataclass(frozen=True)
class Auroc:
    """Area under the ROC of verdicts, with the methods of `text_metric.Column`; undefined where a verdict has no score."""

    verdicts: Sequence[Verdict | None]
    per_sample: bool = False

    def number(self, chosen: Sequence[int] | None = None) -> float | None:
        places = range(len(self.verdicts)) if chosen is None else chosen
        found = [verdict for place in places if (verdict := self.verdicts[place])]
        scores = [verdict.score for verdict in found]
        return None if None in scores else area(scores, [verdict.is_anomaly for verdict in found])

    def value(self, index: int) -> None:
        return None

    def interval(self, units: Sequence[Any]) -> None:
        return None


def word(said: bool | None) -> str:
    """A verdict as the report shows it."""
    return "unreadable" if said is None else "anomaly" if said else "normal"


def verdict_columns(found: Sequence[Verdict | None]) -> dict[str, Any]:
    """The numbers of verdicts; a question that asks for none has none."""
    kinds = [verdict.is_anomaly if verdict else None for verdict in found]
    alarms = [bool(verdict and verdict.said) for verdict in found]
    right = [float(alarm and bool(kind)) for alarm, kind in zip(alarms, kinds, strict=True)]
    both = [float(alarm) + float(bool(kind)) for alarm, kind in zip(alarms, kinds, strict=True)]

    def where(values: Sequence[float], kept: Sequence[bool]) -> list[float | None]:
        return [value if keep else None for value, keep in zip(values, kept, strict=True)]

    asked = [kind is not None for kind in kinds]
    equal = [float(verdict is not None and verdict.said == verdict.is_anomaly) for verdict in found]
    return {
        "anomaly_precision": OfBothKinds(where(right, asked), [float(alarm) for alarm in alarms], False, kinds),
        "anomaly_recall": Column(where(right, [kind is True for kind in kinds]), None, False),
        "anomaly_f1": OfBothKinds(where([2 * each for each in right], asked), both, False, kinds),
        "anomaly_auroc": Auroc(found),
        "anomaly_accuracy": Column(where(equal, asked)),
        "anomaly_specificity": Column(where(equal, [kind is False for kind in kinds]), None, False),
    }


def roc_plots(groups: Mapping[str, Sequence[Verdict | None]]) -> list[Plot]:
    """The ROC of each group that has both kinds; nothing where a verdict of any has no score."""
    if any(verdict.score is None for found in groups.values() for verdict in found if verdict):
        return []
    lines = []
    for label, found in groups.items():
        chosen = [verdict for verdict in found if verdict]
        points = curve_of([verdict.score for verdict in chosen], [verdict.is_anomaly for verdict in chosen])
        if points is not None:
            lines.append(Line(label, *points))
    return [Plot("roc", "ROC", "false positive rate", "true positive rate", lines, diagonal=True)] if lines else []
