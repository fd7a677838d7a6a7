"""Annotations as columns: sorted by image, and ordered and converted at once for images whose boxes are all valid.

Most images of a real dataset are such; the others keep their annotations, to be checked one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.coco_file import CocoAnnotation, CocoCategory, CocoImage
from groundswift.records import whole

Column = NDArray[np.int64]
Sides = Boxes = NDArray[np.float64]  # (N,) and (N, 4), px
IDS = [attrgetter(name) for name in ("id", "image_id", "category_id")]
SIDES, BBOX, IS_CROWD = [attrgetter("width"), attrgetter("height")], attrgetter("bbox"), attrgetter("iscrowd")

DENSE = 100  # how many times more numbers than ids a table may have
ROOM = 1 << 62  # numbers to sort by


class PlacedAnnotation(CocoAnnotation, gc=False):
    """An annotation that knows its place in the source, such as `labels/7.txt:3`."""

    place: str = ""

    def where(self) -> str:
        return self.place


class Columns(NamedTuple):
    """N annotations in their order: ids, boxes (N, 4) xywh in px as the file has them, whether one is a crowd, and the `places` in their
    source of those that have no ids there."""

    ids: Column
    image_ids: Column
    category_ids: Column
    boxes_xywh_px: Boxes
    crowds: NDArray[np.bool_]
    places: NDArray[np.object_] | None = None

    def at(self, wanted: NDArray) -> Columns:
        """Some of them, by a mask or by their indices."""
        return Columns(*(None if column is None else column[wanted] for column in self))

    def annotation(self, index: int) -> CocoAnnotation:
        """One of them by itself."""
        number, image, category = (int(column[index]) for column in self[:3])
        box, crowd = self.boxes_xywh_px[index].tolist(), int(self.crowds[index])
        if self.places is not None:
            return PlacedAnnotation(image, category, box, iscrowd=crowd, place=self.places[index])
        return CocoAnnotation(image, category, box, number, iscrowd=crowd)


class CocoColumns(NamedTuple):
    """A `CocoFile` whose annotations are columns."""

    images: list[CocoImage]
    categories: list[CocoCategory]
    columns: Columns

    @property
    def annotations(self) -> list[CocoAnnotation]:
        return [self.columns.annotation(index) for index in range(len(self.columns.ids))]


class ImageItem(msgspec.Struct):
    """An image with the `ranks` and `boxes_xyxy_px` of its objects in the order wanted, all valid and within it, and its `crowds`; or, if
    one is not valid, with all its `annotations`, to be checked one by one."""

    image: CocoImage
    annotations: list[CocoAnnotation] | None = None
    ranks: list[int] = []
    boxes_xyxy_px: list[list[float]] = []
    crowds: list[CocoAnnotation] = []


@dataclass(frozen=True)
class ImageItems:
    """The images of a file in its order, each an item once it is asked for.

    `ranks` and `boxes_xyxy_px` of all objects are sorted by image, those of one up to its `ends`; so are the `others`, to be checked one
    by one. Of an image: `plain`, whether it has no others; `sound`, whether all its boxes are valid; `has_whole`, whether one of its
    boxes has a whole number.
    """

    images: list[CocoImage]
    plain: list[bool]
    sound: list[bool]
    has_whole: list[bool]
    ends: list[int]
    ranks: Column
    boxes_xyxy_px: Boxes
    other_ends: list[int]
    others: Columns

    def __reduce__(self) -> tuple:
        fields = vars(self).copy()
        return _unpacked, (msgspec.msgpack.encode(fields.pop("images")), fields)  # several times faster than pickling them

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> ImageItem:
        image, here = self.images[index], slice(self.ends[index - 1] if index else 0, self.ends[index])
        boxes = self.boxes_xyxy_px[here].tolist()
        if self.has_whole[index]:
            boxes = [list(map(whole, box)) if any(map(float.is_integer, box)) else box for box in boxes]
        if self.plain[index]:
            return ImageItem(image, None, self.ranks[here].tolist(), boxes)
        others = self.others_of(index)
        return ImageItem(image, None, self.ranks[here].tolist(), boxes, others) if self.sound[index] else ImageItem(image, others)

    def others_of(self, index: int) -> list[CocoAnnotation]:
        """The annotations of an image that are to be checked one by one; of a sound one its crowds."""
        return [self.others.annotation(each) for each in range(self.other_ends[index - 1] if index else 0, self.other_ends[index])]


def _unpacked(images: bytes, fields: dict[str, Any]) -> ImageItems:
    return ImageItems(msgspec.msgpack.decode(images, type=list[CocoImage]), **fields)


def columns_of(annotations: Sequence[Any]) -> Columns:
    """Annotations as columns; each has an id and a box of four numbers. Raises OverflowError for an id beyond 64 bits."""
    count = len(annotations)
    ids = (np.fromiter(map(each, annotations), np.int64, count) for each in IDS)
    boxes = np.fromiter(chain.from_iterable(map(BBOX, annotations)), np.float64, 4 * count)
    return Columns(*ids, boxes.reshape(-1, 4), np.fromiter(map(IS_CROWD, annotations), bool, count))


def items_by_columns(images: list[CocoImage], columns: Columns, ranks: dict[int, int], order: str) -> ImageItems | None:
    """One item per image. `ranks`: category id -> its place in the file. None where annotations and images cannot be joined: an unknown
    image, a duplicate id, an id of an image or category beyond 64 bits."""
    try:
        known_images = np.fromiter((image.id for image in images), np.int64, len(images))
        known_categories = np.fromiter(ranks, np.int64, len(ranks))
        image_width, image_height = (np.fromiter(map(each, images), np.int64, len(images)) for each in SIDES)
    except OverflowError:
        return None
    image_of, there = places(known_images, columns.image_ids)
    if not there.all() or len(np.unique(columns.ids)) != len(columns.ids):
        return None
    rank_of, classed = places(known_categories, columns.category_ids)
    x1, y1, width, height = np.ascontiguousarray(columns.boxes_xywh_px.T)
    with np.errstate(all="ignore"):  # numbers that are not finite
        x2, y2 = x1 + width, y1 + height
    sized = (x2 > x1) & (y2 > y1)  # not width > 0: a tiny width is lost in a large x
    good = classed & sized & within(x1, x2, image_width[image_of]) & within(y1, y2, image_height[image_of])
    sound = np.ones(len(images), bool)
    sound[image_of[~good]] = False
    chosen = sound[image_of] & ~columns.crowds
    objects, others = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    objects = objects[ordered(image_of[objects], rank_of[objects], x1[objects], y1[objects], order)]
    by_place = (
        objects if order != "annotation" else objects[ordered(image_of[objects], rank_of[objects], x1[objects], y1[objects], "reading")]
    )
    doubtful = image_of[by_place[1:]][perhaps_repeated(by_place, image_of, rank_of, x1, y1)]
    if len(doubtful):
        sound[doubtful] = False
        chosen = sound[image_of] & ~columns.crowds
        objects, others = objects[sound[image_of[objects]]], np.flatnonzero(~chosen)
    others = others[np.argsort(image_of[others], kind="stable")]
    ends, other_ends = (np.cumsum(np.bincount(image_of[each], minlength=len(images))) for each in (objects, others))
    plain, sides = np.diff(other_ends, prepend=0) == 0, [side[objects] for side in (x1, y1, x2, y2)]
    return ImageItems(
        images=images,
        plain=plain.tolist(),
        sound=sound.tolist(),
        has_whole=with_whole_numbers(sides, image_of[objects], len(images)).tolist(),
        ends=ends.tolist(),
        ranks=rank_of[objects],
        boxes_xyxy_px=np.stack(sides, axis=1),
        other_ends=other_ends.tolist(),
        others=columns.at(others),
    )


def with_whole_numbers(sides: Sequence[Column], owners: Column, count: int) -> NDArray[np.bool_]:
    """(count,) whether any side of the boxes of each image is a whole number. `owners`: (N,) the image of each box."""
    found = np.zeros(count, bool)
    for side in sides:
        found[owners[side == np.floor(side)]] = True
    return found


def perhaps_repeated(order: Column, *columns: NDArray) -> NDArray[np.bool_]:
    """(N - 1,) whether each of some sorted boxes but the first has the same values as the one before: image, class, left and top edge."""
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        values = column[order]
        same &= values[1:] == values[:-1]
    return same


def places(known: Column, wanted: Column) -> tuple[Column, NDArray[np.bool_]]:
    """(the index of each wanted id among the known ones, whether it is one of them)."""
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


def within(low: Sides, high: Sides, end: Column) -> NDArray[np.bool_]:
    """(N,) whether an extent is within 0 and the end of its image; False if it is not finite."""
    return (low >= 0) & (low < end) & (high > 0) & (high <= end)


def ordered(image_of: Column, rank_of: Column, left: Sides, top: Sides, order: str) -> Column:
    """(N,) the indices of boxes by image, and within one by `order`; equal ones keep the file's order. `left` and `top` edges, in px,
    are finite and not negative.

    One whole number sorts several times faster than columns: first by image, class and as many bits of the top edge as fit; then ties by
    the columns themselves.
    """
    if order == "annotation":
        return np.argsort(image_of, kind="stable")
    keys = (left, top, rank_of) if order == "category" else (rank_of, left, top)
    group = image_of * (rank_of.max(initial=0) + 1) + rank_of if order == "category" else image_of
    room = ROOM // (int(group.max(initial=0)) + 1)
    rough = group * room + (top * ((room - 1) / (top.max(initial=0) + 1))).astype(np.int64)
    by_rough = np.argsort(rough)
    ties = np.flatnonzero(np.diff(rough[by_rough]) == 0)
    tied = np.union1d(ties, ties + 1)
    among = by_rough[tied]
    by_rough[tied] = among[np.lexsort((among, *(key[among] for key in keys), rough[among]))]
    return by_rough
