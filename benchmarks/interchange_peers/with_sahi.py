"""SAHI: COCO in, COCO and YOLO out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from places import Boxes, Place, by_file, place_of

REQUIREMENT = "sahi==0.12.8"


def coco(path: str | Path, images: Path) -> Any:
    from sahi.utils.coco import Coco

    return Coco.from_coco_dict_or_path(str(path), image_dir=str(images))


def write_coco(data: Any, out: Path) -> Place:
    (out / "coco.json").write_text(json.dumps(coco(data.root / "coco.json", data.images).json), encoding="utf-8")
    return place_of(out / "coco.json", data.images)


def write_yolo(data: Any, out: Path) -> Place:
    coco(data.root / "coco.json", data.images).export_as_yolo(str(out / "yolo"), train_split_rate=1.0, disable_symlink=True)
    return place_of(out / "yolo/data.yml", out / "yolo")


def read_coco(place: Place) -> dict[str, Boxes]:
    return by_file(
        (image.file_name, one.category_name, (one.bbox[0], one.bbox[1], one.bbox[0] + one.bbox[2], one.bbox[1] + one.bbox[3]))
        for image in coco(place["source"], place["images"]).images
        for one in image.annotations
    )
