"""What YOLO, Pascal VOC, CVAT, DOTA and Open Images share: images with their labels -> a table of annotations -> detection rows.

* An image's id is its place among the sorted names of all images of the source, from 1. --coco-out writes a COCO file with these ids.
* A label that cannot be parsed drops its image (skip mode): what it marks is unknown, and an answer without it would say that nothing
  is there. A box that is parsed but cannot be used is dropped alone, as with COCO.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np
from msgspec.structs import replace
from tqdm import tqdm

from groundswift.atomic_write import write_whole
from groundswift.boxes import exact_repeats
from groundswift.coco_file import CocoCategory, CocoImage, annotation_problem
from groundswift.coco_lenient import LOST
from groundswift.coco_types import OutAnnotation, OutFile, OutImage
from groundswift.errors import error_at
from groundswift.records import has_lone_surrogate, whole
from groundswift.worker_pool import WorkerPool

from ..base import Reading, path_option
from ..file_io.box_checks import ImageFolder
from ..issues import Issue, IssueLog, OnError
from .annotation_table import CocoColumns, Columns
from .category_file import read_categories
from .class_edits import with_class_edits
from .detection import DetectionOptions, detection_reading
from .labelled_image import LabelledImage, Size

BATCH = 64  # images whose headers a worker reads in one go
DIGITS = 6  # of a number in px; digits beyond are noise of the arithmetic
Difficult = Annotated[
    Literal["ignore", "keep"],
    msgspec.Meta(description="Objects marked difficult: ignore (treat them as crowd boxes), or keep (as any other object)."),
]


class LabelOptions(DetectionOptions, frozen=True, kw_only=True):
    """The options that all sources of label files share, besides those of detection."""

    pixels_expected: ClassVar[str] = "pixels: multiply by the width and height of each image"

    categories: Annotated[str | None, path_option("Classes in order: a COCO file, or one name per line.  [default: from SOURCE]")] = None
    coco_out: Annotated[str | None, path_option("Also write a COCO file with the rows' ids, for eval coco-map --gt.")] = None


def labels_reading(
    labelled: Iterable[LabelledImage],
    classes: Sequence[str],
    options: LabelOptions,
    folder: ImageFolder,
    pool: WorkerPool,
    log: IssueLog,
    order: Sequence[str] | None = None,
    fractions: bool = False,
) -> Reading:
    """Labelled images -> rows. `classes`: those that the labels' ranks count from 0; `order`: the order of the categories, of --categories
    where that is given, else `classes`; `fractions`: boxes are fractions of the image, not px.

    The headers of all images are read here where one states no size, or where --coco-out is to hold the images that rows are made of;
    else when their rows are made. Raises GroundswiftError where no image is left.
    """
    labelled = sorted(map(partial(with_slashes, log=log), labelled), key=lambda each: each.name)
    names = categories_of(options, classes, order or classes, labelled)
    check_named(names, options, classes, labelled)
    labelled = labelled[: options.limit]
    unstated = any(each.stated_wh is None for each in labelled)
    first = folder.check and (options.coco_out is not None or unstated)
    sizes_wh = sizes_of(labelled, replace(folder, check=first), pool if first or unstated else WorkerPool(), log)
    images, kept = usable_images(labelled, sizes_wh, log)
    if not images:
        log.settle(options.annotations)
        why = "every image was dropped" if labelled else "no image is labelled"
        raise log.nothing_left(options.annotations, f"nothing to write: {why}")
    if not names:
        raise error_at(options.annotations, "no class, because no image has objects", "--categories with the names of the classes")
    place_of = {name: place for place, name in enumerate(names)}
    ranks = None if names == list(classes) else [place_of.get(name, -1) for name in classes]
    categories = [CocoCategory(rank + 1, name) for rank, name in enumerate(names)]
    table = without_repeats(columns_of_labels(images, kept, ranks, fractions), log)
    if not fractions:
        check_unit(table, options)
    coco = with_class_edits(CocoColumns(images, categories, table), options, options.annotations, log)
    reading = detection_reading(coco, options, replace(folder, check=folder.check and not first), log)
    if options.coco_out is not None:
        write_coco(coco, options.coco_out, log)
    return reading


def with_slashes(image: LabelledImage, log: IssueLog) -> LabelledImage:
    """The image, its name with slashes in place of backslashes (counted)."""
    if "\\" in image.name:
        log.count("file-name-backslashes", image.name)
        image.name = image.name.replace("\\", "/")
    return image


def check_unit(columns: Columns, options: LabelOptions) -> None:
    """Raise GroundswiftError where all boxes lie in the first pixel of their images: these are fractions."""
    x, y, width, height = columns.boxes_xywh_px.T
    with np.errstate(all="ignore"):
        sides = np.concatenate([x, y, x + width, y + height])
    if len(sides) and sides.min() >= 0 and sides.max() <= 1:
        raise error_at(options.annotations, f"all {len(x)} boxes are between 0 and 1", options.pixels_expected)


def sizes_of(labelled: Sequence[LabelledImage], folder: ImageFolder, pool: WorkerPool, log: IssueLog) -> Iterator[Size | None]:
    """The size (width, height) in px of each image, read by several processes; None where the image cannot be used, which is logged, or
    where it is the one before again."""
    names = [each.name for each in labelled]
    asked = [not each.unreadable and each.name != before for each, before in zip(labelled, [None, *names], strict=False)]
    numbered = enumerate(zip(labelled, asked, strict=True), 1)
    wanted = [(number, each.name, each.stated_wh, each.labels[0].where if each.labels else None) for number, (each, one) in numbered if one]
    tasks = (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH))
    found = chain.from_iterable(pool.in_order(tasks, partial(sizes_here, folder, "skip" if log.skipping else "stop")))
    for one in tqdm(asked, desc="read sizes", unit="image", disable=None):
        size_wh, own_log = next(found) if one else (None, IssueLog())
        log.merge(own_log)
        yield size_wh


def sizes_here(
    folder: ImageFolder, on_error: OnError, wanted: Sequence[tuple[int, str, Size | None, str | None]]
) -> list[tuple[Size | None, IssueLog]]:
    """What `sizes_of` does for a batch of images, (number, name, stated size, place of its first label) each; a log for every size."""
    found = []
    for number, name, stated_wh, label in wanted:
        log, seen = IssueLog(on_error), None
        if has_lone_surrogate(name):
            log.add(Issue("name-not-utf8", ascii(name), "not UTF-8", "a file name that is UTF-8 text"))
        else:
            thing = f"image {number} ({name}, labelled at {label})" if label else f"image {number} ({name})"
            seen = folder.find(name, thing, log, stated_wh, size_needed=True)
        found.append((seen and seen.size_wh, log))
    return found


def usable_images(
    labelled: Sequence[LabelledImage], sizes_wh: Iterable[Size | None], log: IssueLog
) -> tuple[list[CocoImage], list[LabelledImage]]:
    """(the images that can be used, the same with their labels); `labelled` are sorted by name, the size of an unusable one is None."""
    images, kept = [], []
    for number, (each, size_wh) in enumerate(zip(labelled, sizes_wh, strict=True), 1):
        if images and images[-1].file_name == each.name:
            log.add(Issue("image-labelled-twice", each.name, "labels in two places", "one place"))
        elif size_wh is not None:
            images.append(CocoImage(number, each.name, *size_wh))
            kept.append(each)
        elif log.skipping:
            if each.unreadable:
                log.count("image-label-unreadable", each.name)
            if each.labels:
                log.count(LOST, each.name, len(each.labels))
    return images, kept


def columns_of_labels(
    images: Sequence[CocoImage], labelled: Sequence[LabelledImage], ranks: Sequence[int] | None, fractions: bool
) -> Columns:
    """The labels of some images as columns, boxes in px; `ranks`: rank of a label -> that of its category, where they differ."""
    labels = [label for each in labelled for label in each.labels]
    counts = [len(each.labels) for each in labelled]
    found = np.fromiter((label.rank for label in labels), np.int64, len(labels))
    boxes = np.fromiter(chain.from_iterable(label.box_xywh for label in labels), np.float64, 4 * len(labels)).reshape(-1, 4)
    if fractions:
        sizes_wh = np.array([(image.width, image.height) for image in images], np.float64).reshape(-1, 2)
        with np.errstate(all="ignore"):
            boxes *= np.tile(sizes_wh, 2).repeat(counts, axis=0)
    return Columns(
        ids=np.arange(len(labels)),
        image_ids=np.fromiter((image.id for image in images), np.int64, len(images)).repeat(counts),
        category_ids=(found if ranks is None else np.array(ranks, np.int64)[found]) + 1,
        boxes_xywh_px=np.array([round(value, DIGITS) for value in boxes.ravel().tolist()], np.float64).reshape(-1, 4),
        crowds=np.fromiter((label.crowd for label in labels), bool, len(labels)),
        places=np.array([label.where for label in labels], object),
    )


def without_repeats(columns: Columns, log: IssueLog) -> Columns:
    """The annotations less those that repeat one of their image exactly, which are counted."""
    repeats = exact_repeats((columns.image_ids, columns.category_ids, columns.crowds.astype(np.int64)), columns.boxes_xywh_px)
    for place in columns.places[repeats]:
        log.count("box-repeated", place)
    return columns.at(~repeats)


def write_coco(coco: CocoColumns, path: str, log: IssueLog) -> None:
    """Write a COCO file of what can be evaluated, unless there are problems that are not skipped.

    Ids of annotations are numbers from 1; boxes that cannot be used are skipped. Raises GroundswiftError where it cannot be written.
    """
    by_id = {image.id: image for image in coco.images}
    rows = coco.annotations
    usable = [row for row in rows if annotation_problem(row, by_id[row.image_id], True) is None]
    if log.problems.counts or (len(usable) < len(rows) and not log.skipping):
        return
    annotations = []
    for number, row in enumerate(usable, 1):
        area = whole(round(row.bbox[2] * row.bbox[3], DIGITS))
        annotations.append(OutAnnotation(number, row.image_id, row.category_id, list(map(whole, row.bbox)), area, row.iscrowd))
    images = [OutImage(image.id, image.file_name, image.width, image.height) for image in coco.images]
    out = OutFile(images, annotations, [CocoCategory(category.id, category.name) for category in coco.categories])
    write_whole(path, [msgspec.json.encode(out), b"\n"])


def categories_of(options: LabelOptions, classes: Sequence[str], order: Sequence[str], labelled: Sequence[LabelledImage]) -> list[str]:
    """The categories in their order: of the file of --categories, which must have all that labels use, else `order`."""
    if options.categories is None:
        return list(order)
    names = [category.name for category in read_categories(options.categories)]
    used = {label.rank for each in labelled for label in each.labels}
    if unknown := [name for rank, name in enumerate(classes) if rank in used and name not in set(names)]:
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise error_at(options.categories, f"lacks {shown}, which {options.annotations} has", "all classes of the labels")
    return names


def check_named(names: Sequence[str], options: LabelOptions, classes: Sequence[str], labelled: Sequence[LabelledImage]) -> None:
    """Raise GroundswiftError for an empty class name, with the place of the first label that has it, else with its index from 0."""
    for index, name in enumerate(names):
        if not name.strip():
            labels = (label for each in labelled for label in each.labels if options.categories is None)
            places = (label.where for label in labels if classes[label.rank] == name)
            where = next(places, f"{options.categories or options.annotations}: class {index}")
            raise error_at(where, "empty class name", "a name for every class")
