"""Two runs on the same images: how far their numbers differ, whether chance would do as much, and what was fixed or regressed.

The p-value is of a permutation test: the answers of both runs to an image are swapped or not, at random, and p is how often the
difference is at least as large. The interval is a paired bootstrap: images are drawn, with the answers of both runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import bootstrap
from .box_matching import IS_CROWD, IS_FP, IS_TP
from .evaluated_run import FN, FP, TP, DrawnBox, ImageResult, Number, Run, Table
from .precision_recall import exact_mean
from .resampled_ap import RESAMPLES, Resampled

RESAMPLES_F1 = 1000
MOST_SHOWN = 200  # of each list, in the report
Box = tuple[float, float, float, float]
Key = tuple[int, str, str]


class Difference(msgspec.Struct):
    """A number of both runs; `interval` is of the difference, `p` of the permutation test."""

    number: str
    first: float
    other: float
    difference: float
    interval: tuple[float, float] | None
    p: float
    resamples: int


class Changed(msgspec.Struct, omit_defaults=True):
    """An object, or a sample, whose outcome differs."""

    image_id: int
    file_name: str
    label: str = ""
    box_xyxy_px: Box | None = None
    sample_id: int | str | None = None
    question: str = ""


class Paired(msgspec.Struct):
    """What compares two runs; `refused` says why there are no tests."""

    first: str
    other: str
    images: int
    only_in_first: int
    only_in_other: int
    refused: str = ""
    differences: list[Difference] = []
    fixed: list[Changed] = []
    regressed: list[Changed] = []


class Tested(NamedTuple):
    """A number as a function of weights: `at(first, other)` are its two values where the first run's images count as `first` says."""

    number: str
    at: Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], tuple[float | None, float | None]]
    resamples: int


def paired(first: Run, other: Run, numbers: Sequence[Number] = ()) -> Paired:
    """Compare two runs, image by image."""
    pairs, missing = joined(first, other)
    found = Paired(first.name, other.name, len(pairs), *missing)
    hashes = {run.metrics.get("protocol", {}).get("gt_sha256") for run in (first, other)}
    if len(hashes) > 1:
        found.refused = "the runs have different ground truths"
    elif len(pairs) < 2:
        found.refused = f"{len(pairs)} images are in both runs"
    elif any(one.f1 is None for one, _ in pairs):
        _add_values(found, pairs, numbers)
    elif any(_objects(one) != _objects(two) for one, two in pairs):
        found.refused = "the runs have different objects"
    else:
        order = np.array(sorted(range(len(pairs)), key=lambda place: _content(*pairs[place])))
        for tested in (_f1(pairs), _ap50(pairs)):
            difference = _tested(tested, order)
            found.differences += [] if difference is None else [difference]
        for one, two in pairs:
            found.fixed += _changed(one, two, FN, TP)
            found.regressed += _changed(one, two, TP, FN)
    return found


def paired_tables(found: Paired) -> list[Table]:
    """The tests and what changed, for the report."""
    columns = ["number", found.first, found.other, "difference", "from", "to", "p"]
    rows = [[each.number, each.first, each.other, each.difference, *(each.interval or (None, None)), each.p] for each in found.differences]
    note = (
        f"{found.images} images are in both runs. from, to: 95 % of the differences of a paired bootstrap over images. "
        "p: share of random swaps of the two answers to an image whose difference is at least as large."
    )
    tables = [Table("paired", f"{found.first} and {found.other}", columns, rows, note=found.refused or note)]
    for name, changes in (("fixed", found.fixed), ("regressed", found.regressed)):
        shown = [[each.image_id, each.file_name, each.label or each.question, _place(each)] for each in changes[:MOST_SHOWN]]
        title = f"{name.capitalize()} in {found.other}: {len(changes)}"
        tables.append(
            Table(
                name,
                title,
                ["image", "file", "object", "box, px"],
                shown,
                note=f"The first {MOST_SHOWN}." if len(changes) > MOST_SHOWN else "",
            )
        )
    return tables


