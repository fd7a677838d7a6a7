"""What YOLO, Pascal VOC, CVAT, DOTA and Open Images share: labels in their own text -> boxes by hotcoco -> a COCO file -> detection rows.

Every box is read by hotcoco's reader of the format. It stops at the first fault, names no line of some, and passes over what it has no
place for; so a format here first looks at each label by itself, tells what is wrong or lost, and hands hotcoco only text that it reads
whole: classes as `c0`, `c1`, ... in their order, so that no name can be misread. What comes back is compared, label by label.

* An image's id is its place among the sorted names of all pictures of the source, from 1. --coco-out writes a COCO file with these ids.
* A label whose text cannot be read takes its picture with it (skip mode): what it would have been is not known, and an answer without it
  would say that nothing is there. A box that is read but cannot be used is left out by itself, as with COCO.
"""

from __future__ import annotations

import math
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from tqdm import tqdm

from groundswift.atomic_write import write_whole
from groundswift.coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage, annotation_fault
from groundswift.coco_lenient import LOST
from groundswift.errors import fault
from groundswift.records import half_character, whole
from groundswift.worker_pool import WorkerPool

from ..base import Reading
from ..file_io.box_checks import Box, ImageFolder
from ..formats.coco.export import OutAnnotation, OutFile, OutImage
from ..issues import Issue, IssueLog, OnError
from .category_file import Category, read_categories
from .class_edits import with_class_edits
from .detection import DetectionOptions, detection_reading

AT_ONCE = 10_000  # labels that hotcoco is given at a time
LOOKS = 64  # pictures that a process looks at in one go
DIGITS = 6  # of a number in px: what is beyond is noise of the arithmetic
NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|nan|inf)", re.IGNORECASE)
UNREADABLE = "label unreadable"  # the reason to count by
Difficult = Annotated[
    Literal["ignore", "keep"],
    msgspec.Meta(description="Objects marked difficult: no target, as crowd boxes are, or objects like all others."),
]


class HotcocoOptions(DetectionOptions, frozen=True, kw_only=True):
    """What the formats that hotcoco reads have beside those of detection."""

    images: Annotated[
        str | None, msgspec.Meta(description="Folder of the pictures.  [default: see above]", extra={"path": True, "metavar": "DIR"})
    ] = None
    order: Annotated[
        Literal["category", "reading", "annotation"],
        msgspec.Meta(description="Order of the boxes in an answer: by class, then from the top; from the top; as in the source."),
    ] = "category"
    categories: Annotated[
        str | None,
        msgspec.Meta(
            description="The classes in their order: a COCO file, or names, one a line.  [default: see above]",
            extra={"path": True, "metavar": "FILE"},
        ),
    ] = None
    coco_out: Annotated[
        str | None,
        msgspec.Meta(
            description="Also write a COCO file with the rows' ids, for `groundswift eval coco-map --gt`; as soon as the source is read.",
            extra={"path": True, "metavar": "FILE"},
        ),
    ] = None


class Label(msgspec.Struct, gc=False):
    """One label. `where` it stands, such as `labels/7.txt:3`; `rank` of its class; `text` for hotcoco, as its format has it.

    `ignored`: no target and no absence either, as a crowd box. `box_xywh`: where hotcoco would stop at the numbers, the box as it
    stands, for the rows' own check to tell.
    """

    where: str
    rank: int
    text: str
    ignored: bool = False
    box_xywh: Box | None = None


class Labelled(msgspec.Struct):
    """A picture and its labels. `name` lies in the folder of the pictures; `stated_wh` in px, None where only the picture says.

    `unreadable`: a label of it could not be read, which has been noted.
    """

    name: str
    labels: list[Label]
    stated_wh: tuple[int, int] | None = None
    unreadable: bool = False


class PlacedAnnotation(CocoAnnotation, gc=False):
    """An annotation that says where it stands in the source."""

    place: str = ""

    def where(self) -> str:
        return self.place


Size = tuple[int, int]
Write = Callable[[Path, Sequence[Label]], Any]  # (an empty folder, labels) -> what hotcoco made of them, in their order


