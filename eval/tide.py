"""TIDE's kinds of errors, by how much AP at IoU 0.5 rises where all errors of a kind are corrected; no order of equal scores changes it.

Source: Bolya et al., TIDE (ECCV 2020). Where scores differ the counts are those of tidecv 1.0.1, and the gains those of hotcoco. tidecv's
gains differ in the third digit where a recall is one of its 101: it has x / 100, COCO np.linspace, and 10 of them differ in the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers.to_boxes import Predictions
from .box_matching import IOU_THRESHOLD, IS_FP, IS_TP
from .close_pairs import Pairs, close_pairs
from .evaluated_run import Table
from .ground_truth import Truth
from .precision_recall import RECALLS, counts_at, exact_mean, points_of, summed_precision
from .tied_matching import match, of_one_class

BACKGROUND = 0.1
KINDS = {
    "Cls": "right place, wrong class",
    "Loc": f"right class, IoU {BACKGROUND} to {IOU_THRESHOLD}",
    "Both": "wrong class and place",
    "Dupe": "object found already",
    "Bkg": f"no object: IoU at most {BACKGROUND}",
    "Miss": "object without a prediction that could be corrected",
}
ORACLES = {"FP": "every false positive removed", "FN": "every object that was not found removed"}


class Errors(NamedTuple):
    """`counts` by kind; `gains`: by kind and oracle by how much AP rises; `ap` at IoU 0.5, None where undefined."""

    counts: dict[str, int]
    gains: dict[str, float | None]
    ap: float | None


class Best(NamedTuple):
    """(N,) for each prediction the highest IoU among some pairs, 0 where there is none, and its object."""

    iou: NDArray[np.float64]
    object: NDArray[np.int64]


def tide(truth: Truth, predictions: Predictions) -> Errors:
    """The errors of predictions, all of which count."""
    found = match(truth, predictions, [IOU_THRESHOLD])
    outcomes, matched = found.outcomes[0, 0], found.truth[0, 0]
    used = np.zeros(len(truth.is_crowd), dtype=bool)
    used[matched[outcomes == IS_TP]] = True
    pairs = _ordered(truth, close_pairs(*of_one_class(truth, predictions), BACKGROUND))
    same = truth.category_index[pairs.object] == predictions.category_index[pairs.prediction]
    count = len(predictions.scores)
    of_same, of_other, of_used, of_any = (
        _best(pairs.take(np.flatnonzero(mask)), count) for mask in (same, ~same, same & used[pairs.object], np.ones(len(same), bool))
    )
    kinds = np.select(
        [
            outcomes != IS_FP,
            (of_same.iou >= BACKGROUND) & (of_same.iou <= IOU_THRESHOLD),
            of_other.iou >= IOU_THRESHOLD,
            of_used.iou >= IOU_THRESHOLD,
            of_any.iou <= BACKGROUND,
        ],
        ["", "Loc", "Cls", "Dupe", "Bkg"],
        "Both",
    )
    target = np.where(kinds == "Loc", of_same.object, np.where(kinds == "Cls", of_other.object, -1))
    corrected = _corrected(predictions, kinds, target, np.where(kinds == "Loc", of_same.iou, of_other.iou), used)
    objects = found.objects[0]
    missed = objects & ~used
    missed[target[corrected]] = False
    counts = {kind: int((kinds == kind).sum()) for kind in KINDS} | {"Miss": int(missed.sum())}
    return Errors(counts, *_gains(truth, predictions, outcomes, kinds, target, corrected, objects, used, missed))


def _gains(
    truth: Truth,
    predictions: Predictions,
    outcomes: NDArray[np.uint8],
    kinds: NDArray[np.str_],
    target: NDArray[np.int64],
    corrected: NDArray[np.int64],
    objects: NDArray[np.bool_],
    used: NDArray[np.bool_],
    missed: NDArray[np.bool_],
) -> tuple[dict[str, float | None], float | None]:
    """(by how much AP rises by kind and oracle, AP)."""
    classes = len(truth.category_ids)
    wanted = np.bincount(truth.category_index[objects], minlength=classes)
    defined = wanted > 0

    def ap(category: NDArray[np.int64], hits: NDArray[np.bool_], false: NDArray[np.bool_], fewer: NDArray[np.bool_] | None = None):
        still = wanted if fewer is None else wanted - np.bincount(truth.category_index[fewer], minlength=classes)
        points = points_of(category, predictions.scores)
        sums = summed_precision(points, counts_at(points, hits[None]), counts_at(points, false[None]), still)
        return exact_mean(np.where(np.isnan(sums), 0.0, sums)[:, defined] / len(RECALLS))

    category, hits, false = predictions.category_index, outcomes == IS_TP, outcomes == IS_FP
    base = ap(category, hits, false)
    if base is None:
        return dict.fromkeys((*KINDS, *ORACLES)), None
    fixed: dict[str, float | None] = {}
    for kind in KINDS:
        right = corrected[kinds[corrected] == kind]
        moved, more = category.copy(), hits.copy()
        moved[right], more[right] = truth.category_index[target[right]], True
        fixed[kind] = ap(moved, more, false & (kinds != kind), missed if kind == "Miss" else None)
    fixed["FP"] = ap(category, hits, np.zeros_like(false))
    fixed["FN"] = ap(category, hits, false, objects & ~used)
    return {kind: value - base for kind, value in fixed.items()}, base


def _ordered(truth: Truth, pairs: Pairs) -> Pairs:
    """The pairs with objects that count, by prediction, IoU upwards, then by what is in the object."""
    pairs = pairs.take(np.flatnonzero(~truth.is_crowd[pairs.object]))
    names = np.argsort(np.argsort(np.array(truth.category_names, dtype=object), kind="stable"), kind="stable")
    boxes = truth.boxes_xywh_px[pairs.object].T
    return pairs.take(np.lexsort((names[truth.category_index[pairs.object]], *boxes, pairs.iou, pairs.prediction)))


def _best(pairs: Pairs, count: int) -> Best:
    """The last pair of each prediction, which has the highest IoU."""
    last = np.flatnonzero(np.diff(pairs.prediction, append=-1))
    iou, object_ = np.zeros(count), np.full(count, -1, dtype=np.int64)
    iou[pairs.prediction[last]], object_[pairs.prediction[last]] = pairs.iou[last], pairs.object[last]
    return Best(iou, object_)


def _corrected(
    predictions: Predictions, kinds: NDArray[np.str_], target: NDArray[np.int64], iou: NDArray[np.float64], used: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The predictions that correct an object that was not found: of each object the best scored, then that of the highest IoU."""
    able = np.flatnonzero(target >= 0)
    able = able[~used[target[able]]]  # no object is asked for where there is none
    boxes = predictions.boxes_xywh_px[able].T
    able = able[np.lexsort((*boxes, kinds[able] == "Cls", -iou[able], -predictions.scores[able], target[able]))]
    return able[np.flatnonzero(np.diff(target[able], prepend=-1))]


def tide_table(errors: Errors) -> Table:
    """The errors for the report."""
    rows: list[list[str | float | None]] = [[kind, text, errors.counts[kind], errors.gains[kind]] for kind, text in KINDS.items()]
    rows += [[kind, text, None, errors.gains[kind]] for kind, text in ORACLES.items()]
    note = "AP50 rises by this much where all errors of the kind are corrected; the kinds do not add up."
    return Table("tide", "Kinds of errors (TIDE)", ["kind", "what", "count", "AP50 gained"], rows, note=note)
