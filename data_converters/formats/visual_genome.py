"""Visual Genome: region_descriptions.json or objects.json -> rows; swift 2.x had the regions as the dataset ref4-gnome.

* A region is one phrase and one box (x, y, width, height in px): a row each. The file repeats a few phrases with the same box: one row is
  enough. With another box a phrase stays: two annotators drew what they meant by it.
* An object has a box and a name, or several synonyms (the first describes it). To find, each name is asked for once per image, and all its
  boxes are the answer, from the top edge down; names are compared without case.
* Some boxes begin at -1 or end beyond the border. Images are IMAGE_ID.jpg; image_data.json has their sizes and folders.

A file is one JSON list. It is memory-mapped and decoded image by image, so that little of it is in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from groundswift.records import Row
from groundswift.urls import shown
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, Reading, path_option
from ..file_io.box_checks import Box, FoundImage, ImageFolder, fitted_box
from ..file_io.mmap_json import NOT_JSON, read_mapped
from ..file_io.row_files import Sourced
from ..issues import Issue, IssueLog
from ..tasks.conversation import RowMaker
from ..tasks.referring import Referring, ReferringOptions, clean_phrase, first_existing

FOLDERS = ("VG_100K/", "VG_100K_2/")
Side = Annotated[int, msgspec.Meta(ge=1)]


class Region(msgspec.Struct):
    """A phrase and its box in px; the oldest files have `id` and `image` for `region_id` and `image_id`."""

    phrase: str
    x: float
    y: float
    width: float
    height: float
    region_id: int | None = None
    id: int | None = None
    image_id: int | None = None
    image: int | None = None


class NamedObject(msgspec.Struct, rename={"width": "w", "height": "h"}):
    """An object and its box in px; the oldest files have `id` for `object_id`."""

    names: list[str]
    x: float
    y: float
    width: float
    height: float
    object_id: int | None = None
    id: int | None = None


class WithId(msgspec.Struct):
    """An image by its id, which has one of two names."""

    image_id: int | None = None
    id: int | None = None

    @property
    def own_id(self) -> int | None:
        """The id by either name."""
        return first(self.image_id, self.id)


class ImageEntry(WithId):
    """An image of either file, its regions or objects kept encoded."""

    regions: list[msgspec.Raw] | None = None
    objects: list[msgspec.Raw] | None = None


class ImageData(WithId, kw_only=True):
    """An image of image_data.json: its size in px, and its URL, which ends in VG_100K/1.jpg or VG_100K_2/1.jpg."""

    width: Side
    height: Side
    url: str = ""


class StatedImage(NamedTuple):
    """Size (width, height) in px and folder of an image by image_data.json; no folder is an empty text."""

    size_wh: tuple[int, int]
    folder: str


class VisualGenomeOptions(ReferringOptions, frozen=True, kw_only=True):
    """Turn Visual Genome's regions or objects into rows that ask for the boxes of a phrase or name, or for the phrase or name of a box.

    SOURCE is region_descriptions.json or objects.json, of any version. DIR is the folder of the images, or the one that
    contains VG_100K/ and VG_100K_2/. Boxes come out as x1, y1, x2, y2 in pixels of the upright image.

    \b
    sample_id:
      a region                vg/IMAGE/REGION
      an object to describe   vg/IMAGE/object/OBJECT
      a name to find          vg/IMAGE/objects/NAME; all boxes of the name are the answer, from the top edge down

    Dropped or changed, and counted: blank phrases and names; a duplicate phrase and box, or name and box, of an image;
    whitespace within a phrase is normalized; boxes that extend beyond their image are clipped.

    \b
    Example:
      groundswift convert visual-genome region_descriptions.json --image-data image_data.json --images vg/ --out regions.jsonl
    """

    name, summary = "visual-genome", "Visual Genome regions or objects."
    reads, writes = "Visual Genome: region_descriptions.json, objects.json", "referring (find), describing"
    EXAMPLE = {
        "region_descriptions.json": [
            {"id": 1, "regions": [{"region_id": 11, "image_id": 1, "x": 1, "y": 1, "width": 3, "height": 4, "phrase": "a cat"}]}
        ],
        "image_data.json": [{"image_id": 1, "url": "https://host/VG_100K_2/1.jpg", "width": 8, "height": 6}],
        "vg/VG_100K_2/1.jpg": EXAMPLE_IMAGE,
    }

    image_data: Annotated[str | None, path_option("image_data.json, to compare sizes with.")] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        images, questions = self.image_folder(), self.questions()
        stated = read_image_data(self.image_data, log) if self.image_data is not None else {}
        entries = read_entries(self.annotations)
        make = GenomeMaker(Referring(self.task, questions), images, stated)
        return Reading(images_once(entries), make, len(entries), "image")


class GenomeMaker(RowMaker, frozen=True):
    """Makes the rows of one image. `stated`: image_data.json by the id of the image."""

    referring: Referring
    images: ImageFolder
    stated: dict[int, StatedImage]

    def rows(self, where: str, source: bytes, log: IssueLog) -> Iterator[Row]:
        entry = decoded(where, source, ImageEntry, "an image with regions or objects", log)
        if entry is None:
            return
        image_id = entry.own_id
        thing = f"{where} (image {image_id})"
        if image_id is None or (entry.regions is None) == (entry.objects is None):
            what = "no image_id, or not one of regions and objects"
            log.add(Issue("image-unreadable", thing, what, "image_id, and regions or objects"))
            return
        parts = entry.regions if entry.regions is not None else entry.objects
        if not parts:
            log.count("image-without-regions", thing)
            return
        image = self.image(image_id, thing, log)
        if image is not None:
            yield from (self.region_rows if entry.regions is not None else self.object_rows)(image_id, parts, image, log)
        elif log.skipping:
            log.count("region-image-skipped", thing, len(parts))

    def image(self, image_id: int, thing: str, log: IssueLog) -> FoundImage | None:
        """An image by its id; None, and an issue is logged, where it cannot be used."""
        stated = self.stated.get(image_id)
        names = [f"{folder}{image_id}.jpg" for folder in dict.fromkeys([stated.folder if stated else "", "", *FOLDERS])]
        return self.images.find(first_existing(self.images, names), thing, log, stated and stated.size_wh)

    def region_rows(self, image_id: int, parts: Sequence[msgspec.Raw], image: FoundImage, log: IssueLog) -> Iterator[Row]:
        """A row for each region."""
        seen: set[tuple[str, Box]] = set()
        for thing, region_id, region, box_xyxy in parts_once("region", image_id, parts, log):
            stated_image = first(region.image_id, region.image, image_id)
            if stated_image != image_id:
                log.add(Issue("region-other-image", thing, f"image_id {stated_image}", f"image_id {image_id}"))
                continue
            phrase = clean_phrase(region.phrase, thing, log)
            box = phrase and fitted_box(box_xyxy, image.size_wh, thing, log)
            if box and (phrase, box) in seen:
                log.count("region-repeated", thing)
            elif box:
                seen.add((phrase, box))
                yield self.referring.row(f"vg/{image_id}/{region_id}", phrase, [box], image)

    def object_rows(self, image_id: int, parts: Sequence[msgspec.Raw], image: FoundImage, log: IssueLog) -> Iterator[Row]:
        """A row for each object, or for each name."""
        by_name: dict[str, tuple[str, list[Box]]] = {}
        for thing, object_id, each, box_xyxy in parts_once("object", image_id, parts, log):
            names = [name for text in each.names if (name := clean_phrase(text, thing, log))]
            if not each.names:
                log.count("object-without-name", thing)
            box = names and fitted_box(box_xyxy, image.size_wh, thing, log)
            for name in dict.fromkeys(names if self.referring.task == "find" else names[:1]) if box else ():
                boxes = by_name.setdefault(name.casefold(), (name, []))[1]
                if box in boxes:
                    log.count("object-repeated", thing)
                    continue
                boxes.append(box)
                if self.referring.task == "describe":
                    yield self.referring.row(f"vg/{image_id}/object/{object_id}", name, [box], image)
        for key, (name, boxes) in by_name.items() if self.referring.task == "find" else ():
            boxes.sort(key=lambda box: (box[1], box[0]))
            yield self.referring.row(f"vg/{image_id}/objects/{key}", name, boxes, image)


KINDS = {  # what an image has -> its struct, and its fields
    "region": (Region, "region_id, phrase, x, y, width and height"),
    "object": (NamedObject, "object_id, names, x, y, w and h"),
}


def parts_once(kind: str, image_id: int, parts: Sequence[msgspec.Raw], log: IssueLog) -> Iterator[tuple[str, int, Any, Box]]:
    """(its place, its id, itself, its box xyxy in px) for each region or object that can be read and whose id is new; issues of the others
    are logged."""
    ids: set[int] = set()
    for index, text in enumerate(parts):
        place = f"{kind} {index} of image {image_id}"
        each = decoded(place, text, *KINDS[kind], log)
        if each is None:
            continue
        own_id = first(getattr(each, f"{kind}_id"), each.id)
        if own_id is None or own_id in ids:
            log.add(Issue(f"{kind}-id-invalid", place, f"{kind}_id {own_id}", "each id once"))
        else:
            ids.add(own_id)
            box_xyxy = each.x, each.y, each.x + each.width, each.y + each.height
            yield f"{kind} {own_id} of image {image_id}", own_id, each, box_xyxy


def decoded(place: str, text: bytes | msgspec.Raw, kind: type, expected: str, log: IssueLog) -> Any:
    """A part of the source as a struct; None, and an issue is logged, where it is malformed."""
    try:
        return msgspec.json.decode(text, type=kind)
    except NOT_JSON as error:
        log.add(Issue("entry-unreadable", place, str(error), expected))
        return None


def read_entries(path: str) -> list[Sourced]:
    """The elements of a file that is one JSON list, undecoded. Raises GroundswiftError where it cannot be read as one."""
    elements = read_mapped(path, list[msgspec.Raw], "a JSON file of Visual Genome: a list with an entry for each image")
    return [Sourced(f"{shown(path)}: entry {number}", element) for number, element in enumerate(elements, 1)]


def images_once(entries: Iterable[Sourced]) -> Iterator[Sourced | Issue]:
    """The entries as bytes, which can be pickled, with an Issue in place of each whose image id came before."""
    seen: set[int] = set()
    for where, element in entries:
        try:
            image_id = msgspec.json.decode(element, type=WithId).own_id
        except NOT_JSON:  # its maker reports it
            image_id = None
        if image_id is not None and image_id in seen:
            yield Issue("image-id-repeated", where, f"duplicate image id {image_id}", "each image once")
        else:
            seen.add(image_id)
            yield Sourced(where, bytes(element))


def first(*ids: int | None) -> int | None:
    """An id by the first of its names; None where it has none."""
    return next((each for each in ids if each is not None), None)


def read_image_data(path: str, log: IssueLog) -> dict[int, StatedImage]:
    """image_data.json by the id of the image; issues of its entries are logged. Raises GroundswiftError where it cannot be read."""
    stated: dict[int, StatedImage] = {}
    for where, element in read_entries(path):
        entry = decoded(where, element, ImageData, "image_id, width and height", log)
        if entry is None:
            continue
        image_id = entry.own_id
        if image_id is None or image_id in stated:
            log.add(Issue("image-id-invalid", where, f"image_id {image_id}", "each id once"))
            continue
        folder = next((folder for folder in FOLDERS if f"/{folder}" in entry.url), "")
        stated[image_id] = StatedImage((entry.width, entry.height), folder)
    return stated
