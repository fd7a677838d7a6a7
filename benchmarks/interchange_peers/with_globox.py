"""globox: `AnnotationSet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from places import EDGES, Boxes, Place, by_file, place_of, yolo_place

REQUIREMENT = "globox==2.9.0"


def set(data: Any) -> Any:
    from globox import Annotation, AnnotationSet, BoundingBox

    def annotation(each: Any) -> Any:
        boxes = [BoundingBox(label=label, xmin=x1, ymin=y1, xmax=x2, ymax=y2) for label, x1, y1, x2, y2 in each["boxes"]]
        return Annotation(image_id=each["file"], image_size=(each["width"], each["height"]), boxes=boxes)

    return AnnotationSet(annotation(each) for each in data.each)


def found(read: Any) -> dict[str, Boxes]:
    return by_file((each.image_id, box.label, (box.xmin, box.ymin, box.xmax, box.ymax)) for each in read for box in each.boxes)


def write_coco(data: Any, out: Path) -> Place:
    set(data).save_coco(out / "coco.json", auto_ids=True)
    return place_of(out / "coco.json", data.images)


def write_voc(data: Any, out: Path) -> Place:
    set(data).save_pascal_voc(out / "voc")
    return place_of(out / "voc", data.images, *EDGES)


def write_yolo(data: Any, out: Path) -> Place:
    set(data).save_yolo_v5(out / "labels", label_to_id={name: number for number, name in enumerate(data.classes)})
    return yolo_place(data, out)


def write_labelme(data: Any, out: Path) -> Place:
    set(data).save_labelme(out / "labelme")
    return place_of(out / "labelme", data.images)


def write_openimages(data: Any, out: Path) -> Place:
    set(data).save_openimage(out / "boxes.csv")
    return place_of(out / "boxes.csv", data.images)


def write_cvat(data: Any, out: Path) -> Place:
    set(data).save_cvat(out / "annotations.xml")
    return place_of(out / "annotations.xml", data.images)


def read_coco(place: Place) -> dict[str, Boxes]:
    from globox import AnnotationSet

    return found(AnnotationSet.from_coco(place["source"]))


def read_yolo(place: Place) -> dict[str, Boxes]:
    from globox import AnnotationSet

    root = Path(place["source"])
    read = AnnotationSet.from_yolo_v5(root / "labels", image_folder=root / "images")
    read.map_labels({str(number): name for number, name in enumerate(place["classes"])})
    return found(read)


def read_voc(place: Place) -> dict[str, Boxes]:
    from globox import AnnotationSet

    return found(AnnotationSet.from_pascal_voc(place["source"] + "/Annotations"))


def read_labelme(place: Place) -> dict[str, Boxes]:
    from globox import AnnotationSet

    return found(AnnotationSet.from_labelme(place["source"]))


def read_cvat(place: Place) -> dict[str, Boxes]:
    from globox import AnnotationSet

    return found(AnnotationSet.from_cvat(place["source"] + "/annotations.xml"))
