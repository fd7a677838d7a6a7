"""Rows of many images at once, where every box is valid and no image is opened: what a block of images shares is made once.

The rows are those of `DetectionMaker`, which makes all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec
import numpy as np

from groundswift.coco_file import CocoImage
from groundswift.file_guard import paths_inside
from groundswift.records import EMPTY_ANSWER, Message, Objects, Row

from ..file_io.images import LONGEST_SIDE
from ..issues import IssueLog
from ..prompts import Asking
from .annotation_table import ImageItems

CROWD = "crowd-skipped"
FILE_NAME = attrgetter("file_name")
Wh = tuple[int, int]
Boxes = list[tuple[float, float, float, float]]  # xyxy in px, whole numbers as int
RowsOfOne = Callable[[int, IssueLog], Iterable[Row]]


class Source(NamedTuple):
    """What the rows are made of: the images, the names of the classes, the questions for all classes, and the folder of the images."""

    items: ImageItems
    names: Sequence[str]
    questions: Asking
    folder: str


def rows_of_block(source: Source, indexes: Sequence[int], one: RowsOfOne, log: IssueLog) -> Iterable[Row]:
    """The rows of some images, given their increasing indices, in that order. `one` makes those of an image that is not sound."""
    items, folder, images = source.items, source.folder, [source.items.images[index] for index in indexes]
    paths, sizes = list(map(paths_inside(folder), map(FILE_NAME, images))), [(image.width, image.height) for image in images]
    first = items.ends[indexes[0] - 1] if indexes[0] else 0
    stops = [items.ends[index] - first for index in indexes]
    starts = [(items.ends[index - 1] if index else 0) - first for index in indexes]
    rows = joined_rows(source, images, paths, sizes, list(zip(starts, stops, strict=True)), first)
    filled = [start < stop for start, stop in zip(starts, stops, strict=True)]
    plain, sound = ([column[index] for index in indexes] for column in (items.plain, items.sound))
    sized = [0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE for width, height in sizes]
    usable = [
        path is not None and each_sized and (each_plain or (each_sound and each_filled))
        for path, each_sized, each_plain, each_sound, each_filled in zip(paths, sized, plain, sound, filled, strict=True)
    ]
    if all(usable) and all(plain):
        return rows
    return with_others(items, zip(indexes, rows, usable, strict=True), one, log)


def joined_rows(
    source: Source, images: Sequence[CocoImage], paths: Sequence[str], sizes_wh: Sequence[Wh], spans: Sequence[tuple[int, int]], first: int
) -> list[Row]:
    """A row for each image, with the objects from `first` on of its span."""
    questions, ids = source.questions, [image.id for image in images]
    labels, boxes = labels_and_boxes(source.items, source.names, first, first + spans[-1][1])
    asked = list(map(questions.pick, ids)) if len(questions.choices) > 1 else list(questions.choices) * len(ids)
    said, counts = {}, [stop - start for start, stop in spans]  # by question and number of objects
    for prompt, count in set(zip(asked, counts, strict=True)):
        said[prompt, count] = conversation(prompt.text, count)
    objects = [Objects(labels[start:stop], boxes[start:stop]) for start, stop in spans]
    messages, names = map(said.get, zip(asked, counts, strict=True)), [prompt.name for prompt in asked]
    return list(map(Row, messages, [[path] for path in paths], [[] for _ in paths], objects, ids, sizes_wh, names))


def with_others(items: ImageItems, rows: Iterable[tuple[int, Row, bool]], one: RowsOfOne, log: IssueLog) -> Iterator[Row]:
    """(index of the image, its row, whether it can be used) -> the rows, those of the other images made by `one`; crowds are counted."""
    for index, row, usable in rows:
        if not usable:
            yield from one(index, log)
            continue
        for crowd in () if items.plain[index] else items.others_of(index):
            log.count(CROWD, crowd.where())
        yield row


def labels_and_boxes(items: ImageItems, names: Sequence[str], start: int, stop: int) -> tuple[list[str], Boxes]:
    """The labels and boxes of the objects from `start` to `stop`; whole numbers become int, as `records.whole` makes them."""
    labels = np.array(names, object)[items.ranks[start:stop]].tolist()
    numbers = items.boxes_xyxy_px[start:stop].ravel()
    values = numbers.tolist()
    for place in np.flatnonzero(numbers == np.floor(numbers)).tolist():
        values[place] = int(values[place])
    return labels, list(zip(*(values[side::4] for side in range(4)), strict=True))


def conversation(question: str, objects: int) -> msgspec.Raw:
    """The encoded messages of a row with so many objects, as `detection_row` has them."""
    answer = "<ref-object><bbox>" * objects or EMPTY_ANSWER
    return msgspec.Raw(msgspec.json.encode([Message("user", f"<image>{question}"), Message("assistant", answer)]))
