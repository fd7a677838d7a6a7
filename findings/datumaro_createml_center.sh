#!/usr/bin/env bash
# Datumaro reads the centre of a CreateML box as its top left corner
#
# Versions    datumaro 1.13.12
# Input       a box of 20x10 px around the point (50, 40), in CreateML's JSON, in the folders of a Roboflow export
# Expected    corners 40 35 and 60 45: x and y are the centre, as Apple's MLBoundingBoxAnchor has by default
# Behaviour   corners 50 40 and 70 50: every box is moved right and down by half of its size, without a message
source "$(dirname "$0")/_run.sh"
packages datumaro==1.13.12
seen=$(observe <<'PYTHON'
import json
import os
from pathlib import Path

from datumaro.components.dataset import Dataset
from PIL import Image

os.makedirs("export/train")
Image.new("RGB", (100, 80)).save("export/train/a.jpg")
one = {"label": "cat", "coordinates": {"x": 50, "y": 40, "width": 20, "height": 10}}
Path("export/train/_annotations.createml.json").write_text(json.dumps([{"image": "a.jpg", "annotations": [one]}]))
for item in Dataset.import_from("export", "roboflow_create_ml"):
    for box in item.annotations:
        print("corners", *map(round, box.points))
PYTHON
)
verdict "corners 50 40 70 50" "$seen"
