#!/usr/bin/env bash
# A rotated box of CVAT is read unrotated or lost, by each of three tools
#
# Versions    hotcoco 1.3.0, globox 2.9.0, datumaro 1.13.12
# Input       CVAT for images 1.1 with one box, 80..120 across, 40..60 down, rotation 90: the object covers 90..110 across, 30..70 down
# Expected    a box around the object, x 90 y 30 w 20 h 40, or a message that rotation is not supported
# Behaviour   hotcoco and globox ignore the attribute: 80 40 40 20, IoU 0.33 with the object. Datumaro reads it as a rotated box, and its
#             exports to COCO and YOLO then hold the image without any object. No tool raises, and hotcoco, which counts what it skips, does
#             not count it.
source "$(dirname "$0")/_run.sh"
packages hotcoco==1.3.0 globox==2.9.0 datumaro==1.13.12
seen=$(observe <<'PYTHON'
import json
import os
import warnings
from pathlib import Path

import hotcoco
from datumaro.components.dataset import Dataset
from globox import AnnotationSet
from PIL import Image

warnings.simplefilter("error")
os.makedirs("cvat/images")
Image.new("RGB", (200, 100)).save("cvat/images/a.png")
file = Path("cvat/train.xml")
file.write_text("""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><labels><label><name>cat</name><attributes></attributes></label></labels></task></meta>
  <image id="0" name="a.png" width="200" height="100">
    <box label="cat" occluded="0" xtl="80.00" ytl="40.00" xbr="120.00" ybr="60.00" rotation="90.00" z_order="0"></box>
  </image>
</annotations>""")
print("hotcoco", *(one["bbox"] for one in hotcoco.COCO.from_cvat(str(file)).dataset["annotations"]))
print("globox", *(list(box.ltwh) for image in AnnotationSet.from_cvat(file) for box in image.boxes))
dataset = Dataset.import_from("cvat", "cvat")
print("Datumaro reads", *(type(one).__name__ for item in dataset for one in item.annotations))
dataset.export("coco", "coco_instances", save_media=True)
dataset.export("yolo", "yolo", save_media=True)
coco = json.loads(Path("coco/annotations/instances_train.json").read_text())
print("Datumaro to COCO: images", len(coco["images"]), "objects", len(coco["annotations"]))
print("Datumaro to YOLO: lines", len(Path("yolo/obj_train_data/a.txt").read_text().split()))
PYTHON
)
verdict "hotcoco [80.0, 40.0, 40.0, 20.0]
globox [80.0, 40.0, 40.0, 20.0]
Datumaro reads RotatedBbox
Datumaro to COCO: images 1 objects 0
Datumaro to YOLO: lines 0" "$seen"
