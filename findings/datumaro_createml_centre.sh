#!/usr/bin/env bash
# Datumaro reads the centre of a CreateML box as its upper left corner
#
# Versions    datumaro 1.13.12
# Input       one image of 100x80 px with a box at x 50, y 40, 20 px wide, 10 px high, in Roboflow's CreateML layout. CreateML states
#             the centre of a box (Apple, "Building an Object Detector Data Source").
# Expected    the box 40 35 60 45
# Behaviour   50 40 70 50: each box is moved by half of its width and height, silently. IoU with the object: 0.14.
source "$(dirname "$0")/_run.sh"
packages datumaro==1.13.12
seen=$(observe <<'PYTHON'
import json
import os

from datumaro.components.dataset import Dataset
from PIL import Image

os.makedirs("set/train")
Image.new("RGB", (100, 80)).save("set/train/a.jpg")
box = {"label": "cat", "coordinates": {"x": 50, "y": 40, "width": 20, "height": 10}}
with open("set/train/_annotations.createml.json", "w") as file:
    json.dump([{"image": "a.jpg", "annotations": [box]}], file)
[item] = Dataset.import_from("set", "roboflow_create_ml")
[found] = item.annotations
print(*map(int, found.points))
PYTHON
)
verdict "50 40 70 50" "$seen"
