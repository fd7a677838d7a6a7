"""Rows of many images at once, where every box is valid and no image is opened: what a block of images shares is made once.

The rows are those of `DetectionMaker`, which makes all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from groundswift.file_guard import paths_inside
from groundswift.records import EMPTY_ANSWER, Message, Objects, Row

from ..file_io.images import LONGEST_SIDE
from ..issues import IssueLog
from ..prompts import Asking
from .annotation_table import ImageItems

CROWD = "crowd-skipped"
Boxes = list[tuple[float, float, float, float]]  # xyxy in px, whole numbers as int
RowsOfOne = Callable[[int, IssueLog], Iterable[Row]]


class Source(NamedTuple):
    """What the rows are made of: the images, the names of the classes, the questions for all classes, and the folder of the images."""

    items: ImageItems
    names: Sequence[str]
    questions: Asking
    folder: str


def rows_of_block(source: Source, indexes: Sequence[int], one: RowsOfOne, log: IssueLog) -> Iterator[Row]:
    """The rows of some images, given their increasing indices, in that order. `one` makes those of an image that is not sound."""
    items, names, questions, folder = source
    ends, images, plain, sound = items.ends, items.images, items.plain, items.sound
    path_of, only = paths_inside(folder), questions.choices[0] if len(questions.choices) == 1 else None
    first = ends[indexes[0] - 1] if indexes[0] else 0
    labels, boxes = labels_and_boxes(items, names, first, ends[indexes[-1]])
    messages: dict[tuple[str, int], msgspec.Raw] = {}  # of a question and a number of objects
    for index in indexes:
        image, start, stop = images[index], ends[index - 1] - first if index else 0, ends[index] - first
        number, width, height = image.id, image.width, image.height
        path = path_of(image.file_name)
        answered = plain[index] or (sound[index] and stop > start)
        if path is None or not answered or not 0 < width <= LONGEST_SIDE or not 0 < height <= LONGEST_SIDE:
            yield from one(index, log)
            continue
        for crowd in () if plain[index] else items.others_of(index):
            log.count(CROWD, crowd.where())
        name, text = only or questions.pick(number)
        said = messages.get((name, stop - start)) or messages.setdefault((name, stop - start), conversation(text, stop - start))
        yield Row(said, [path], [], Objects(labels[start:stop], boxes[start:stop]), number, (width, height), name)


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
