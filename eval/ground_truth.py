"""Ground truth: images, classes and boxes as columns, from a COCO file or from plain rows."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, clipped, exact_repeats, xywh_to_xyxy, xyxy_to_xywh
from groundswift.coco_columns import AnnotationColumns, Lookup, usable_annotations, usable_columns
from groundswift.coco_file import (
    REPEATED,
    CocoAnnotation,
    CocoCategory,
    CocoFile,
    CocoImage,
    Ignored,
    ids_of_one_image,
    read_coco,
    structural_problems,
)
from groundswift.coco_ids import OnError, first_of_each_id, one_id_an_image, stop_at, without_roots
from groundswift.coco_lenient import NOT_JSON, Elements, readable_part
from groundswift.coco_pieces import read_columns
from groundswift.errors import GroundswiftError, Tally, error_at

SIZE_WH = attrgetter("width", "height")
TruthRow = tuple[int, tuple[int, int], Sequence[str], Sequence[Sequence[float]]]


@dataclass(frozen=True)
class Federated:
    """What LVIS says besides boxes, class by index. In an image only its annotated classes and those of `negative` were looked for.

    `negative`: (images) lists of classes that were checked and are absent; `not_exhaustive`: of classes of which not every object has a
    box, so that further detections are not false. `frequencies`: (classes) "r", "c" or "f"; "" where the file does not say.
    """

    negative: list[list[int]]
    not_exhaustive: list[list[int]]
    frequencies: list[str]


@dataclass(frozen=True)
class Truth:
    """Images and classes in the order of their ids; boxes in the order of the file, each with the index of its image and class.

    `areas_px2` is what COCO sorts into small, medium and large. A crowd box is neither TP nor FN. A size of 0 x 0 is
    unknown. `copies`: how many exact repeats of an object were skipped, by (image index, class index, bbox xywh). `dropped`: annotations
    that were skipped or changed, by reason.
    """

    image_ids: list[int]
    file_names: list[str]
    sizes_wh: NDArray[np.int64]  # (images, 2)
    category_ids: list[int]
    category_names: list[str]
    image_index: NDArray[np.int64]  # (boxes,)
    category_index: NDArray[np.int64]
    boxes_xywh_px: Boxes
    areas_px2: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    federated: Federated | None = None
    copies: Counter[tuple[int, int, tuple[float, ...]]] = field(default_factory=Counter)
    dropped: Tally = field(default_factory=Tally)


def truth_from_coco(
    coco: CocoFile, path: str | Path = "truth", on_error: OnError = "stop", ignored: Ignored = "keep", dropped: Tally | None = None
) -> Truth:
    """The columns of a COCO file. Area is the annotation's own, or width times height where it has none.

    Exact repeats of an object are skipped, rotated boxes axis-aligned, objects marked ignore treated as `ignored`: counted in
    `dropped`. Raises GroundswiftError where ids or sizes are ambiguous and, unless `on_error` is `skip`, where annotations cannot be used;
    with `skip` those are counted, too.
    """
    tally = dropped or Tally()
    coco = without_roots(coco)
    if on_error == "skip":
        coco = CocoFile(coco.images, list(first_of_each_id(coco.annotations, tally)), coco.categories)
    stop_at(structural_problems(coco, path))
    lookup, categories = _lookup(coco)
    problems: list[GroundswiftError] = []
    kept, columns = usable_annotations(coco.annotations, lookup, ignored, path, tally, problems)
    if on_error == "stop":
        stop_at(problems)
    return _truth(lookup, categories, columns, lambda index: kept[index].where(), tally)


def _lookup(coco: CocoFile) -> tuple[Lookup, list[CocoCategory]]:
    """The images and the classes in the order of their ids."""
    images = sorted(coco.images, key=attrgetter("id"))
    categories = sorted(coco.categories, key=attrgetter("id"))
    image_index = {image.id: index for index, image in enumerate(images)}
    category_index = {category.id: index for index, category in enumerate(categories)}
    sizes_wh = np.fromiter(chain.from_iterable(map(SIZE_WH, images)), np.int64, 2 * len(images)).reshape(-1, 2)
    return Lookup(images, sizes_wh, image_index, category_index), categories


def _truth(lookup: Lookup, categories: list[CocoCategory], columns: AnnotationColumns, name: Callable[[int], str], tally: Tally) -> Truth:
    """The ground truth of annotations that can be scored; `name` is that of one of them, by its place."""
    first, copies = _without_repeats(name, columns, lookup.sizes_wh, tally)
    return Truth(
        image_ids=[image.id for image in lookup.images],
        file_names=[image.file_name for image in lookup.images],
        sizes_wh=lookup.sizes_wh,
        category_ids=[category.id for category in categories],
        category_names=[category.name for category in categories],
        **(columns if len(first) == len(columns.is_crowd) else columns.chosen(first))._asdict(),
        federated=_federated(list(lookup.images), categories, lookup.category_index),
        copies=copies,
        dropped=tally,
    )


def _without_repeats(
    name: Callable[[int], str], columns: AnnotationColumns, sizes_wh: NDArray[np.int64], tally: Tally
) -> tuple[NDArray[np.int64], Counter[tuple[int, int, tuple[float, ...]]]]:
    """(the indices of the boxes that are not exact repeats within their image, how often each of the others is repeated)."""
    images, categories, boxes = columns.image_index, columns.category_index, xywh_to_xyxy(columns.boxes_xywh_px)
    sizes = sizes_wh[images].reshape(-1, 2).astype(np.float64)
    sizes[(sizes == 0).any(axis=1)] = np.inf
    repeats = exact_repeats((images, categories, columns.is_crowd), clipped(boxes, sizes) if len(boxes) else boxes)
    copies: Counter[tuple[int, int, tuple[float, ...]]] = Counter()
    for index in np.flatnonzero(repeats).tolist():
        tally.add(REPEATED, name(index))
        copies[int(images[index]), int(categories[index]), tuple(columns.boxes_xywh_px[index].tolist())] += 1
    return np.flatnonzero(~repeats), copies


def _federated(images: list[CocoImage], categories: list[CocoCategory], category_index: dict[int, int]) -> Federated | None:
    """What the file says as LVIS does; None for an ordinary file. Unknown classes are ignored."""
    if all(image.neg_category_ids is None and image.not_exhaustive_category_ids is None for image in images):
        return None

    def indices(ids: list[int] | None) -> list[int]:
        return [category_index[number] for number in ids or () if number in category_index]

    return Federated(
        negative=[indices(image.neg_category_ids) for image in images],
        not_exhaustive=[indices(image.not_exhaustive_category_ids) for image in images],
        frequencies=[each.frequency if each.frequency in ("r", "c", "f") else "" for each in categories],
    )


def read_truth(
    path: str | Path, on_error: OnError = "stop", ignored: Ignored = "keep", needs_images: bool = True, one_id: bool = False
) -> Truth:
    """`truth_from_coco` of a file. `needs_images`: an image without a name or a size is an error; `one_id`: so is one under two ids.

    With `on_error` skip, entries that cannot be read are skipped and counted as the converter does.
    Raises GroundswiftError where it cannot be read or has no images.
    """
    truth = _read_in_pieces(path, on_error, one_id)
    if truth is not None:
        return truth
    tally = Tally()
    coco = read_coco(path, needs_images) if on_error == "stop" else read_readable(path, tally, needs_images)
    if not coco.images:
        what = "none of its images can be read" if tally.counts else "holds no images"
        raise GroundswiftError("\n".join([str(error_at(path, what, "at least one")), *tally.lines()]))
    if one_id:
        coco = one_id_an_image(coco, path, on_error, tally)
    return truth_from_coco(coco, path, on_error, ignored, tally)


def _read_in_pieces(path: str | Path, on_error: OnError, one_id: bool) -> Truth | None:
    """`read_truth` several times as fast; None of a file that is unusual as a whole. Raises as `read_truth` for single annotations."""
    found = read_columns(path)
    if found is None or not found.images:
        return None
    coco, ids = CocoFile(found.images, [], found.categories), np.sort(found.annotations.ids)
    if (ids[1:] == ids[:-1]).any() or structural_problems(coco, path) or (one_id and ids_of_one_image(found.images)):
        return None
    tally, problems = Tally(), []
    lookup, categories = _lookup(coco)
    kept, columns = usable_columns(found.annotations, lookup, path, tally, problems)
    if on_error == "stop":
        stop_at(problems)
    return _truth(lookup, categories, columns, lambda index: f"annotation {kept[index]}", tally)


def truth_of_images(truth: Truth, image_ids: Collection[int]) -> Truth:
    """The ground truth of some of its images, with all classes."""
    chosen = np.isin(np.array(truth.image_ids), list(image_ids))
    kept, new_index = chosen[truth.image_index], np.cumsum(chosen) - 1
    numbers = np.flatnonzero(chosen).tolist()
    federated = truth.federated
    if federated is not None:
        lists = ([each[number] for number in numbers] for each in (federated.negative, federated.not_exhaustive))
        federated = Federated(*lists, federated.frequencies)
    return replace(
        truth,
        image_ids=[truth.image_ids[number] for number in numbers],
        file_names=[truth.file_names[number] for number in numbers],
        sizes_wh=truth.sizes_wh[chosen],
        image_index=new_index[truth.image_index[kept]],
        category_index=truth.category_index[kept],
        boxes_xywh_px=truth.boxes_xywh_px[kept],
        areas_px2=truth.areas_px2[kept],
        is_crowd=truth.is_crowd[kept],
        federated=federated,
        copies=Counter({(int(new_index[key[0]]), *key[1:]): count for key, count in truth.copies.items() if chosen[key[0]]}),
    )


def truth_counts(truth: Truth) -> dict[str, Any]:
    """The size of the ground truth, and its annotations that were dropped or changed, by reason."""
    crowd = int(truth.is_crowd.sum())
    return {
        "images": len(truth.image_ids),
        "truths": len(truth.is_crowd) - crowd,
        "crowd": crowd,
        "annotations_left_out": dict(truth.dropped.counts),
    }


def read_readable(path: str | Path, tally: Tally, needs_images: bool) -> CocoFile:
    """`read_coco`; where that fails at some entries, what is left without them and their images, counted in `tally`.

    Raises GroundswiftError where the file cannot be read even so.
    """
    try:
        return read_coco(path, needs_images)
    except GroundswiftError as error:
        try:
            content = msgspec.json.decode(Path(path).read_bytes().removeprefix(BOM_UTF8), type=Elements)
            return readable_part(path, content, lambda reason, where, *_: tally.add(reason, where), tally, needs_images)
        except (OSError, *NOT_JSON):
            raise error from None


def truth_from_rows(rows: Iterable[TruthRow], categories: Sequence[str] | None = None) -> Truth:
    """Ground truth from rows of (image id, size_wh, labels, boxes xyxy in original pixels), one row an image.

    `categories` names the classes, in order; without it they are the labels that occur, sorted. Area is width times height;
    no box is a crowd. Raises GroundswiftError for a repeated image id, a label outside `categories` or a box that cannot be used.
    """
    rows = list(rows)
    names = sorted({label for _, _, labels, _ in rows for label in labels}) if categories is None else list(categories)
    category_of = {name: number for number, name in enumerate(names, 1)}
    annotations = []
    for image_id, _, labels, boxes_xyxy_px in rows:
        if len(labels) != len(boxes_xyxy_px):
            raise error_at(f"image {image_id}", f"{len(labels)} labels and {len(boxes_xyxy_px)} boxes", "as many of each")
        boxes_xywh_px = xyxy_to_xywh(boxes_xyxy_px).tolist()
        annotations += [CocoAnnotation(image_id, category_of.get(label, 0), box) for label, box in zip(labels, boxes_xywh_px, strict=True)]
    return truth_from_coco(
        CocoFile(
            [CocoImage(image_id, "", *size_wh) for image_id, size_wh, _, _ in rows],
            annotations,
            [CocoCategory(number, name) for name, number in category_of.items()],
        ),
        "truth rows",
    )
