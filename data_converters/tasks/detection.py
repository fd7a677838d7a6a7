"""Boxes by class -> detection rows: one image and all classes a question, one class a question, or those that are present.

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
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.box_checks import BoxProblem
from groundswift.coco_file import (
    IGNORED,
    IMAGE_UNKNOWN,
    REPEATED,
    ROTATED,
    SAME_ID,
    CocoAnnotation,
    CocoFile,
    CocoImage,
    Ignored,
    annotation_problem,
    structural_faults,
)
from groundswift.coco_lenient import LOST
from groundswift.errors import GroundswiftError, fault
from groundswift.records import Row, ready_row, whole
from groundswift.worker_pool import WorkerPool

from ..base import Reading
from ..file_io.box_checks import ImageFolder, clipped
from ..issues import Issue, IssueLog
from ..prompts import Asking, check_names, filled, written_name
from .annotated_images import tidied
from .annotation_table import CocoColumns, ImageItem, ImageItems, items_by_columns
from .class_edits import ClassOptions

FEDERATED = "image-federated"  # reasons to count by
PARTIAL = "class-partial"
Count = Annotated[int, msgspec.Meta(ge=0)]
CROWD = "crowd-skipped"  # a reason to count by
Placed = tuple[int, float, float, float, float]  # rank of the class in the file, then xyxy in px
ORDERS: dict[str, Callable[[Placed], tuple] | None] = {  # sort keys; sorting is stable, so equal ones stay in the file's order
    "category": itemgetter(0, 2, 1),
    "reading": itemgetter(2, 1, 0),
    "annotation": None,
}
FOUND = {  # id of an annotation's problem -> what the file has there; for the others it is the box
    "image-unknown": "image_id {row.image_id}",
    "category-unknown": "category_id {row.category_id}",
    "rotation-not-angle": "attributes.rotation is not a number",
    "box-outside": "bbox {row.bbox} in an image of {image.width}x{image.height} px",
}


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


class Objects(msgspec.Struct, frozen=True):
    """The objects on an image: their classes as ranks and their boxes (xyxy in px), in order; and classes with crowds or faults."""

    ranks: list[int]
    boxes: list[list[float]]
    crowded: Set[int] = frozenset()
    faulty: Set[int] = frozenset()


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
                log.count("image-empty-dropped", image.file_name)
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
            reason = "image-crowd-only" if objects.crowded else "image-all-skipped"
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
            log.count("image-nothing-to-ask", image.file_name)
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
            ("class-crowd-only", objects.crowded),
            ("class-all-skipped", objects.faulty),
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


def one_by_one(coco: CocoFile | CocoColumns, log: IssueLog) -> list[ImageItem]:
    """What `items_by_columns` gives, of a file with faults between annotations and images; they are noted."""
    by_image = annotations_by_image(coco, log)
    return [ImageItem(image, by_image.get(image.id)) for image in coco.images]


def annotations_by_image(coco: CocoFile | CocoColumns, log: IssueLog) -> dict[int, list[CocoAnnotation]]:
    """Image id -> its annotations in the file's order, less those with an unknown image or an id that came before.

    An image whose annotations all went still has its (empty) list: it is not a negative.
    """
    known = {image.id for image in coco.images}
    by_image: dict[int, list[CocoAnnotation]] = {}
    seen: set[int] = set()
    for row in coco.annotations:
        if row.image_id not in known:
            log.add(annotation_issue(IMAGE_UNKNOWN, row, None))
            continue
        rows = by_image.setdefault(row.image_id, [])
        if row.id is not None:
            if row.id in seen:
                thing = f"annotation {row.id} on image {row.image_id}"
                log.add(Issue(SAME_ID, thing, "an earlier annotation has this id", "each id once"))
                continue
            seen.add(row.id)
        rows.append(row)
    return by_image


def placed_objects(
    image: CocoImage, annotations: Iterable[CocoAnnotation], ranks: dict[int, int], order: str, log: IssueLog, ignored: Ignored = "keep"
) -> Objects:
    """The objects to be found on an image, cut at its borders and ordered; crowd boxes, repeats and faults are skipped and counted."""
    placed: list[Placed] = []
    seen: set[Placed] = set()
    crowded, faulty = set(), set()
    size_wh = (image.width, image.height)
    for row in annotations:
        problem = annotation_problem(row, image, row.category_id in ranks)
        if problem:
            log.add(annotation_issue(problem, row, image))
            faulty.add(ranks.get(row.category_id))
            continue
        if row.rotation:
            log.count(ROTATED, row.where())
        if row.ignore:
            log.count(IGNORED[ignored], row.where())
        if row.ignore and ignored == "skip":
            faulty.add(ranks[row.category_id])
        elif row.iscrowd or (row.ignore and ignored == "crowd"):
            log.count(CROWD, row.where())
            crowded.add(ranks[row.category_id])
        else:
            x, y, width, height = row.bbox
            one = (ranks[row.category_id], *clipped(x, y, x + width, y + height, size_wh, row.where(), log))
            if one in seen:
                log.count(REPEATED, row.where())
                continue
            seen.add(one)
            placed.append(one)
    if ORDERS[order]:
        placed.sort(key=ORDERS[order])
    boxes = [[whole(value) for value in box] for _, *box in placed]
    return Objects([rank for rank, *_ in placed], boxes, crowded, faulty - {None} - crowded)


def annotation_issue(problem: BoxProblem, row: CocoAnnotation, image: CocoImage | None) -> Issue:
    """The problem of an annotation, with what the file has there."""
    thing = row.where() if image is None or row.id is None else f"annotation {row.id} on image {image.id} ({image.file_name})"
    return Issue(problem.id, thing, FOUND.get(problem.id, "bbox {row.bbox}").format(row=row, image=image), problem.expected)
