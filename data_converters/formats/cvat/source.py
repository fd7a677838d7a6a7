"""CVAT for images 1.1 (one XML file) -> detection rows."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Annotated, NamedTuple
from xml.etree.ElementTree import Element

import msgspec
from defusedxml.ElementTree import iterparse

from groundswift.boxes import rotated_bounds
from groundswift.errors import GroundswiftError, fault
from groundswift.file_guard import path_inside
from groundswift.storage import local_copy
from groundswift.urls import is_url, shown
from groundswift.worker_pool import WorkerPool

from ...base import Reading
from ...file_io.box_checks import pictures_of
from ...file_io.label_files import NOT_XML, not_xml
from ...issues import Issue, IssueLog
from ...tasks.label_files import (
    UNREADABLE,
    Box,
    Label,
    LabelledImage,
    LabelOptions,
    as_xywh,
    bounds,
    classes_of,
    inverted,
    labels_reading,
    number_of,
)
from .groups import Part, outlines_of_boxes
from .masks import mask_bounds

SHAPES = {  # the attributes that hold the numbers of a shape, in px
    "box": ("xtl", "ytl", "xbr", "ybr"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "mask": ("left", "top", "width", "height"),
    "cuboid": tuple(f"{axis}{side}{face}" for side in ("tl", "bl", "tr", "br") for face in (1, 2) for axis in "xy"),
}
NO_BOX = ("polyline", "points", "skeleton")  # shapes that do not bound an object
EXPECTED = "CVAT for images 1.1"


class CvatOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn an export of CVAT ("CVAT for images 1.1") into rows: a question for all classes, for one class each, or for those present.

    SOURCE is annotations.xml or its folder; the pictures are in images/ beside it, or else in its folder, those of a project by
    their subset: images/SUBSET/NAME where there is such a file, else images/NAME. At an address nobody looks for folders: give
    --images, and for a project --subset with the folder of that subset. Classes are those of --categories, else all labels of
    the task, project or job in their order, then others that shapes have.

    A box is taken as it is; a rotated one, a polygon, an ellipse, the set pixels of a mask and a cuboid by the smallest
    axis-aligned box around them (counted). Polygons or a mask with a box of their group and label around them are one object,
    as Datumaro writes it (counted). Polylines, points and skeletons do not bound an object: they are counted, and where a
    picture has one, its class is treated as if a crowd box covered the whole picture, so that nobody is taught that there is none.

    A row keeps its image's id as sample_id: its place among the pictures of the source, sorted by name, from 1 (CVAT's own
    numbers begin anew in each task). --coco-out writes a COCO file with the same ids. Rows, order and what is left out are as
    with coco. Counted too: tags of pictures, attributes and occluded marks (not kept), labels that repeat one exactly.

    Faults: a shape without a label or with numbers missing, an image without a name or size, a box that is inverted, empty, not
    finite or outside its image; a picture that is missing, unreadable, of another size or outside DIR. XML that is broken,
    has entities of its own (DTD) or is of a video always stops.

    \b
    Example:
      groundswift convert cvat annotations.xml --images images/ --out train.jsonl --coco-out train.json
    """

    subset: Annotated[
        str | None, msgspec.Meta(description="Only images of this subset, as projects have them.", extra={"metavar": "NAME"})
    ] = None

    def read_by(self, pool: WorkerPool, log: IssueLog) -> Reading:
        source = os.path.join(self.annotations, "annotations.xml") if os.path.isdir(self.annotations) else self.annotations
        beside = os.path.join(os.path.dirname(source), "images")
        pictures = pictures_of(self.images or (beside if os.path.isdir(beside) else None), source, self.check_images)
        met: dict[str, int] = {}
        found = list(labelled_images(source, self.subset, pictures.folder, met, log))
        if not found:
            raise fault(source, "holds no image" + (f" of subset {self.subset}" if self.subset else ""), EXPECTED)
        known = list(met)
        names = classes_of(self, known, dict.fromkeys(known[label.rank] for each in found for label in each.labels))
        return labels_reading((each for each in found if each.name), names, self, pictures, pool, log, met)


def labelled_images(source: str, subset: str | None, folder: str, met: dict[str, int], log: IssueLog) -> Iterator[LabelledImage]:
    """The images of a file with their labels, in its order; classes go to `met`. An image with a fault of its own has no name.

    `folder`: that of the pictures. The file is read piece by piece. Raises GroundswiftError where it is broken, or of another kind.
    """
    where = shown(source)
    try:
        path: list[Element] = []
        for event, element in iterparse(local_copy(source), events=("start", "end"), forbid_dtd=True):
            if event == "start":
                path.append(element)
                if len(path) == 1 and element.tag != "annotations":
                    raise fault(where, f"XML of <{element.tag}>"[:200], EXPECTED)
                if len(path) == 2 and element.tag == "track":
                    raise fault(where, "holds tracks, as exports for video do", EXPECTED)
                continue
            path.pop()
            if len(path) != 1:
                continue
            if element.tag == "meta":
                for name in label_names(element):
                    met.setdefault(name, len(met))
            elif element.tag == "image" and subset in (None, element.get("subset")):
                yield labelled_image(element, os.path.basename(where), folder, met, log)
            path[0].clear()
    except GroundswiftError:
        raise
    except NOT_XML as error:
        raise fault(*not_xml(where, error, EXPECTED)) from None
    except OSError as error:
        raise fault(where, f"cannot be read ({error.strerror})", EXPECTED) from None


