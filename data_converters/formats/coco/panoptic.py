"""COCO panoptic files -> detection rows: the boxes of the segments; their masks (PNG) are not read."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np

from groundswift.coco_file import IMAGE_UNKNOWN, SAME_ID, CocoCategory, CocoImage
from groundswift.coco_lenient import LOST, MARRED, NOT_JSON, Elements, readable
from groundswift.errors import error_at
from groundswift.urls import shown
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading, path_option
from ...file_io.mmap_json import read_mapped
from ...issues import Issue, IssueLog
from ...tasks.annotation_table import CocoColumns, Columns
from ...tasks.class_edits import with_class_edits
from ...tasks.detection import DetectionOptions, detection_reading
from ...tasks.label_files import write_coco

EXPECTED = "COCO panoptic: images, categories, and annotations with segments_info"
ENTRY = "image_id, and segments_info with id, category_id and bbox"
Id = Annotated[int, msgspec.Meta(gt=-(1 << 62), lt=1 << 62)]
Mark = int | float | bool


class Segment(msgspec.Struct, gc=False):
    """A segment: `id` is its colour in the mask, and unique in its image; `bbox` xywh in px."""

    id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    iscrowd: Mark = 0


class Segments(msgspec.Struct):
    """All segments of an image."""

    image_id: Id
    segments_info: list[Segment]


class PanopticCategory(msgspec.Struct):
    """A class; `isthing`: objects that can be counted (1), or stuff such as sky (0). Some tools write `is_thing`."""

    id: Id
    name: str
    isthing: Mark | None = None
    is_thing: Mark | None = None

    def thing(self) -> bool | None:
        """Whether it is a class of things; None where the file does not say."""
        mark = self.is_thing if self.isthing is None else self.isthing
        return None if mark is None else bool(mark)


class CocoPanopticOptions(DetectionOptions, frozen=True, kw_only=True):
    """Turn a COCO panoptic file into rows: a question for all classes, for one class each, or for those present.

    A box is the bbox of a segment; the masks (PNG files) are not needed. Segments and classes of stuff (isthing 0: sky, road)
    are skipped and counted; --stuff keep treats them as any other, although the box of stuff is often its whole image.
    iscrowd marks crowd boxes. An image with stuff only is one without objects; an image without an entry is skipped.

    A row keeps its image's id as sample_id. --coco-out writes a COCO instance file with the same ids, for eval coco-map. Rows,
    order and what is skipped are as with coco.

    \b
    Example:
      groundswift convert coco-panoptic panoptic_val2017.json --images val2017/ --out val.jsonl --coco-out val_things.json
    """

    name, summary = "coco-panoptic", "COCO panoptic."
    reads, writes = "COCO panoptic, one JSON file (no masks)", "detection"
    EXAMPLE = {
        "panoptic_val2017.json": {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
            "annotations": [
                {
                    "image_id": 1,
                    "file_name": "a.png",
                    "segments_info": [
                        {"id": 7, "category_id": 1, "bbox": [1, 1, 3, 4], "area": 9, "iscrowd": 0},
                        {"id": 8, "category_id": 2, "bbox": [0, 0, 8, 6], "area": 39, "iscrowd": 0},
                    ],
                }
            ],
            "categories": [{"id": 1, "name": "cat", "isthing": 1}, {"id": 2, "name": "grass", "isthing": 0}],
        },
        "val2017/a.jpg": EXAMPLE_IMAGE,
    }

    stuff: Annotated[Literal["skip", "keep"], msgspec.Meta(description="Segments and classes of stuff: skip, or treat as objects.")] = (
        "skip"
    )
    coco_out: Annotated[str | None, path_option("Also write a COCO file with the rows' ids, for eval coco-map --gt.")] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        content = read_mapped(self.annotations, Elements, EXPECTED)
        categories = self.categories(content)
        images, by_image = images_and_segments(self.annotations, content, log)
        if not images:
            log.settle(self.annotations)
            if log.counted.counts:
                raise log.nothing_left(self.annotations, "nothing to write: no image has segments that can be read")
        stuff = {each.id for each in categories if self.stuff == "skip" and not each.thing()}
        named = [CocoCategory(each.id, each.name) for each in categories if each.id not in stuff]
        columns = columns_of_segments(images, by_image, stuff, log)
        coco = with_class_edits(CocoColumns(images, named, columns), self, self.annotations, log)
        reading = detection_reading(coco, self, self.image_folder(), log)
        if self.coco_out is not None:
            write_coco(coco, self.coco_out, log)
        return reading

    def categories(self, content: Elements) -> list[PanopticCategory]:
        """The classes. Raises GroundswiftError where one cannot be read, or is needed to be things or stuff and does not say which."""
        where = shown(self.annotations)
        try:
            found = [msgspec.json.decode(raw, type=PanopticCategory) for raw in content.categories]
        except NOT_JSON as error:
            raise error_at(where, f"a category cannot be read ({error})", "id, name and isthing") from None
        unclear = next((each for each in found if each.thing() is None), None)
        if unclear and self.stuff == "skip":
            raise error_at(where, f"category {unclear.id} ({unclear.name[:80]}) has no isthing", "0 or 1, or --stuff keep")
        return found


def images_and_segments(path: str, content: Elements, log: IssueLog) -> tuple[list[CocoImage], dict[int, list[Segment]]]:
    """(the images that have an entry of segments, image id -> its segments). An entry that cannot be read takes its image with it."""

    def report(*parts: str) -> None:
        log.add(Issue(*parts))

    images, no_images = readable(content.images, CocoImage, path, "image", "id, file_name, width and height", report)
    entries, no_entries = readable(content.annotations, Segments, path, "annotation", ENTRY, report)
    lost, marred = ({ids.id for ids in no_images if type(ids.id) is int}, {ids.image_id for ids in no_entries if type(ids.image_id) is int})
    known, by_image = {image.id for image in images}, {}
    for entry in entries:
        where = f"segments of image {entry.image_id}"
        if entry.image_id in lost:
            log.count(LOST, where, len(entry.segments_info))
        elif entry.image_id not in known:
            log.add(Issue(IMAGE_UNKNOWN.id, where, f"image_id {entry.image_id}", IMAGE_UNKNOWN.expected))
        elif entry.image_id in by_image:
            log.add(Issue("image-labelled-twice", where, "a second entry of this image", "one entry per image"))
        else:
            by_image[entry.image_id] = entry.segments_info
    for image in images:
        if image.id in marred:
            log.count(MARRED, image.file_name)
        elif image.id not in by_image:
            log.count("image-unlabelled", image.file_name)
    return [image for image in images if image.id in by_image and image.id not in marred], by_image


def columns_of_segments(images: list[CocoImage], by_image: dict[int, list[Segment]], stuff: set[int], log: IssueLog) -> Columns:
    """The segments of some images as columns, without those of stuff."""
    kept: list[tuple[int, Segment, str]] = []
    for image in images:
        seen: set[int] = set()
        for each in by_image[image.id]:
            where = f"segment {each.id} of image {image.id} ({image.file_name})"
            if each.id in seen:
                log.add(Issue(SAME_ID, where, "an earlier segment of the image has this id", "each id once"))
            elif each.category_id in stuff:
                log.count("stuff-skipped", where)
            else:
                kept.append((image.id, each, where))
            seen.add(each.id)
    return Columns(
        ids=np.arange(len(kept)),
        image_ids=np.array([image_id for image_id, _, _ in kept], np.int64),
        category_ids=np.array([each.category_id for _, each, _ in kept], np.int64),
        boxes_xywh_px=np.array([each.bbox for _, each, _ in kept], np.float64).reshape(-1, 4),
        crowds=np.array([bool(each.iscrowd) for _, each, _ in kept], bool),
        places=np.array([where for _, _, where in kept], object),
    )
