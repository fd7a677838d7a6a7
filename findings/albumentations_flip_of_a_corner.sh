#!/usr/bin/env bash
# After a flip with albumentations, the corner of a box and the same corner as a keypoint are in different places
#
# Versions    albumentations 2.0.8
# Input       an image of 200x100 px, a box [10, 20, 50, 60], its two corners as keypoints, flipped and rotated
# Expected    points and boxes share one coordinate system: what was a corner of the box is one afterwards
# Behaviour   boxes are mirrored about the image's edge (x becomes 200 - x), points about the centre of its last pixel (199 - x): mirrored
#             points are 1 px off their box, each quarter turn and mirroring alike; a second flip hides it. Class numbers become floats.
source "$(dirname "$0")/_run.sh"
packages albumentations==2.0.8
export NO_ALBUMENTATIONS_UPDATE=1
seen=$(observe <<'PYTHON'
import albumentations as A
import numpy as np

image = np.zeros((100, 200, 3), np.uint8)
for transform in (A.HorizontalFlip(p=1), A.VerticalFlip(p=1), A.Transpose(p=1)):
    pipeline = A.Compose(
        [transform],
        bbox_params=A.BboxParams("pascal_voc", label_fields=["classes"]),
        keypoint_params=A.KeypointParams("xy"),
    )
    done = pipeline(image=image, bboxes=[[10, 20, 50, 60]], keypoints=[[10, 20], [50, 60]], classes=[3])
    box = [round(edge) for edge in np.asarray(done["bboxes"])[0].tolist()]
    points = [round(number) for point in np.asarray(done["keypoints"]).tolist() for number in point]
    print(type(transform).__name__, "box", *box, "corners", *points, "class", done["classes"][0])
PYTHON
)
verdict "HorizontalFlip box 150 20 190 60 corners 189 20 149 60 class 3.0
VerticalFlip box 10 40 50 80 corners 10 79 50 39 class 3.0
Transpose box 20 10 60 50 corners 20 10 60 50 class 3.0" "$seen"
