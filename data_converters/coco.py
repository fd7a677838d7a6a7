"""COCO instance files -> detection rows: one image, one question for all classes, one answer.

What is left out is counted, by reason, and never silent:

* A crowd box bounds many objects at once, so it is no target. An image with crowd boxes only gets no row: it is not empty, and to
  answer `None` would teach the opposite of what is to be seen.
* An image without annotations is an honest negative. One whose annotations were all at fault is not, and gets no row either.
* A box that sticks out of its image is cut at the border; by less than 1 px it is the source's rounding, counted apart.
* Repeated ids of images or categories and repeated names make the file ambiguous: those always stop. Any other fault stops too
  (`on_error` stop) or is left out (skip; of annotations that share an id, the first in the file stays).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.coco_file import CocoAnnotation, CocoFile, CocoImage, annotation_fault, read_coco, structural_faults
from groundswift.errors import GroundswiftError, Tally, fault
from groundswift.records import Row, detection_row

from .faults import Fault, Faults, OnError
from .pictures import UPRIGHT, Look, look_at, path_inside
from .prompts import DETECT_ALL, detection_prompt

Count = Annotated[int, msgspec.Meta(ge=0)]
Placed = tuple[int, float, float, float, float]  # rank of the class in the file, then xyxy in px
Looker = Callable[[str, tuple[int, int], str], Look]

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
    "box outside its image": ("bbox {row.bbox} in an image of {image.width}x{image.height} px", "a box that overlaps its image"),
}


class CocoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a file becomes rows. `negatives`: images without annotations, a number keeps at most so many, chosen by `seed`.
    `limit`: only the first images of the file."""

    prompt: str = DETECT_ALL
    order: Literal["category", "reading", "annotation"] = "category"
    negatives: Literal["keep", "drop"] | Count = "keep"
    seed: int = 0
    on_error: OnError = "stop"
    check_images: bool = True
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


def rows_of_coco_file(
    annotations: str | Path, images: str | Path | None, options: CocoOptions, tally: Tally, progress: bool = True
) -> Iterator[Row]:
    """Read an annotation file, look at its pictures in the folder `images` (None: the file's own) and yield rows; see `coco_rows`."""
    from tqdm import tqdm

    coco = read_coco(annotations)
    folder = Path(annotations).parent if images is None else Path(images)
    if options.check_images and not folder.is_dir():
        raise fault(folder, "no such folder", "the folder of the pictures (--images), or --no-check-images")
    bar = partial(tqdm, desc="convert", unit="image", disable=None if progress else True)
    return coco_rows(coco, annotations, str(folder.resolve()), options, tally, look_at if options.check_images else None, bar)


def coco_rows(
    coco: CocoFile,
    source: str | Path,
    folder: str,
    options: CocoOptions,
    tally: Tally,
    look: Looker | None = None,
    progress: Callable[[Sequence[CocoImage]], Iterable[CocoImage]] = iter,
) -> Iterator[Row]:
    """One row an image, in the file's order. `source` names the file in errors, `folder` holds the pictures, `look` sees one.

    `tally` is complete, and with `on_error` stop the rows are good, once the iterator has ended: that is when it raises
    GroundswiftError with all faults. What makes the file ambiguous is raised at the first row.
    """
    check_structure(coco, source)
    names = [category.name for category in coco.categories]
    prompt = detection_prompt(options.prompt, names)
    ranks = {category.id: rank for rank, category in enumerate(coco.categories)}
    faults = Faults(source, options.on_error, tally)
    by_image = annotations_by_image(coco, faults)
    images = coco.images[: options.limit]
    dropped = dropped_negatives([image.id for image in images if image.id not in by_image], options.negatives, options.seed)
    made = 0
    for image in progress(images):
        if image.id in dropped:
            tally.add("image without objects, dropped", image.file_name)
            continue
        annotations = by_image.get(image.id)
        path = picture_path(image, folder, look, faults, tally)
        if path is None and faults.skipping:
            if annotations:
                tally.add("annotation of an image that was left out", image.file_name, len(annotations))
            continue
        placed = placed_objects(image, annotations or (), ranks, options.order, faults, tally)
        if annotations is not None and not placed:
            crowded = any(row.iscrowd for row in annotations)
            tally.add("image with crowd boxes only" if crowded else "image whose annotations were all at fault", image.file_name)
        elif path is not None:
            made += 1
            labels = [names[rank] for rank, *_ in placed]
            yield detection_row(image.id, path, (image.width, image.height), prompt, labels, [box for _, *box in placed])
    faults.settle()
    if not made:
        raise GroundswiftError("\n".join([f"{source}: no image is left to make a row of", *tally.lines()]))


