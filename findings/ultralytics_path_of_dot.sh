#!/usr/bin/env bash
# Ultralytics looks for a dataset whose data.yaml says 'path: .' in the working directory, not in the folder of the file
#
# Versions    ultralytics 8.4.0, torch 2.14.1, torchvision 0.29.1
# Input       a YOLO dataset in set/ with 'path: .' or without path, as CVAT and Datumaro export it, checked from the folder above
# Expected    set/images/train both times: paths in a file are relative to the file
# Behaviour   without path it is found; with 'path: .', which says the same, images/train of the working directory is looked for, and missing.
source "$(dirname "$0")/_run.sh"
packages ultralytics==8.4.0 torch==2.14.1 torchvision==0.29.1
seen=$(YOLO_CONFIG_DIR="$FOLDER/settings" YOLO_AUTOINSTALL=false observe <<'PYTHON'
import contextlib
import io
import logging
import os
from pathlib import Path

os.makedirs("settings", exist_ok=True)
with contextlib.redirect_stdout(io.StringIO()):
    from PIL import Image
    from ultralytics.data.utils import check_det_dataset

logging.disable(logging.CRITICAL)
for folder in ("set/images/train", "set/labels/train"):
    os.makedirs(folder)
Image.new("RGB", (64, 64)).save("set/images/train/a.jpg")
Path("set/labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
for path in ("", "path: .\n"):
    Path("set/data.yaml").write_text(f"{path}train: images/train\nval: images/train\nnames:\n  0: cat\n")
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            found = os.path.relpath(check_det_dataset("set/data.yaml", autodownload=False)["train"])
        except FileNotFoundError:
            found = "not found"
    print(path.strip() or "no path", "->", found)
PYTHON
)
verdict "no path -> set/images/train
path: . -> not found" "$seen"
