"""labelformat: its outputs of an input that is the set, and its inputs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from places import EDGES, Boxes, Place, by_file, place_of

REQUIREMENT = "labelformat==0.1.17"


def input(data: Any) -> Any:
    from labelformat.model.bounding_box import BoundingBox
    from labelformat.model.category import Category
    from labelformat.model.image import Image
    from labelformat.model.object_detection import ImageObjectDetection, SingleObjectDetection

    categories = [Category(number, name) for number, name in enumerate(data.classes)]
    images = [Image(number, each["file"], each["width"], each["height"]) for number, each in enumerate(data.each)]

    def labels() -> Iterator[Any]:
        for image, each in zip(images, data.each, strict=True):
            boxes = [SingleObjectDetection(categories[data.classes.index(label)], BoundingBox(*box)) for label, *box in each["boxes"]]
            yield ImageObjectDetection(image, boxes)

    return SimpleNamespace(get_categories=lambda: categories, get_images=lambda: images, get_labels=labels)


def found(read: Any) -> dict[str, Boxes]:
    return by_file(
        (each.image.filename, one.category.name, (one.box.xmin, one.box.ymin, one.box.xmax, one.box.ymax))
        for each in read.get_labels()
        for one in each.objects
    )


def write_coco(data: Any, out: Path) -> Place:
    from labelformat.formats import COCOObjectDetectionOutput

    COCOObjectDetectionOutput(out / "train.json").save(input(data))
    return place_of(out / "train.json", data.images)


def write_voc(data: Any, out: Path) -> Place:
    from labelformat.formats import PascalVOCObjectDetectionOutput

    PascalVOCObjectDetectionOutput(out / "voc").save(input(data))
    return place_of(out / "voc", data.images, *EDGES)


def write_yolo(data: Any, out: Path) -> Place:
    from labelformat.formats import YOLOv8ObjectDetectionOutput

    YOLOv8ObjectDetectionOutput(out / "data.yaml", "train").save(input(data))
    shutil.copytree(data.images, out / "images")
    return place_of(out / "data.yaml", out)


def write_cvat(data: Any, out: Path) -> Place:
    from labelformat.formats import CVATObjectDetectionOutput

    CVATObjectDetectionOutput(out).save(input(data))
    return place_of(next(out.glob("*.xml")), data.images)


def write_kitti(data: Any, out: Path) -> Place:
    from labelformat.formats import KittiObjectDetectionOutput

    KittiObjectDetectionOutput(out / "labels").save(input(data))
    return place_of(out / "labels", data.images)


def read_coco(place: Place) -> dict[str, Boxes]:
    from labelformat.formats import COCOObjectDetectionInput

    return found(COCOObjectDetectionInput(Path(place["source"])))


def read_yolo(place: Place) -> dict[str, Boxes]:
    from labelformat.formats import YOLOv8ObjectDetectionInput

    return found(YOLOv8ObjectDetectionInput(Path(place["source"]) / "data.yaml", "train"))


def read_voc(place: Place) -> dict[str, Boxes]:
    from labelformat.formats import PascalVOCObjectDetectionInput

    return found(PascalVOCObjectDetectionInput(Path(place["source"]) / "Annotations", ",".join(place["classes"])))


def read_cvat(place: Place) -> dict[str, Boxes]:
    from labelformat.formats import CVATObjectDetectionInput

    return found(CVATObjectDetectionInput(Path(place["source"]) / "annotations.xml"))


def read_kitti(place: Place) -> dict[str, Boxes]:
    from labelformat.formats import KittiObjectDetectionInput

    return found(KittiObjectDetectionInput(Path(place["source"]) / "label_2", ",".join(place["classes"]), "../image_2"))
