#!/usr/bin/env bash
# YOLO labels that SAHI makes of a COCO file name the next class, and of the last class none
#
# Versions    sahi 0.12.8, supervision 0.31.2
# Input       a COCO file with the categories 1 cat, 2 dog, 3 owl and an object of cat and dog, as COCO numbers them
# Expected    classes 0 and 1 of 'names: [cat, dog, owl]', and a reader that finds a cat and a dog
# Behaviour   COCO's ids are the class numbers: 1 and 2. supervision reads a dog and an owl; an object of owl would have class 3 of 3 names.
#             No error, no warning. SAHI reads COCO files of its own documentation with ids from 0, which are exact.
source "$(dirname "$0")/_run.sh"
packages sahi==0.12.8 supervision==0.31.2
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
import logging
import os
from pathlib import Path

import supervision as sv
from PIL import Image
from sahi.utils.coco import Coco

logging.disable(logging.CRITICAL)
os.mkdir("images")
Image.new("RGB", (100, 80)).save("images/a.jpg")
for first in (0, 1):
    truth = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
        "categories": [{"id": first + number, "name": name, "supercategory": ""} for number, name in enumerate(("cat", "dog", "owl"))],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": first, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0, "segmentation": []},
            {"id": 2, "image_id": 1, "category_id": first + 1, "bbox": [50, 40, 20, 20], "area": 400, "iscrowd": 0, "segmentation": []},
        ],
    }
    Path("coco.json").write_text(json.dumps(truth))
    folder = f"yolo{first}"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        coco = Coco.from_coco_dict_or_path("coco.json", image_dir="images")
        coco.export_as_yolo(folder, train_split_rate=1.0, disable_symlink=True)
    lines = Path(folder, "train/a.txt").read_text().splitlines()
    read = sv.DetectionDataset.from_yolo(f"{folder}/train", f"{folder}/train", f"{folder}/data.yml")
    [found] = read.annotations.values()
    print("ids from", first, "classes", *(line.split()[0] for line in lines), "read as", *(read.classes[number] for number in found.class_id))
PYTHON
)
verdict "ids from 0 classes 0 1 read as cat dog
ids from 1 classes 1 2 read as dog owl" "$seen"