def label_names(meta: Element) -> Iterator[str]:
    """The labels of a task, project or job, in their order; the joints of a skeleton are no classes."""
    for label in meta.iterfind("*/labels/label"):
        name = (label.findtext("name") or "").strip()
        if name and label.find("parent") is None:
            yield name


def name_in(folder: str, name: str, subset: str | None) -> str:
    """The name of a picture in its folder: SUBSET/NAME, as the export of a project has it, where that is a file; else NAME.

    A folder at an address, which is not asked, has no subsets.
    """
    below = os.path.join(subset, name) if subset and not is_url(folder) else None
    path = path_inside(folder, below) if below else None
    return below if path and os.path.isfile(path) else name


def labelled_image(image: Element, file: str, folder: str, met: dict[str, int], log: IssueLog) -> LabelledImage:
    """One image with its labels."""
    name = (image.get("name") or "").strip()
    where = f"{file}: image {image.get('id', '')} ({name})"
    sides = [number_of(image.get(side)) for side in ("width", "height")]
    if not name or not all(side and 1 <= side < 1 << 31 and side.is_integer() for side in sides):
        said = ", ".join(f"{key}={image.get(key)!r}" for key in ("name", "width", "height"))
        log.add(Issue("image-without-name", where, said[:200], "name, width and height in px"))
        return LabelledImage("", [])
    out = LabelledImage(name_in(folder, name, image.get("subset")), [], (int(sides[0]), int(sides[1])))
    grouped: list[tuple[tuple[str, int], Part]] = []
    for number, shape in enumerate(image, 1):
        place = f"{where}: {shape.tag} {number}"
        if shape.tag == "tag":
            log.count("image-tag-dropped", place)
            continue
        label = (shape.get("label") or "").strip()
        read = Wrong("no label") if not label else read_shape(shape)
        if isinstance(read, Wrong):
            log.add(Issue(UNREADABLE, place, f"{label!r}: {read.what}"[:200], "a label, and the numbers of the shape"))
            out.unreadable = True
            continue
        count_marks(shape, place, log)
        if read.changed:
            log.count(read.changed, place)
        rank = met.setdefault(label, len(met))
        if read.box and (group := shape.get("group_id", "0").strip()) not in ("", "0"):
            grouped.append(((group, rank), Part(len(out.labels), shape.tag, read.box)))
        out.labels.append(Label(place, rank, as_xywh(*read.box or (0, 0, *sides)), read.box is None))
    parts = outlines_of_boxes(grouped)
    for place in parts:
        log.count("outline-merged", out.labels[place].where)
    out.labels = [label for place, label in enumerate(out.labels) if place not in parts]
    return out


class Wrong(NamedTuple):
    """Why a shape cannot be read."""

    what: str


class Shape(NamedTuple):
    """The box of a shape (x1, y1, x2, y2) in px; None for one that bounds no object. `changed`: what was lost for that."""

    box: Box | None
    changed: str | None = None


def read_shape(shape: Element) -> Shape | Wrong:
    """The box of a shape."""
    kind = shape.tag
    if kind in NO_BOX:
        return Shape(None, f"{kind}-dropped")
    if kind == "polygon":
        return read_polygon(shape)
    names = SHAPES.get(kind)
    if names is None:
        return Wrong("no shape that is known")
    numbers = [number_of(shape.get(name)) for name in names]
    turn = number_of(shape.get("rotation", "0"))
    if turn is None or not math.isfinite(turn):
        return Wrong(f"rotation is {shape.get('rotation')!r}")
    if None in numbers:
        return Wrong(f"{names[numbers.index(None)]} is missing or no number")
    angle = math.radians(turn % 360)
    if kind == "box":
        turned = angle != 0 and not inverted(*numbers)
        return Shape(rotated_bounds(numbers, angle), "box-from-rotated") if turned else Shape(tuple(numbers))
    if kind == "ellipse":
        x, y, wide, high = numbers
        if wide >= 0 and high >= 0:
            sine, cosine = math.sin(angle), math.cos(angle)
            wide, high = math.hypot(wide * cosine, high * sine), math.hypot(wide * sine, high * cosine)
        box = x - wide, y - high, x + wide, y + high
    elif kind == "mask":
        box = mask_bounds(shape.get("rle"), *numbers)
        if isinstance(box, str):
            return Wrong(box)
    else:
        box = bounds(numbers[::2], numbers[1::2])
    return Shape(box, f"box-from-{kind}")


def read_polygon(shape: Element) -> Shape | Wrong:
    """The box around a polygon."""
    points = [point.split(",") for point in (shape.get("points") or "").split(";")]
    corners = [list(map(number_of, map(str.strip, point))) for point in points]
    if not all(len(corner) == 2 and None not in corner for corner in corners):
        return Wrong("points are no x,y;x,y;...")
    if len(corners) < 3:
        return Wrong(f"a polygon of {len(corners)} points, of 3 that it needs")
    return Shape(bounds(*zip(*corners, strict=True)), "box-from-polygon")


def count_marks(shape: Element, place: str, log: IssueLog) -> None:
    """Count what a shape says that no row does."""
    if shape.get("occluded", "0") not in ("0", "False"):
        log.count("occluded-dropped", place)
    if attributes := len(shape.findall("attribute")):
        log.count("attribute-dropped", place, attributes)
