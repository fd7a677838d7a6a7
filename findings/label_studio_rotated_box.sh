#!/usr/bin/env bash
# Each export format of Label Studio puts a rotated rectangle in another place, and in the right one only in square images
#
# Versions    label-studio-sdk 2.1.2
# Input       a rectangle with its corner at (100, 20) px, 40x20 px, rotated clockwise by 90 degrees about that corner: it covers
#             80..100 across, 20..60 down, as the converter's own corners for oriented boxes say. Image 200x200, then 200x100.
# Expected    the axis-aligned box, x 80 y 20 w 20 h 40, in COCO, YOLO and VOC, or a message that rotation is not exported
# Behaviour   COCO turns the rectangle in percent of the image's sides, right in square images only: 60 20 40 20 in the other. YOLO and VOC
#             hold the unrotated rectangle, 100 20 40 20, silently. IoU with the object: 0.33 and 0.
source "$(dirname "$0")/_run.sh"
packages label-studio-sdk==2.1.2
seen=$(observe <<'PYTHON'
import json
import logging
import re
from pathlib import Path

from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.utils import convert_annotation_to_yolo_obb

logging.disable(logging.CRITICAL)
config = """<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">
<Label value="cat"/></RectangleLabels></View>"""
for height in (200, 100):
    value = {"x": 50, "y": 20 / height * 100, "width": 20, "height": 20 / height * 100, "rotation": 90, "rectanglelabels": ["cat"]}
    size = {"original_width": 200, "original_height": height}
    shape = {"id": "r", "type": "rectanglelabels", "from_name": "label", "to_name": "image", "image_rotation": 0, **size, "value": value}
    annotation = {"id": 1, "completed_by": 1, "was_cancelled": False, "result": [shape]}
    Path("tasks.json").write_text(json.dumps([{"id": 1, "data": {"image": "http://localhost/a.jpg"}, "annotations": [annotation]}]))
    converter, folder = Converter(config, ".", download_resources=False), Path(str(height))
    converter.convert_to_coco("tasks.json", folder / "coco", is_dir=False)
    converter.convert_to_yolo("tasks.json", folder / "yolo", is_dir=False)
    converter.convert_to_voc("tasks.json", folder / "voc", is_dir=False)
    xs, ys = zip(*convert_annotation_to_yolo_obb({**size, **value}, normalize=False))
    print(f"200x{height} corners", *map(round, (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))))
    [one] = json.loads((folder / "coco" / "result.json").read_text())["annotations"]
    print(f"200x{height} COCO", *map(round, one["bbox"]))
    [labels] = folder.glob("yolo/labels/*.txt")
    x, y, w, h = (float(field) for field in labels.read_text().split()[1:])
    print(f"200x{height} YOLO", *map(round, ((x - w / 2) * 200, (y - h / 2) * height, w * 200, h * height)))
    [xml] = folder.glob("voc/Annotations/*.xml")
    left, top, right, bottom = (int(re.search(rf"<{edge}>(\d+)<", xml.read_text())[1]) for edge in ("xmin", "ymin", "xmax", "ymax"))
    print(f"200x{height} VOC", left, top, right - left, bottom - top)
PYTHON
)
verdict "200x200 corners 80 20 20 40
200x200 COCO 80 20 20 40
200x200 YOLO 100 20 40 20
200x200 VOC 100 20 40 20
200x100 corners 80 20 20 40
200x100 COCO 60 20 40 20
200x100 YOLO 100 20 40 20
200x100 VOC 100 20 40 20" "$seen"