def labels_reading(
    labelled: Sequence[Labelled],
    names: Sequence[str],
    read: Write,
    options: HotcocoOptions,
    pictures: ImageFolder,
    pool: WorkerPool,
    log: IssueLog,
    fractions: bool = False,
) -> Reading:
    """What the engine runs: labels -> boxes -> rows. `fractions`: hotcoco gives fractions of the picture, not px.

    All pictures are looked at here where one states no size, or where --coco-out is to hold the images that rows are made of; else when
    their rows are made. Raises GroundswiftError where nothing is left, or hotcoco says otherwise.
    """
    labelled = sorted(labelled, key=lambda each: each.name)[: options.limit]
    unstated = any(each.stated_wh is None for each in labelled)
    first = pictures.check and (options.coco_out is not None or unstated)
    sizes_wh = sizes_of(labelled, ImageFolder(pictures.folder, first), pool if first or unstated else WorkerPool(), log)
    coco = coco_of(labelled, sizes_wh, names, read, log, fractions)
    if not coco.images:
        log.settle(options.annotations)
        if labelled:
            raise log.nothing_left(options.annotations, "no image is left to make a row of")
    coco = with_class_edits(coco, options, options.annotations, log)
    reading = detection_reading(coco, options, ImageFolder(pictures.folder, pictures.check and not first), log)
    if options.coco_out is not None:
        write_coco(coco, options.coco_out, log)
    return reading


def sizes_of(labelled: Sequence[Labelled], pictures: ImageFolder, pool: WorkerPool, log: IssueLog) -> Iterator[Size | None]:
    """The size (width, height) in px of each picture; None, and it is noted, where it cannot be used or came just before. Processes share
    the looking."""
    earlier = [None, *(each.name for each in labelled)]
    asked = [not each.unreadable and each.name != before for each, before in zip(labelled, earlier, strict=False)]
    wanted = [(number, each.name, each.stated_wh) for number, each in enumerate(labelled, 1) if asked[number - 1]]
    tasks = (wanted[start : start + LOOKS] for start in range(0, len(wanted), LOOKS))
    looks = chain.from_iterable(pool.in_order(tasks, partial(sizes_here, pictures, "skip" if log.skipping else "stop")))
    for one in tqdm(asked, desc="look", unit="image", disable=None):
        size_wh, found = next(looks) if one else (None, IssueLog())
        log.merge(found)
        yield size_wh


def sizes_here(
    pictures: ImageFolder, on_error: OnError, wanted: Sequence[tuple[int, str, Size | None]]
) -> list[tuple[Size | None, IssueLog]]:
    """What `sizes_of` does, for some pictures by their number, name and stated size; each with its notes."""
    found = []
    for number, name, stated_wh in wanted:
        log = IssueLog(on_error)
        if half_character(name):
            log.add(Issue("name not UTF-8", ascii(name), "a file name that is no UTF-8 text", "a name that a row can hold"))
            seen = None
        else:
            seen = pictures.find(name, f"image {number} ({name})", log, stated_wh, size_needed=True)
        found.append((seen and seen.size_wh, log))
    return found


def coco_of(
    labelled: Sequence[Labelled], sizes_wh: Iterable[Size | None], names: Sequence[str], read: Write, log: IssueLog, fractions: bool
) -> CocoFile:
    """All that can be used, as a COCO file. `labelled` come in the order of their names; a size is None where a picture cannot be used."""
    images, kept = [], []
    for number, (each, size_wh) in enumerate(zip(labelled, sizes_wh, strict=True), 1):
        if images and images[-1].file_name == each.name:
            log.add(Issue("picture labelled twice", each.name, "labels of it stand in two places", "one place"))
        elif size_wh is not None:
            images.append(CocoImage(number, each.name, *size_wh))
            kept.append(each)
        elif log.skipping:
            if each.unreadable:
                log.count("image with a label that cannot be read, left out", each.name)
            if each.labels:
                log.count(LOST, each.name, len(each.labels))
    boxes = boxes_by_hotcoco((label for each in kept for label in each.labels if label.box_xywh is None), read)
    annotations: list[CocoAnnotation] = []
    for image, each in zip(images, kept, strict=True):
        scale_wh = (image.width, image.height) if fractions else (1, 1)
        found = [
            placed(image, label, (label.box_xywh, label.ignored) if label.box_xywh else next(boxes), scale_wh) for label in each.labels
        ]
        annotations += without_doubles(found, log)
    categories = [CocoCategory(rank + 1, name) for rank, name in enumerate(names)]
    return CocoFile(images, annotations, categories)


