"""The numbers of one way against the reference: texts, tokens, boxes, first differences; over all samples and by image size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import Struct

from groundswift.boxes import Boxes

from ..evaluated_run import Number
from .answers import Key, Sample, WayAnswers
from .boxes import Pairs, moves, pairs_of
from .tokens import Drift, FirstDifference, drift, first_difference, same_prefix, token_edits

SAME_IOU = 0.999  # of boxes that are the same but for floating point

NUMBERS = (
    Number("agreement", "agreement", headline=True),
    Number("same_text", "same text", headline=True),
    Number("same_first_token", "same first token"),
    Number("same_tokens", "same tokens"),
    Number("token_error_rate", "token error rate", higher_is_better=False),
    Number("box_iou", "box IoU", headline=True),
    Number("box_iou_lowest", "box IoU, lowest sample"),
    Number("same_boxes", "same boxes"),
    Number("edge_shift_px", "edge shift, mean px", higher_is_better=False),
    Number("edge_shift_most_px", "edge shift, most px", higher_is_better=False),
    Number("logprob_difference", "log-probability difference, most", higher_is_better=False),
    Number("AP", "AP", headline=True),
    Number("AP50", "AP50"),
)


class SampleParity(Struct, omit_defaults=True):
    """One sample. `agreement`: mean IoU of its boxes or, where neither answer has one, whether the texts are equal, 1 or 0."""

    sample_id: int | str
    size: str
    size_wh: tuple[int, int] | None
    same_text: bool
    agreement: float
    box_iou: float | None = None
    missing_boxes: int = 0
    extra_boxes: int = 0
    token_edits: int | None = None
    first_difference: FirstDifference | None = None
    drift: Drift | None = None


@dataclass(frozen=True)
class Compared:
    """A sample with what its numbers are made of: `pairs` and (n, 4) `moved` edges, None where boxes cannot be read."""

    reference: Sample
    other: Sample
    parity: SampleParity
    pairs: Pairs | None
    moved_px: Boxes


@dataclass(frozen=True)
class WayParity:
    """One way against the reference; `by_size`: the numbers of each size of images, with how boxes moved in it."""

    name: str
    numbers: dict[str, float | None]
    counts: dict[str, int]
    by_size: dict[str, dict[str, Any]]
    compared: list[Compared]

    @property
    def lowest_agreement(self) -> float:
        """The agreement on the size of images that agrees least: a mean over all sizes could hide it."""
        return min(numbers["agreement"] for numbers in self.by_size.values())


def compare(reference: WayAnswers, other: WayAnswers, keys: Sequence[Key]) -> WayParity:
    """The numbers of a way on the samples of these keys, which both have."""
    compared = [compare_sample(reference.samples[key], other.samples[key]) for key in keys]
    sizes = dict.fromkeys(each.reference.size_name for each in compared)
    by_size = {size: _of_size([each for each in compared if each.reference.size_name == size]) for size in sizes}
    without = sum(each.reference.tokens is None or each.other.tokens is None for each in compared)
    counts = {
        "samples": len(compared),
        "different_texts": sum(not each.parity.same_text for each in compared),
        "missing_boxes": sum(each.parity.missing_boxes for each in compared),
        "extra_boxes": sum(each.parity.extra_boxes for each in compared),
        "without_tokens": without,
    }
    return WayParity(other.name, numbers_of(compared), counts, by_size, compared)


def compare_sample(reference: Sample, other: Sample) -> Compared:
    """One answer against that of the reference."""
    same, edits = reference.text == other.text, token_edits(reference, other)
    pairs = pairs_of(reference, other) if reference.labels is not None and other.labels is not None else None
    overlap = pairs.all_iou if pairs is not None else np.zeros(0)
    box_iou = float(overlap.mean()) if overlap.size else None
    parity = SampleParity(
        reference.sample_id,
        reference.size_name,
        reference.size_wh,
        same,
        float(same) if box_iou is None else box_iou,
        box_iou,
        pairs.missing if pairs else 0,
        pairs.extra if pairs else 0,
        edits,
        first_difference(reference, other),
        drift(reference, other),
    )
    return Compared(reference, other, parity, pairs, moves(reference, other, pairs) if pairs else np.zeros((0, 4)))


def numbers_of(compared: Sequence[Compared]) -> dict[str, float | None]:
    """The numbers over some samples; None where undefined."""
    rows = [each.parity for each in compared]
    of_boxes = [row.box_iou for row in rows if row.box_iou is not None]
    overlap = np.concatenate([each.pairs.all_iou for each in compared if each.pairs] or [[]])
    edges = np.abs(np.concatenate([each.moved_px for each in compared]))
    return {
        "agreement": _mean(row.agreement for row in rows),
        "same_text": _mean(row.same_text for row in rows),
        **_token_numbers([each for each in compared if each.parity.token_edits is not None]),
        "box_iou": _mean(overlap),
        "box_iou_lowest": min(of_boxes, default=None),
        "same_boxes": _mean(min(each.pairs.all_iou, default=1) >= SAME_IOU for each in compared if each.pairs),
        "edge_shift_px": _mean(edges.ravel()),
        "edge_shift_most_px": float(edges.max()) if edges.size else None,
        "logprob_difference": max((row.drift.largest for row in rows if row.drift), default=None),
    }


def _token_numbers(compared: Sequence[Compared]) -> dict[str, float | None]:
    """Numbers of the samples of which both answers have tokens."""
    edits, count = sum(each.parity.token_edits for each in compared), sum(len(each.reference.tokens) for each in compared)
    return {
        "same_first_token": _mean(bool(same_prefix(each.reference, each.other)) or each.parity.same_text for each in compared),
        "same_tokens": _mean(each.parity.token_edits == 0 for each in compared),
        "token_error_rate": edits / count if count else None,
    }


def _of_size(compared: Sequence[Compared]) -> dict[str, Any]:
    """The numbers of one size, and how boxes moved in it: means of the shift of the centre and of the change of width and height in px,
    and the shift in per cent of the image's sides."""
    moved = np.concatenate([each.moved_px for each in compared])
    sizes = np.concatenate([np.tile(each.reference.size_wh or (1, 1), (len(each.moved_px), 1)) for each in compared])
    centres, sides = (moved[:, :2] + moved[:, 2:]) / 2, moved[:, 2:] - moved[:, :2]
    names = ("shift_x_px", "shift_y_px", "wider_px", "taller_px", "shift_x_percent", "shift_y_percent")
    columns = np.concatenate([centres, sides, 100 * centres / np.maximum(sizes, 1)], axis=1)
    shifts = dict(zip(names, map(_mean, columns.T), strict=True))
    return {"samples": len(compared), **numbers_of(compared), **shifts}


def _mean(values: Iterable[float]) -> float | None:
    """The mean; None of nothing."""
    found = list(values)
    return float(np.mean(found)) if found else None