def check_structure(coco: CocoFile, source: str | Path) -> None:
    """Raises GroundswiftError where ids or names are ambiguous, or where there is nothing to ask for."""
    if not coco.images or not coco.categories:
        raise fault(source, f"{len(coco.images)} images and {len(coco.categories)} categories", "at least one of each")
    # Without its annotations: an annotation's own id joins nothing, so a repeated one is an ordinary fault.
    found = structural_faults(msgspec.structs.replace(coco, annotations=[]), source)
    if found:
        shown = [str(each) for each in found[:10]] + ([f"... and {len(found) - 10} more"] if len(found) > 10 else [])
        raise GroundswiftError("\n".join([*shown, "this must be mended in the file: --on-error skip cannot tell which one is meant"]))


def annotations_by_image(coco: CocoFile, faults: Faults) -> dict[int, list[CocoAnnotation]]:
    """Image id -> its annotations in the file's order, less those with an unknown image or an id that came before.

    An image whose annotations all went still has its (empty) list: it is not a negative.
    """
    known = {image.id for image in coco.images}
    by_image: dict[int, list[CocoAnnotation]] = {}
    seen: set[int] = set()
    for row in coco.annotations:
        if row.image_id not in known:
            faults.add(annotation_problem("unknown image", row, None))
            continue
        rows = by_image.setdefault(row.image_id, [])
        if row.id is not None:
            if row.id in seen:
                thing = f"annotation {row.id} on image {row.image_id}"
                faults.add(Fault("annotation id repeated", thing, "an earlier annotation has this id", "each id once"))
                continue
            seen.add(row.id)
        rows.append(row)
    return by_image


def dropped_negatives(image_ids: Sequence[int], negatives: str | int, seed: int) -> set[int]:
    """Ids of the images without annotations that get no row."""
    if negatives == "keep":
        return set()
    wanted = 0 if negatives == "drop" else min(int(negatives), len(image_ids))
    return set(image_ids) - set(random.Random(seed).sample(list(image_ids), wanted))


def picture_path(image: CocoImage, folder: str, look: Looker | None, faults: Faults, tally: Tally) -> str | None:
    """Absolute path of an image's picture; None where it has a fault."""
    thing = f"image {image.id} ({image.file_name})"
    path = path_inside(folder, image.file_name)
    if path is None:
        expected = "the name of a file inside the folder of the pictures"
        faults.add(Fault("image path leaves its folder", thing, f"file_name {image.file_name!r} with {folder}", expected))
        return None
    if look is None:
        return path
    orientation, problem = look(path, (image.width, image.height), thing)
    if problem:
        faults.add(problem)
        return None
    if orientation != UPRIGHT:
        tally.add("image turned by its EXIF orientation", image.file_name)
    return path


def placed_objects(
    image: CocoImage, annotations: Iterable[CocoAnnotation], ranks: dict[int, int], order: str, faults: Faults, tally: Tally
) -> list[Placed]:
    """The objects to be found on an image, cut at its borders and ordered; crowd boxes and faults are left out and counted."""
    placed: list[Placed] = []
    for row in annotations:
        reason = annotation_fault(row, image, row.category_id in ranks)
        if reason:
            faults.add(annotation_problem(reason, row, image))
        elif row.iscrowd:
            tally.add("crowd box, kept out of the target", row.where())
        else:
            x, y, width, height = row.bbox
            placed.append((ranks[row.category_id], *cut(x, y, x + width, y + height, image, row, tally)))
    if ORDERS[order]:
        placed.sort(key=ORDERS[order])
    return placed


def cut(
    x1: float, y1: float, x2: float, y2: float, image: CocoImage, row: CocoAnnotation, tally: Tally
) -> tuple[float, float, float, float]:
    """A box in px within the borders of its image; what was cut off is counted."""
    over = max(-x1, -y1, x2 - image.width, y2 - image.height)
    if over <= 0:
        return x1, y1, x2, y2
    tally.add("box clipped to its image" if over >= 1 else "box clipped by less than 1 px (rounding)", row.where())
    return max(x1, 0), max(y1, 0), min(x2, image.width), min(y2, image.height)


def annotation_problem(reason: str, row: CocoAnnotation, image: CocoImage | None) -> Fault:
    """The fault of an annotation, with what stands there and what should."""
    what, expected = EXPECTED[reason]
    thing = row.where() if image is None or row.id is None else f"annotation {row.id} on image {image.id} ({image.file_name})"
    return Fault(reason, thing, what.format(row=row, image=image), expected)
