"""Label Studio: the converter of its SDK for exports, its importers of COCO and YOLO for reading."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from places import EDGES, Boxes, Place, by_file, place_of

REQUIREMENT = "label-studio-sdk==2.1.2"


def tasks_of(data: Any, out: Path) -> tuple[Any, Path]:
    """The converter, and tasks as Label Studio exports them: it writes percents of the image."""
    from label_studio_sdk.converter import Converter

    labels = "".join(f'<Label value="{name}"/>' for name in data.classes)
    config = f'<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">{labels}</RectangleLabels></View>'
    tasks = []
    for number, each in enumerate(data.each, 1):
        size, results = {"original_width": each["width"], "original_height": each["height"], "image_rotation": 0}, []
        for label, x1, y1, x2, y2 in each["boxes"]:
            sides = {
                "x": x1 / each["width"],
                "y": y1 / each["height"],
                "width": (x2 - x1) / each["width"],
                "height": (y2 - y1) / each["height"],
            }
            value = {key: side * 100 for key, side in sides.items()} | {"rotation": 0, "rectanglelabels": [label]}
            result = {"id": f"r{len(results)}", "type": "rectanglelabels", "from_name": "label", "to_name": "image", **size, "value": value}
            results.append(result)
        annotation = {"id": number, "completed_by": 1, "was_cancelled": False, "result": results}
        tasks.append({"id": number, "data": {"image": str(data.images / each["file"])}, "annotations": [annotation]})
    path = out / "tasks.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return Converter(config, str(out), download_resources=False), path


def write_coco(data: Any, out: Path) -> Place:
    converter, tasks = tasks_of(data, out)
    converter.convert_to_coco(str(tasks), str(out / "coco"), output_image_dir=str(data.images), is_dir=False)
    return place_of(out / "coco/result.json", data.images)


def write_yolo(data: Any, out: Path) -> Place:
    converter, tasks = tasks_of(data, out)
    converter.convert_to_yolo(str(tasks), str(out / "yolo"), output_image_dir=str(data.images), is_dir=False)
    shutil.copytree(data.images, out / "yolo/images", dirs_exist_ok=True)
    return place_of(out / "yolo", out / "yolo/images")


def write_voc(data: Any, out: Path) -> Place:
    converter, tasks = tasks_of(data, out)
    converter.convert_to_voc(str(tasks), str(out / "voc"), output_image_dir=str(data.images), is_dir=False)
    return place_of(out / "voc", data.images, *EDGES)


def write_label_studio(data: Any, out: Path) -> Place:
    from label_studio_sdk.converter.imports.coco import convert_coco_to_ls

    convert_coco_to_ls(str(data.root / "coco.json"), str(out / "tasks.json"), image_root_url="/data/local-files/?d=images")
    return place_of(out / "tasks.json", data.images)


def read_label_studio(place: Place) -> dict[str, Boxes]:
    """Its converter makes COCO of the tasks, once their predictions are accepted as annotations."""
    from label_studio_sdk.converter import Converter

    folder = Path(place["source"])
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    for number, task in enumerate(tasks, 1):
        accepted = task.pop("predictions", None) or task["annotations"]
        task |= {"id": number, "annotations": [{"id": number, "completed_by": 1, "was_cancelled": False, "result": accepted[0]["result"]}]}
    (folder / "accepted.json").write_text(json.dumps(tasks), encoding="utf-8")
    converter = Converter((folder / "label_config.xml").read_text(encoding="utf-8"), str(folder), download_resources=False)
    converter.convert_to_coco(str(folder / "accepted.json"), str(folder / "coco"), output_image_dir=place["images"], is_dir=False)
    coco = json.loads((folder / "coco/result.json").read_text(encoding="utf-8"))
    names = {each["id"]: each["name"] for each in coco["categories"]}
    files = {each["id"]: unquote(each["file_name"]).rpartition("?d=")[2] for each in coco["images"]}
    boxes = ((each, *each["bbox"]) for each in coco["annotations"])
    return by_file((files[each["image_id"]], names[each["category_id"]], (x, y, x + w, y + h)) for each, x, y, w, h in boxes)


def imported(tasks: Path) -> dict[str, Boxes]:
    """The boxes of tasks that its importers write."""
    pairs = []
    for task in json.loads(tasks.read_text(encoding="utf-8")):
        for result in task["annotations"][0]["result"] if task.get("annotations") else []:
            value, width, height = result["value"], result["original_width"], result["original_height"]
            x, y, w, h = (value[key] / 100 for key in ("x", "y", "width", "height"))
            pairs.append(
                (unquote(task["data"]["image"]), value["rectanglelabels"][0], (x * width, y * height, (x + w) * width, (y + h) * height))
            )
    return by_file(pairs)


def read_coco(place: Place) -> dict[str, Boxes]:
    from label_studio_sdk.converter.imports.coco import convert_coco_to_ls

    out = Path(place["source"]).with_suffix(".tasks.json")
    convert_coco_to_ls(place["source"], str(out), image_root_url="/images")
    return imported(out)


def read_yolo(place: Place) -> dict[str, Boxes]:
    from label_studio_sdk.converter.imports.yolo import convert_yolo_to_ls

    root = Path(place["source"])
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in place["classes"]), encoding="utf-8")
    convert_yolo_to_ls(str(root), str(root / "tasks.json"), image_root_url="/images")
    return imported(root / "tasks.json")
