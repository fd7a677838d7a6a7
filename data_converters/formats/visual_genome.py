"""Visual Genome: region_descriptions.json or objects.json -> rows; users of swift 2.x knew the regions as the set ref4-gnome.

* A region is one phrase and one box (x, y, width, height): a row each. The same phrase with the same box stands in the file twice or
  more here and there: once is enough. With another box it stays: two people drew what they meant by it.
* An object has a box and a name, or several names that mean the same (the first describes it). To find, a name is asked for once an
  image, and all its boxes are the answer, from the top edge down; small and capital letters make no two names.
* Boxes begin at -1 here and there, or end beyond the border: they are cut there. Phrases may be blank: those get no row.
* Pictures are IMAGE_ID.jpg, in VG_100K or VG_100K_2; image_data.json has their sizes, and says which.

One file is one JSON list: it is mapped, and images are decoded one after the other from there, so that little lies in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec

from groundswift.records import Row
from groundswift.storage import shown

from ..base import Reading
from ..file_io.box_checks import Box, ImageFolder, fitted_box
from ..file_io.mmap_json import NOT_JSON, read_mapped
from ..issues import Issue, IssueLog
from ..tasks.referring import Picture, Referring, ReferringOptions, clean_phrase, first_there

FOLDERS = ("VG_100K", "VG_100K_2")
Side = Annotated[int, msgspec.Meta(ge=1)]


class Region(msgspec.Struct):
    """A phrase and its box in px; `id` and `image` are what the oldest files call `region_id` and `image_id`."""

    phrase: str
    x: float
    y: float
    width: float
    height: float
    region_id: int | None = None
    id: int | None = None
    image_id: int | None = None
    image: int | None = None


class Thing(msgspec.Struct):
    """An object; `id` is what the oldest files call `object_id`."""

    names: list[str]
    x: float
    y: float
    w: float
    h: float
    object_id: int | None = None
    id: int | None = None


class GenomeImage(msgspec.Struct):
    """An image of either file, its parts left encoded; the image's id has one of two names."""

    image_id: int | None = None
    id: int | None = None
    regions: list[msgspec.Raw] | None = None
    objects: list[msgspec.Raw] | None = None


class ImageData(msgspec.Struct):
    """An image of image_data.json: its size in px, and its address, which ends in VG_100K/1.jpg or VG_100K_2/1.jpg."""

    width: Side
    height: Side
    image_id: int | None = None
    id: int | None = None
    url: str = ""


class Known(NamedTuple):
    """What image_data.json says of an image: size (width, height) in px, and folder, where it says one."""

    size_wh: tuple[int, int]
    folder: str | None


class Encoded(NamedTuple):
    """An image of the source, undecoded, and where it stands."""

    where: str
    text: bytes


class VisualGenomeOptions(ReferringOptions, frozen=True, kw_only=True):
    """Turn Visual Genome's regions or objects into rows: a phrase or a name and its boxes, either asked for.

    SOURCE is region_descriptions.json or objects.json, of any version. DIR is the folder of the pictures, or the one that holds
    VG_100K/ and VG_100K_2/. Boxes come out as x1, y1, x2, y2 in pixels of the upright picture.

    \b
    sample_id:
      a region                vg/IMAGE/REGION
      an object to describe   vg/IMAGE/object/OBJECT
      a name to find          vg/IMAGE/objects/NAME; all boxes of the name are the answer, from the top edge down

    Left out or changed, and counted: blank phrases and names; a phrase and box, or a name and box, that stand twice in an
    image; blanks within a phrase are tidied; boxes that stick out of their image are cut at its border.

    Faults: a box that cannot be used; a phrase that holds one of swift's tags or a control character; an entry of another
    shape; a picture that is missing, unreadable or of another size than --image-data says; a repeated id of an image, a region
    or an object.

    \b
    Example:
      groundswift convert visual-genome region_descriptions.json --image-data image_data.json --images vg/ --out regions.jsonl
    """

    image_data: Annotated[
        str | None,
        msgspec.Meta(description="image_data.json, to compare sizes with.", extra={"path": True, "metavar": "FILE"}),
    ] = None

    def read(self, log: IssueLog) -> Reading:
        pictures, questions = self.pictures(), self.questions()
        known = read_image_data(self.image_data, log) if self.image_data is not None else {}
        encoded = read_encoded(self.annotations)
        make = GenomeMaker(Referring(self.task, questions), pictures, known)
        return Reading(images_once(encoded), make, len(encoded), "image")


