#!/usr/bin/env bash
# Boxes without `area`: faster-coco-eval counts all of them as small
#
# Versions    pycocotools 2.0.11, hotcoco 1.3.0, faster-coco-eval 1.8.0, ultrafast-pycocotools 0.1.14
# Input       a ground truth of one box of 120x120 px, found exactly, whose annotation has no `area`, as exporters of boxes without masks
#             write it
# Expected    an error, or the area of the box: a large object
# Behaviour   pycocotools raises KeyError: 'area'. hotcoco and ultrafast-pycocotools take width times height: AP of large objects 1.
#             faster-coco-eval takes 0, without a warning: AP of small objects is 1 and AP of large ones -1 (none). AP over all sizes
#             is the same, so that only the numbers by size show it.
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
    "images": [{"id": 1, "file_name": "1.jpg", "width": 400, "height": 400}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "iscrowd": 0}],
}
Path("truth.json").write_text(json.dumps(truth))
Path("found.json").write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": BOX, "score": 0.9}]))
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
        print(name, "AP {:.0f}, small {:.0f}, large {:.0f}".format(*(scored.stats[index] for index in (0, 3, 5))))
    except KeyError as error:
        print(name, "KeyError", error)
PYTHON
)
verdict "pycocotools KeyError 'area'
hotcoco AP 1, small -1, large 1
faster-coco-eval AP 1, small 1, large -1
ultrafast-pycocotools AP 1, small -1, large 1" "$seen"
