"""pylabel: a dataset that it reads from COCO (it needs pandas below 3)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from places import EDGES, Boxes, Place, by_file, place_of

REQUIREMENT = "pylabel==0.1.55 pandas==2.3.3"


def dataset(data: Any) -> Any:
    from pylabel import importer

    return importer.ImportCoco(str(data.root / "coco.json"), path_to_images="images")


def found(read: Any) -> dict[str, Boxes]:
    frame = read.df
    boxed = frame[frame["ann_bbox_xmin"].astype(str).str.strip() != ""].dropna(subset=["ann_bbox_xmin"])
    sides = ("ann_bbox_xmin", "ann_bbox_ymin", "ann_bbox_xmax", "ann_bbox_ymax")
    return by_file((row["img_filename"], row["cat_name"], [row[side] for side in sides]) for _, row in boxed.iterrows())


def write_coco(data: Any, out: Path) -> Place:
    dataset(data).export.ExportToCoco(str(out / "coco.json"), cat_id_index=1)
    return place_of(out / "coco.json", data.images)


def write_voc(data: Any, out: Path) -> Place:
    dataset(data).export.ExportToVoc(str(out / "voc"))
    return place_of(out / "voc", data.images, *EDGES)


def write_yolo(data: Any, out: Path) -> Place:
    dataset(data).export.ExportToYoloV5(str(out / "labels"), copy_images=False, cat_id_index=0)
    shutil.copytree(data.images, out / "images")
    (out / "dataset.yaml").write_text((out / "dataset.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return place_of(out / "dataset.yaml", out)


def read_coco(place: Place) -> dict[str, Boxes]:
    from pylabel import importer

    return found(importer.ImportCoco(place["source"], path_to_images=place["images"]))


def read_yolo(place: Place) -> dict[str, Boxes]:
    from pylabel import importer

    root = Path(place["source"])
    return found(importer.ImportYoloV5(str(root / "labels"), cat_names=place["classes"], path_to_images="../images"))


def read_voc(place: Place) -> dict[str, Boxes]:
    from pylabel import importer

    return found(importer.ImportVOC(place["source"] + "/Annotations", path_to_images=place["images"]))
