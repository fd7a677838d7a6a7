"""CVAT for images 1.1 (one XML file) -> detection rows."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Annotated, NamedTuple
from xml.etree.ElementTree import Element

import msgspec
from defusedxml.ElementTree import iterparse

from groundswift.boxes import ellipse_bounds, rotated_bounds
from groundswift.errors import GroundswiftError, error_at
from groundswift.file_guard import path_inside
from groundswift.storage import local_copy
from groundswift.urls import is_url, shown
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading, images_option
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
    inverted,
    labels_reading,
    number_of,
    size_of,
)
from .groups import GroupedShape, outlines_of_boxes
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

    SOURCE is annotations.xml or its folder; the images are in images/ next to it, or else in its folder, those of a project by
    their subset: images/SUBSET/NAME if that file exists, else images/NAME. Folders at a URL are not searched: give
    --images, and for a project --subset with the folder of that subset. Classes are those of --categories, else all labels of
    the task, project or job in their order, then others that shapes have.

    A box is used as it is; a rotated box, a polygon, an ellipse, the set pixels of a mask and a cuboid are replaced by their
    axis-aligned bounds (counted). Polygons or a mask with a box of their group and label around them are one object,
    as Datumaro writes it (counted). Polylines, points and skeletons do not bound an object: they are counted, and their
    class is treated as if a crowd box covered the whole image, so that no answer says that it is absent.

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1 (CVAT's own
    numbers start again in each task). --coco-out writes a COCO file with the same ids. Rows, order and what is skipped are as
    with coco. Also counted: tags of images, attributes and occluded marks (dropped), exact repeats of a label.

    XML that is broken, has entities of its own (DTD) or is of a video always stops.

    \b
    Example:
      groundswift convert cvat annotations.xml --images images/ --out train.jsonl --coco-out train.json
    """

    name, summary = "cvat", "CVAT for images 1.1."
    reads, writes = "CVAT for images 1.1: the XML file of a task, project or job", "detection"
    EXAMPLE = {
        "annotations.xml": (
            '<annotations><version>1.1</version><image id="0" name="a.jpg" width="8" height="6">'
            '<box label="cat" occluded="0" xtl="1" ytl="1" xbr="4" ybr="5"/></image></annotations>'
        ),
        "images/a.jpg": EXAMPLE_IMAGE,
    }

    images: Annotated[str | None, images_option("images/ next to the XML file, else its folder")] = None
    subset: Annotated[
        str | None, msgspec.Meta(description="Only images of this subset, as projects have them.", extra={"metavar": "NAME"})
    ] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        source = os.path.join(self.annotations, "annotations.xml") if os.path.isdir(self.annotations) else self.annotations
        near = os.path.join(os.path.dirname(source), "images")
        images = self.image_folder(default=near if os.path.isdir(near) else None)
        met: dict[str, int] = {}
        found = list(labelled_images(source, self.subset, images.folder, met, log))
        if not found:
            raise error_at(source, "no image" + (f" of subset {self.subset}" if self.subset else ""), EXPECTED)
        return labels_reading((each for each in found if each.name), list(met), self, images, pool, log)


def labelled_images(source: str, subset: str | None, folder: str, met: dict[str, int], log: IssueLog) -> Iterator[LabelledImage]:
    """The images of a file with their labels, in its order; classes go to `met`. An image with a problem of its own has no name.

    `folder`: that of the images. The file is read in pieces. Raises GroundswiftError where it is broken, or of another kind.
    """
    where = shown(source)
    try:
        path: list[Element] = []
        for event, element in iterparse(local_copy(source), events=("start", "end"), forbid_dtd=True):
            if event == "start":
                path.append(element)
                if len(path) == 1 and element.tag != "annotations":
                    raise error_at(where, f"XML of <{element.tag}>"[:200], EXPECTED)
                if len(path) == 2 and element.tag == "track":
                    raise error_at(where, "tracks, as in an export of a video", EXPECTED)
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
        raise error_at(*not_xml(where, error, EXPECTED)) from None
    except OSError as error:
        raise error_at(where, f"cannot be read ({error.strerror})", EXPECTED) from None


def label_names(meta: Element) -> Iterator[str]:
    """The labels of a task, project or job, in their order; the joints of a skeleton are not classes."""
    for label in meta.iterfind("*/labels/label"):
        name = (label.findtext("name") or "").strip()
        if name and label.find("parent") is None:
            yield name


