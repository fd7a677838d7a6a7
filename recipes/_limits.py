"""The pixel limits of a trained model, for the shell: `python _limits.py CHECKPOINT` prints `MIN_PIXELS=... MAX_PIXELS=...`."""

from __future__ import annotations

import sys

from groundswift.answer_px import record_of_model
from groundswift.errors import GroundswiftError

try:
    limits = record_of_model(sys.argv[1]).limits
except GroundswiftError as error:
    sys.exit(f"error: {error}")
for name, pixels in (("MIN_PIXELS", limits.min_pixels), ("MAX_PIXELS", limits.max_pixels)):
    if pixels is not None:
        print(f"{name}={pixels}")
