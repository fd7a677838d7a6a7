"""COCO instance files -> detection rows: one image and all classes a question, one class a question, or those that are present.

What is left out is counted, by reason, and never silent:

* A crowd box bounds many objects at once, so it is no target. An image with crowd boxes only gets no row: it is not empty, and to
  answer `None` would teach the opposite of what is to be seen. Where one class is asked for, the same holds for a class.
* An image without annotations is an honest negative. One whose annotations were all at fault is not, and gets no row either.
* A box that sticks out of its image is cut at the border; by less than 1 px it is the source's rounding, counted apart.
* Repeated ids of images or categories and repeated names make the file ambiguous: those always stop. Any other fault stops too
  (`on_error` stop) or is left out (skip; of annotations that share an id, the first in the file stays).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.coco_file import CocoFile, CocoImage, Ignored, structural_faults
from groundswift.errors import GroundswiftError, fault
from groundswift.records import Row, ready_row
from groundswift.worker_pool import WorkerPool

from ...base import Reading
from ...file_io.box_checks import ImageFolder
from ...issues import IssueLog
from ...prompts import Asking, check_names, filled, written_name
from ...tasks.annotated_images import tidied
from ...tasks.annotation_table import CocoColumns, ImageItem, ImageItems, items_by_columns
from ...tasks.class_edits import ClassOptions, with_class_edits, write_edited
from ...tasks.objects import CROWD, Objects, one_by_one, placed_objects
from .lenient_reader import LOST, read_what_can_be
from .parallel_reader import read_pieces

FEDERATED = "image asked only for the classes that were looked for in it (federated file)"  # reasons to count by
PARTIAL = "class of which not every object has a box, asked for those that have one"
Count = Annotated[int, msgspec.Meta(ge=0)]


class DetectionOptions(ClassOptions, frozen=True, kw_only=True):
    """What every source of boxes by class has; see `DetectionMaker`."""

    classes: Annotated[
        Literal["all", "one", "present"],
        msgspec.Meta(description="A question for all classes of the file, for one class each, or for those present in the image."),
    ] = "all"
    absent: Annotated[
        Count, msgspec.Meta(description="With --classes one: of how many absent classes to ask too, sampled for each image.")
    ] = 1
    order: Annotated[
        Literal["category", "reading", "annotation"], msgspec.Meta(description="Order of the boxes in an answer, see above.")
    ] = "category"
    negatives: Annotated[
        Literal["keep", "drop"] | Count, msgspec.Meta(description="Images without annotations; N keeps at most N, sampled.")
    ] = "keep"

    def read(self, log: IssueLog) -> Reading:
        return self.read_by(WorkerPool(), log)

    def read_by(self, pool: WorkerPool, log: IssueLog) -> Reading:
        """Every format of boxes by class defines this: it can share its work among processes."""
        raise NotImplementedError


class CocoOptions(DetectionOptions, frozen=True, kw_only=True):
    """Turn a COCO instance file into rows: a question for all classes, for one class each, or for those present.

    Boxes are x1, y1, x2, y2 in pixels of the upright picture (EXIF orientation applied). A row keeps its image's id as
    sample_id, and size_wh. Picture paths are absolute. A category name that holds a comma, a double quote or a line break
    stands in the question as a JSON string, and as it is in the answer. {categories} in a question of your own stands for
    all names, comma-separated; with --classes one, {category} for the one.

    \b
    Order of the boxes in an answer (equal ones: as in the file):
      category    order of the categories in the file, then top edge, then left edge
      reading     top edge, then left edge, then order of the categories
      annotation  as in the file

    Left out and counted: crowd boxes (no targets); images with crowd boxes only (they are not empty, so no negatives
    either). Boxes that stick out of their image are cut at its border and counted.

    Faults: an unknown image or category, a box that is inverted, empty, not finite or outside its image, a repeated
    annotation id; a picture that is missing, unreadable, of another size or outside DIR; an entry with a missing key or a
    wrong type. All are collected and told, and nothing is written; --on-error skip leaves them out and counts them (of
    annotations that share an id, the first stays). An image that loses all its annotations so is left out too, and one with
    an annotation that cannot be read. Repeated image ids, category ids or names always stop.

    \b
    Example:
      groundswift convert coco annotations.json --images images/ --out train.jsonl --negatives 500
    """

    coco_out: Annotated[
        str | None,
        msgspec.Meta(
            description="Also write SOURCE with the classes as edited, for `groundswift eval coco-map --gt`.",
            extra={"path": True, "metavar": "FILE"},
        ),
    ] = None
    ignored: Annotated[
        Ignored,
        msgspec.Meta(description="Objects marked `ignore: 1`: ordinary objects (as pycocotools reads them), crowd boxes, or skipped."),
    ] = "keep"

    def read_by(self, pool: WorkerPool, log: IssueLog) -> Reading:
        coco = read_pieces(self.annotations, pool) or read_what_can_be(self.annotations, log)
        if not coco.images:
            log.settle(self.annotations)
            if log.left_out.counts:
                raise log.nothing_left(self.annotations, "none of its images can be read")
        edited = with_class_edits(coco, self, self.annotations, log)
        reading = detection_reading(edited, self, self.pictures(), log)
        if self.coco_out is not None:
            write_edited(self.annotations, self.coco_out, coco.categories, edited.categories, self)
        return reading


def detection_reading(coco: CocoFile | CocoColumns, options: DetectionOptions, pictures: ImageFolder, log: IssueLog) -> Reading:
    """One item an image, its place in the file. What makes the file ambiguous is raised here.

    `options.annotations` names the file in errors. Raises GroundswiftError where ids or names are ambiguous or nothing is there.
    """
    check_structure(coco, options.annotations)
    coco = tidied(coco, pictures, log)
    ignored = getattr(options, "ignored", "keep")
    columnar = isinstance(coco, CocoColumns)
    names = [category.name for category in coco.categories]
    check_names(names)
    questions = options.asking("detect_one", ["category"]) if options.classes == "one" else options.asking("detect", ["categories"])
    federated = any(image.neg_category_ids is not None or image.not_exhaustive_category_ids is not None for image in coco.images)
    if options.classes == "all" and not federated:
        questions = questions.filled({"categories": listed(names)})
    ranks = {category.id: rank for rank, category in enumerate(coco.categories)}
    images = coco.images[: options.limit]
    kept: Sequence[int] = range(len(images))
    if options.negatives != "keep":
        annotated = set(coco.columns.image_ids.tolist()) if columnar else {row.image_id for row in coco.annotations}
        dropped = dropped_negatives([image.id for image in images if image.id not in annotated], options.negatives, options.seed)
        kept = [index for index in kept if images[index].id not in dropped]
        for image in images:
            if image.id in dropped:
                log.count("image without objects, dropped", image.file_name)
    items = items_by_columns(coco.images, coco.columns, ranks, options.order) if columnar else None
    make = DetectionMaker(
        items=items or one_by_one(coco, log),
        names=names,
        ranks=ranks,
        questions=questions,
        pictures=pictures,
        classes=options.classes,
        absent=options.absent,
        order=options.order,
        seed=options.seed,
        ignored=ignored,
        federated=federated,
    )
    return Reading(kept, make, len(kept), "image")


class DetectionMaker(msgspec.Struct, frozen=True):
    """Makes the rows of one image, given its place. `names` and `ranks` (category id -> place) are the classes in the file's order."""

    items: ImageItems | list[ImageItem]
    names: list[str]
    ranks: dict[int, int]
    questions: Asking
    pictures: ImageFolder
    classes: str
    absent: int
    order: str
    seed: int
    ignored: Ignored = "keep"
    federated: bool = False

    def __call__(self, index: int, log: IssueLog) -> list[Row]:
        item, rows = self.items[index], []
        image, size_wh = item.image, (item.image.width, item.image.height)
        found = self.pictures.find(image.file_name, f"image {image.id} ({image.file_name})", log, size_wh)
        if found is None and log.skipping:
            if lost := len(item.annotations or ()) + len(item.ranks) + len(item.crowds):
                log.count(LOST, image.file_name, lost)
            return rows
        objects = self.objects(item, log)
        if not objects.ranks and (item.crowds or item.annotations is not None):
            reason = "image with crowd boxes only" if objects.crowded else "image whose annotations were all at fault"
            log.count(reason, image.file_name)
        elif found is not None:
            for prompt_name, question, ranks, boxes in self.asked(image, objects, log):
                labels = [self.names[rank] for rank in ranks]
                rows.append(ready_row(image.id, found.path, size_wh, question, labels, boxes, prompt_name))
        return rows

    def objects(self, item: ImageItem, log: IssueLog) -> Objects:
        """What is to be found on an image; what is not is noted."""
        if item.annotations is not None:
            return placed_objects(item.image, item.annotations, self.ranks, self.order, log, self.ignored)
        if not item.crowds:
            return Objects(item.ranks, item.boxes_xyxy_px)
        for row in item.crowds:
            log.count(CROWD, row.where())
        return Objects(item.ranks, item.boxes_xyxy_px, {self.ranks[row.category_id] for row in item.crowds})

    def asked(self, image: CocoImage, objects: Objects, log: IssueLog) -> Iterable[tuple[str, str, list[int], list[list[float]]]]:
        """The questions to an image: (name of the prompt, question, ranks and boxes of the objects that answer it)."""
        if self.classes == "one":
            return self.asked_one_by_one(image, objects, log)
        prompt = self.questions.pick(image.id)
        if self.classes == "all" and not self.federated:
            return ((prompt.name, prompt.text, objects.ranks, objects.boxes),)
        asked = set(objects.ranks)
        if self.federated:
            self.count_partial(image, asked, log)
        if self.federated and self.classes == "all":
            log.count(FEDERATED, image.file_name)
            asked |= self.checked_absent(image, objects)
        if not asked:
            log.count("image without objects, nothing to ask for", image.file_name)
            return ()
        names = [self.names[rank] for rank in sorted(asked)]
        return ((prompt.name, filled(prompt.text, {"categories": listed(names)}), objects.ranks, objects.boxes),)

    def asked_one_by_one(
        self, image: CocoImage, objects: Objects, log: IssueLog
    ) -> Iterator[tuple[str, str, list[int], list[list[float]]]]:
        """A question for each class that is present, and for some that are not: those of which the image has no annotation at all."""
        present = set(objects.ranks)
        if self.federated:
            self.count_partial(image, present, log)
            log.count(FEDERATED, image.file_name)
            absent = sorted(self.checked_absent(image, objects))
        else:
            absent = [rank for rank in range(len(self.names)) if rank not in present | objects.crowded | objects.faulty]
        chosen = random.Random(f"{self.seed} {image.id}").sample(absent, min(self.absent, len(absent)))
        for reason, ranks in (
            ("class with crowd boxes only", objects.crowded),
            ("class whose annotations were all at fault", objects.faulty),
        ):
            for _ in ranks - present:
                log.count(reason, image.file_name)
        for wanted in sorted(present.union(chosen)):
            prompt = self.questions.pick(f"{image.id} {wanted}")
            boxes = [box for rank, box in zip(objects.ranks, objects.boxes, strict=True) if rank == wanted]
            yield prompt.name, filled(prompt.text, {"category": self.names[wanted]}), [wanted] * len(boxes), boxes

    def checked_absent(self, image: CocoImage, objects: Objects) -> set[int]:
        """The classes of an image of a federated file that were looked for and are not there."""
        absent = {self.ranks[number] for number in image.neg_category_ids or () if number in self.ranks}
        partial = {self.ranks[number] for number in image.not_exhaustive_category_ids or () if number in self.ranks}
        return absent - partial - set(objects.ranks) - objects.crowded - objects.faulty

    def count_partial(self, image: CocoImage, asked: Set[int], log: IssueLog) -> None:
        """Count the classes that are asked for although not every object of them has a box."""
        for number in image.not_exhaustive_category_ids or ():
            if self.ranks.get(number) in asked:
                log.count(PARTIAL, image.file_name)


def listed(names: Sequence[str]) -> str:
    """Class names as they stand in a question."""
    return ", ".join(map(written_name, names))


def check_structure(coco: CocoFile | CocoColumns, source: str | Path) -> None:
    """Raises GroundswiftError where ids or names are ambiguous, or where there is nothing to ask for."""
    if not coco.images or not coco.categories:
        raise fault(source, f"{len(coco.images)} images and {len(coco.categories)} categories", "at least one of each")
    # Without its annotations: an annotation's own id joins nothing, so a repeated one is an ordinary fault.
    found = structural_faults(CocoFile(coco.images, [], coco.categories), source)
    if found:
        shown = [str(each) for each in found[:10]] + ([f"... and {len(found) - 10} more"] if len(found) > 10 else [])
        raise GroundswiftError("\n".join([*shown, "this must be mended in the file: --on-error skip cannot tell which one is meant"]))


def dropped_negatives(image_ids: Sequence[int], negatives: str | int, seed: int) -> set[int]:
    """Ids of the images without annotations that get no row; `negatives` drop, or how many to keep."""
    wanted = 0 if negatives == "drop" else min(int(negatives), len(image_ids))
    return set(image_ids) - set(random.Random(seed).sample(list(image_ids), wanted))
