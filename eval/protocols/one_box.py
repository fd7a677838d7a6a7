"""What the rules of one box an image share: accuracy at IoU thresholds, mean IoU and whether the centre is in the object."""

from __future__ import annotations

from collections.abc import Sequence

from groundswift.boxes import iou, paired_iou

from .base import NO_BOX, Box, Case, Numbers, Sample, mean, scaled

NUMBERS = {"acc_50": "accuracy at 0.5", "mIoU": "mean IoU"}


def iou_of(box: Box, other: Box) -> float:
    """IoU of two boxes; 0 where one of them is inverted or empty."""
    return float(paired_iou([box], [other])[0])


def accuracy(samples: list[Sample], boxes: list[Box], case: Case) -> Numbers:
    """Accuracy and mean IoU of one box a sample."""
    values = [iou_of(box, sample.boxes_xyxy_px[0]) for sample, box in zip(samples, boxes, strict=True)]
    return of_ious(values)


def of_ious(values: Sequence[float]) -> Numbers:
    """Accuracy and mean of IoUs."""
    return {"acc_50": mean([float(value >= 0.5) for value in values]), "mIoU": mean(values)}


def first_found(sample: Sample, case: Case) -> Box:
    """The first box that groundswift reads."""
    return sample.found[0][1] if sample.found else NO_BOX


def best_of(sample: Sample, written: Sequence[Box], units: float) -> Box:
    """Of boxes as pixels and as parts of `units` the one that overlaps the object most, the first of equals."""
    return best([each for box in written for each in (box, scaled(box, sample.size_wh, units))], sample)


def best(boxes: Sequence[Box], sample: Sample) -> Box:
    """The box that overlaps the object most, the first of equals."""
    return boxes[int(iou(boxes, sample.boxes_xyxy_px[:1])[:, 0].argmax())] if boxes else NO_BOX
