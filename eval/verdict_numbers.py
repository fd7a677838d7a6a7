"""Numbers of verdicts about anomalies: of what was answered, and of how scores rank. What a group of samples cannot have is undefined."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .answers.verdicts import Verdict, alarm_count, lack_scores, scores_and_kinds
from .bootstrap import Interval
from .evaluated_run import Number
from .roc import Ranked, area, average_precision, highest_f1
from .roc_interval import auroc_interval
from .text_metric import Column

NUMBERS = (
    Number("anomaly_precision", "anomaly precision", headline=True),
    Number("anomaly_recall", "anomaly recall", headline=True),
    Number("anomaly_f1", "anomaly F1", headline=True),
    Number("anomaly_auroc", "anomaly AUROC", headline=True),
    Number("anomaly_ap", "anomaly AP"),
    Number("anomaly_f1_max", "anomaly F1-max"),
    Number("anomaly_accuracy", "verdict accuracy"),
    Number("anomaly_specificity", "verdict accuracy, normal"),
)
RANKING: dict[str, Callable[[Ranked], float | None]] = {
    "anomaly_auroc": area,
    "anomaly_ap": average_precision,
    "anomaly_f1_max": highest_f1,
}


NO_SCORES = (
    "AUROC is undefined: {lacking} of {verdicts} verdicts have no log-probability of a declared answer; use groundswift infer "
    "--logprobs --top-logprobs 5"
)
ALL_ANOMALOUS = "all {} verdicts are about anomalous images: precision, F1, AUROC, AP and F1-max need normal ones and are undefined"
ALL_NORMAL = "all {} verdicts are about normal images: precision, recall, F1, AUROC, AP and F1-max need anomalous ones and are undefined"


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
class OfScores:
    """A number of how verdicts rank by score, with the methods of `text_metric.Column`; undefined where a verdict has no score."""

    verdicts: Sequence[Verdict | None]
    of: Callable[[Ranked], float | None]
    per_sample: bool = False

    def number(self, chosen: Sequence[int] | None = None) -> float | None:
        places = range(len(self.verdicts)) if chosen is None else chosen
        found = [verdict for place in places if (verdict := self.verdicts[place])]
        return None if lack_scores(found) else self.of(Ranked.of(*scores_and_kinds(found)))

    def value(self, index: int) -> None:
        return None

    def interval(self, units: Sequence[Hashable]) -> Interval | None:
        return None


class Auroc(OfScores):
    """The area under the ROC, which has an interval."""

    def interval(self, units: Sequence[Hashable]) -> Interval | None:
        found = [(verdict, unit) for verdict, unit in zip(self.verdicts, units, strict=True) if verdict]
        verdicts = [verdict for verdict, _ in found]
        return None if lack_scores(verdicts) else auroc_interval(*scores_and_kinds(verdicts), [unit for _, unit in found])


def undefined(found: Sequence[Verdict | None]) -> list[dict[str, str]]:
    """The warnings of numbers that these verdicts cannot have."""
    verdicts = [verdict for verdict in found if verdict]
    lacking, kinds = sum(verdict.score is None for verdict in verdicts), {verdict.is_anomaly for verdict in verdicts}
    if len(kinds) == 1:
        return [{"id": "verdicts-one-kind", "message": (ALL_ANOMALOUS if True in kinds else ALL_NORMAL).format(len(verdicts))}]
    return [{"id": "roc-undefined", "message": NO_SCORES.format(lacking=lacking, verdicts=len(verdicts))}] if lacking else []


def shown_verdict(verdict: Verdict) -> dict[str, float | str | None]:
    """A verdict as the report shows it: what the answer says, what that is by the truth, and the score."""
    kind = ("false", "true")[verdict.said == verdict.is_anomaly], ("negative", "positive")[bool(verdict.said)]
    said = "unreadable" if verdict.said is None else "anomaly" if verdict.said else "normal"
    shown = {"verdict": said, "verdict outcome": " ".join(kind) if verdict.said is not None else said}
    return shown | ({} if verdict.score is None else {"verdict score": f"{verdict.score:.3f}"})


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
        **{key: (Auroc if of is area else OfScores)(found, of) for key, of in RANKING.items()},
        "anomaly_accuracy": Column(where(equal, asked)),
        "anomaly_specificity": Column(where(equal, [kind is False for kind in kinds]), None, False),
    }


def class_numbers(
    found: Sequence[Verdict | None], classes: Mapping[str, Sequence[int]], shared: Sequence[int]
) -> dict[str, dict[str, float | None]]:
    """Precision, F1 and the numbers of ranking of each class that has anomalies: against its normal images and those without a class.

    `classes`: the places of the samples of each; `shared`: those of normal images without a class, which are sorted once.
    """
    ranked, normal = not lack_scores(found), [verdict for place in shared if (verdict := found[place])]
    part = np.sort([verdict.score for verdict in normal] if ranked else [])
    alarms, numbers = alarm_count(normal), {}
    for name, places in classes.items():
        own = [verdict for place in places if (verdict := found[place])]
        ups, downs = ([verdict for verdict in own if verdict.is_anomaly is kind] for kind in (True, False))
        if not ups or not (downs or normal):
            continue
        true, false = alarm_count(ups), alarm_count(downs) + alarms
        numbers[name] = {
            "anomaly_precision": true / (true + false) if true + false else None,
            "anomaly_f1": 2 * true / (len(ups) + true + false),
        }
        if ranked:
            positives, negatives = (np.sort([verdict.score for verdict in side]) for side in (ups, downs))
            numbers[name] |= {key: of(Ranked(positives, (negatives, part))) for key, of in RANKING.items()}
    return numbers
