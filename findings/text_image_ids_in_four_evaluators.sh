#!/usr/bin/env bash
# Image ids that are text: ultrafast-pycocotools finds nothing, without an error
#
# Versions    pycocotools 2.0.11, hotcoco 1.3.0, faster-coco-eval 1.8.0, ultrafast-pycocotools 0.1.14
# Input       a ground truth with one image, whose id is digits as text, and a result that finds its box exactly
# Expected    AP 1, as pycocotools gives, or an error that names the id
# Behaviour   ultrafast-pycocotools returns -1 for all 12 numbers, as for a set without objects. hotcoco raises ValueError and names the
#             id; faster-coco-eval raises AssertionError "Results do not correspond to current coco set".
source "$(dirname "$0")/_run.sh"
packages pycocotools==2.0.11 hotcoco==1.3.0 faster-coco-eval==1.8.0 ultrafast-pycocotools==0.1.14
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
from pathlib import Path

import faster_coco_eval
import hotcoco
import pycocotools.coco
import pycocotools.cocoeval
import ultrafast_pycocotools.coco
import ultrafast_pycocotools.cocoeval

BOX = [10, 10, 120, 120]
truth = {
    "images": [{"id": "000139", "file_name": "000139.jpg", "width": 400, "height": 400}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": "000139", "category_id": 1, "bbox": BOX, "area": 14400, "iscrowd": 0}],
}
Path("truth.json").write_text(json.dumps(truth))
Path("found.json").write_text(json.dumps([{"image_id": "000139", "category_id": 1, "bbox": BOX, "score": 0.9}]))
evaluators = {
    "pycocotools": (pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
    "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
    "ultrafast-pycocotools": (ultrafast_pycocotools.coco.COCO, ultrafast_pycocotools.cocoeval.COCOeval),
}
for name, (coco, evaluation) in evaluators.items():
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            known = coco("truth.json")
            found = (known.load_res if name == "hotcoco" else known.loadRes)("found.json")
            scored = evaluation(known, found, "bbox")
            scored.evaluate(), scored.accumulate(), scored.summarize()
        print(name, "AP", round(scored.stats[0]), "all -1" if set(map(float, scored.stats)) == {-1.0} else "")
    except (AssertionError, ValueError) as error:
        print(name, type(error).__name__)
PYTHON
)
verdict "pycocotools AP 1 
hotcoco ValueError
faster-coco-eval AssertionError
ultrafast-pycocotools AP -1 all -1" "$seen"
