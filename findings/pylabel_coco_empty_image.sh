#!/usr/bin/env bash
# A COCO file that pylabel writes has one object more for each image without objects
#
# Versions    pylabel 0.1.55, pandas 2.3.3, pycocotools 2.0.11
# Input       a COCO file of 3 images: one object, none, one object. pylabel reads it and writes COCO again.
# Expected    2 annotations with ids of their own, on images 1 and 3
# Behaviour   the image without objects repeats the annotation of the image before it: id, image and box. pycocotools counts 2 objects in
#             image 1.
source "$(dirname "$0")/_run.sh"
packages pylabel==0.1.55 pandas==2.3.3 pycocotools==2.0.11 numpy==1.26.4
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
from pathlib import Path

from pycocotools.coco import COCO
from pylabel import importer

boxes = {1: [10, 10, 20, 20], 3: [30, 20, 10, 10]}
truth = {
    "images": [{"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 80} for number in (1, 2, 3)],
    "categories": [{"id": 1, "name": "cat", "supercategory": ""}],
    "annotations": [
        {"id": number, "image_id": number, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, "segmentation": []}
        for number, box in boxes.items()
    ],
}
Path("before.json").write_text(json.dumps(truth))
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    importer.ImportCoco("before.json").export.ExportToCoco("after.json")
    indexed = COCO("after.json").imgToAnns
for each in json.loads(Path("after.json").read_text())["annotations"]:
    print("annotation", each["id"], "image", each["image_id"], "bbox", *map(round, each["bbox"]))
print("objects of image 1 in pycocotools:", len(indexed[1]))
PYTHON
)
verdict "annotation 0 image 1 bbox 10 10 20 20
annotation 0 image 1 bbox 10 10 20 20
annotation 2 image 3 bbox 30 20 10 10
objects of image 1 in pycocotools: 2" "$seen"
