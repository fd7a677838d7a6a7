#!/usr/bin/env bash
# CIDEr of a perfect caption is 0 or 10, depending on the other images
#
# Versions    pycocoevalcap 1.2, pycocotools 2.0.11
# Input       captions that equal their only reference: one image; two images with different captions; two with the same; and a caption of
#             two words for BLEU
# Expected    the best value of the metric, 10, each time, and BLEU 1
# Behaviour   words are weighted by how many images do not use them: with one image, or where all captions agree, each weight is log(1) = 0
#             and CIDEr 0. BLEU-3 and BLEU-4 of a perfect caption of two words are 0.010 and 0.001.
source "$(dirname "$0")/_run.sh"
packages pycocoevalcap==1.2 pycocotools==2.0.11
seen=$(observe <<'PYTHON'
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider

for captions in (["a dog on a red sofa"], ["a dog on a red sofa", "two cats in a box"], ["a dog on a red sofa"] * 2):
    perfect = {image: [caption] for image, caption in enumerate(captions)}
    print(f"{len(captions)} images, {len(set(captions))} captions: CIDEr {Cider().compute_score(perfect, perfect)[0]:.3f}")
short = {0: ["red sofa"]}
print("red sofa: BLEU", *(f"{value:.3f}" for value in Bleu(4).compute_score(short, short, verbose=0)[0]))
PYTHON
)
verdict "1 images, 1 captions: CIDEr 0.000
2 images, 2 captions: CIDEr 10.000
2 images, 1 captions: CIDEr 0.000
red sofa: BLEU 1.000 1.000 0.010 0.001" "$seen"
