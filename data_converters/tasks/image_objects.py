"""The annotations of an image -> its objects in the order of the answer; crowd boxes, repeats and problems are skipped and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from operator import itemgetter
from typing import NamedTuple

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
)
from groundswift.records import whole

from ..file_io.box_checks import clipped
from ..issues import Issue, IssueLog
from .annotation_table import CocoColumns, ImageItem
from .detection_blocks import CROWD

Placed = tuple[int, float, float, float, float]  # rank of the class in the file, then xyxy in px
ORDERS: dict[str, Callable[[Placed], tuple] | None] = {  # sort keys; sorting is stable, so equal ones keep the file's order
    "category": itemgetter(0, 2, 1),
    "reading": itemgetter(2, 1, 0),
    "annotation": None,
}
FOUND = {  # id of an annotation's problem -> what the file has there; for all others the box
    "image-unknown": "image_id {row.image_id}",
    "category-unknown": "category_id {row.category_id}",
    "rotation-not-angle": "attributes.rotation is not a number",
}


class Objects(NamedTuple):
    """The objects of an image in the order of the answer: ranks of their classes, boxes xyxy in px; classes with crowds, with problems."""

    ranks: list[int]
    boxes: list[list[float]]
    crowded: Set[int] = frozenset()
    flawed: Set[int] = frozenset()


def one_by_one(coco: CocoFile | CocoColumns, log: IssueLog) -> list[ImageItem]:
    """What `items_by_columns` gives, for files in which it cannot join annotations and images: unknown images and duplicate ids are logged.

    An image whose annotations all went still has a list, an empty one: it is not a negative.
    """
    known = {image.id for image in coco.images}
    by_image: dict[int, list[CocoAnnotation]] = {}
    seen: set[int | None] = set()
    for row in coco.annotations:
        if row.image_id not in known:
            log.add(annotation_issue(IMAGE_UNKNOWN, row, None))
            continue
        rows = by_image.setdefault(row.image_id, [])
        if row.id is None or row.id not in seen:
            seen.add(row.id)
            rows.append(row)
        else:
            where = f"annotation {row.id} on image {row.image_id}"
            log.add(Issue(SAME_ID, where, "an earlier annotation has this id", "each id once"))
    return [ImageItem(image, by_image.get(image.id)) for image in coco.images]


def placed_objects(
    image: CocoImage, annotations: Iterable[CocoAnnotation], ranks: dict[int, int], order: str, log: IssueLog, ignored: Ignored = "keep"
) -> Objects:
    """The objects of an image, clipped and in order; crowd boxes, repeats and problems are skipped and counted."""
    placed: dict[Placed, None] = {}
    crowded, flawed = set(), set()
    for row in annotations:
        rank = ranks.get(row.category_id)
        if problem := annotation_problem(row, image, rank is not None):
            log.add(annotation_issue(problem, row, image))
            flawed.add(rank)
            continue
        if row.rotation:
            log.count(ROTATED, row.where())
        if row.ignore:
            log.count(IGNORED[ignored], row.where())
        if row.ignore and ignored == "skip":
            flawed.add(rank)
        elif row.iscrowd or (row.ignore and ignored == "crowd"):
            log.count(CROWD, row.where())
            crowded.add(rank)
        else:
            x, y, width, height = row.bbox
            one = (rank, *clipped(x, y, x + width, y + height, (image.width, image.height), row.where(), log))
            if one in placed:
                log.count(REPEATED, row.where())
            placed[one] = None
    found = sorted(placed, key=ORDERS[order]) if ORDERS[order] else placed
    boxes = [[whole(value) for value in box] for _, *box in found]
    return Objects([rank for rank, *_ in found], boxes, crowded, flawed - {None} - crowded)


def annotation_issue(problem: BoxProblem, row: CocoAnnotation, image: CocoImage | None) -> Issue:
    """The problem of an annotation, with what the file has there."""
    where = row.where() if image is None or row.id is None else f"annotation {row.id} on image {image.id} ({image.file_name})"
    return Issue(problem.id, where, FOUND.get(problem.id, "bbox {row.bbox}").format(row=row), problem.expected)