def boxes_by_hotcoco(labels: Iterator[Label], read: Write) -> Iterator[tuple[Box, bool]]:
    """(box xywh, whether it is crowd-like) for each label, in their order. Raises GroundswiftError where hotcoco does not read them so."""
    while chunk := list(islice(labels, AT_ONCE)):
        with tempfile.TemporaryDirectory(prefix="groundswift-") as folder, warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # it warns of what it passes over; nothing of that kind is handed to it
            try:
                dataset = read(Path(folder), chunk).dataset
            except (ValueError, OSError, RuntimeError, OverflowError, UserWarning) as error:
                text = str(error).replace(folder, "...")
                raise fault(f"{chunk[0].where} to {chunk[-1].where}", f"hotcoco does not read these labels ({text})") from None
        class_names = {row["id"]: row["name"] for row in dataset["categories"]}
        found = [(class_names[row["category_id"]], row) for row in dataset["annotations"]]
        if [name for name, _ in found] != [f"c{label.rank}" for label in chunk]:
            what = f"hotcoco reads {len(found)} labels of other classes, and {len(chunk)} were given"
            raise fault(f"{chunk[0].where} to {chunk[-1].where}", what, "one box a label, of its class")
        for label, (_, row) in zip(chunk, found, strict=True):
            yield tuple(row["bbox"]), bool(label.ignored or row["iscrowd"] or row.get("is_group_of"))


def placed(image: CocoImage, label: Label, read: tuple[Box, bool], scale_wh: tuple[int, int]) -> PlacedAnnotation:
    """A label as an annotation of its image, in px."""
    (x, y, width, height), crowd = read
    across, down = scale_wh
    box = [round(value, DIGITS) for value in (x * across, y * down, width * across, height * down)]
    return PlacedAnnotation(image.id, label.rank + 1, box, None, box[2] * box[3], int(crowd), place=label.where)


def without_doubles(found: Sequence[PlacedAnnotation], log: IssueLog) -> Iterator[PlacedAnnotation]:
    """The annotations of one image, less those that repeat one exactly, which are counted."""
    seen = set()
    for row in found:
        key = (row.category_id, *row.bbox, row.iscrowd)
        if key in seen:
            log.count("the same box of the same class again, left out", row.place)
            continue
        seen.add(key)
        yield row


def write_coco(coco: CocoFile, path: str, log: IssueLog) -> None:
    """Write a COCO file of what can be evaluated, unless there are faults that nobody skips.

    Ids of annotations are numbers from 1; boxes that cannot be used are left out. Raises GroundswiftError where it cannot be written.
    """
    by_id = {image.id: image for image in coco.images}
    usable = [row for row in coco.annotations if annotation_fault(row, by_id[row.image_id], True) is None]
    if log.collected.counts or (len(usable) < len(coco.annotations) and not log.skipping):
        return
    annotations = [
        OutAnnotation(number, row.image_id, row.category_id, list(map(whole, row.bbox)), whole(round(row.area, DIGITS)), row.iscrowd)
        for number, row in enumerate(usable, 1)
    ]
    images = [OutImage(image.id, image.file_name, image.width, image.height) for image in coco.images]
    out = OutFile(images, annotations, [Category(category.id, category.name) for category in coco.categories])
    write_whole(path, [msgspec.json.encode(out), b"\n"])


def classes_of(options: HotcocoOptions, known: Sequence[str], used: Iterable[str]) -> list[str]:
    """The classes in their order: of the file of --categories, which must have all that are `used`, else those `known`."""
    if options.categories is None:
        return list(known)
    names = [category.name for category in read_categories(options.categories)]
    if unknown := [name for name in used if name not in set(names)]:
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise fault(options.categories, f"lacks {shown}, which {options.annotations} has", "all classes of the labels")
    return names


def ranked(labelled: Iterable[Labelled], met: Iterable[str], names: Sequence[str]) -> list[Labelled]:
    """The same, each label with the place of its class in `names` instead of that among the classes `met`."""
    place_of = {name: place for place, name in enumerate(names)}
    final = [place_of[name] for name in met]
    replace = msgspec.structs.replace
    return [replace(each, labels=[replace(label, rank=final[label.rank]) for label in each.labels]) for each in labelled]


def number_of(text: str | None) -> float | None:
    """A number as both Python and hotcoco read it, NaN and infinity among them; None for anything else."""
    return float(text) if text is not None and NUMBER.fullmatch(text) else None


def refused(x1: float, y1: float, x2: float, y2: float) -> Box | None:
    """A box as xywh where it is inverted or not finite, at which hotcoco's readers stop or do as each likes; None for others."""
    if all(map(math.isfinite, (x1, y1, x2, y2))) and x1 <= x2 and y1 <= y2:
        return None
    return x1, y1, x2 - x1, y2 - y1


def envelope(xs: Sequence[float], ys: Sequence[float]) -> Box:
    """The smallest upright box (x1, y1, x2, y2) around some corners; NaN where one of them is not finite."""
    if not all(map(math.isfinite, (*xs, *ys))):
        return (math.nan,) * 4
    return min(xs), min(ys), max(xs), max(ys)
