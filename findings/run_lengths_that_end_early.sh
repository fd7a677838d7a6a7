#!/usr/bin/env bash
# Run lengths that end before the mask does: pycocotools decodes memory that it never wrote
#
# Versions    pycocotools 2.0.11, hotcoco 1.3.0
# Input       run lengths of 3 pixels for a mask of 200x300 px, as a cut file or an exporter that drops the last run of zeros leaves them;
#             decoded 20 times, after arrays of other content were freed
# Expected    an error, or zeros for the pixels that no run covers
# Behaviour   pycocotools returns the 3 pixels and then whatever the memory held: values other than 0 and 1, another mask each time.
#             hotcoco fills with zeros. Neither says a word. Both refuse run lengths that go on beyond the mask.
source "$(dirname "$0")/_run.sh"
packages pycocotools==2.0.11 hotcoco==1.3.0
seen=$(observe <<'PYTHON'
import hotcoco.mask
import numpy as np
import pycocotools.mask

HEIGHT, WIDTH = 200, 300
short, long = ({"counts": counts, "size": [HEIGHT, WIDTH]} for counts in ([3], [3, HEIGHT * WIDTH]))
for name, masks in (("pycocotools", pycocotools.mask), ("hotcoco", hotcoco.mask)):
    beyond = 0
    for value in range(20):
        np.full((HEIGHT, WIDTH), value + 2, dtype=np.uint8)  # freed at once: what is allocated next gets its memory
        beyond = max(beyond, int(masks.decode(masks.frPyObjects(short, HEIGHT, WIDTH)).max()))
    try:
        masks.decode(masks.frPyObjects(long, HEIGHT, WIDTH))
        refused = "reads"
    except ValueError:
        refused = "refuses"
    print(name, "decodes other values than 0 and 1" if beyond > 1 else "decodes zeros and ones", "and", refused, "too many")
PYTHON
)
verdict "pycocotools decodes other values than 0 and 1 and refuses too many
hotcoco decodes zeros and ones and refuses too many" "$seen"
