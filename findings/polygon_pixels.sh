#!/usr/bin/env bash
# A polygon covers a row and a column of pixels more in supervision and SAHI than in COCO's own tools
#
# Versions    supervision 0.31.2, sahi 0.12.8, pycocotools 2.0.11, hotcoco 1.3.0
# Input       COCO squares of 4, 8, 16 and 32 px as polygons, corners on whole pixels
# Expected    16, 64, 256 and 1024 px, as 'area' says and pycocotools and hotcoco find; the same masks everywhere
# Behaviour   supervision and SAHI fill polygons with OpenCV, which draws the far edges, too: 25, 81, 289, 1089 px. A perfect mask of a
#             small object has IoU 0.64 with itself in the other tool. as_pascal_voc gives a loaded polygon's box the same extra pixel.
source "$(dirname "$0")/_run.sh"
packages supervision==0.31.2 sahi==0.12.8 pycocotools==2.0.11 hotcoco==1.3.0
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
import re
from pathlib import Path

import hotcoco
import supervision as sv
from PIL import Image
from pycocotools.coco import COCO
from sahi.utils.cv import get_bool_mask_from_coco_segmentation

Image.new("RGB", (64, 64)).save("a.png")
sides = (4, 8, 16, 32)
truth = {
    "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"id": index, "image_id": 1, "category_id": 1, "bbox": [10, 10, side, side], "area": side * side, "iscrowd": 0,
         "segmentation": [[10, 10, 10 + side, 10, 10 + side, 10 + side, 10, 10 + side]]}
        for index, side in enumerate(sides, 1)
    ],
}
Path("truth.json").write_text(json.dumps(truth))
with contextlib.redirect_stdout(io.StringIO()):
    coco = COCO("truth.json")
loaded = sv.DetectionDataset.from_coco(".", "truth.json", force_masks=True)
[(_, _, detections)] = list(loaded)
masks = {
    "pycocotools": [coco.annToMask(one) > 0 for one in truth["annotations"]],
    "hotcoco": [hotcoco.COCO("truth.json").annToMask(one) > 0 for one in truth["annotations"]],
    "supervision": list(detections.mask),
    "sahi": [get_bool_mask_from_coco_segmentation(one["segmentation"], 64, 64) for one in truth["annotations"]],
}
for name, found in masks.items():
    overlaps = [(a & b).sum() / (a | b).sum() for a, b in zip(masks["pycocotools"], found)]
    print(name, *(int(mask.sum()) for mask in found), "IoU with pycocotools", *(f"{overlap:.2f}" for overlap in overlaps))
loaded.as_pascal_voc(annotations_directory_path="voc")
xml = Path("voc/a.xml").read_text()
left, right = ([int(number) for number in re.findall(rf"<{edge}>(\d+)<", xml)] for edge in ("xmin", "xmax"))
widths = [last - first + 1 for first, last in zip(left, right)]
print("widths of the boxes in supervision's VOC file", *widths)
PYTHON
)
verdict "pycocotools 16 64 256 1024 IoU with pycocotools 1.00 1.00 1.00 1.00
hotcoco 16 64 256 1024 IoU with pycocotools 1.00 1.00 1.00 1.00
supervision 25 81 289 1089 IoU with pycocotools 0.64 0.79 0.89 0.94
sahi 25 81 289 1089 IoU with pycocotools 0.64 0.79 0.89 0.94
widths of the boxes in supervision's VOC file 5 9 17 33" "$seen"
