"""What the evaluator takes the model to have been fed is what swift feeds it, for limits that are no whole number of tokens too."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from groundswift.eval.predictions import Rules

SIZES_WH = [(640, 480), (333, 1001), (60, 40), (1233, 485), (1899, 884)]  # the last two tell rounded limits from others
FED = """
import json, sys
from swift.utils import import_external_file
import_external_file(sys.argv[1])
from swift.model import get_processor
from swift.template import get_template
template = get_template(get_processor(sys.argv[2], model_type="qwen2_5_vl"), template_type="qwen2_5_vl_grounding")
template.set_mode("train")
fed = []
for path in sys.argv[3:]:
    messages = [{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "None"}]
    _, high, wide = template.encode({"messages": messages, "images": [path]})["image_grid_thw"][0].tolist()
    fed.append([wide * 14, high * 14])
print("FED", json.dumps(fed))
"""


@pytest.mark.parametrize(("least", "most"), [(None, None), (None, 100_000), (20_000, 500_001)])
def test_the_evaluator_knows_what_swift_feeds(plugin, models, tmp_path, least, most):
    paths = []
    for width, height in SIZES_WH:
        paths.append(str(tmp_path / f"{width}x{height}.png"))
        Image.new("RGB", (width, height)).save(paths[-1])
    limits = {name: str(value) for name, value in (("MIN_PIXELS", least), ("MAX_PIXELS", most)) if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", FED, str(plugin), str(models["qwen2_5_vl"]), *paths],
        env={**os.environ, **limits, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    fed = json.loads(done.stdout.split("FED ")[1])
    rules = Rules("qwen2_5_vl", pixel_limits=(least, most))
    assert [list(rules.fed_wh(size_wh)) for size_wh in SIZES_WH] == fed
