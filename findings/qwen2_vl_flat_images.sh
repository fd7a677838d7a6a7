#!/usr/bin/env bash
# A line of text 14 px high reaches Qwen2-VL at two thirds of the width that it has at 15 px
#
# Versions    transformers 5.19.0, pillow 12.3.0
# Input       images of 600 px width, 16, 15, 14 and 10 px high, as OCR crops are; the default limits, 3136 to 1003520 px
# Expected    all have more than 3136 px, so only the sides are rounded to multiples of 28: 588x28 each
# Behaviour   a height up to 14 px rounds to 0 rows of patches, 0 px are below the minimum, and the whole image is scaled to the minimum:
#             392x28, 28 columns of patches in place of 42; at 10 px 448x28, wider again. Boxes in pixels of the model's input shift with it.
source "$(dirname "$0")/_run.sh"
packages transformers==5.19.0 pillow==12.3.0 numpy==2.2.6
seen=$(observe <<'PYTHON'
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

processor = Qwen2VLImageProcessorPil()
print("limits", processor.size["shortest_edge"], processor.size["longest_edge"])
for height in (16, 15, 14, 10):
    _, rows, columns = (int(number) for number in processor(Image.new("RGB", (600, height)))["image_grid_thw"][0])
    print(f"600x{height} becomes {columns * 14}x{rows * 14}")
PYTHON
)
verdict "limits 3136 1003520
600x16 becomes 588x28
600x15 becomes 588x28
600x14 becomes 392x28
600x10 becomes 448x28" "$seen"
