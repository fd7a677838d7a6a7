"""Which class was answered for which: predictions and objects matched whatever their class, at IoU 0.5."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .box_matching import IOU_THRESHOLD, IS_FP, IS_TP, exhaustive
from .evaluated_run import Table
from .ground_truth import Truth
from .tied_matching import match, of_one_class

NOTHING = "nothing"
MOST_CLASSES, MOST_PAIRS = 40, 20


def confusion(truth: Truth, predictions: Predictions, iou: float = IOU_THRESHOLD) -> NDArray[np.int64]:
    """(K + 1, K + 1) counts: rows are classes of objects, columns those of predictions; the last is nothing.

    Matched as `tied_matching.match` does, without regard to the class: highest score first, of equal scores the higher IoU. Crowd boxes
    and predictions on them do not count.
    """
    classes = len(truth.category_ids)
    found = match(*of_one_class(truth, predictions), [iou])
    outcomes, matched = found.outcomes[0, 0], found.truth[0, 0]
    hits = outcomes == IS_TP
    pairs = truth.category_index[matched[hits]] * (classes + 1) + predictions.category_index[hits]
    false = (outcomes == IS_FP) & exhaustive(truth, predictions)
    pairs_of_false = classes * (classes + 1) + predictions.category_index[false]
    missed = found.objects[0].copy()
    missed[matched[hits]] = False
    pairs_of_missed = truth.category_index[missed] * (classes + 1) + classes
    counts = np.bincount(np.concatenate([pairs, pairs_of_false, pairs_of_missed]), minlength=(classes + 1) ** 2)
    return counts.reshape(classes + 1, classes + 1)


def matrix_table(counts: NDArray[np.int64], names: list[str]) -> Table:
    """The matrix for the report: the classes with the most confusion, by name, where there are too many to show."""
    wrong = counts - np.diag(np.diag(counts))
    weight = wrong.sum(axis=0)[:-1] + wrong.sum(axis=1)[:-1]
    shown = sorted(range(len(names)), key=lambda number: (-weight[number], names[number]))[:MOST_CLASSES]
    shown = sorted(shown, key=lambda number: names[number])
    kept = [*shown, len(names)]
    labels = [*(names[number] for number in shown), NOTHING]
    rows = [[label, *counts[number, kept].tolist()] for label, number in zip(labels, kept, strict=True)]
    rows[-1][-1] = None
    note = "Rows: class of the object. Columns: class of the prediction. Matched at IoU 0.5 whatever the class."
    if len(shown) < len(names):
        note += f" The {len(shown)} of {len(names)} classes with the most errors."
    return Table("confusion", "Confusion matrix", ["object", *labels], rows, matrix=True, note=note)


def pairs_table(counts: NDArray[np.int64], names: list[str]) -> Table:
    """The pairs of classes that are confused most."""
    wrong = counts[:-1, :-1] - np.diag(np.diag(counts[:-1, :-1]))
    places = [(int(wrong[one, two]), names[one], names[two]) for one, two in zip(*np.nonzero(wrong), strict=True)]
    places.sort(key=lambda place: (-place[0], *place[1:]))
    return Table(
        "confused", "Most confused classes", ["object", "predicted as", "times"], [[one, two, n] for n, one, two in places[:MOST_PAIRS]]
    )
