"""pascal-voc: `Annotation` of an image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from places import EDGES, Boxes, Place, by_file, place_of, yolo_place

REQUIREMENT = "pascal-voc==2.1.12"


def annotations(data: Any) -> Iterator[tuple[Any, Path]]:
    """Its annotation of each image, and the image."""
    from pascal.pascal_annotation import Annotation
    from pascal.protocol_implementations import BndBox, Object, Size

    for each in data.each:
        objects = [Object(label, BndBox(*box)) for label, *box in each["boxes"]]
        yield Annotation(each["file"], objects, Size(each["width"], each["height"])), data.images / each["file"]


def write_voc(data: Any, out: Path) -> Place:
    from pascal.utils import save_xml

    for annotation, image in annotations(data):
        save_xml(out / f"{image.stem}.xml", annotation.to_xml())
    return place_of(out, data.images, *EDGES)


def write_labelme(data: Any, out: Path) -> Place:
    for annotation, image in annotations(data):
        (out / f"{image.stem}.json").write_text(json.dumps(annotation.to_labelme(image, save_img_data=False)), encoding="utf-8")
    return place_of(out, data.images)


def write_yolo(data: Any, out: Path) -> Place:
    (out / "labels").mkdir()
    for annotation, image in annotations(data):
        text = annotation.to_yolo({name: number for number, name in enumerate(data.classes)})
        (out / "labels" / f"{image.stem}.txt").write_text(text, encoding="utf-8")
    return yolo_place(data, out)


def read_voc(place: Place) -> dict[str, Boxes]:
    from pascal.annotation_fabric import annotation_from_xml

    read = [annotation_from_xml(path) for path in sorted(Path(place["source"]).rglob("*.xml"))]
    return by_file(
        (each.filename, one.name, (one.bndbox.xmin, one.bndbox.ymin, one.bndbox.xmax, one.bndbox.ymax))
        for each in read
        for one in each.objects
    )
