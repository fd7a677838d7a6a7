"""Datumaro: a dataset of its own items, by its exporters and importers."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from typing import Any

from places import EDGES, Boxes, Place, by_file, place_of

REQUIREMENT = "datumaro==1.13.12"


def dataset(data: Any, rotated: bool) -> Any:
    from datumaro.components.annotation import AnnotationType, Bbox, LabelCategories, RotatedBbox
    from datumaro.components.dataset import Dataset
    from datumaro.components.dataset_base import DatasetItem
    from datumaro.components.media import Image

    numbers = count(1)

    def box(label: str, x1: float, y1: float, x2: float, y2: float) -> Any:
        number, rank = next(numbers), data.classes.index(label)
        if rotated:
            return RotatedBbox.from_rectangle([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], label=rank, id=number, group=number)
        return Bbox(x1, y1, x2 - x1, y2 - y1, label=rank, id=number, group=number)

    def item(each: Any) -> Any:
        boxes = [box(*one) for one in each["boxes"]]
        return DatasetItem(
            Path(each["file"]).stem, subset="train", media=Image.from_file(str(data.images / each["file"])), annotations=boxes
        )

    categories = {AnnotationType.label: LabelCategories.from_iterable(data.classes)}
    return Dataset.from_iterable([item(each) for each in data.each], categories=categories)


def write(data: Any, out: Path, form: str, rotated: bool = False) -> None:
    dataset(data, rotated).export(str(out), form, save_media=True)


def write_coco(data: Any, out: Path) -> Place:
    write(data, out, "coco_instances")
    return place_of(out / "annotations/instances_train.json", out / "images/train")


def write_voc(data: Any, out: Path) -> Place:
    write(data, out, "voc_detection")
    return place_of(out, out / "JPEGImages", *EDGES)


def write_yolo(data: Any, out: Path) -> Place:
    write(data, out, "yolo")
    return place_of(out / "obj.data", out)


def write_cvat(data: Any, out: Path) -> Place:
    write(data, out, "cvat")
    return place_of(out / "train.xml", out / "images")


def write_openimages(data: Any, out: Path) -> Place:
    write(data, out, "open_images")
    folder = out / "annotations"
    descriptions = next(folder.glob("*class-descriptions*"))
    return place_of(folder / "train-annotations-bbox.csv", out / "images", "--class-descriptions", str(descriptions))


def write_dota(data: Any, out: Path) -> Place:
    write(data, out, "dota", rotated=True)
    return place_of(out / "train", out / "train/images")


def write_kitti(data: Any, out: Path) -> Place:
    write(data, out, "kitti_detection")
    return place_of(out / "train/label_2", out / "train/image_2")


def read(place: Place, form: str, **options: Any) -> dict[str, Boxes]:
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    read = Dataset.import_from(place["source"], form, **options)
    names = read.categories()[AnnotationType.label]
    return by_file(
        (f"{item.id}.jpg", names[each.label].name, each.points) for item in read for each in item.annotations if each.type.name == "bbox"
    )


def read_coco(place: Place) -> dict[str, Boxes]:
    folder = Path(place["source"]).with_suffix("")
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    shutil.copy(place["source"], folder / "annotations/instances_train.json")
    shutil.copytree(place["images"], folder / "images/train")
    return read(place | {"source": str(folder)}, "coco")


def read_yolo(place: Place) -> dict[str, Boxes]:
    return read(place, "yolo")


def read_voc(place: Place) -> dict[str, Boxes]:
    return read(place, "voc_detection")


def read_cvat(place: Place) -> dict[str, Boxes]:
    return read(place, "cvat")


def read_createml(place: Place) -> dict[str, Boxes]:
    """As Roboflow lays it out: a folder for each split, with _annotations.createml.json and the images."""
    source, folder = Path(place["source"]), Path(place["source"] + "-roboflow")
    document = source if source.is_file() else next(source.glob("*.json"))
    shutil.copytree(place["images"], folder / "train")
    shutil.copy(document, folder / "train/_annotations.createml.json")
    return read(place | {"source": str(folder)}, "roboflow_create_ml")


def read_kitti(place: Place) -> dict[str, Boxes]:
    return read(place, "kitti_detection")


def read_dota(place: Place) -> dict[str, Boxes]:
    """A folder for each split; its boxes are rotated, by 0 degrees."""
    from datumaro.components.dataset import Dataset

    folder = Path(place["source"] + "-splits")
    shutil.copytree(place["source"], folder / "train")
    read = Dataset.import_from(str(folder), "dota")
    names = [each.name for each in next(iter(read.categories().values()))]
    corners = ((item.id, names[each.label], each.as_polygon()) for item in read for each in item.annotations)
    return by_file((f"{name}.jpg", label, bounds(*zip(*points, strict=True))) for name, label, points in corners)


def bounds(xs: tuple[float, ...], ys: tuple[float, ...]) -> tuple[float, float, float, float]:
    """The box around some corners."""
    return min(xs), min(ys), max(xs), max(ys)


def read_openimages(place: Place) -> dict[str, Boxes]:
    return read(place, "open_images")
