#!/usr/bin/env bash
# Qwen2-VL's smart_resize halves a side by a rounding error: 300 x 1200 px at a limit of 16 cells becomes 28 x 196 instead of 56 x 224
#
# Versions    transformers 5.19.0, pillow 12.3.0, numpy 2.2.6
# Input       height 1200, width 300, cells of 28 px, max_pixels of 16 cells (12544), and one pixel more
# Expected    height 224, width 56: 16 cells, the ratio of the image; with one pixel more nothing changes
# Behaviour   the image is scaled by sqrt(1200 * 300 / 12544), by which its sides are 7.999999999999999 and 1.9999999999999998 cells, and
#             both are rounded down: 196 x 28, half of the width and of the pixels is lost. One pixel more gives 224 x 56. qwen-vl-utils
#             has the same formula; a server that computes in 32 bits (llama.cpp) makes 224 x 56 of it, and finds other boxes.
source "$(dirname "$0")/_run.sh"
packages transformers==5.19.0 pillow==12.3.0 numpy==2.2.6
seen=$(observe <<'PYTHON'
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

for max_pixels in (16 * 28 * 28, 16 * 28 * 28 + 1):
    print(max_pixels, *smart_resize(1200, 300, factor=28, min_pixels=4 * 28 * 28, max_pixels=max_pixels))
PYTHON
)
verdict "12544 196 28
12545 224 56" "$seen"