def paired_lines(found: Paired) -> list[str]:
    """The same for the terminal, without names of images."""
    head = f"{found.first} and {found.other}, {found.images} images"
    if found.refused:
        return [f"{head}: no paired test, because {found.refused}"]
    lines = []
    for each in found.differences:
        between = "" if each.interval is None else f" [{each.interval[0]:+.3f}, {each.interval[1]:+.3f}]"
        lines.append(f"{head}: {each.number} {each.first:.3f} and {each.other:.3f}, {each.difference:+.3f}{between}, p = {each.p:.3f}")
    return [*lines, f"{head}: {len(found.fixed)} fixed, {len(found.regressed)} regressed (paired.json)"]


def _place(changed: Changed) -> str | None:
    return None if changed.box_xyxy_px is None else ", ".join(f"{number:g}" for number in changed.box_xyxy_px)


def joined(first: Run, other: Run) -> tuple[list[tuple[ImageResult, ImageResult]], tuple[int, int]]:
    """(the results of both runs to the same question, how many only the first and only the other one has)."""
    ours, theirs = ({_key(each): each for each in run.images} for run in (first, other))
    both = [key for key in ours if key in theirs]
    return [(ours[key], theirs[key]) for key in both], (len(ours) - len(both), len(theirs) - len(both))


def _key(result: ImageResult) -> Key:
    return result.image_id, str(result.sample_id), result.question


def _objects(result: ImageResult) -> list[tuple[str, Box]]:
    return sorted((box.label, box.box_xyxy_px) for box in result.truth)


def _content(one: ImageResult, two: ImageResult) -> tuple:
    """What an image holds in both runs, without its id."""
    return tuple(
        tuple(sorted((box.label, box.outcome, box.score or 0.0, box.box_xyxy_px) for box in boxes))
        for boxes in (one.truth, one.predicted, two.predicted)
    )


def _changed(one: ImageResult, two: ImageResult, before: str, after: str) -> Iterator[Changed]:
    """The objects of an image with these outcomes."""
    left: dict[tuple[str, Box], list[DrawnBox]] = {}
    for box in two.truth:
        left.setdefault((box.label, box.box_xyxy_px), []).append(box)
    for box in one.truth:
        same = left[box.label, box.box_xyxy_px].pop()
        if (box.outcome, same.outcome) == (before, after):
            yield Changed(one.image_id, one.file_name, box.label, box.box_xyxy_px)


def _tested(tested: Tested, order: NDArray[np.int64]) -> Difference | None:
    """The difference of a number with its test; None where it is undefined."""
    ones = np.ones(len(order), dtype=np.int64)
    first, other = tested.at(ones, 0 * ones, ones)
    if first is None or other is None:
        return None
    random, at_least = np.random.default_rng(bootstrap.SEED), 0
    for _ in range(tested.resamples):
        swapped = np.zeros(len(order), dtype=np.int64)
        swapped[order] = random.integers(2, size=len(order))
        one, two = tested.at(1 - swapped, swapped, ones)
        at_least += one is not None and two is not None and abs(two - one) >= abs(other - first) - 1e-12
    drawn = []
    for row in (row for part in bootstrap.draws(len(order), tested.resamples) for row in part):
        weights = np.zeros(len(order), dtype=np.int64)
        weights[order] = np.bincount(row, minlength=len(order))
        one, two = tested.at(weights, 0 * weights, weights)
        drawn += [] if one is None or two is None else [two - one]
    p = (1 + at_least) / (1 + tested.resamples)
    return Difference(tested.number, first, other, other - first, bootstrap.percentiles(drawn), p, tested.resamples)


def _f1(pairs: Sequence[tuple[ImageResult, ImageResult]]) -> Tested:
    """F1 at IoU 0.5, of counts summed over images."""
    counts = np.array([[_counts(one), _counts(two)] for one, two in pairs])

    def of(sums: NDArray[np.int64]) -> float | None:
        found, false, missed = sums.tolist()
        return 2 * found / (2 * found + false + missed) if found + false + missed else None

    def at(kept: NDArray[np.int64], swapped: NDArray[np.int64], _: NDArray[np.int64]) -> tuple[float | None, float | None]:
        return of(kept @ counts[:, 0] + swapped @ counts[:, 1]), of(swapped @ counts[:, 0] + kept @ counts[:, 1])

    return Tested("F1 at IoU 0.5", at, RESAMPLES_F1)


