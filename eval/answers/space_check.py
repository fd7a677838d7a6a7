"""Boxes in another space than declared: which other reading of the same numbers would explain them.

A warning for people. It looks at the ground truth, so it is never used to place or to score a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, paired_iou, xywh_to_xyxy
from groundswift.spaces import Space, placed

from ..ground_truth import Truth

Indices = NDArray[np.int64]
FEWEST, FEWEST_OF_A_FIT = 5, 8  # boxes that a reading must explain: a named one, one whose scale was fitted to the boxes
GROUPS, BOXES_OF_A_GROUP, PAIRS = 400, 30, 20_000  # what is looked at, at most
WINDOW = 0.1  # width in the logarithm of a scale, within which pairs agree on it
NAMED = (
    Space("original_px", "pixels of the image"),
    Space("norm1000", "0 to 1000 on each axis", units=1000),
    Space("fractions", "0 to 1 on each axis", units=1),
    Space("percent", "0 to 100 on each axis", units=100),
    Space("square", "0 to 1 on the image padded to a square", side="square", units=1),
)


class BoxSample(NamedTuple):
    """(N, 4) boxes as written and as placed in original px, both x1, y1, x2, y2; (N, 2) sizes of their images; (N,) their groups.

    A group is what is compared with one another: an image and class, or the one question of a referring expression.
    """

    written: Boxes
    placed_xyxy_px: Boxes
    sizes_wh: NDArray[np.int64]
    groups: Indices


class Explanation(NamedTuple):
    """`reading` would fit `explained` of `compared` boxes whose group is right; as declared, `fitting` do (IoU 0.5 or more)."""

    reading: str
    explained: int
    fitting: int
    compared: int

    def document(self) -> dict[str, str | int]:
        """The warning for `metrics.json`: its id, its sentence and its counts."""
        return {"id": "box-space", "message": self.text(), **self._asdict()}

    def text(self) -> str:
        """The warning as one sentence or two."""
        return (
            f"boxes seem to be in another space than declared: {self.fitting} of {self.compared} match their object as declared, "
            f"{self.explained} would as {self.reading}. The score uses the declared space; check --space, --family and the pixel limits."
        )


def explained_by_space(found: BoxSample, category_index: NDArray[np.int64], truth: Truth) -> Explanation | None:
    """`explain_mismatch` of boxes whose groups are images, within the classes; crowds are not compared."""
    classes, objects = max(len(truth.category_ids), 1), ~truth.is_crowd
    groups = found.groups * classes + category_index
    true_groups = truth.image_index * classes + truth.category_index
    seen = np.flatnonzero(objects & np.isin(true_groups, _sampled(groups)))
    return explain_mismatch(found._replace(groups=groups), xywh_to_xyxy(truth.boxes_xywh_px[seen]), true_groups[seen])


def mismatch_warnings(found: Explanation | None) -> list[dict[str, str | int]]:
    """The warnings for `metrics.json`: one or none."""
    return [found.document()] if found else []


def explain_mismatch(found: BoxSample, true_xyxy_px: Boxes, true_groups: Indices) -> Explanation | None:
    """The reading that explains boxes which do not fit the truth of their group; None where they fit, nothing explains them, or
    there are too few to tell. `true_xyxy_px` is (M, 4), `true_groups` (M,).
    """
    with np.errstate(all="ignore"):  # a model may write any number
        pairs = _Pairs.of(found, true_xyxy_px, true_groups)
        if pairs is None:
            return None
        fitting = pairs.evidence(found.placed_xyxy_px)
        if fitting > 0.6 * pairs.capacity:
            return None
        for readings, fewest in ((_named(found), FEWEST), (_fitted(pairs), FEWEST_OF_A_FIT)):
            explained, reading, boxes = _best(pairs, readings, fitting)
            if pairs.convinces(explained, fitting, fewest) and not pairs.coincides(explained, boxes):
                return Explanation(reading, explained, fitting, pairs.capacity)
    return None


Reading = tuple[int, str, Boxes]  # how many boxes it explains, in words, (N, 4) boxes in original px


@dataclass(frozen=True)
class _Pairs:
    """Every box with every ground-truth box of its group, for a sample of the groups: indices (P,) into both."""

    found: BoxSample
    truth: Boxes
    true_groups: Indices
    box: Indices
    true: Indices

    @classmethod
    def of(cls, found: BoxSample, truth: Boxes, true_groups: Indices) -> _Pairs | None:
        common = np.unique(true_groups[np.isin(true_groups, _sampled(found.groups))])
        if not len(common):
            return None
        common = common[np.unique(np.linspace(0, len(common) - 1, min(len(common), GROUPS)).astype(np.int64))]
        boxes, truths = _members(found.groups, common), _members(true_groups, common)
        first = np.searchsorted(true_groups[truths], found.groups[boxes], side="left")
        count = np.searchsorted(true_groups[truths], found.groups[boxes], side="right") - first
        whole = np.cumsum(count) <= PAIRS
        boxes, first, count = boxes[whole], first[whole], count[whole]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return cls(found, truth, true_groups, np.repeat(boxes, count), truths[np.repeat(first, count) + within])

    def evidence(self, boxes_xyxy_px: Boxes, true: Indices | None = None) -> int:
        """How many boxes fit, one to one at most: of each group the fewer of boxes and of ground-truth boxes that overlap one by 0.5."""
        true = self.true if true is None else true
        fits = paired_iou(boxes_xyxy_px[self.box], self.truth[true]) >= 0.5
        return self._fewer(self.box[fits], self.true[fits])

    @cached_property
    def capacity(self) -> int:
        """How many could fit."""
        return self._fewer(self.box, self.true)

    def _fewer(self, box: Indices, true: Indices) -> int:
        groups, counts = np.unique(self.found.groups[np.unique(box)], return_counts=True)
        others, of_truth = np.unique(self.true_groups[np.unique(true)], return_counts=True)
        return int(np.minimum(counts, of_truth).sum()) if np.array_equal(groups, others) else 0

    def convinces(self, explained: int, fitting: int, fewest: int) -> bool:
        """Whether so many boxes are enough, and much more than fit as declared."""
        capacity = self.capacity
        most = explained >= 0.6 * capacity and explained - fitting >= 0.35 * capacity
        many = explained >= 30 and explained >= 0.2 * capacity and fitting <= 0.1 * explained
        return explained >= fewest and (most or many)

    def coincides(self, explained: int, boxes_xyxy_px: Boxes) -> bool:
        """Whether a reading fits objects that are mixed up about as well, or a shift of all boxes explains them about as well."""
        return self._by_chance(boxes_xyxy_px) >= 0.5 * explained or self._shifted() >= 0.8 * explained

    def _by_chance(self, boxes_xyxy_px: Boxes) -> int:
        """What a reading explains with the boxes of other groups; of one or two groups, with boxes mirrored in their images."""
        sizes = np.tile(self.found.sizes_wh.astype(np.float64), 2)
        used = np.unique(self.box)
        if len(np.unique(self.found.groups[used])) < 3:
            return self.evidence(sizes - boxes_xyxy_px[:, [2, 3, 0, 1]])
        others = np.random.default_rng(0).permutation(used)
        moved = boxes_xyxy_px.copy()
        moved[used] = boxes_xyxy_px[others] / sizes[others] * sizes[used]
        return self.evidence(moved)

    def agreed(self, boxes: Boxes) -> tuple[np.float64, np.float64, np.float64]:
        """The scales to the truth on which most pairs agree: of x, of y, and one for both."""
        centres, wanted = (box.reshape(-1, 2, 2).mean(axis=1) for box in (boxes[self.box], self.truth[self.true]))
        both = np.log(wanted.sum(axis=1) / centres.sum(axis=1))
        x, y = _mode_of_pairs(np.log(wanted / centres), WINDOW)
        return np.exp(x), np.exp(y), np.exp(_median(both[_mode(both, WINDOW)]))

    def _shifted(self) -> int:
        """How many boxes one shift for all explains, in px or in shares of the image: then it is not a question of scale."""
        boxes, sizes = self.found.placed_xyxy_px, self.found.sizes_wh.astype(np.float64)
        best = 0
        for unit in (np.full_like(sizes, np.sqrt(sizes.prod(axis=1).mean())), sizes):
            moves = (self.truth[self.true] - boxes[self.box]).reshape(-1, 2, 2).mean(axis=1) / unit[self.box]
            shift = np.array(_mode_of_pairs(moves, WINDOW / 2))
            best = max(best, self.evidence(boxes + np.tile(shift * unit, 2)))
        return best


def _sampled(groups: Indices) -> Indices:
    """Groups that are looked at, if they have ground truth."""
    return np.unique(groups[:: max(1, len(groups) // (GROUPS * 4))])


def _members(groups: Indices, chosen: Indices) -> Indices:
    """Indices of what belongs to the chosen groups, ordered by group, BOXES_OF_A_GROUP of each at most."""
    members = np.flatnonzero(np.isin(groups, chosen))
    members = members[np.argsort(groups[members], kind="stable")]
    rank = np.arange(len(members)) - np.searchsorted(groups[members], groups[members], side="left")
    return members[rank < BOXES_OF_A_GROUP]


def _best(pairs: _Pairs, readings: Iterator[tuple[str, Boxes]], fitting: int) -> Reading:
    """The first reading that no later one beats clearly; the simpler ones come first."""
    best: Reading = (fitting, "", pairs.found.placed_xyxy_px)
    for text, boxes in readings:
        explained = pairs.evidence(boxes)
        if explained > 1.05 * best[0]:
            best = (explained, text, boxes)
    return best


def _swapped(boxes: Boxes) -> Boxes:
    return boxes[:, [1, 0, 3, 2]]


def _named(found: BoxSample) -> Iterator[tuple[str, Boxes]]:
    """Readings without a free number: in words, and the boxes that they give."""
    sizes = np.tile(found.sizes_wh.astype(np.float64), 2)
    for boxes in (_swapped(found.placed_xyxy_px), _swapped(found.placed_xyxy_px / sizes) * sizes):
        yield "declared with x and y swapped", boxes
    corner, size = found.written[:, :2], found.written[:, 2:]
    orders = (
        ("", found.written),
        (" with x and y swapped", _swapped(found.written)),
        (" with x1, y1, x2, y2 in place of x, y, width, height", np.hstack([corner, size - corner])),
        (" with x, y, width, height in place of x1, y1, x2, y2", np.hstack([corner, corner + size])),
        (" with the middle, width and height in place of x1, y1, x2, y2", np.hstack([corner - size / 2, corner + size / 2])),
    )
    for order, boxes in orders:
        for space in NAMED:
            yield f"{space.name} ({space.meaning}){order}", placed(boxes, space, found.sizes_wh)


def _fitted(pairs: _Pairs) -> Iterator[tuple[str, Boxes]]:
    """Readings whose scale is the one that fits most boxes: in words, and the boxes that they give."""
    found, sizes = pairs.found, pairs.found.sizes_wh.astype(np.float64)
    for order, change in (("", np.asarray), (" with x and y swapped", _swapped)):
        x, y, both = pairs.agreed(placed_px := change(found.placed_xyxy_px))
        yield f"declared{order}, multiplied by {both:.3g}", placed_px * both
        yield f"declared{order}, x multiplied by {x:.3g} and y by {y:.3g}", placed_px * np.array([x, y, x, y])
        written = change(found.written)
        x, y, _ = pairs.agreed(stretched := written * np.tile(sizes, 2))
        yield f"px of images resized to {1 / x:.0f}x{1 / y:.0f}{order}", stretched * np.array([x, y, x, y])
        for what, side in (("longer", sizes.max(axis=1)), ("shorter", sizes.min(axis=1))):
            *_, both = pairs.agreed(fitted := written * side[:, None])
            yield f"px of images resized to a {what} side of {1 / both:.0f}{order}", fitted * both
        *_, both = pairs.agreed(fitted := written * np.sqrt(sizes.prod(axis=1))[:, None])
        yield f"px of images resized to an area of about {both**-2:.0f} px{order}", fitted * both


def _mode(values: NDArray[np.float64], width: float) -> Indices:
    """Indices of the most values within `width` of each other."""
    order = np.flatnonzero(np.isfinite(values))
    order = order[np.argsort(values[order])]
    if not len(order):
        return np.zeros(0, dtype=np.int64)
    end = np.searchsorted(values[order], values[order] + width, side="right")
    first = int(np.argmax(end - np.arange(len(order))))
    return order[first : end[first]]


def _mode_of_pairs(values: NDArray[np.float64], width: float) -> tuple[np.float64, np.float64]:
    """(N, 2) pairs -> the middle of those that agree in both; NaN without any."""
    near = _mode(values[:, 0], width)
    near = near[_mode(values[near, 1], width)]
    return _median(values[near, 0]), _median(values[near, 1])


def _median(values: NDArray[np.float64]) -> np.float64:
    return np.float64(np.median(values) if len(values) else np.nan)
