"""Ground truth: images, classes and boxes as columns, from a COCO file or from plain rows."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes, clipped, exact_repeats, xywh_to_xyxy, xyxy_to_xywh
from groundswift.coco_columns import AnnotationColumns, Lookup, usable_annotations
from groundswift.coco_file import (
    ONE_IMAGE,
    REPEATED,
    SAME_ID,
    CocoAnnotation,
    CocoCategory,
    CocoFile,
    CocoImage,
    Ignored,
    empty_roots,
    ids_of_one_image,
    joined_images,
    read_coco,
    structural_problems,
)
from groundswift.coco_lenient import NOT_JSON, Elements, readable_part
from groundswift.errors import GroundswiftError, Tally, error_at

OnError = Literal["stop", "skip"]
TruthRow = tuple[int, tuple[int, int], Sequence[str], Sequence[Sequence[float]]]
SHOWN = 5  # problems that an error lists before it gives their count


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
    coco = _without_roots(coco)
    if on_error == "skip":
        coco = CocoFile(coco.images, list(_first_of_each_id(coco.annotations, tally)), coco.categories)
    _stop_at(structural_problems(coco, path))
    images = sorted(coco.images, key=attrgetter("id"))
    categories = sorted(coco.categories, key=attrgetter("id"))
    image_index = {image.id: index for index, image in enumerate(images)}
    category_index = {category.id: index for index, category in enumerate(categories)}
    sizes_wh = np.array([(image.width, image.height) for image in images], dtype=np.int64).reshape(-1, 2)
    problems: list[GroundswiftError] = []
    lookup = Lookup(images, sizes_wh, image_index, category_index)
    kept, columns = usable_annotations(coco.annotations, lookup, ignored, path, tally, problems)
    if on_error == "stop":
        _stop_at(problems)
    first, copies = _without_repeats(kept, columns, sizes_wh, tally)
    return Truth(
        image_ids=[image.id for image in images],
        file_names=[image.file_name for image in images],
        sizes_wh=sizes_wh,
        category_ids=[category.id for category in categories],
        category_names=[category.name for category in categories],
        **columns.chosen(first)._asdict(),
        federated=_federated(images, categories, category_index),
        copies=copies,
        dropped=tally,
    )


def _without_roots(coco: CocoFile) -> CocoFile:
    """The file without a root class that has the name of another one, as Roboflow's exports may have it."""
    names = Counter(each.name for each in coco.categories)
    if not any(count > 1 for count in names.values()):
        return coco
    roots = {each.id for each in empty_roots(coco.categories, {row.category_id for row in coco.annotations}) if names[each.name] > 1}
    return CocoFile(coco.images, coco.annotations, [each for each in coco.categories if each.id not in roots])


def _first_of_each_id(annotations: Iterable[CocoAnnotation], tally: Tally) -> Iterator[CocoAnnotation]:
    """The annotations but those with the id of an earlier one, as the converter skips them."""
    seen: set[int] = set()
    for row in annotations:
        if row.id is not None and row.id in seen:
            tally.add(SAME_ID, f"annotation {row.id} on image {row.image_id}")
            continue
        seen.add(row.id)
        yield row


def _one_id_an_image(coco: CocoFile, path: str | Path, on_error: OnError, tally: Tally) -> CocoFile:
    """The file with one id for each image, as the converter makes rows of it. Raises GroundswiftError unless `on_error` is skip."""
    first_ids = ids_of_one_image(coco.images)
    what = "are one image by their file_name"
    if on_error == "stop":
        expected = "one id for each image, or --on-error skip, which joins their objects"
        _stop_at([error_at(path, f"image ids {first} and {number} {what}", expected) for number, first in first_ids.items()])
    for number, first in first_ids.items():
        tally.add(ONE_IMAGE, f"image ids {first} and {number}")
    return joined_images(coco, first_ids) if first_ids else coco


def _without_repeats(
    rows: list[CocoAnnotation], columns: AnnotationColumns, sizes_wh: NDArray[np.int64], tally: Tally
) -> tuple[NDArray[np.int64], Counter[tuple[int, int, tuple[float, ...]]]]:
    """(the indices of the boxes that are not exact repeats within their image, how often each of the others is repeated)."""
    images, categories, boxes = columns.image_index, columns.category_index, xywh_to_xyxy(columns.boxes_xywh_px)
    sizes = sizes_wh[images].reshape(-1, 2).astype(np.float64)
    sizes[(sizes == 0).any(axis=1)] = np.inf
    repeats = exact_repeats((images, categories, columns.is_crowd), clipped(boxes, sizes) if len(boxes) else boxes)
    copies: Counter[tuple[int, int, tuple[float, ...]]] = Counter()
    for index in np.flatnonzero(repeats).tolist():
        tally.add(REPEATED, rows[index].where())
        copies[int(images[index]), int(categories[index]), tuple(rows[index].bbox)] += 1
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


def _stop_at(problems: list[GroundswiftError]) -> None:
    if not problems:
        return
    shown = "\n  ".join(str(one) for one in problems[:SHOWN])
    if len(problems) == 1:
        raise problems[0]
    raise GroundswiftError(f"{len(problems)} problems in the ground truth:\n  {shown}" + ("\n  ..." if len(problems) > SHOWN else ""))


def read_truth(
    path: str | Path, on_error: OnError = "stop", ignored: Ignored = "keep", needs_images: bool = True, one_id: bool = False
) -> Truth:
    """`truth_from_coco` of a file. `needs_images`: an image without a name or a size is an error; `one_id`: so is one under two ids.

    With `on_error` skip, entries that cannot be read are skipped and counted as the converter does.
    Raises GroundswiftError where it cannot be read or has no images.
    """
    tally = Tally()
    coco = read_coco(path, needs_images) if on_error == "stop" else read_readable(path, tally, needs_images)
    if not coco.images:
        what = "none of its images can be read" if tally.counts else "holds no images"
        raise GroundswiftError("\n".join([str(error_at(path, what, "at least one")), *tally.lines()]))
    if one_id:
        coco = _one_id_an_image(coco, path, on_error, tally)
    return truth_from_coco(coco, path, on_error, ignored, tally)


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
