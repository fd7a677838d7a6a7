#!/usr/bin/env bash
# supervision renumbers the classes in each VLM answer, and truncates PaliGemma's labels at the first comma or apostrophe
#
# Versions    supervision 0.31.2
# Input       perfect answers in the form of Gemini for two images: a dog; a cat and a dog. Truth: cat 0, dog 1. Two labels of PaliGemma.
# Expected    one number for one class in all images, or none, as the parser for Qwen2.5-VL does; mAP 1.000; labels as written
# Behaviour   without classes= an answer's own labels are sorted and counted: dog is 0 in the first image and 1 in the second, and mAP of
#             the perfect answers is 0.502. With classes= it is 1.000. PaliGemma's "woman's hat, red" becomes "woman", which a list of
#             classes then drops.
source "$(dirname "$0")/_run.sh"
packages supervision==0.31.2
seen=$(observe <<'PYTHON'
import json

import numpy as np
import supervision as sv
from supervision.metrics import MeanAveragePrecision

places = {"cat": [100, 100, 300, 300], "dog": [500, 500, 900, 900]}  # the same in both orders, x first and y first
images = [["dog"], ["cat", "dog"]]
truth = [
    sv.Detections(xyxy=np.array([places[name] for name in names], float), class_id=np.array([int(name == "dog") for name in names]))
    for names in images
]
for classes in (None, ["cat", "dog"]):
    found = []
    for names in images:
        answer = json.dumps([{"box_2d": places[name], "label": name} for name in names])
        one = sv.Detections.from_vlm(sv.VLM.GOOGLE_GEMINI_2_5, f"```json\n{answer}\n```", resolution_wh=(1000, 1000), classes=classes)
        one.confidence = np.ones(len(one))
        found.append(one)
    metric = MeanAveragePrecision()
    metric.update(found, truth)
    print("classes", classes, [one.class_id.tolist() for one in found], f"mAP {metric.compute().map50_95:.3f}")
answer = json.dumps([{"bbox_2d": places["cat"], "label": "cat"}])
print("Qwen2.5-VL", sv.Detections.from_vlm(sv.VLM.QWEN_2_5_VL, answer, resolution_wh=(9, 9), input_wh=(9, 9)).class_id)
answer = "<loc0100><loc0100><loc0300><loc0300> woman's hat, red ; <loc0500><loc0500><loc0900><loc0900> dog"
for classes in (None, ["woman's hat, red", "dog"]):
    print("PaliGemma", *sv.Detections.from_vlm(sv.VLM.PALIGEMMA, answer, resolution_wh=(1024, 1024), classes=classes)["class_name"])
PYTHON
)
verdict "classes None [[0], [0, 1]] mAP 0.502
classes ['cat', 'dog'] [[1], [0, 1]] mAP 1.000
Qwen2.5-VL None
PaliGemma woman dog
PaliGemma dog" "$seen"