class GenomeMaker(msgspec.Struct, frozen=True):
    """Makes the rows of one image. `known`: what image_data.json says, by the id of the image."""

    referring: Referring
    pictures: ImageFolder
    known: dict[int, Known]

    def __call__(self, item: Encoded, log: IssueLog) -> Iterator[Row]:
        image = decoded(item.where, item.text, GenomeImage, "an image with regions or objects", log)
        if image is None:
            return
        image_id = first(image.image_id, image.id)
        thing = f"{item.where} (image {image_id})"
        if image_id is None or (image.regions is None) == (image.objects is None):
            what = "no image_id, or not one of regions and objects"
            log.add(Issue("image unreadable", thing, what, "image_id, and regions or objects"))
            return
        parts = image.regions if image.regions is not None else image.objects
        if not parts:
            log.count("image without regions or objects", thing)
            return
        picture = self.picture(image_id, thing, log)
        if picture is None:
            if log.skipping:
                log.count("region or object of an image that was left out", thing, len(parts))
        elif image.regions is not None:
            yield from self.of_regions(image_id, parts, picture, log)
        else:
            yield from self.of_objects(image_id, parts, picture, log)

    def picture(self, image_id: int, thing: str, log: IssueLog) -> Picture | None:
        """The picture of an image; None, and a fault is noted, where it cannot be used."""
        known = self.known.get(image_id)
        folders = [known.folder] if known and known.folder else []
        names = [f"{folder}/{image_id}.jpg" for folder in folders] + [f"{image_id}.jpg"]
        names += [f"{folder}/{image_id}.jpg" for folder in FOLDERS if folder not in folders]
        found = self.pictures.find(first_there(self.pictures, names), thing, log, known and known.size_wh)
        return found and Picture(found.path, found.size_wh)

    def of_regions(self, image_id: int, parts: Sequence[msgspec.Raw], picture: Picture, log: IssueLog) -> Iterator[Row]:
        """A row for each region."""
        ids: set[int] = set()
        seen: set[tuple[str, Box]] = set()
        for index, text in enumerate(parts):
            place = f"region {index} of image {image_id}"
            region = decoded(place, text, Region, "region_id, phrase, x, y, width and height", log)
            if region is None:
                continue
            region_id, stated_image = first(region.region_id, region.id), first(region.image_id, region.image, image_id)
            thing = f"region {region_id} of image {image_id}"
            if region_id is None or region_id in ids:
                log.add(Issue("region id repeated or absent", place, f"region_id {region_id}", "each id once"))
                continue
            ids.add(region_id)
            if stated_image != image_id:
                log.add(Issue("region of another image", thing, f"image_id {stated_image}", f"image_id {image_id}"))
                continue
            phrase = clean_phrase(region.phrase, thing, log)
            box = phrase and boxed(region.x, region.y, region.width, region.height, picture, thing, log)
            if not box:
                continue
            if (phrase, box) in seen:
                log.count("region that stands twice", thing)
                continue
            seen.add((phrase, box))
            yield self.referring.row(f"vg/{image_id}/{region_id}", phrase, [box], picture)

    def of_objects(self, image_id: int, parts: Sequence[msgspec.Raw], picture: Picture, log: IssueLog) -> Iterator[Row]:
        """A row for each object, or for each name."""
        ids: set[int] = set()
        by_name: dict[str, tuple[str, list[Box]]] = {}
        for index, text in enumerate(parts):
            place = f"object {index} of image {image_id}"
            each = decoded(place, text, Thing, "object_id, names, x, y, w and h", log)
            if each is None:
                continue
            object_id = first(each.object_id, each.id)
            thing = f"object {object_id} of image {image_id}"
            if object_id is None or object_id in ids:
                log.add(Issue("object id repeated or absent", place, f"object_id {object_id}", "each id once"))
                continue
            ids.add(object_id)
            names = [name for text in each.names if (name := clean_phrase(text, thing, log))]
            if not each.names:
                log.count("object without a name", thing)
            box = names and boxed(each.x, each.y, each.w, each.h, picture, thing, log)
            if not box:
                continue
            for name in dict.fromkeys(names if self.referring.task == "find" else names[:1]):
                boxes = by_name.setdefault(name.casefold(), (name, []))[1]
                if box in boxes:
                    log.count("object that stands twice", thing)
                    continue
                boxes.append(box)
                if self.referring.task == "describe":
                    yield self.referring.row(f"vg/{image_id}/object/{object_id}", name, [box], picture)
        if self.referring.task == "find":
            for key, (name, boxes) in by_name.items():
                boxes.sort(key=lambda box: (box[1], box[0]))
                yield self.referring.row(f"vg/{image_id}/objects/{key}", name, boxes, picture)


