#!/usr/bin/env bash
# Keypoints without `num_keypoints`: four evaluators, three answers
#
# Versions    pycocotools 2.0.11, hotcoco 1.3.0, faster-coco-eval 1.8.0, ultrafast-pycocotools 0.1.14
# Input       a ground truth of one person with 17 visible keypoints, found exactly; its annotation has no `num_keypoints`, as from
#             exporters that write the keypoints alone
# Expected    an error, or the count of visible keypoints: AP 1
# Behaviour   pycocotools raises KeyError: 'num_keypoints'. hotcoco counts: AP 1. faster-coco-eval and ultrafast-pycocotools take 0, which
#             means `ignore this person`: every number is -1, as for a ground truth without persons, and no warning is given.
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

KEYPOINTS = [number for index in range(17) for number in (100 + 5 * index, 200 - 4 * index, 2)]
truth = {
    "images": [{"id": 1, "file_name": "1.jpg", "width": 400, "height": 400}],
    "categories": [{"id": 1, "name": "person", "keypoints": [f"point {index}" for index in range(17)], "skeleton": []}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [90, 120, 120, 120], "area": 14400, "iscrowd": 0, "keypoints": KEYPOINTS}
    ],
}
Path("truth.json").write_text(json.dumps(truth))
Path("found.json").write_text(json.dumps([{"image_id": 1, "category_id": 1, "keypoints": KEYPOINTS, "score": 0.9}]))
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
            scored = evaluation(known, found, "keypoints")
            scored.evaluate(), scored.accumulate(), scored.summarize()
        print(name, "AP", round(float(scored.stats[0]), 6))
    except KeyError as error:
        print(name, "KeyError", error)
PYTHON
)
verdict "pycocotools KeyError 'num_keypoints'
hotcoco AP 1.0
faster-coco-eval AP -1.0
ultrafast-pycocotools AP -1.0" "$seen"