def name_in(folder: str, name: str, subset: str | None) -> str:
    """The name of an image in its folder: SUBSET/NAME, as the export of a project has it, if that file exists; else NAME.

    A folder at a URL is not searched, so it has no subsets.
    """
    below = os.path.join(subset, name) if subset and not is_url(folder) else None
    path = path_inside(folder, below) if below else None
    return below if path and os.path.isfile(path) else name


def labelled_image(image: Element, file: str, folder: str, met: dict[str, int], log: IssueLog) -> LabelledImage:
    """One image with its labels."""
    name = (image.get("name") or "").strip()
    where = f"{file}: image {image.get('id', '')} ({name})"
    size_wh = size_of(image.get("width"), image.get("height"))
    if not name or size_wh is None:
        stated = ", ".join(f"{key}={image.get(key)!r}" for key in ("name", "width", "height"))
        log.add(Issue("image-without-name", where, stated[:200], "name, width and height in px"))
        return LabelledImage("", [])
    out = LabelledImage(name_in(folder, name, image.get("subset")), [], size_wh)
    grouped: list[tuple[tuple[str, int], GroupedShape]] = []
    for number, shape in enumerate(image, 1):
        place = f"{where}: {shape.tag} {number}"
        if shape.tag == "tag":
            log.count("image-tag-dropped", place)
            continue
        label = (shape.get("label") or "").strip()
        found = read_shape(shape) if label else "no label"
        if isinstance(found, str):
            log.add(Issue(UNREADABLE, place, f"{label!r}: {found}"[:200], "a label, and the numbers of the shape"))
            out.unreadable = True
            continue
        count_marks(shape, place, log)
        if found.changed:
            log.count(found.changed, place)
        rank = met.setdefault(label, len(met))
        if found.box and (group := shape.get("group_id", "0").strip()) not in ("", "0"):
            grouped.append(((group, rank), GroupedShape(len(out.labels), shape.tag, found.box)))
        out.labels.append(Label(place, rank, as_xywh(*found.box or (0, 0, *size_wh)), found.box is None))
    outlines = outlines_of_boxes(grouped)
    for index in outlines:
        log.count("outline-merged", out.labels[index].where)
    out.labels = [label for index, label in enumerate(out.labels) if index not in outlines]
    return out


class Shape(NamedTuple):
    """The box of a shape (x1, y1, x2, y2) in px; None if it bounds no object. `changed`: the id to count what the box replaces."""

    box: Box | None
    changed: str | None = None


def read_shape(shape: Element) -> Shape | str:
    """The box of a shape, or what is wrong with it."""
    kind = shape.tag
    if kind in NO_BOX:
        return Shape(None, f"{kind}-dropped")
    if kind == "polygon":
        corners = [list(map(number_of, map(str.strip, point.split(",")))) for point in (shape.get("points") or "").split(";")]
        if not all(len(corner) == 2 and None not in corner for corner in corners):
            return "points are not x,y;x,y;..."
        if len(corners) < 3:
            return f"a polygon of {len(corners)} points, fewer than 3"
        return Shape(bounds(*zip(*corners, strict=True)), "box-from-polygon")
    names = SHAPES.get(kind)
    if names is None:
        return "unknown shape"
    numbers = [number_of(shape.get(name)) for name in names]
    rotation = number_of(shape.get("rotation", "0"))
    if rotation is None or not math.isfinite(rotation):
        return f"rotation is {shape.get('rotation')!r}"
    if None in numbers:
        return f"{names[numbers.index(None)]} is missing or not a number"
    angle = math.radians(rotation % 360)
    if kind == "box":
        rotated = angle != 0 and not inverted(*numbers)
        return Shape(rotated_bounds(numbers, angle), "box-from-rotated") if rotated else Shape(tuple(numbers))
    if kind == "ellipse":
        box = ellipse_bounds(*numbers, angle)
    elif kind == "mask":
        box = mask_bounds(shape.get("rle"), *numbers)
        if isinstance(box, str):
            return box
    else:
        box = bounds(numbers[::2], numbers[1::2])
    return Shape(box, f"box-from-{kind}")


def count_marks(shape: Element, place: str, log: IssueLog) -> None:
    """Count the marks of a shape that rows do not keep."""
    if shape.get("occluded", "0") not in ("0", "False"):
        log.count("occluded-dropped", place)
    if attributes := len(shape.findall("attribute")):
        log.count("attribute-dropped", place, attributes)
