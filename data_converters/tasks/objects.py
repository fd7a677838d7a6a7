"""The annotations of one image as objects to be found: cut at its borders, ordered, without repeats; what is no target is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from operator import itemgetter

import msgspec

from groundswift.coco_file import IGNORED, REPEATED, ROTATED, SAME_ID, CocoAnnotation, CocoFile, CocoImage, Ignored, annotation_fault
from groundswift.records import whole

from ..file_io.box_checks import clipped
from ..issues import Issue, IssueLog
from .annotation_table import CocoColumns, ImageItem

CROWD = "crowd box, kept out of the target"  # a reason to count by
Placed = tuple[int, float, float, float, float]  # rank of the class in the file, then xyxy in px


class Objects(msgspec.Struct, frozen=True):
    """The objects on an image: their classes as ranks and their boxes (xyxy in px), in order; and classes with crowds or faults."""

    ranks: list[int]
    boxes: list[list[float]]
    crowded: Set[int] = frozenset()
    faulty: Set[int] = frozenset()


ORDERS: dict[str, Callable[[Placed], tuple] | None] = {  # sort keys; sorting is stable, so equal ones stay in the file's order
    "category": itemgetter(0, 2, 1),
    "reading": itemgetter(2, 1, 0),
    "annotation": None,
}
EXPECTED = {  # reason of `annotation_fault` -> what stands there, what should
    "unknown image": ("image_id {row.image_id}", "the id of an image of the file"),
    "unknown category": ("category_id {row.category_id}", "the id of a category of the file"),
    "box without 4 numbers": ("bbox {row.bbox}", "x, y, width, height"),
    "box not finite": ("bbox {row.bbox}", "finite numbers"),
    "box inverted": ("bbox {row.bbox}", "width and height above 0"),
    "box empty": ("bbox {row.bbox}", "width and height above 0"),
    "rotation is not an angle": ("attributes.rotation is not a number", "degrees"),
    "box outside its image": ("bbox {row.bbox} in an image of {image.width}x{image.height} px", "a box that overlaps its image"),
}


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
            log.add(annotation_problem("unknown image", row, None))
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
        reason = annotation_fault(row, image, row.category_id in ranks)
        if reason:
            log.add(annotation_problem(reason, row, image))
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


def annotation_problem(reason: str, row: CocoAnnotation, image: CocoImage | None) -> Issue:
    """The fault of an annotation, with what stands there and what should."""
    what, expected = EXPECTED[reason]
    thing = row.where() if image is None or row.id is None else f"annotation {row.id} on image {image.id} ({image.file_name})"
    return Issue(reason, thing, what.format(row=row, image=image), expected)
