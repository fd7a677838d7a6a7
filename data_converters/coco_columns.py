"""The annotations of a COCO file as columns: sorted by image, and where nothing is wrong with an image's boxes, ordered and placed at once.

Most images of a real file are such; the others keep their annotations, to be looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.coco_file import CocoAnnotation, CocoImage
from groundswift.records import whole

Column = NDArray[np.int64]
KEYS: dict[
    str, Callable[[Column, NDArray[np.float64]], tuple]
] = {  # (ranks, boxes xyxy) -> keys of numpy's lexsort, the last the first to count
    "category": lambda ranks, boxes: (boxes[:, 0], boxes[:, 1], ranks),
    "reading": lambda ranks, boxes: (ranks, boxes[:, 0], boxes[:, 1]),
    "annotation": lambda ranks, boxes: (),
}


IMAGE_ID, CATEGORY_ID, BBOX, ID, IS_CROWD = map(attrgetter, ("image_id", "category_id", "bbox", "id", "iscrowd"))

DENSE = 100  # how many times more numbers than ids a table may have


class ImageItem(msgspec.Struct):
    """An image and what the file says of it: `annotations` to be looked at one by one, or, where all are good and within the image,
    `ranks` and `boxes_xyxy_px` in the order wanted. `annotations` None: the file says nothing."""

    image: CocoImage
    annotations: list[CocoAnnotation] | None = None
    ranks: list[int] | None = None
    boxes_xyxy_px: list[list[float]] | None = None


def items_by_columns(
    images: Sequence[CocoImage], annotations: Sequence[CocoAnnotation], ranks: dict[int, int], order: str
) -> Iterator[ImageItem] | None:
    """One item an image. None where the annotations cannot be columns: an image that is not there, a repeated or absent id, a box that is
    not 4 numbers, an id beyond 64 bits."""
    count = len(annotations)
    try:
        image_ids, categories, ids = (np.fromiter(map(each, annotations), np.int64, count) for each in (IMAGE_ID, CATEGORY_ID, ID))
        known_images = np.fromiter((image.id for image in images), np.int64, len(images))
        known_categories = np.fromiter(ranks, np.int64, len(ranks))
        sizes = np.array([(image.width, image.height) for image in images], np.int64).reshape(-1, 2)
        boxes = np.fromiter(chain.from_iterable(map(BBOX, annotations)), np.float64)
    except (OverflowError, TypeError):
        return None
    if len(np.unique(ids)) != count or set(map(len, map(BBOX, annotations))) - {4}:
        return None
    image_of, there = places(known_images, image_ids)
    if not there.all():
        return None
    rank_of, classed = places(known_categories, categories)
    boxes = boxes.reshape(-1, 4)
    sized = (boxes[:, 2:] > 0).all(axis=1)  # before its far corner is computed: a tiny width is lost beside a large x
    boxes[:, 2:] += boxes[:, :2]
    alone = ~np.fromiter(map(IS_CROWD, annotations), bool, count)
    good = classed & alone & sized & within(boxes, sizes[image_of])
    return _items(images, annotations, image_of, rank_of, boxes, good, order)


def places(known: Column, wanted: Column) -> tuple[Column, NDArray[np.bool_]]:
    """(the index of each wanted id among the known ones, whether it is there)."""
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    if known.min() >= 0 and known.max() < DENSE * len(known) + 1000:  # small numbers, as in COCO: a table to look up
        table = np.full(known.max() + 1, -1)
        table[known] = np.arange(len(known))
        found = table[wanted.clip(0, len(table) - 1)]
    else:
        order = np.argsort(known, kind="stable")
        found = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
    return found, (found >= 0) & (known[found] == wanted)


def within(boxes_xyxy_px: NDArray[np.float64], sizes_wh: Column) -> NDArray[np.bool_]:
    """(N,) whether a box lies in its image whole; False for what is not finite."""
    low, high = boxes_xyxy_px[:, :2], boxes_xyxy_px[:, 2:]
    return ((low >= 0) & (low < sizes_wh) & (high > 0) & (high <= sizes_wh)).all(axis=1)


def _items(
    images: Sequence[CocoImage],
    annotations: Sequence[CocoAnnotation],
    image_of: Column,
    rank_of: Column,
    boxes: NDArray[np.float64],
    good: NDArray[np.bool_],
    order: str,
) -> Iterator[ImageItem]:
    """The items in the order of the images; sorted now, made as they are asked for."""
    by_file = np.argsort(image_of, kind="stable")
    by_order = np.lexsort((*KEYS[order](rank_of, boxes), image_of))
    ends = np.cumsum(np.bincount(image_of, minlength=len(images))).tolist()
    simple = np.ones(len(images), bool)
    simple[image_of[~good]] = False
    ranks, placed = rank_of[by_order].tolist(), written(boxes[by_order])

    def made() -> Iterator[ImageItem]:
        start = 0
        for image, end, is_simple in zip(images, ends, simple.tolist(), strict=True):
            if start == end:
                yield ImageItem(image)
            elif is_simple:
                yield ImageItem(image, None, ranks[start:end], placed[start:end])
            else:
                yield ImageItem(image, [annotations[index] for index in by_file[start:end].tolist()])
            start = end

    return made()


def written(boxes_xyxy_px: NDArray[np.float64]) -> list[list[float]]:
    """Boxes as they stand in a row: whole numbers as such."""
    rows = boxes_xyxy_px.tolist()
    for index in np.flatnonzero((boxes_xyxy_px == np.floor(boxes_xyxy_px)).any(axis=1)).tolist():
        rows[index] = [whole(value) for value in rows[index]]
    return rows