def boxed(x: float, y: float, width: float, height: float, picture: Picture, thing: str, log: IssueLog) -> Box | None:
    """x, y, width, height in px as a box within its picture; None, and a fault is noted, for one that cannot be used."""
    return fitted_box((x, y, x + width, y + height), picture.size_wh, thing, log)


def decoded(place: str, text: bytes | msgspec.Raw, kind: type, expected: str, log: IssueLog) -> msgspec.Struct | None:
    """A part of the source as a struct; None, and a fault is noted, where it is none."""
    try:
        return msgspec.json.decode(text, type=kind)
    except NOT_JSON as error:
        log.add(Issue("entry unreadable", place, str(error), expected))
        return None


def read_encoded(path: str) -> list[Encoded]:
    """The elements of a file that is one JSON list, undecoded. Raises GroundswiftError where it cannot be read or is none."""
    elements = read_mapped(path, list[msgspec.Raw], "a JSON file of Visual Genome: a list with an entry for each image")
    return [Encoded(f"{shown(path)}: entry {number}", element) for number, element in enumerate(elements, 1)]


def images_once(encoded: Iterable[Encoded]) -> Iterator[Encoded | Issue]:
    """The images as bytes, which another process can be handed, with a fault in the place of each whose id has come before."""
    seen: set[int] = set()
    for where, element in encoded:
        image_id = id_of(element)
        if image_id is not None and image_id in seen:
            yield Issue("image id repeated", where, f"image {image_id} has come before", "each image once")
            continue
        seen.add(image_id)
        yield Encoded(where, bytes(element))


class OnlyId(msgspec.Struct):
    """The id of an image under either name."""

    image_id: int | None = None
    id: int | None = None


def id_of(element: msgspec.Raw) -> int | None:
    """The id of an image; None where it has none that could be read, which its maker will say."""
    try:
        ids = msgspec.json.decode(element, type=OnlyId)
    except NOT_JSON:
        return None
    return first(ids.image_id, ids.id)


def first(*ids: int | None) -> int | None:
    """An id by the first of its names under which it stands; None where it has none."""
    return next((each for each in ids if each is not None), None)


def read_image_data(path: str, log: IssueLog) -> dict[int, Known]:
    """What image_data.json says, by the id of the image; a faulty entry is noted. Raises GroundswiftError where it cannot be read."""
    known: dict[int, Known] = {}
    for where, element in read_encoded(path):
        entry = decoded(where, element, ImageData, "image_id, width and height", log)
        if entry is None:
            continue
        image_id = first(entry.image_id, entry.id)
        if image_id is None or image_id in known:
            log.add(Issue("image id repeated or absent", where, f"image_id {image_id}", "each id once"))
            continue
        folder = next((folder for folder in FOLDERS if f"/{folder}/" in entry.url), None)
        known[image_id] = Known((entry.width, entry.height), folder)
    return known
