"""The result on each image, as a run keeps it and the report draws it: boxes with their outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise, repeat
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, xywh_to_xyxy

from .answers.to_boxes import Predictions
from .box_matching import IS_CROWD, IS_NOT_COUNTED, IS_TP, Codes, outcomes
from .evaluated_run import OUTCOMES, DrawnBox, ImageResult
from .ground_truth import Truth

IMAGES_AT_ONCE = 200


class ImageResults(Sequence[ImageResult]):
    """Every image with its boxes and their outcomes, in the order of the ground truth, made each time that it is asked for.

    As objects, boxes take ten times the memory of their columns. Coordinates are rounded to 0.01 px. `unknown`: more predictions to draw,
    by image id.
    """

    def __init__(
        self,
        truth: Truth,
        predictions: Predictions,
        codes: tuple[Codes, Codes],
        statuses: list[str],
        texts: list[str],
        unknown: Mapping[int, list[DrawnBox]] | None = None,
    ) -> None:
        self._truth, self._statuses, self._texts, self._unknown = truth, statuses, texts, unknown or {}
        self._boxes = truth, predictions
        self._codes = codes

    @cached_property
    def _columns(self) -> tuple[BoxesByImage, BoxesByImage, list[float]]:
        truth, predictions = self._boxes
        f1 = f1_by_image(truth, predictions, *self._codes)
        return by_image(truth, truth, self._codes[0]), by_image(truth, predictions, self._codes[1], predictions.scores), f1

    def __len__(self) -> int:
        return len(self._truth.image_ids)

    @overload
    def __getitem__(self, place: int) -> ImageResult: ...
    @overload
    def __getitem__(self, place: slice) -> list[ImageResult]: ...
    def __getitem__(self, place: int | slice) -> ImageResult | list[ImageResult]:
        if not isinstance(place, slice):
            number = range(len(self))[place]
            return self._made(number, number + 1)[0]
        numbers = range(len(self))[place]
        return self._made(numbers.start, numbers.start + len(numbers)) if numbers.step == 1 else [self[number] for number in numbers]

    def __iter__(self) -> Iterator[ImageResult]:
        for start in range(0, len(self), IMAGES_AT_ONCE):
            yield from self[start : start + IMAGES_AT_ONCE]

    def _made(self, first: int, end: int) -> list[ImageResult]:
        truth, here, (wanted, predicted, f1) = self._truth, slice(first, end), self._columns
        names, sizes = truth.category_names, map(tuple, truth.sizes_wh[here].tolist())
        boxes = wanted.drawn(names, first, end), predicted.drawn(names, first, end)
        columns = truth.image_ids[here], truth.file_names[here], sizes, self._statuses[here], *boxes, f1[here], self._texts[here]
        images = list(map(ImageResult, *columns))
        for image in images if self._unknown else ():
            image.predicted.extend(self._unknown.get(image.image_id, ()))
        return images


class BoxesByImage(NamedTuple):
    """(N,) classes, outcomes and scores, and (N, 4) boxes, x, y, width, height in px, in the order of their images; `ends`: (images + 1,)
    where the boxes of each image start, and of the last one end."""

    category_index: NDArray[np.int64]
    codes: Codes
    scores: NDArray[np.float64] | None
    boxes_xywh_px: Boxes
    ends: NDArray[np.int64]

    def drawn(self, names: Sequence[str], first: int, end: int) -> list[list[DrawnBox]]:
        """The boxes of some images."""
        ends = self.ends[first : end + 1]
        here = slice(int(ends[0]), int(ends[-1]))
        corners = zip(*np.round(xywh_to_xyxy(self.boxes_xywh_px[here]), 2).T.tolist(), strict=True)
        labels = map(names.__getitem__, self.category_index[here].tolist())
        scores = repeat(None) if self.scores is None else self.scores[here].tolist()
        boxes = list(map(DrawnBox, labels, corners, map(OUTCOMES.__getitem__, self.codes[here].tolist()), scores))
        return [boxes[start:stop] for start, stop in pairwise((ends - ends[0]).tolist())]


def by_image(truth: Truth, boxes: Truth | Predictions, codes: Codes, scores: NDArray[np.float64] | None = None) -> BoxesByImage:
    """Boxes of the truth or of predictions as columns in the order of their images."""
    images, columns = boxes.image_index, (boxes.category_index, codes, scores, boxes.boxes_xywh_px)
    if (images[1:] < images[:-1]).any():
        order = np.argsort(images, kind="stable")
        images, columns = images[order], tuple(None if column is None else column[order] for column in columns)
    return BoxesByImage(*columns, np.searchsorted(images, np.arange(len(truth.image_ids) + 1)))


def image_results(
    truth: Truth, predictions: Predictions, statuses: list[str], texts: list[str], max_detections: int | None = None, matched: Any = None
) -> list[ImageResult]:
    """`ImageResults` of outcomes by hotcoco, all at once."""
    (codes,) = outcomes(truth, predictions, max_detections, matched=matched)
    return results_of_outcomes(truth, predictions, *codes, statuses, texts)


def results_of_outcomes(
    truth: Truth, predictions: Predictions, of_truth: Codes, of_predictions: Codes, statuses: list[str], texts: list[str]
) -> list[ImageResult]:
    """`ImageResults` of outcomes that are known, all at once."""
    return list(ImageResults(truth, predictions, (of_truth, of_predictions), statuses, texts))


def f1_by_image(truth: Truth, predictions: Predictions, of_truth: Codes, of_predictions: Codes) -> list[float]:
    """F1 of each image from the outcomes of its ground truth and its predictions; 1 where there is neither."""
    images, found = np.concatenate([truth.image_index, predictions.image_index]), np.concatenate([of_truth, of_predictions])
    matched, counted = found == IS_TP, (found != IS_CROWD) & (found != IS_NOT_COUNTED)
    hits, all_counted = (np.bincount(images[chosen], minlength=len(truth.image_ids)) for chosen in (matched, counted))
    return np.divide(hits, all_counted, out=np.ones(len(hits)), where=all_counted > 0).tolist()
