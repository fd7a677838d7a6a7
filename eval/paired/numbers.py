"""Numbers of two runs as functions of how often each image counts: F1 at IoU 0.5, AP, and AP in any order of equal scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import xyxy_to_xywh

from ..answers.to_boxes import Predictions
from ..evaluated_run import CROWD, FN, FP, TP, DrawnBox, ImageResult
from ..ground_truth import Truth
from ..precision_recall import exact_mean, points_of
from ..resampled_ap import RESAMPLES, Resampled, in_any_order, in_order_of_ids

RESAMPLES_F1 = 1000
SCORED = (TP, FP, CROWD)  # predictions that count; a crowd box takes one at IoU 0.5 and not at a higher one
Pair = tuple[ImageResult, ImageResult]
Values = list[float | None]
Weights = NDArray[np.int64]


class Tested(NamedTuple):
    """Numbers by weights (I,) of images: `at(kept, swapped, drawn)` has those of both runs (None: undefined).

    The first run has its own answers as often as `kept` says and the other run's as often as `swapped` says; objects count as `drawn` says.
    """

    numbers: tuple[str, ...]
    at: Callable[[Weights, Weights, Weights], tuple[Values, Values]]
    resamples: int


def tested_numbers(pairs: Sequence[Pair], *protocols: dict[str, Any]) -> Iterator[Tested]:
    """F1, and AP where both runs are scored by COCO's rules: those of LVIS need more than a run holds."""
    yield _f1(pairs)
    if any("classes_not_looked_for" in each for each in protocols):
        return
    limits = {each.get("max_detections_of_ap") for each in protocols} - {None}
    yield from _ap(pairs, max(limits, default=None))


def _f1(pairs: Sequence[Pair]) -> Tested:
    """F1 at IoU 0.5, of counts summed over images."""
    counts = np.array([[_counts(one), _counts(two)] for one, two in pairs])

    def of(sums: NDArray[np.int64]) -> Values:
        found, false, missed = sums.tolist()
        return [2 * found / (2 * found + false + missed) if found + false + missed else None]

    def at(kept: Weights, swapped: Weights, _: Weights) -> tuple[Values, Values]:
        return of(kept @ counts[:, 0] + swapped @ counts[:, 1]), of(swapped @ counts[:, 0] + kept @ counts[:, 1])

    return Tested(("F1 at IoU 0.5",), at, RESAMPLES_F1)


def _counts(result: ImageResult) -> tuple[int, int, int]:
    """TP, FP and FN."""
    of_truth = [box.outcome for box in result.truth]
    return of_truth.count(TP), sum(box.outcome == FP for box in result.predicted), of_truth.count(FN)


def _ap(pairs: Sequence[Pair], limit: int | None) -> Iterator[Tested]:
    """AP over IoU 0.50:0.95 as pycocotools orders equal scores, and AP and AP50 of no order."""
    columns = _both_runs(sorted(pairs, key=lambda pair: pair[0].image_id))
    place = np.argsort(np.argsort([one.image_id for one, _ in pairs], kind="stable"), kind="stable")
    listed, tied = in_order_of_ids(*columns, limit), in_any_order(*columns, limit)
    if not any(_equal_scores(tied, run) for run in (0, 1)) and np.array_equal(tied.outcomes, listed.outcomes):
        yield _ap_of(tied, place, ("AP", "AP50"))
        return
    yield _ap_of(listed, place, ("AP",))
    yield _ap_of(tied, place, ("AP in any order of equal scores", "AP50 in any order of equal scores"))


def _equal_scores(runs: Resampled, run: int) -> bool:
    """Whether one of the two runs has equal scores within a class."""
    own = np.flatnonzero(runs.units % 2 == run)
    return len(points_of(runs.category_index[own], runs.scores[own]).last) < len(own)


def _ap_of(runs: Resampled, place: NDArray[np.int64], names: tuple[str, ...]) -> Tested:
    """AP, and AP50 where there are two names. `place` (I,): that of each pair in `runs`, whose units are both runs' images in turn."""

    def weights(first: Weights, other: Weights) -> Weights:
        found = np.zeros(2 * len(place), dtype=np.int64)
        found[2 * place], found[2 * place + 1] = first, other
        return found

    def at(kept: Weights, swapped: Weights, drawn: Weights) -> tuple[Values, Values]:
        objects = weights(drawn, 0 * drawn)
        both = (runs.ap(weights(*each), objects) for each in ((kept, swapped), (swapped, kept)))
        first, other = ([exact_mean(part) for part in (ap, ap[:1])][: len(names)] for ap in both)
        return first, other

    return Tested(names, at, RESAMPLES)


def _both_runs(pairs: Sequence[Pair]) -> tuple[Truth, Predictions]:
    """Every image twice, with the answers of the first and of the other run; boxes as runs hold them, to 0.01 px."""
    results = [result for pair in pairs for result in pair]
    objects = [(place, box) for place, result in enumerate(results) for box in result.truth]
    boxes = [(place, box) for place, result in enumerate(results) for box in result.predicted if box.outcome in SCORED]
    names = sorted({box.label for _, box in (*objects, *boxes)})
    images, classes, corners = _columns(objects, names)
    truth = Truth(
        image_ids=list(range(1, len(results) + 1)),
        file_names=[""] * len(results),
        sizes_wh=np.array([result.size_wh for result in results], dtype=np.int64).reshape(-1, 2),
        category_ids=list(range(1, len(names) + 1)),
        category_names=names,
        image_index=images,
        category_index=classes,
        boxes_xywh_px=corners,
        areas_px2=corners[:, 2] * corners[:, 3],
        is_crowd=np.array([box.outcome == CROWD for _, box in objects], dtype=bool),
    )
    scores = np.array([1.0 if box.score is None else box.score for _, box in boxes], dtype=np.float64)
    return truth, Predictions(*_columns(boxes, names), scores)


def _columns(
    boxes: Sequence[tuple[int, DrawnBox]], names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(image index, class index, boxes xywh)."""
    index_of = {name: number for number, name in enumerate(names)}
    columns = ([image for image, _ in boxes], [index_of[box.label] for _, box in boxes])
    images, classes = (np.array(column, dtype=np.int64) for column in columns)
    return images, classes, xyxy_to_xywh(np.array([box.box_xyxy_px for _, box in boxes], dtype=np.float64).reshape(-1, 4))