def _counts(result: ImageResult) -> tuple[int, int, int]:
    """TP, FP and FN."""
    of_truth = [box.outcome for box in result.truth]
    return of_truth.count(TP), sum(box.outcome == FP for box in result.predicted), of_truth.count(FN)


def _ap50(pairs: Sequence[tuple[ImageResult, ImageResult]]) -> Tested:
    """AP at IoU 0.5 that no order of equal scores changes, of the outcomes in the runs."""
    count = len(pairs)
    boxes = [(place + count * run, box) for place, both in enumerate(pairs) for run, each in enumerate(both) for box in each.predicted]
    objects = [(place, box) for place, (one, _) in enumerate(pairs) for box in one.truth if box.outcome in (TP, FN)]
    names = {name: number for number, name in enumerate(sorted({box.label for _, box in (*boxes, *objects)}))}
    codes = np.array([[{TP: IS_TP, FP: IS_FP}.get(box.outcome, IS_CROWD) for _, box in boxes]], dtype=np.uint8)
    pooled = Resampled(
        np.array([unit for unit, _ in boxes], dtype=np.int64),
        np.array([names[box.label] for _, box in boxes], dtype=np.int64),
        np.array([1.0 if box.score is None else box.score for _, box in boxes], dtype=np.float64),
        codes,
        np.array([unit for unit, _ in objects], dtype=np.int64),
        np.array([names[box.label] for _, box in objects], dtype=np.int64),
        len(names),
    )

    def at(kept: NDArray[np.int64], swapped: NDArray[np.int64], drawn: NDArray[np.int64]) -> tuple[float | None, float | None]:
        both = (np.concatenate([kept, swapped]), np.concatenate([swapped, kept]))
        first, other = (exact_mean(pooled.ap(weights, drawn)) for weights in both)
        return first, other

    return Tested("AP50, any order of equal scores", at, RESAMPLES)


def _add_values(found: Paired, pairs: Sequence[tuple[ImageResult, ImageResult]], numbers: Sequence[Number]) -> None:
    """The tests of a metric of samples: means of the numbers that each sample has, swapped by image."""
    titles = [title for title in pairs[0][0].values if all(_numeric(each, title) for both in pairs for each in both)]
    lower = {number.title for number in numbers if not number.higher_is_better}
    for title in titles:
        sums: dict[int, list[float]] = {}
        for one, two in pairs:
            sums.setdefault(one.image_id, []).append(float(two.values[title]) - float(one.values[title]))
        found.differences.append(_mean_difference(title, pairs, sums))
    for one, two in pairs if titles else ():
        change = (float(two.values[titles[0]]) - float(one.values[titles[0]])) * (-1 if titles[0] in lower else 1)
        if change:
            changed = Changed(one.image_id, one.file_name, sample_id=one.sample_id, question=one.question)
            (found.fixed if change > 0 else found.regressed).append(changed)


def _numeric(result: ImageResult, title: str) -> bool:
    return isinstance(result.values.get(title), (int, float))


def _mean_difference(title: str, pairs: Sequence[tuple[ImageResult, ImageResult]], sums: dict[int, list[float]]) -> Difference:
    """The difference of a mean over samples."""
    first, other = (exact_mean(np.array([both[run].values[title] for both in pairs], dtype=float)) for run in (0, 1))
    of_images = np.sort([sum(sorted(each)) for each in sums.values()])
    signs = np.random.default_rng(bootstrap.SEED).integers(2, size=(RESAMPLES_F1, len(of_images))) * 2 - 1
    at_least = int((np.abs(signs @ of_images) >= abs(of_images.sum()) - 1e-9).sum())
    every = [(image, value) for image, values in sums.items() for value in values]
    images, values = zip(*every, strict=True)
    p = (1 + at_least) / (1 + RESAMPLES_F1)
    return Difference(title, first, other, other - first, bootstrap.interval(values, groups=images), p, RESAMPLES_F1)
