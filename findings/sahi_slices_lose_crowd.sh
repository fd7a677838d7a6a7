#!/usr/bin/env bash
# Slicing a COCO dataset with SAHI turns crowd regions into objects, and each slice counts as a false negative
#
# Versions    sahi 0.12.8, pycocotools 2.0.11
# Input       an image of 200x100 px with one object and one crowd region across both halves, cut into two slices of 100x100
# Expected    the crowd region keeps iscrowd 1 in both slices; predictions of all true objects have AP 1.000 before and after
# Behaviour   slice_coco writes iscrowd 0 everywhere. The region counts as two objects that no detector is asked to find: AP 0.337.
source "$(dirname "$0")/_run.sh"
packages sahi==0.12.8 pycocotools==2.0.11
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
import os
from pathlib import Path

from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sahi.slicing import slice_coco

os.mkdir("images")
Image.new("RGB", (200, 100)).save("images/a.png")
shapes = [([10, 10, 40, 20], 0), ([60, 50, 80, 40], 1)]
truth = {
    "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [
        {"id": index, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}
        for index, (box, crowd) in enumerate(shapes, 1)
    ],
}
Path("truth.json").write_text(json.dumps(truth))


def average_precision(data):
    """Score one perfect prediction of the object."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = data
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes([{"image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 20], "score": 0.9}]), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats[0]


with contextlib.redirect_stdout(io.StringIO()):
    sliced, _ = slice_coco(
        "truth.json", "images", "out", output_dir="slices", slice_height=100, slice_width=100,
        overlap_height_ratio=0, overlap_width_ratio=0, verbose=False,
    )
for name, data in (("whole", truth), ("sliced", sliced)):
    print(name, "iscrowd", *(one["iscrowd"] for one in data["annotations"]), f"AP {average_precision(data):.3f}")
PYTHON
)
verdict "whole iscrowd 0 1 AP 1.000
sliced iscrowd 0 0 0 AP 0.337" "$seen"
