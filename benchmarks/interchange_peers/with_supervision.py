"""supervision: `DetectionDataset`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from places import Boxes, Place, by_file, place_of

REQUIREMENT = "supervision==0.31.2"
WRITTEN = {"voc": ["--corners", "pixels"]}  # options of groundswift for files that it reads


def dataset(data: Any) -> Any:
    import numpy as np
    import supervision as sv

    annotations = {
        str(data.images / each["file"]): sv.Detections(
            xyxy=np.array([box for _, *box in each["boxes"]], float).reshape(-1, 4),
            class_id=np.array([data.classes.index(label) for label, *_ in each["boxes"]], int),
        )
        for each in data.each
    }
    return sv.DetectionDataset(classes=data.classes, images=list(annotations), annotations=annotations)


def found(read: Any) -> dict[str, Boxes]:
    return by_file(
        (path, read.classes[number], box)
        for path, found in read.annotations.items()
        for box, number in zip(found.xyxy, found.class_id, strict=True)
    )


def write_coco(data: Any, out: Path) -> Place:
    dataset(data).as_coco(str(out / "images"), str(out / "coco.json"))
    return place_of(out / "coco.json", out / "images")


def write_yolo(data: Any, out: Path) -> Place:
    dataset(data).as_yolo(str(out / "images"), str(out / "labels"), str(out / "data.yaml"))
    return place_of(out / "data.yaml", out)


def write_voc(data: Any, out: Path) -> Place:
    dataset(data).as_pascal_voc(str(out / "images"), str(out / "voc"))
    return place_of(out / "voc", out / "images", "--corners", "pixels")


def read_coco(place: Place) -> dict[str, Boxes]:
    import supervision as sv

    return found(sv.DetectionDataset.from_coco(place["images"], place["source"]))


def read_yolo(place: Place) -> dict[str, Boxes]:
    import supervision as sv

    root = Path(place["source"])
    return found(sv.DetectionDataset.from_yolo(str(root / "images"), str(root / "labels"), str(root / "data.yaml")))


def read_voc(place: Place) -> dict[str, Boxes]:
    import supervision as sv

    return found(sv.DetectionDataset.from_pascal_voc(place["images"], place["source"] + "/Annotations"))
