"""Two runs on the same images: how far their numbers differ, whether chance would do as much, and what was fixed or regressed.

The p-value is of a permutation test: the answers of both runs to an image are swapped or not, at random, and p is how often the
difference is at least as large. The interval is a paired bootstrap: images are drawn, with the answers of both runs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from .. import bootstrap
from ..evaluated_run import FN, TP, DrawnBox, ImageResult, Number, Run
from ..precision_recall import exact_mean
from ..resampled_ap import image_weights
from .numbers import RESAMPLES_F1, Tested, Values, tested_numbers

Box = tuple[float, float, float, float]
Key = tuple[int, str, str]
SAME = 1e-9
MEAN = ", mean of samples"


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


def paired(first: Run, other: Run, numbers: Sequence[Number] = (), progress: bool = False) -> Paired:
    """Compare two runs, image by image. `progress` draws a bar on stderr where it takes long."""
    pairs, missing = joined(first, other)
    found = Paired(first.name, other.name, len(pairs), *missing)
    if not _same_truth(first, other):
        found.refused = "the runs have different ground truths"
    elif len(pairs) < 2:
        found.refused = f"{len(pairs)} images are in both runs"
    elif any(one.f1 is None for one, _ in pairs):
        _add_values(found, pairs, numbers)
        _name_means(found, numbers, (first, other))
    elif any(_objects(one) != _objects(two) for one, two in pairs):
        found.refused = "the runs have different objects"
    else:
        order = np.array(sorted(range(len(pairs)), key=lambda place: _content(*pairs[place])))
        for tested in tested_numbers(pairs, *(run.metrics.get("protocol", {}) for run in (first, other))):
            found.differences += _tested(tested, order, progress)
        for one, two in pairs:
            found.fixed += _changed(one, two, FN, TP)
            found.regressed += _changed(one, two, TP, FN)
    return found


def joined(first: Run, other: Run) -> tuple[list[tuple[ImageResult, ImageResult]], tuple[int, int]]:
    """(the results of both runs to the same question, how many only the first and only the other one has)."""
    ours, theirs = ({_key(each): each for each in run.images} for run in (first, other))
    both = [key for key in ours if key in theirs]
    return [(ours[key], theirs[key]) for key in both], (len(ours) - len(both), len(theirs) - len(both))


def _same_truth(first: Run, other: Run) -> bool:
    """By the hash of the truth itself, where both have one: two results that hold the same truth are two files."""
    protocols = [run.metrics.get("protocol", {}) for run in (first, other)]
    key = "truth_sha256" if all("truth_sha256" in each for each in protocols) else "gt_sha256"
    return protocols[0].get(key) == protocols[1].get(key)


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


def _tested(tested: Tested, order: NDArray[np.int64], progress: bool) -> list[Difference]:
    """The differences of some numbers with their tests, those that are defined."""
    from tqdm import tqdm

    ones = np.ones(len(order), dtype=np.int64)
    first, other = tested.at(ones, 0 * ones, ones)
    swaps = ((1 - each, each, ones) for each in _swaps(order, tested.resamples))
    draws = ((each, 0 * each, each) for each in image_weights(order, tested.resamples))
    both = tqdm(chain(swaps, draws), f"test {tested.numbers[0]}", 2 * tested.resamples, delay=1, leave=False, disable=not progress)
    swapped, drawn = np.array([_difference(tested.at(*weights)) for weights in both]).reshape(2, tested.resamples, -1)
    found = []
    for place, name in enumerate(tested.numbers):
        if first[place] is None or other[place] is None:
            continue
        difference = other[place] - first[place]
        at_least = int((np.abs(swapped[:, place]) >= abs(difference) - 1e-12).sum())  # NaN, of what is undefined, is not
        between = bootstrap.percentiles(drawn[~np.isnan(drawn[:, place]), place].tolist())
        p = (1 + at_least) / (1 + tested.resamples)
        found.append(Difference(name, first[place], other[place], difference, between, p, tested.resamples))
    return found


def _swaps(order: NDArray[np.int64], resamples: int) -> Iterator[NDArray[np.int64]]:
    """For each resample (I,) whether the answers of both runs to an image are swapped."""
    random = np.random.default_rng(bootstrap.SEED)
    for _ in range(resamples):
        swapped = np.zeros(len(order), dtype=np.int64)
        swapped[order] = random.integers(2, size=len(order))
        yield swapped


def _difference(values: tuple[Values, Values]) -> list[float]:
    """Other less first of each number; NaN where one is undefined."""
    return [math.nan if None in pair else pair[1] - pair[0] for pair in zip(*values, strict=True)]


def _add_values(found: Paired, pairs: Sequence[tuple[ImageResult, ImageResult]], numbers: Sequence[Number]) -> None:
    """The tests of a metric of samples: means of what samples have in both runs, swapped by image. Samples of boxes have none."""
    found.images = len({_unit(one) for one, _ in pairs})
    lower = {number.title for number in numbers if not number.higher_is_better}
    titles = list(dict.fromkeys(title for one, _ in pairs for title in one.values))
    having = {title: [pair for pair in pairs if all(_numeric(each, title) for each in pair)] for title in titles}
    titles = [title for title in titles if having[title]]
    for title in titles:
        sums: dict[Hashable, list[float]] = {}
        for one, two in having[title]:
            sums.setdefault(_unit(one), []).append(float(two.values[title]) - float(one.values[title]))
        found.differences.append(_mean_difference(title, having[title], sums))
    for one, two in having[titles[0]] if titles else ():
        change = (float(two.values[titles[0]]) - float(one.values[titles[0]])) * (-1 if titles[0] in lower else 1)
        if change:
            changed = Changed(one.image_id, one.file_name, sample_id=one.sample_id, question=one.question)
            (found.fixed if change > 0 else found.regressed).append(changed)


def _name_means(found: Paired, numbers: Sequence[Number], runs: tuple[Run, Run]) -> None:
    """Say of a mean over samples that it is one, where the run's number of that name is another, such as BLEU-4 of all sentences."""
    keys = {number.title: number.key for number in numbers}
    for each in found.differences:
        own = [run.metrics.get(keys.get(each.number, "")) for run in runs]
        means = (each.first, each.other)
        if any(value is not None and abs(value - mean) > SAME for value, mean in zip(own, means, strict=True)):
            each.number += MEAN


def _unit(result: ImageResult) -> Hashable:
    """What the samples of one image or video have in common."""
    return result.file_name if result.sample_id is not None and result.file_name else result.image_id


def _numeric(result: ImageResult, title: str) -> bool:
    return isinstance(result.values.get(title), (int, float))


def _mean_difference(title: str, pairs: Sequence[tuple[ImageResult, ImageResult]], sums: dict[Hashable, list[float]]) -> Difference:
    """The difference of a mean over samples."""
    first, other = (exact_mean(np.array([both[run].values[title] for both in pairs], dtype=float)) for run in (0, 1))
    of_images = np.sort([sum(sorted(each)) for each in sums.values()])
    signs = np.random.default_rng(bootstrap.SEED).integers(2, size=(RESAMPLES_F1, len(of_images))) * 2 - 1
    at_least = int((np.abs(signs @ of_images) >= abs(of_images.sum()) - 1e-9).sum())
    every = [(image, value) for image, values in sums.items() for value in values]
    images, values = zip(*every, strict=True)
    p = (1 + at_least) / (1 + RESAMPLES_F1)
    return Difference(title, first, other, other - first, bootstrap.interval(values, groups=images), p, RESAMPLES_F1)
