"""CVAT for images 1.1 and for video 1.1 (one XML file) -> detection rows."""

from __future__ import annotations

import os
from typing import Annotated
from xml.etree.ElementTree import Element

import msgspec

from groundswift.errors import error_at
from groundswift.file_guard import path_inside
from groundswift.urls import is_url, shown
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading, images_option
from ...file_io.box_checks import ImageFolder
from ...file_io.remote_folders import SUFFIXES
from ...issues import Issue, IssueLog
from ...tasks.label_files import LabelOptions, labels_reading
from ...tasks.labelled_image import UNREADABLE, Label, LabelledImage, as_xywh, size_of
from .groups import GroupedShape, outlines_of_boxes
from .shapes import count_marks, read_shape
from .video import Video
from .xml_parts import EXPECTED, label_names, parts_of


class CvatOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn an export of CVAT into rows: a question for all classes, for one class each, or for those present.

    It is "CVAT for images 1.1" or "CVAT for video 1.1". SOURCE is annotations.xml or its folder; the images are in images/ next
    to it, or else in its folder, those of a project by their subset: images/SUBSET/NAME if that file exists, else images/NAME.
    Folders at a URL are not searched: give --images, and for a project --subset with the folder of that subset. Classes are
    those of --categories, else all labels of the task, project or job in their order, then others that shapes have.

    A box is used as it is; a rotated box, a polygon, an ellipse, the set pixels of a mask and a cuboid are replaced by their
    axis-aligned bounds (counted). Polygons or a mask with a box of their group and label around them are one object,
    as Datumaro writes it (counted). Polylines, points and skeletons do not bound an object: they are counted, and their
    class is treated as if a crowd box covered the whole image, so that no answer says that it is absent.

    Of a video, each frame that has an image becomes a row: images are found by the number at the end of their names
    (frame_000012.PNG). Objects outside the frame are skipped. Boxes between keyframes are interpolated by CVAT (counted);
    where the file has only keyframes, boxes, ellipses and cuboids are interpolated here, linearly, and the last shape of a
    track stays until the end. Other shapes between keyframes are treated as crowd boxes. Counted: frames without an image.

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1 (CVAT's own
    numbers start again in each task). --coco-out writes a COCO file with the same ids. Rows, order and what is skipped are as
    with coco. Also counted: tags of images, attributes and occluded marks (dropped), exact repeats of a label.

    XML that is broken or has entities of its own (DTD) always stops.

    \b
    Example:
      groundswift convert cvat annotations.xml --images images/ --out train.jsonl --coco-out train.json
    """

    name, summary = "cvat", "CVAT for images 1.1 and for video 1.1."
    reads, writes = "CVAT for images 1.1 or for video 1.1: the XML file of a task, project or job", "detection"
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
        found = labelled_images(source, self.subset, images, met, log)
        if not found:
            raise error_at(source, "no image" + (f" of subset {self.subset}" if self.subset else ""), EXPECTED)
        return labels_reading((each for each in found if each.name), list(met), self, images, pool, log)


def labelled_images(source: str, subset: str | None, folder: ImageFolder, met: dict[str, int], log: IssueLog) -> list[LabelledImage]:
    """The images of a file with their labels; classes go to `met`. An image with a problem of its own has no name.

    Raises GroundswiftError where the file is broken, of another kind, or a video that cannot be read.
    """
    file, found, video, meta = os.path.basename(shown(source)), [], None, None
    for part in parts_of(source):
        if part.tag == "meta":
            meta = part
            for name in label_names(part):
                met.setdefault(name, len(met))
        elif part.tag == "image" and subset in (None, part.get("subset")):
            found.append(labelled_image(part, file, folder.folder, met, log))
        elif part.tag == "track":
            if subset is not None or found:
                raise error_at(file, "tracks, as in an export of a video", "no images, and no --subset: frames have none")
            video = video or Video.of(file, meta, folder, log)
            video.add(part, met, log)
    return video.labelled(log) if video else found


def name_in(folder: str, name: str, subset: str | None) -> str:
    """The name of an image in its folder: SUBSET/NAME, as the export of a project has it, if that file exists; else NAME.

    The frames of a video are named without a suffix: that of the file is added. A folder at a URL is not searched.
    """
    if is_url(folder):
        return name
    suffixes = [""] if os.path.splitext(name)[1].lower() in SUFFIXES else ["", *sorted(SUFFIXES), *sorted(map(str.upper, SUFFIXES))]
    for start in ([f"{subset}/"] if subset else []) + [""]:
        for suffix in suffixes:
            path = path_inside(folder, f"{start}{name}{suffix}")
            if path and os.path.isfile(path):
                return f"{start}{name}{suffix}"
    return name


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
