"""Boxes of two answers to one question, in pairs: IoU, and how far and in which direction they moved."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, iou, paired_iou

from .answers import Sample


class Pairs(NamedTuple):
    """Boxes of equal labels in pairs: indices into the reference's and the other's boxes, (n,) each, and their IoU.

    `missing`: how many boxes of the reference have no partner, `extra`: how many of the other's.
    """

    of_reference: NDArray[np.int64]
    of_other: NDArray[np.int64]
    iou: NDArray[np.float64]
    missing: int
    extra: int

    @property
    def all_iou(self) -> NDArray[np.float64]:
        """IoU of every box; 0 of one without a partner."""
        return np.concatenate([self.iou, np.zeros(self.missing + self.extra)])


def pairs_of(reference: Sample, other: Sample) -> Pairs:
    """Pair boxes within a label, highest IoU first; those that overlap nothing in the order of the answers, so that a shift shows."""
    groups: tuple[defaultdict[str, list[int]], ...] = (defaultdict(list), defaultdict(list))
    for sample, group in zip((reference, other), groups, strict=True):
        for index, label in enumerate(sample.labels):
            group[label].append(index)
    found = [pair for label in groups[0] for pair in _pairs(reference, other, groups[0][label], groups[1].get(label, []))]
    indices = np.array(found, dtype=np.int64).reshape(-1, 2)
    own, others = indices.T
    overlap = paired_iou(reference.boxes_xyxy_px[own], other.boxes_xyxy_px[others])
    equal = (reference.boxes_xyxy_px[own] == other.boxes_xyxy_px[others]).all(axis=1)
    overlap = np.where(equal, 1.0, overlap)  # boxes without area among them
    return Pairs(own, others, overlap, len(reference.labels) - len(found), len(other.labels) - len(found))


def _pairs(reference: Sample, other: Sample, own: list[int], others: list[int]) -> list[tuple[int, int]]:
    overlap = iou(reference.boxes_xyxy_px[own], other.boxes_xyxy_px[others])
    order = np.argsort(-overlap, axis=None, kind="stable")[: np.count_nonzero(overlap)]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in zip(*np.unravel_index(order, overlap.shape), strict=True):
        if row not in found and column not in taken:
            found[int(row)] = int(column)
            taken.add(int(column))
    rest = zip([n for n in range(len(own)) if n not in found], [n for n in range(len(others)) if n not in taken], strict=False)
    return [(own[row], others[column]) for row, column in [*found.items(), *rest]]


def moves(reference: Sample, other: Sample, pairs: Pairs) -> Boxes:
    """(n, 4) how far each edge moved in px, signed: right and down are positive."""
    return other.boxes_xyxy_px[pairs.of_other] - reference.boxes_xyxy_px[pairs.of_reference]
