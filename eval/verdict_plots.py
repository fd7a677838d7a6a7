"""ROC and precision over recall of verdicts by stage and by class, as plots and as a table; each with its operating point."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from .answers.verdicts import Verdict, alarm_count, lack_scores, scores_and_kinds
from .evaluated_run import Line, Plot, Table
from .metric import Evaluation
from .roc import Points, Ranked, area, average_precision, best_f1, curve_of, precision_curve, thinned
from .roc_interval import auroc_interval

MOST = 12  # classes with a line of their own
DOTS = "A dot is the operating point: the verdicts as answered. An answer without a declared verdict raises no alarm."
NO_CURVE = "One point for each group and no curve: {} of {} verdicts have no log-probability of a declared answer."
EQUAL = "A group whose scores are all equal has one point and no curve."
OF_CLASS = "Anomalies of a class against the normal images of its name, and those without a class."
SOME = "The {} classes with the most anomalies, of {}."
ROC_NOTES = (
    "from, to: 95 % interval of AUROC by DeLong's variance; rows of one frame are one cluster.",
    "F1-max is the highest F1 of all thresholds, chosen by the truth; TPR and FPR are of the verdicts as answered.",
)
HEADS = ["group", "anomalous", "normal", "AUROC", "from", "to", "AP", "F1-max", "score at F1-max", "TPR", "FPR"]


class Group(NamedTuple):
    """Verdicts that are compared with each other, and the frame that each is about."""

    name: str
    verdicts: list[Verdict]
    units: list[Hashable]

    def counts(self) -> tuple[int, int]:
        """(anomalous, normal)."""
        wanted = sum(verdict.is_anomaly for verdict in self.verdicts)
        return wanted, len(self.verdicts) - wanted

    def answered(self) -> tuple[int, int]:
        """(true positives, false positives) of the verdicts as answered."""
        return tuple(alarm_count(verdict for verdict in self.verdicts if verdict.is_anomaly is kind) for kind in (True, False))

    def has_curve(self) -> bool:
        """Whether the scores rank the verdicts at all."""
        return not lack_scores(self.verdicts) and len({verdict.score for verdict in self.verdicts}) > 1


def group_of(name: str, places: Sequence[int], found: Sequence[Verdict | None], units: Sequence[Hashable]) -> Group:
    """The verdicts at these places."""
    kept = [place for place in places if found[place]]
    return Group(name, [found[place] for place in kept], [units[place] for place in kept])


def largest_classes(classes: Mapping[str, Sequence[int]], found: Sequence[Verdict | None]) -> list[str]:
    """The classes with the most anomalies, most first."""
    counts = {name: sum(bool(found[place] and found[place].is_anomaly) for place in places) for name, places in classes.items()}
    return sorted((name for name, count in counts.items() if count), key=lambda name: (-counts[name], name))


def roc_line(group: Group) -> Line | None:
    """The ROC of a group with both kinds."""
    (wanted, others), (found, false) = group.counts(), group.answered()
    return line_of(group, curve_of, "AUROC", area, (false / others, found / wanted))


def precision_line(group: Group) -> Line | None:
    """Precision over recall of a group with both kinds; None where nothing is defined."""
    (wanted, _), (found, false) = group.counts(), group.answered()
    return line_of(group, precision_curve, "AP", average_precision, (found / wanted, found / (found + false)) if found + false else None)


def line_of(
    group: Group,
    curve: Callable[..., Points | None],
    name: str,
    number: Callable[[Ranked], float | None],
    answered: tuple[float, float] | None,
) -> Line | None:
    """A curve and its operating point, or that point alone."""
    if not group.has_curve():
        return Line(group.name, [answered[0]], [answered[1]]) if answered else None
    pairs = scores_and_kinds(group.verdicts)
    return Line(f"{group.name}, {name} {number(Ranked.of(*pairs)):.3f}", *thinned(curve(*pairs)), operating_point_xy=answered)


def verdict_plots(by_stage: Sequence[Group], by_class: Sequence[Group], some: Sequence[str]) -> list[Plot]:
    """The plots of groups with both kinds. `by_stage` begins with all verdicts; `some` says of which classes `by_class` is."""
    every = by_stage[0].verdicts
    lacking = sum(verdict.score is None for verdict in every)
    plots = []
    for ending, title, given, more in (("", "by stage", by_stage, []), ("-classes", "by class", by_class, [OF_CLASS, *some])):
        groups = [group for group in given if all(group.counts())]
        equal = [] if lacking or all(group.has_curve() for group in groups) else [EQUAL]
        note = [NO_CURVE.format(lacking, len(every)) if lacking else DOTS, *equal, *more]
        lines = [[line for group in groups if (line := make(group))] for make in (roc_line, precision_line)]
        plots.append(Plot(f"roc{ending}", f"ROC, {title}", "false positive rate", "true positive rate", lines[0], diagonal=True, note=note))
        plots.append(Plot(f"precision-recall{ending}", f"Precision and recall, {title}", "recall", "precision", lines[1], note=note))
    return [plot for plot in plots if plot.lines]


def roc_table(groups: Sequence[Group], some: Sequence[str] = ()) -> Table:
    """AUROC with its interval, AP, F1-max and the operating point of each group."""
    rows = []
    for group in groups:
        (wanted, others), (found, false) = group.counts(), group.answered()
        ranked = None if lack_scores(group.verdicts) else Ranked.of(*scores_and_kinds(group.verdicts))
        between = auroc_interval(*scores_and_kinds(group.verdicts), group.units) if ranked else None
        best = best_f1(ranked) if ranked else None
        numbers = (area(ranked) if ranked else None, *(between or (None, None)), average_precision(ranked) if ranked else None)
        answered = (found / wanted if wanted else None, false / others if others else None)
        rows.append([group.name, float(wanted), float(others), *numbers, *(best or (None, None)), *answered])
    return Table("roc", "ROC of the verdicts", HEADS, rows, note=[*ROC_NOTES, *some])


def add_roc(
    evaluation: Evaluation,
    found: Sequence[Verdict | None],
    units: Sequence[Hashable],
    stages: Mapping[str, Sequence[int]],
    classes: Mapping[str, Sequence[int]],
    shared: Sequence[int],
) -> None:
    """Put the plots and the table into an evaluation. `stages`, `classes`: places of samples; `shared`: normal images without a class."""
    ranked = largest_classes(classes, found)
    by_stage = [group_of("all", range(len(found)), found, units)]
    by_stage += [group_of(name, places, found, units) for name, places in stages.items()]
    by_class = [group_of(name, [*classes[name], *shared], found, units) for name in ranked[:MOST]]
    if not by_stage[0].verdicts:
        return
    some = [SOME.format(MOST, len(ranked))] if len(ranked) > MOST else []
    evaluation.plots.extend(verdict_plots(by_stage, by_class, some))
    evaluation.tables.append(roc_table([group for group in (*by_stage, *by_class) if group.verdicts], some))
