#!/usr/bin/env bash
# With equal scores, AP depends on how the images are numbered
#
# Versions    pycocotools 2.0.11, hotcoco 1.3.0, faster-coco-eval 1.8.0
# Input       3 images, 2 objects each; in one image both are found, in the others 4 boxes each are wrong; every score is 1.0, as where a
#             vision-language model gives no confidence. Once numbered 1 2 3, once 3 2 1; nothing else differs.
# Expected    ids are names: the same AP
# Behaviour   equal scores are ranked in the order of the image ids, so the numbering decides which boxes come first: AP 0.337 or 0.067. The
#             three evaluators agree to the last digit, so comparing them does not show it.
source "$(dirname "$0")/_run.sh"
packages pycocotools==2.0.11 hotcoco==1.3.0 faster-coco-eval==1.8.0
seen=$(observe <<'PYTHON'
import contextlib
import io
import json
from pathlib import Path

import faster_coco_eval
import hotcoco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

objects = [[10, 10, 40, 40], [10, 110, 40, 40]]
answers = {"good": objects, "bad": [[100 + 50 * index, 10, 30, 30] for index in range(4)]}
evaluators = {
    "pycocotools": (COCO, COCOeval),
    "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
}
for kinds in (("good", "bad", "bad"), ("bad", "bad", "good")):
    truth = {
        "images": [{"id": index, "file_name": f"{index}.jpg", "width": 400, "height": 400} for index in (1, 2, 3)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 10 * image + index, "image_id": image, "category_id": 1, "bbox": box, "area": 1600, "iscrowd": 0}
            for image in (1, 2, 3)
            for index, box in enumerate(objects)
        ],
    }
    Path("truth.json").write_text(json.dumps(truth))
    found = [
        {"image_id": image, "category_id": 1, "bbox": box, "score": 1.0} for image, kind in enumerate(kinds, 1) for box in answers[kind]
    ]
    for name, (dataset, evaluator) in evaluators.items():
        with contextlib.redirect_stdout(io.StringIO()):
            coco = dataset("truth.json")
            run = evaluator(coco, coco.loadRes([dict(one) for one in found]), "bbox")
            run.evaluate()
            run.accumulate()
            run.summarize()
        print(*kinds, name, f"{run.stats[0]:.3f}")
PYTHON
)
verdict "good bad bad pycocotools 0.337
good bad bad hotcoco 0.337
good bad bad faster-coco-eval 0.337
bad bad good pycocotools 0.067
bad bad good hotcoco 0.067
bad bad good faster-coco-eval 0.067" "$seen"
