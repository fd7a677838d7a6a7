#!/usr/bin/env bash
# The IoU that torchmetrics gives n perfect boxes of one class is 1/n
#
# Versions    torchmetrics 1.9.0, torch 2.14.1, torchvision 0.29.1
# Input       1, 2 and 4 boxes of one class, far from each other; the predictions are the same boxes
# Expected    IntersectionOverUnion 1.000, GeneralizedIntersectionOverUnion 1.000
# Behaviour   boxes are not matched: the mean is over all pairs of one class, so 4 perfect boxes have IoU 0.250 and a negative GIoU.
#             Only with iou_threshold, which excludes the pairs below it, is the value 1.000.
source "$(dirname "$0")/_run.sh"
packages torchmetrics==1.9.0 torch==2.14.1 torchvision==0.29.1
seen=$(observe <<'PYTHON'
import torch
from torchmetrics.detection import GeneralizedIntersectionOverUnion, IntersectionOverUnion

for count in (1, 2, 4):
    boxes = torch.tensor([[100.0 * index, 0, 100.0 * index + 50, 50] for index in range(count)])
    labels = torch.zeros(count, dtype=torch.int)
    for name, metric in (
        ("IoU", IntersectionOverUnion()),
        ("GIoU", GeneralizedIntersectionOverUnion()),
        ("IoU with threshold", IntersectionOverUnion(iou_threshold=0.5)),
    ):
        metric.update([{"boxes": boxes, "labels": labels, "scores": torch.ones(count)}], [{"boxes": boxes, "labels": labels}])
        [value] = metric.compute().values()
        print(count, name, f"{value.item():.3f}")
PYTHON
)
verdict "1 IoU 1.000
1 GIoU 1.000
1 IoU with threshold 1.000
2 IoU 0.500
2 GIoU 0.333
2 IoU with threshold 1.000
4 IoU 0.250
4 GIoU -0.114
4 IoU with threshold 1.000" "$seen"
