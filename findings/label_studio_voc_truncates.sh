#!/usr/bin/env bash
# Boxes of whole pixels shrink in Label Studio's VOC export, and a box of one pixel has no width
#
# Versions    label-studio-sdk 2.1.2
# Input       rectangles of whole pixels, as Label Studio stores them: percents of the image's sides. Image 37x53, then 1999x1333
# Expected    the same numbers in xmin, ymin, xmax, ymax
# Behaviour   left, top, width and height are computed in floats and cut off to whole numbers one by one: 0.9999999 px of width are 0,
#             and a left side of 131.9999999 px is 131. Its COCO export of the same rectangles is exact.
source "$(dirname "$0")/_run.sh"
packages label-studio-sdk==2.1.2
seen=$(observe <<'PYTHON'
import json
import logging
import re
from pathlib import Path

from label_studio_sdk.converter import Converter

logging.disable(logging.CRITICAL)
config = """<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">
<Label value="cat"/></RectangleLabels></View>"""
for width, height, boxes in ((37, 53, [(36, 52, 37, 53)]), (1999, 1333, [(132, 441, 1452, 930), (97, 257, 1064, 1261)])):
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    shapes = []
    for x1, y1, x2, y2 in boxes:
        sides = {"x": x1 * 100 / width, "y": y1 * 100 / height, "width": (x2 - x1) * 100 / width, "height": (y2 - y1) * 100 / height}
        value = {**sides, "rotation": 0, "rectanglelabels": ["cat"]}
        shapes.append(
            {"id": f"r{len(shapes)}", "type": "rectanglelabels", "from_name": "label", "to_name": "image", **size, "value": value}
        )
    annotation = {"id": 1, "completed_by": 1, "was_cancelled": False, "result": shapes}
    Path("tasks.json").write_text(json.dumps([{"id": 1, "data": {"image": "http://localhost/a.jpg"}, "annotations": [annotation]}]))
    converter, folder = Converter(config, ".", download_resources=False), Path(str(width))
    converter.convert_to_coco("tasks.json", folder / "coco", is_dir=False)
    converter.convert_to_voc("tasks.json", folder / "voc", is_dir=False)
    coco = json.loads((folder / "coco" / "result.json").read_text())["annotations"]
    [xml] = folder.glob("voc/Annotations/*.xml")
    for box, one, text in zip(boxes, coco, xml.read_text().split("<object>")[1:], strict=True):
        x, y, w, h = one["bbox"]
        corners = (re.search(rf"<{edge}>(-?\d+)<", text)[1] for edge in ("xmin", "ymin", "xmax", "ymax"))
        print("drawn", *box, "COCO", *map(round, (x, y, x + w, y + h)), "VOC", *corners)
PYTHON
)
verdict "drawn 36 52 37 53 COCO 36 52 37 53 VOC 36 52 36 53
drawn 132 441 1452 930 COCO 132 441 1452 930 VOC 131 441 1450 930
drawn 97 257 1064 1261 COCO 97 257 1064 1261 VOC 97 256 1064 1260" "$seen"
