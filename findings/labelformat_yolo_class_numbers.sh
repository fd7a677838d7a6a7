#!/usr/bin/env bash
# No tool can read the YOLO labels that labelformat makes from COCO, labelformat included
#
# Versions    labelformat 0.1.17, supervision 0.31.2, hotcoco 1.3.0
# Input       a COCO file whose category ids have gaps (1, 3), as COCO's own 80 classes do
# Expected    classes 0 and 1, as YOLO numbers them without gaps, readable by what wrote them
# Behaviour   COCO's ids are the class numbers: 'names: {1: cat, 3: dog}', 'nc: 2', labels 1 and 3. labelformat's own reader raises
#             KeyError, supervision finds class 3 outside [0, 1], hotcoco refuses names with gaps.
source "$(dirname "$0")/_run.sh"
packages labelformat==0.1.17 supervision==0.31.2 hotcoco==1.3.0
seen=$(observe <<'PYTHON'
import json
import os
import shutil
from pathlib import Path

import hotcoco
import supervision as sv
from labelformat.formats import COCOObjectDetectionInput, YOLOv8ObjectDetectionInput, YOLOv8ObjectDetectionOutput
from PIL import Image

truth = {
    "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
    "annotations": [
        {"id": category, "image_id": 1, "category_id": category, "bbox": [10, 20, 50, 40], "area": 2000, "iscrowd": 0}
        for category in (1, 3)
    ],
}
Path("truth.json").write_text(json.dumps(truth))
yaml, labels = Path("yolo/data.yaml"), Path("yolo/labels")
YOLOv8ObjectDetectionOutput(output_file=yaml, output_split="train").save(COCOObjectDetectionInput("truth.json"))
os.makedirs("yolo/images")
Image.new("RGB", (100, 80)).save("yolo/images/a.png")
shutil.copy(yaml, labels)  # where hotcoco looks for it
print("classes of the labels:", *(line.split()[0] for line in (labels / "a.txt").read_text().splitlines()))


def images(dataset):
    return [detections for _, _, detections in dataset]


for name, read in {
    "labelformat": lambda: list(YOLOv8ObjectDetectionInput(yaml, "train").get_labels()),
    "supervision": lambda: images(sv.DetectionDataset.from_yolo("yolo/images", str(labels), str(yaml))),
    "hotcoco": lambda: hotcoco.COCO.from_yolo(str(labels), "yolo/images"),
}.items():
    try:
        print(name, "reads", read())
    except (KeyError, ValueError) as error:
        print(name, "raises", type(error).__name__)
PYTHON
)
verdict "classes of the labels: 1 3
labelformat raises KeyError
supervision raises ValueError
hotcoco raises ValueError" "$seen"
