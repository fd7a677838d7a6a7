"""Swift rows -> the labelled boxes of each image, to be written as COCO or YOLO. Rows of one image are merged.

* `groundswift.pairing` decides which label belongs to which box; a box with an ambiguous label is a problem.
* A box that several questions about an image name counts once; a box that one answer names twice counts twice.
* Skipped and counted: points, boxes without a label (the answer describes them in plain words), rows without an image.
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

from ..base import Positive, WholeOptions, path_option
from ..file_io.box_checks import fitted_box
from ..file_io.row_files import Sourced, read_rows
from ..file_io.row_images import RowImages
from ..issues import Issue, IssueLog
from ..tasks.category_file import read_categories
from .any_row import AnyRow, viewed
from .result_rows import AnswerReading, TruthFlag, answer_reading, is_result, of_truth

Named = tuple[str, float, float, float, float]  # label, then xyxy in px


class BoxesOptions(WholeOptions, frozen=True, kw_only=True):
    """Options of formats that write the boxes of each image."""

    images: Annotated[str | None, path_option("Folder that relative paths start from.  [default: the folder of SOURCE]", "DIR")] = None
    check_images: Annotated[bool, msgspec.Meta(description="Open the images, or trust size_wh.")] = True
    categories: Annotated[
        str | None, path_option("The classes: a COCO file, or names, one per line.  [default: the labels by first appearance]")
    ] = None
    truth: TruthFlag = False
    answers: Annotated[
        bool,
        msgspec.Meta(description="For results of swift infer: the boxes of the model's answers, read as the run's record says."),
    ] = False
    family: Annotated[str | None, msgspec.Meta(description="With --answers and no record: the model family.")] = None
    space: Annotated[str | None, msgspec.Meta(description="With --answers and no record: the space, if not the family's.")] = None
    min_pixels: Annotated[Positive | None, msgspec.Meta(description="With --answers: minimum area of the model input, px.")] = None
    max_pixels: Annotated[Positive | None, msgspec.Meta(description="With --answers: maximum area of the model input, px.")] = None

    def reading(self) -> AnswerReading | None:
        """How answers are read; None if the boxes are those of the rows. Raises GroundswiftError if options contradict each other."""
        if not self.answers:
            given = [name for name in ("family", "space", "min_pixels", "max_pixels") if getattr(self, name) is not None]
            if given:
                raise GroundswiftError(f"--{given[0].replace('_', '-')} says how answers are read; expected --answers too")
            return None
        if self.truth:
            raise GroundswiftError("--answers and --truth exclude each other; expected one of them")
        return answer_reading(self.annotations, self.family, self.space, Limits(self.min_pixels, self.max_pixels, None))


@dataclass
class ImageBoxes:
    """An image and the boxes of its rows. `sample_ids`: of the rows, in order; `alone`: no row has another image."""

    path: str
    size_wh: tuple[int, int]
    sample_ids: dict[int | str, None] = field(default_factory=dict)
    alone: bool = True
    boxes: Counter[Named] = field(default_factory=Counter)


def collect_boxes(options: BoxesOptions, log: IssueLog, progress: bool) -> Collector:
    """Read all rows. Raises GroundswiftError with every problem, unless they are skipped, and if no image is left."""
    known = read_categories(options.categories) if options.categories else []
    reading = options.reading()
    rows, total = read_rows(options.annotations, AnyRow)
    rows = of_truth(rows, options.truth) if reading is None else rows
    images = RowImages(absolute(options.images or folder_of(options.annotations)), options.check_images)
    collector = Collector(images, {each.name: each for each in known}, bool(known), log, reading=reading)
    with tqdm(rows, total=total, desc="convert", unit="row", disable=None if progress else True) as watched:
        for item in islice(watched, options.limit):
            collector.take(item)
    log.settle(options.annotations, in_sets=False)
    if not collector.images:
        raise log.nothing_left(options.annotations, "no row with an image")
    return collector


@dataclass
class Collector:
    """What has been read so far: images by path, in order of first appearance, and categories by name. `closed`: the classes are given,
    other labels are problems."""

    inside: RowImages
    categories: dict[str, CocoCategory]
    closed: bool
    log: IssueLog
    images: dict[str, ImageBoxes] = field(default_factory=dict)
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
        images = [self.image(where, view, row, index) for index in range(len(view.images))]
        said: list[Counter[Named]] = [Counter() for _ in images]
        found = self.named(where, view, images) if self.reading is None else self.answered(where, row, images)
        for index, named in found:
            said[index][named] += 1
        for image, boxes in zip(images, said, strict=True):
            if image is not None:
                image.boxes |= boxes

    def answered(self, where: str, row: AnyRow, images: list[ImageBoxes | None]) -> Iterator[tuple[int, Named]]:
        """(0, label and box) for each usable box of a model's answer."""
        if not is_result(row) or len(images) > 1:
            what = "no response of a model" if len(images) == 1 else f"{len(images)} images"
            self.log.add(Issue("no-answer", where, what, "rows of one image and a response, as swift infer writes them"))
        elif images[0] is not None:
            for label, box in self.reading.boxes(where, row, images[0].size_wh, self.log):
                if self.closed and label not in self.categories:
                    self.log.count("answer-label-unknown", f"{where}: {label!r}")
                    continue
                self.categories.setdefault(label, CocoCategory(len(self.categories) + 1, label))
                yield 0, (label, *box)

    def image(self, where: str, view: RowView, row: AnyRow, index: int) -> ImageBoxes | None:
        """An image of a row, opened if it is new; None, which is logged, if it cannot be used."""
        thing, stated = f"{where}, image {index}", row.size_wh if index == 0 else None
        path = self.inside.path_of(image_source(view.images[index]), thing, self.log)
        if path is None:
            return None
        image = self.images.get(path)
        if image is None:
            seen = self.inside.inspect(path, f"{thing} ({path})", self.log, stated, size_needed=True)
            if seen is None:
                return None
            image = self.images[path] = ImageBoxes(path, seen.size_wh)
        elif stated and stated != image.size_wh:
            what = f"size_wh {list(stated)}, but {list(image.size_wh)} in an earlier row of {path}"
            self.log.add(Issue("image-two-sizes", thing, what, "one size"))
        if row.sample_id is not None:
            image.sample_ids[row.sample_id] = None
        image.alone = image.alone and len(view.images) == 1
        return image

    def named(self, where: str, view: RowView, images: list[ImageBoxes | None]) -> Iterator[tuple[int, Named]]:
        """(index of the image, label and box) for each usable box of a row."""
        for index, (label, box) in enumerate(zip(view.label_of_box, view.boxes or (), strict=True)):
            thing, image = f"{where}, box {index}", images[view.image_of(index)]
            if image is None:
                self.log.count("box-image-skipped", thing)
            elif any(type(value) not in (int, float) for value in box) or len(box) not in (2, 4):
                self.log.add(Issue("box-length", thing, f"bbox {str(box)[:200]}", "x1, y1, x2, y2, or a point x, y"))
            elif len(box) == 2:
                self.log.count("point-dropped", thing)
            elif index in view.pairing.unsure:
                what, expected = "which of the labels near it is its own is ambiguous", "each label before its boxes"
                self.log.add(Issue("label-unsure", thing, what, expected))
            elif not label:
                self.log.count("box-without-label", thing)
            elif self.closed and label not in self.categories:
                self.log.add(Issue("label-unknown", thing, f"label {label!r}", "one of --categories"))
            else:
                sides = image.size_wh * 2 if view.bbox_type == "norm1" else (1, 1, 1, 1)
                placed = fitted_box([value * side for value, side in zip(box, sides, strict=True)], image.size_wh, thing, self.log)
                if placed is not None:
                    self.categories.setdefault(label, CocoCategory(len(self.categories) + 1, label))
                    yield view.image_of(index), (label, *placed)
