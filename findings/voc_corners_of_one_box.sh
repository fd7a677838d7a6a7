#!/usr/bin/env bash
# Four writers of Pascal VOC give one box two different corners, and neither kind of file says which
#
# Versions    supervision 0.31.2, hotcoco 1.3.0, labelformat 0.1.17, globox 2.9.0
# Input       a COCO box [10, 20, 8, 8]: pixels 10 to 17 across, 20 to 27 down, counted from 0
# Expected    VOC counts pixels from 1 and its maximum is the last pixel: 11 21 18 28, by every writer
# Behaviour   hotcoco and supervision write and read that; labelformat and globox write the edges, 10 20 18 28. Read by the other side, the
#             object of 8x8 px is 9x9 from 9 19: IoU 0.79 with itself.
source "$(dirname "$0")/_run.sh"
packages supervision==0.31.2 hotcoco==1.3.0 labelformat==0.1.17 globox==2.9.0
seen=$(observe <<'PYTHON'
import json
import os
import re
from pathlib import Path

import hotcoco
import supervision as sv
from globox import AnnotationSet
from labelformat.formats import COCOObjectDetectionInput, PascalVOCObjectDetectionOutput
from PIL import Image

os.mkdir("images")
Image.new("RGB", (100, 80)).save("images/a.png")
truth = {
    "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 8, 8], "area": 64, "iscrowd": 0}],
}
Path("truth.json").write_text(json.dumps(truth))
hotcoco.COCO("truth.json").to_voc("hotcoco/x")
sv.DetectionDataset.from_coco("images", "truth.json").as_pascal_voc(annotations_directory_path="supervision/x")
PascalVOCObjectDetectionOutput(Path("labelformat/x")).save(COCOObjectDetectionInput("truth.json"))
os.makedirs("globox/x")
AnnotationSet.from_coco(file_path="truth.json").save_pascal_voc(Path("globox/x"))
for writer in ("hotcoco", "supervision", "labelformat", "globox"):
    [file] = Path(writer).glob("**/a.xml")
    corners = re.findall(r"<[xy]m(?:in|ax)>([\d.]+)<", file.read_text())
    [read] = hotcoco.COCO.from_voc(str(file.parent)).dataset["annotations"]
    _, _, detections = next(iter(sv.DetectionDataset.from_pascal_voc("images", str(file.parent))))
    left, top, right, bottom = detections.xyxy[0].tolist()
    print(writer, *(int(float(corner)) for corner in corners), "| read by hotcoco", *(int(edge) for edge in read["bbox"]),
          "| by supervision", int(left), int(top), int(right - left), int(bottom - top))
PYTHON
)
verdict "hotcoco 11 21 18 28 | read by hotcoco 10 20 8 8 | by supervision 10 20 8 8
supervision 11 21 18 28 | read by hotcoco 10 20 8 8 | by supervision 10 20 8 8
labelformat 10 20 18 28 | read by hotcoco 9 19 9 9 | by supervision 9 19 9 9
globox 10 20 18 28 | read by hotcoco 9 19 9 9 | by supervision 9 19 9 9" "$seen"
