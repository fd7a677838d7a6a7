"""Today's rows -> the boxes of each picture by label: what is written back as COCO or YOLO. Rows of one picture are merged.

* Which label belongs to which box says `groundswift.pairing`; a box of which it cannot say is a fault.
* Questions about one picture may name the same box again: it counts once. A box that one answer names twice counts twice.
* Left out and counted: points, boxes without a label (the answer describes them in plain words), rows without a picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated

import msgspec
from tqdm import tqdm

from groundswift.coco_types import CocoCategory
from groundswift.errors import GroundswiftError
from groundswift.image_resize import Limits
from groundswift.row_view import RowView, image_source
from groundswift.urls import absolute, folder_of

from ..base import Positive
from ..engine.whole_output import WholeOptions
from ..file_io.box_checks import ImageFolder, fitted_box
from ..file_io.row_files import Sourced, read_rows
from ..file_io.row_images import RowPictures
from ..issues import Issue, IssueLog
from ..tasks.category_file import read_categories
from .any_row import AnyRow, viewed
from .result_rows import AnswerReading, TruthFlag, answer_reading, is_result, of_truth

Named = tuple[str, float, float, float, float]  # label, then xyxy in px


class BoxesOptions(WholeOptions, frozen=True, kw_only=True):
    """What formats of boxes by picture have."""

    images: Annotated[
        str | None,
        msgspec.Meta(
            description="Folder of the pictures: relative paths start there.  [default: the folder of SOURCE]",
            extra={"path": True, "metavar": "DIR"},
        ),
    ] = None
    check_images: Annotated[bool, msgspec.Meta(description="Whether to look at the pictures, or trust size_wh.")] = True
    categories: Annotated[
        str | None,
        msgspec.Meta(
            description="The classes: a COCO file, or names, one a line.  [default: the labels by first appearance]",
            extra={"path": True, "metavar": "FILE"},
        ),
    ] = None
    truth: TruthFlag = False
    answers: Annotated[
        bool, msgspec.Meta(description="Of a result file of swift infer, take what the model said, as the record of the run declares it.")
    ] = False
    family: Annotated[str | None, msgspec.Meta(description="With --answers, where there is no record: the family.")] = None
    space: Annotated[str | None, msgspec.Meta(description="With --answers, where there is no record: a space other than the family's.")] = (
        None
    )
    min_pixels: Annotated[Positive | None, msgspec.Meta(description="With --answers: least area in px of the model's input.")] = None
    max_pixels: Annotated[Positive | None, msgspec.Meta(description="With --answers: largest area in px of the model's input.")] = None

    def reading(self) -> AnswerReading | None:
        """How answers are read; None where the boxes are those of the rows. Raises GroundswiftError where options contradict each other."""
        if not self.answers:
            given = [name for name in ("family", "space", "min_pixels", "max_pixels") if getattr(self, name) is not None]
            if given:
                raise GroundswiftError(f"--{given[0].replace('_', '-')} says how answers are read; expected --answers too")
            return None
        if self.truth:
            raise GroundswiftError("--answers and --truth exclude each other; expected one of them")
        return answer_reading(self.annotations, self.family, self.space, Limits(self.min_pixels, self.max_pixels, None))


@dataclass
class Picture:
    """A picture and all that its rows say of it. `sample_ids`: those of the rows, in order; `alone`: no row has another picture."""

    path: str
    size_wh: tuple[int, int]
    sample_ids: dict[int | str, None] = field(default_factory=dict)
    alone: bool = True
    boxes: Counter[Named] = field(default_factory=Counter)

    def add(self, boxes: Counter[Named]) -> None:
        """Take in what one row says."""
        self.boxes |= boxes


@dataclass
class Gathered:
    """All pictures by path, in order of first appearance, and the classes."""

    pictures: dict[str, Picture]
    categories: list[CocoCategory]


def gathered(options: BoxesOptions, log: IssueLog, progress: bool) -> Gathered:
    """Read all rows. Raises GroundswiftError with every fault, unless they are skipped, and where no picture is left."""
    known = read_categories(options.categories) if options.categories else []
    reading = options.reading()
    rows, total = read_rows(options.annotations, AnyRow)
    rows = of_truth(rows, options.truth) if reading is None else rows
    gathering = Gathering(row_pictures(options), {each.name: each for each in known}, bool(known), log, reading=reading)
    with tqdm(rows, total=total, desc="convert", unit="row", disable=None if progress else True) as watched:
        for item in islice(watched, options.limit):
            gathering.take(item)
    log.settle(options.annotations, in_sets=False)
    if not gathering.pictures:
        raise log.nothing_left(options.annotations, "no row with a picture is left")
    return Gathered(gathering.pictures, list(gathering.categories.values()))


def row_pictures(options: BoxesOptions) -> RowPictures:
    """Where relative paths start. A folder that is not there shows at the pictures."""
    return RowPictures(ImageFolder(absolute(options.images or folder_of(options.annotations)), options.check_images))


@dataclass
class Gathering:
    """What has been read so far. `closed`: the classes are given, others are faults."""

    inside: RowPictures
    categories: dict[str, CocoCategory]
    closed: bool
    log: IssueLog
    pictures: dict[str, Picture] = field(default_factory=dict)
    reading: AnswerReading | None = None

    def take(self, item: Sourced | Issue) -> None:
        """One more row."""
        if isinstance(item, Issue):
            self.log.add(item)
            return
        where, row = item
        view, misshapen = viewed(where, row)
        for each in misshapen:
            self.log.add(each)
        if misshapen:
            return
        if not view.images:
            self.log.count("row-videos-only" if row.videos else "row-without-image", where)
            return
        pictures = [self.picture(where, view, row, index) for index in range(len(view.images))]
        said: list[Counter[Named]] = [Counter() for _ in pictures]
        found = self.named(where, view, pictures) if self.reading is None else self.answered(where, row, pictures)
        for index, named in found:
            said[index][named] += 1
        for picture, boxes in zip(pictures, said, strict=True):
            if picture is not None:
                picture.add(boxes)

    def answered(self, where: str, row: AnyRow, pictures: list[Picture | None]) -> Iterator[tuple[int, Named]]:
        """(0, label and box) for each box of a model's answer that can be used."""
        if not is_result(row) or len(pictures) > 1:
            what = "no response of a model" if len(pictures) == 1 else f"{len(pictures)} images"
            self.log.add(Issue("no-answer", where, what, "rows of one image and a response, as swift infer writes them"))
        elif pictures[0] is not None:
            for label, box in self.reading.boxes(where, row, pictures[0].size_wh, self.log):
                if self.closed and label not in self.categories:
                    self.log.count("answer-label-unknown", f"{where}: {label!r}")
                    continue
                self.categories.setdefault(label, CocoCategory(len(self.categories) + 1, label))
                yield 0, (label, *box)

    def picture(self, where: str, view: RowView, row: AnyRow, index: int) -> Picture | None:
        """A picture of a row, looked at where it is new; None, and that is noted, where it cannot be used."""
        thing, stated = f"{where}, image {index}", row.size_wh if index == 0 else None
        path = self.inside.path_of(image_source(view.images[index]), thing, self.log)
        if path is None:
            return None
        picture = self.pictures.get(path)
        if picture is None:
            seen = self.inside.see(path, f"{thing} ({path})", self.log, stated, size_needed=True)
            if seen is None:
                return None
            picture = self.pictures[path] = Picture(path, seen.size_wh)
        elif stated and stated != picture.size_wh:
            what = f"size_wh {list(stated)}, but {list(picture.size_wh)} in an earlier row of {path}"
            self.log.add(Issue("image-two-sizes", thing, what, "one size"))
        if row.sample_id is not None:
            picture.sample_ids[row.sample_id] = None
        picture.alone = picture.alone and len(view.images) == 1
        return picture

    def named(self, where: str, view: RowView, pictures: list[Picture | None]) -> Iterator[tuple[int, Named]]:
        """(index of the picture, label and box) for each box of a row that can be used."""
        for index, (label, box) in enumerate(zip(view.label_of_box, view.boxes or (), strict=True)):
            thing, picture = f"{where}, box {index}", pictures[view.image_of(index)]
            if picture is None:
                self.log.count("box-image-skipped", thing)
            elif any(type(value) not in (int, float) for value in box) or len(box) not in (2, 4):
                self.log.add(Issue("box-length", thing, f"bbox {str(box)[:200]}", "x1, y1, x2, y2, or a point x, y"))
            elif len(box) == 2:
                self.log.count("point-dropped", thing)
            elif index in view.pairing.unsure:
                what, expected = "labels stand around it, and which one is its own is not clear", "each label before its boxes"
                self.log.add(Issue("label-unsure", thing, what, expected))
            elif not label:
                self.log.count("box-without-label", thing)
            elif self.closed and label not in self.categories:
                self.log.add(Issue("label-unknown", thing, f"label {label!r}", "one of --categories"))
            else:
                sides = picture.size_wh * 2 if view.bbox_type == "norm1" else (1, 1, 1, 1)
                placed = fitted_box([value * side for value, side in zip(box, sides, strict=True)], picture.size_wh, thing, self.log)
                if placed is not None:
                    self.categories.setdefault(label, CocoCategory(len(self.categories) + 1, label))
                    yield view.image_of(index), (label, *placed)
