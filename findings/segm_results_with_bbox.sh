#!/usr/bin/env bash
# A box that is written with each mask of a result file changes the mask AP of small and medium objects
#
# Versions    pycocotools 2.0.11, hotcoco 1.3.0, faster-coco-eval 1.8.0
# Input       6 triangles of 780 px (small objects) as truth; as results the same masks and 6 false ones, without and with their own 'bbox'
# Expected    iouType 'segm' looks at the masks: the same 12 numbers for both files
# Behaviour   loadRes takes the area of a result from its box where the first result has one. The false masks (780 px, their boxes 1600)
#             are then not small any more and no longer counted: APs doubles. All three evaluators agree on both values.
source "$(dirname "$0")/_run.sh"
packages pycocotools==2.0.11 hotcoco==1.3.0 faster-coco-eval==1.8.0
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
from pathlib import Path

import faster_coco_eval
import hotcoco
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def result(x, y, score):
    """One triangle of 40x40 px as a run-length mask."""
    [rle] = mask.frPyObjects([[x, y, x + 40, y, x, y + 40]], 400, 400)
    return {"image_id": 1, "category_id": 1, "score": score, "segmentation": {**rle, "counts": rle["counts"].decode()}}


truth = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 400, "height": 400}],
    "categories": [{"id": 1, "name": "sail"}],
    "annotations": [
        {"id": index + 1, "image_id": 1, "category_id": 1, "bbox": [x, 10, 40, 40], "area": 780, "iscrowd": 0,
         "segmentation": [[x, 10, x + 40, 10, x, 50]]}
        for index, x in enumerate(range(10, 370, 60))
    ],
}
Path("truth.json").write_text(json.dumps(truth))
masks = [result(x, y, score) for x in range(10, 370, 60) for y, score in ((10, 0.9), (200, 0.95))]
boxed = [{**one, "bbox": mask.toBbox(one["segmentation"]).tolist()} for one in masks]
for name, (dataset, evaluator) in {
    "pycocotools": (COCO, COCOeval),
    "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
}.items():
    for kind, results in (("masks", masks), ("masks and boxes", boxed)):
        with contextlib.redirect_stdout(io.StringIO()):
            coco = dataset("truth.json")
            run = evaluator(coco, coco.loadRes([dict(one) for one in results]), "segm")
            run.evaluate()
            run.accumulate()
            run.summarize()
        print(f"{name}, {kind}: AP {run.stats[0]:.3f}, APs {run.stats[3]:.3f}")
PYTHON
)
verdict "pycocotools, masks: AP 0.500, APs 0.500
pycocotools, masks and boxes: AP 0.500, APs 1.000
hotcoco, masks: AP 0.500, APs 0.500
hotcoco, masks and boxes: AP 0.500, APs 1.000
faster-coco-eval, masks: AP 0.500, APs 0.500
faster-coco-eval, masks and boxes: AP 0.500, APs 1.000" "$seen"
