#!/usr/bin/env bash
# An object whose mask has two parts becomes a crowd region when supervision saves COCO, and cannot be found any more
#
# Versions    supervision 0.31.2, pycocotools 2.0.11
# Input       one object of two parts (its middle is occluded) as a mask, and its box
# Expected    an ordinary object with two polygons, iscrowd 0; the same box as a prediction has AP 1.000
# Behaviour   a mask with holes or of several parts is saved as run lengths with iscrowd 1: pycocotools then has no object to find, and
#             every number is -1. With the same mask in one part AP is 1.000.
source "$(dirname "$0")/_run.sh"
packages supervision==0.31.2 pycocotools==2.0.11
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
from pathlib import Path

import numpy as np
import supervision as sv
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Image.new("RGB", (64, 64)).save("a.png")
whole = np.zeros((1, 64, 64), bool)
whole[0, 10:40, 10:30] = True
parts = whole.copy()
parts[0, 20:30] = False
for name, mask in (("one part", whole), ("two parts", parts)):
    detections = sv.Detections(xyxy=np.array([[10.0, 10, 30, 40]]), mask=mask, class_id=np.array([0]))
    sv.DetectionDataset(["cat"], ["a.png"], {"a.png": detections}).as_coco(annotations_path="truth.json")
    [saved] = json.loads(Path("truth.json").read_text())["annotations"]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("truth.json")
        found = coco.loadRes([{"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 30], "score": 0.9}])
        run = COCOeval(coco, found, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    print(f"{name}: iscrowd {saved['iscrowd']}, {type(saved['segmentation']).__name__}, AP {run.stats[0]:.3f}")
PYTHON
)
verdict "one part: iscrowd 0, list, AP 1.000
two parts: iscrowd 1, dict, AP -1.000" "$seen"
