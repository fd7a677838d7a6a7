#!/usr/bin/env bash
# A COCO file with polygons that Datumaro turns into CVAT XML comes back with twice the objects
#
# Versions    datumaro 1.13.12, hotcoco 1.3.0
# Input       2 objects with polygons and a crowd region with a run-length mask, all in one image
# Expected    3 objects again, the crowd region still marked
# Behaviour   Datumaro writes each object as two shapes of one group_id, the outline and its box. A reader of CVAT XML that takes each
#             shape for an object finds 5, or 6 with the mask. The frame of a mask is the whole image, not its bounding box. is_crowd is
#             dropped, with a warning: CVAT labels declare their attributes, and the export declares none.
source "$(dirname "$0")/_run.sh"
packages datumaro==1.13.12 hotcoco==1.3.0
seen=$(observe <<'PYTHON'
import json
import os
import re
import warnings
from pathlib import Path

import hotcoco
from datumaro.components.dataset import Dataset
from PIL import Image

os.makedirs("coco/annotations")
os.makedirs("coco/images/train")
Image.new("RGB", (60, 90)).save("coco/images/train/a.png")
objects = [
    {"bbox": [10, 20, 30, 40], "iscrowd": 0, "segmentation": [[10, 20, 40, 20, 40, 60, 10, 60]]},
    {"bbox": [42, 2, 10, 12], "iscrowd": 0, "segmentation": [[42, 2, 52, 2, 52, 14, 42, 14]]},
    {"bbox": [5, 5, 2, 10], "iscrowd": 1, "segmentation": {"size": [90, 60], "counts": [455, 10, 80, 10, 4845]}},
]
truth = {
    "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 90}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"id": index, "image_id": 1, "category_id": 1, "area": one["bbox"][2] * one["bbox"][3], **one}
        for index, one in enumerate(objects, 1)
    ],
}
Path("coco/annotations/instances_train.json").write_text(json.dumps(truth))
Dataset.import_from("coco", "coco").export("cvat", "cvat", save_media=True)
text = Path("cvat/train.xml").read_text()
for kind, group in sorted(re.findall(r'<(box|polygon|mask) .*group_id="(\d)"', text), key=lambda shape: shape[1]):
    print("object", group, kind)
print("mask", *re.findall(r'<mask .*(left="\d+" top="\d+" width="\d+" height="\d+")', text))
print("is_crowd written:", "is_crowd" in text)
warnings.simplefilter("ignore")
read = hotcoco.COCO.from_cvat("cvat/train.xml").dataset["annotations"]
print("objects read back:", len(read), "of", len(objects), "with crowds:", sum(one["iscrowd"] for one in read))
PYTHON
)
verdict "object 1 polygon
object 1 box
object 2 polygon
object 2 box
object 3 mask
object 3 box
mask left=\"0\" top=\"0\" width=\"60\" height=\"90\"
is_crowd written: False
objects read back: 5 of 3 with crowds: 0" "$seen"
