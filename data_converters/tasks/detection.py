"""Detection: images and their boxes by class -> rows that ask for all classes, for one class each, or for those in the image.

What becomes no row is counted, by id:

* A crowd box bounds many objects, so it is not part of an answer. An image with crowd boxes only gets no row: it is not empty, and the
  answer `None` would be wrong. Where one class is asked for, the same holds for a class.
* An image without annotations is a true negative. One that lost all its annotations to problems is not, and gets no row either.
* A box that extends beyond its image is clipped; by less than 1 px that is rounding in the source, counted apart.
* Duplicate ids of images or categories and duplicate names make a file ambiguous: those always stop. Any other problem stops too
  (`on_error` stop) or is dropped (skip; of annotations with the same id, the first is kept).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import chain
from typing import Annotated, Literal

import msgspec

from groundswift.coco_file import (
    CocoAnnotation,
    CocoFile,
    CocoImage,
    Ignored,
    structural_problems,
)
from groundswift.coco_lenient import LOST
from groundswift.errors import GroundswiftError, error_at
from groundswift.records import Row, detection_row

from ..base import Reading
from ..file_io.box_checks import ImageFolder
from ..file_io.images import stated_size_problem
from ..issues import IssueLog
from ..prompts import Asking, Prompt, check_names, filled, written_name
from .annotated_images import with_plain_names
from .annotation_table import CocoColumns, Columns, ImageItem, ImageItems, items_by_columns
from .class_edits import ClassOptions
from .detection_blocks import CROWD, Source, rows_of_block
from .image_objects import Objects, one_by_one, placed_objects

Count = Annotated[int, msgspec.Meta(ge=0)]
Classes = Annotated[
    Literal["all", "one", "present"],
    msgspec.Meta(description="Ask for all classes of the file, for one class at a time, or for the classes in the image."),
]
# a question to an image; ranks and boxes of the objects that answer it; the classes it is about, None: all
Asked = tuple[Prompt, list[int], list[list[float]], list[str] | None]


class DetectionOptions(ClassOptions, frozen=True, kw_only=True):
    """The options of every source of boxes by class; see `DetectionMaker`."""

    classes: Classes = "all"
    absent: Annotated[Count, msgspec.Meta(description="With --classes one: also ask for N sampled classes that are not in the image.")] = 1
    order: Annotated[
        Literal["category", "reading", "annotation"],
        msgspec.Meta(
            description="Order of boxes in an answer. annotation: as in the source; category: by class, then from top; reading: from top."
        ),
    ] = "category"
    negatives: Annotated[
        Literal["keep", "drop"] | Count,
        msgspec.Meta(description="Images without annotations: keep, drop, or keep at most N, sampled."),
    ] = "keep"


def detection_reading(
    coco: CocoFile | CocoColumns, options: DetectionOptions, folder: ImageFolder, log: IssueLog, ignored: Ignored = "keep"
) -> Reading:
    """One item per image: its index in the file. `ignored`: what to do with objects marked `ignore`.

    Raises GroundswiftError where ids or names are ambiguous, or there are no images or classes.
    """
    check_structure(coco, options.annotations)
    coco = with_plain_names(coco, folder, log)
    names = [category.name for category in coco.categories]
    check_names(names)
    questions = options.asking("detect_one", ["category"]) if options.classes == "one" else options.asking("detect", ["categories"])
    federated = any(image.neg_category_ids is not None or image.not_exhaustive_category_ids is not None for image in coco.images)
    if options.classes == "all" and not federated:
        questions = questions.filled({"categories": listed(names)})
    ranks = {category.id: rank for rank, category in enumerate(coco.categories)}
    columnar = isinstance(coco, CocoColumns)
    kept = kept_images(coco.images[: options.limit], coco.columns if columnar else coco.annotations, options, log)
    items = items_by_columns(coco.images, coco.columns, ranks, options.order) if columnar else None
    make = DetectionMaker(items or one_by_one(coco, log), names, ranks, questions, folder, options, ignored, federated)
    return Reading(kept, make, len(kept), "image")


def kept_images(
    images: Sequence[CocoImage], annotations: Columns | Sequence[CocoAnnotation], options: DetectionOptions, log: IssueLog
) -> Sequence[int]:
    """The indices of the images that get a row, those without annotations as `options.negatives` says."""
    if options.negatives == "keep":
        return range(len(images))
    columnar = isinstance(annotations, Columns)
    annotated = set(annotations.image_ids.tolist()) if columnar else {row.image_id for row in annotations}
    dropped = dropped_negatives([image.id for image in images if image.id not in annotated], options.negatives, options.seed)
    for image in images:
        if image.id in dropped:
            log.count("image-empty-dropped", image.file_name)
    return [index for index, image in enumerate(images) if image.id not in dropped]


def dropped_negatives(image_ids: Sequence[int], negatives: str | int, seed: int) -> set[int]:
    """Ids of the images without annotations that get no row; `negatives`: drop, or how many to keep."""
    wanted = 0 if negatives == "drop" else min(int(negatives), len(image_ids))
    return set(image_ids) - set(random.Random(seed).sample(list(image_ids), wanted))


def check_structure(coco: CocoFile | CocoColumns, source: str) -> None:
    """Raises GroundswiftError where ids or names are ambiguous, or there are no images or classes."""
    if not coco.images or not coco.categories:
        raise error_at(source, f"{len(coco.images)} images and {len(coco.categories)} categories", "at least one of each")
    # Without its annotations: an annotation's own id joins nothing, so a duplicate one is an ordinary problem.
    # An image without a size is one too, of its own row.
    found = structural_problems(CocoFile(coco.images, [], coco.categories), source, sizes=False)
    if found:
        shown = [str(each) for each in found[:10]] + ([f"... and {len(found) - 10} more"] if len(found) > 10 else [])
        if any(": duplicate " in str(each) for each in found):
            shown.append("Fix the file: --on-error skip cannot choose between duplicates.")
        raise GroundswiftError("\n".join(shown))


def listed(names: Sequence[str]) -> str:
    """Class names as a question lists them."""
    return ", ".join(map(written_name, names))


class DetectionMaker(msgspec.Struct, frozen=True):
    """Makes the rows of one image, given its index. `names` and `ranks` (category id -> place) are the classes in the file's order.

    `federated`: not every class was looked for in every image (LVIS).
    """

    items: ImageItems | list[ImageItem]
    names: list[str]
    ranks: dict[int, int]
    questions: Asking
    folder: ImageFolder
    options: DetectionOptions
    ignored: Ignored = "keep"
    federated: bool = False

    def __call__(self, index: int, log: IssueLog) -> list[Row]:
        item = self.items[index]
        image, size_wh = item.image, (item.image.width, item.image.height)
        found = self.folder.find(image.file_name, f"image {image.id} ({image.file_name})", log, size_wh)
        if found is None and (log.skipping or stated_size_problem(size_wh, "")):  # boxes of no size cannot be checked
            if lost := len(item.annotations or ()) + len(item.ranks) + len(item.crowds):
                log.count(LOST, image.file_name, lost)
            return []
        objects = self.objects(item, log)
        if not objects.ranks and (item.crowds or item.annotations is not None):
            log.count("image-crowd-only" if objects.crowded else "image-all-skipped", image.file_name)
            return []
        if found is None:
            return []
        return [
            detection_row(image.id, found.path, size_wh, prompt.text, [self.names[rank] for rank in ranks], boxes, prompt.name, asked)
            for prompt, ranks, boxes, asked in self.questions_to(image, objects, log)
        ]

    def many(self, indexes: Sequence[int], log: IssueLog) -> Iterator[Row]:
        """The rows of several images, which is faster than to ask for each."""
        if isinstance(self.items, ImageItems) and self.options.classes == "all" and not self.federated and not self.folder.check:
            return rows_of_block(Source(self.items, self.names, self.questions, self.folder.folder), indexes, self, log)
        return chain.from_iterable(self(index, log) for index in indexes)

    def objects(self, item: ImageItem, log: IssueLog) -> Objects:
        """The objects of an image; what is not one is counted."""
        if item.annotations is not None:
            return placed_objects(item.image, item.annotations, self.ranks, self.options.order, log, self.ignored)
        if not item.crowds:
            return Objects(item.ranks, item.boxes_xyxy_px)
        for row in item.crowds:
            log.count(CROWD, row.where())
        return Objects(item.ranks, item.boxes_xyxy_px, {self.ranks[row.category_id] for row in item.crowds})

    def questions_to(self, image: CocoImage, objects: Objects, log: IssueLog) -> Iterable[Asked]:
        """The questions to an image and their answers."""
        if self.options.classes == "one":
            return self.one_class_each(image, objects, log)
        prompt, every = self.questions.pick(image.id), self.options.classes == "all"
        if every and not self.federated:
            return ((prompt, objects.ranks, objects.boxes, None),)
        asked = set(objects.ranks)
        if self.federated:
            self.count_partial(image, asked, log)
        if self.federated and every:
            log.count("image-federated", image.file_name)
            asked |= self.verified_absent(image, objects)
        if not asked:
            log.count("image-nothing-to-ask", image.file_name)
            return ()
        names = [self.names[rank] for rank in sorted(asked)]
        return ((prompt._replace(text=filled(prompt.text, {"categories": listed(names)})), objects.ranks, objects.boxes, names),)

    def one_class_each(self, image: CocoImage, objects: Objects, log: IssueLog) -> Iterator[Asked]:
        """A question for each class in the image, and for some without any annotation in it."""
        present = set(objects.ranks)
        if self.federated:
            self.count_partial(image, present, log)
            log.count("image-federated", image.file_name)
            absent = sorted(self.verified_absent(image, objects))
        else:
            absent = [rank for rank in range(len(self.names)) if rank not in present | objects.crowded | objects.flawed]
        chosen = random.Random(f"{self.options.seed} {image.id}").sample(absent, min(self.options.absent, len(absent)))
        for id, ranks in (("class-crowd-only", objects.crowded), ("class-all-skipped", objects.flawed)):
            if lost := len(ranks - present):
                log.count(id, image.file_name, lost)
        for wanted in sorted(present.union(chosen)):
            prompt = self.questions.pick(f"{image.id} {wanted}")
            boxes = [box for rank, box in zip(objects.ranks, objects.boxes, strict=True) if rank == wanted]
            yield (
                prompt._replace(text=filled(prompt.text, {"category": self.names[wanted]})),
                [wanted] * len(boxes),
                boxes,
                [self.names[wanted]],
            )

    def verified_absent(self, image: CocoImage, objects: Objects) -> set[int]:
        """The classes that were looked for in an image of a federated file and are not there."""
        absent = {self.ranks[number] for number in image.neg_category_ids or () if number in self.ranks}
        partial = {self.ranks[number] for number in image.not_exhaustive_category_ids or () if number in self.ranks}
        return absent - partial - set(objects.ranks) - objects.crowded - objects.flawed

    def count_partial(self, image: CocoImage, asked: Set[int], log: IssueLog) -> None:
        """Count the classes that are asked for although not every object of them has a box."""
        for number in image.not_exhaustive_category_ids or ():
            if self.ranks.get(number) in asked:
                log.count("class-partial", image.file_name)
