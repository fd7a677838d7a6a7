#!/usr/bin/env bash
# A COCO file that globox writes loses its first object in pycocotools
#
# Versions    globox 2.9.0, pycocotools 2.0.11, hotcoco 1.3.0, faster-coco-eval 1.8.0
# Input       a COCO file of 2 objects of one class with ids 1 and 2; globox reads and saves it with auto_ids, as for files without ids
# Expected    the same boxes found again, all of them: AP 1.000 with every evaluator, before and after
# Behaviour   globox counts annotation ids from 0. pycocotools marks a matched prediction with the id of its object and reads 0 as 'not
#             matched', so a perfect prediction is a false positive; faster-coco-eval does the same. hotcoco 1.3 scores 1.000 and warns.
source "$(dirname "$0")/_run.sh"
packages globox==2.9.0 pycocotools==2.0.11 hotcoco==1.3.0 faster-coco-eval==1.8.0
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
from pathlib import Path

import faster_coco_eval
import hotcoco
from globox import AnnotationSet
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

boxes = [[10, 10, 20, 20], [60, 40, 20, 30]]
truth = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"id": index, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for index, box in enumerate(boxes, 1)
    ],
}
Path("before.json").write_text(json.dumps(truth))
AnnotationSet.from_coco(file_path="before.json").save_coco(Path("after.json"), auto_ids=True)
found = [{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9} for box in boxes]
evaluators = {
    "pycocotools": (COCO, COCOeval),
    "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
}
print("ids", [annotation["id"] for annotation in json.loads(Path("after.json").read_text())["annotations"]])
for name, (dataset, evaluator) in evaluators.items():
    scores = []
    for file in ("before.json", "after.json"):
        with contextlib.redirect_stdout(io.StringIO()):
            coco = dataset(file)
            run = evaluator(coco, coco.loadRes([dict(one) for one in found]), "bbox")
            run.evaluate()
            run.accumulate()
            run.summarize()
        scores.append(f"{run.stats[0]:.3f}")
    print(name, *scores)
PYTHON
)
verdict "ids [0, 1]
pycocotools 1.000 0.252
hotcoco 1.000 1.000
faster-coco-eval 1.000 0.252" "$seen"
