#!/usr/bin/env bash
# simplejpeg's fastdct=False changes nothing: below quality 96 the fast cosine transform is used in any case
#
# Versions    simplejpeg 1.9.0, pillow 12.3.0, numpy 2.2.6
# Input       64x64 px of grey noise, encoded at quality 90 and 96 with fastdct=True and with fastdct=False, and by Pillow
# Expected    fastdct=False: the pixels of Pillow, whose transform is the accurate one
# Behaviour   fastdct=True and False give the same bytes at 90, with other pixels than Pillow's (mean squared error 3 % larger);
#             from 96 on both are Pillow's. Pass quality 96 or more where accuracy counts.
source "$(dirname "$0")/_run.sh"
packages simplejpeg==1.9.0 pillow==12.3.0 numpy==2.2.6
seen=$(observe <<'PYTHON'
from io import BytesIO

import numpy as np
from PIL import Image
from simplejpeg import encode_jpeg

pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8)
for quality in (90, 96):
    fast, accurate = (encode_jpeg(pixels, quality, "GRAY", "Gray", fastdct=choice) for choice in (True, False))
    data = BytesIO()
    Image.fromarray(pixels[..., 0]).save(data, "JPEG", quality=quality)
    same = np.array_equal(Image.open(BytesIO(accurate)), Image.open(data))
    print(quality, "one result" if fast == accurate else "two results", "of Pillow" if same else "not of Pillow")
PYTHON
)
verdict "90 one result not of Pillow
96 one result of Pillow" "$seen"
