"""What the evaluator takes the model to have been fed is what swift feeds it, however the pixels are limited; and the record says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import msgspec
import pytest
from PIL import Image

from groundswift import resized_wh
from groundswift.coordinates import limits_in_force
from groundswift.eval.answers.protocol import Rules
from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord

SIZES_WH = [(640, 480), (333, 1001), (60, 40), (1233, 485), (1899, 884)]  # the last two tell rounded limits from others
FIRST = [None, 9_000, 300_001]  # swift's --max_pixels
FED = """
import json, sys
import msgspec
from swift.utils import import_external_file
import_external_file(sys.argv[1])
from swift.model import get_processor
from swift.template import get_template
from groundswift.swift_plugins.grounding.patches.run_record import record_of

family, name = sys.argv[3], f"{sys.argv[3]}_grounding"
processor = get_processor(sys.argv[2], model_type=family)
results = []
for first in json.loads(sys.argv[4]):
    template = get_template(processor, template_type=name, max_pixels=first)
    template.set_mode("train")
    fed = []
    for path in sys.argv[5:]:
        messages = [{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "None"}]
        _, high, wide = template.encode({"messages": messages, "images": [path]})["image_grid_thw"][0].tolist()
        fed.append([side * processor.image_processor.patch_size for side in (wide, high)])
    results.append([fed, msgspec.to_builtins(record_of(name, first))])
print("TOLD", json.dumps(results))
"""
TOKEN = 28 * 28


@pytest.mark.parametrize(
    ("family", "environment", "least", "most"),
    [
        pytest.param("qwen2_5_vl", {}, None, None, id="none"),
        pytest.param("qwen2_5_vl", {"MIN_PIXELS": 20_000, "MAX_PIXELS": 500_001}, 20_000, 500_001, id="pixels"),
        pytest.param("qwen2_5_vl", {"MIN_PIXELS": 500, "MAX_PIXELS": 100_000}, 500, 100_000, id="less than a token"),
        pytest.param(
            "qwen2_5_vl",
            {"IMAGE_MIN_TOKEN_NUM": 30, "IMAGE_MAX_TOKEN_NUM": 90, "MIN_PIXELS": 1, "MAX_PIXELS": 500_000},
            30 * TOKEN,
            90 * TOKEN,
            id="tokens count before pixels",
        ),
        pytest.param("qwen3_vl", {"MAX_PIXELS": 100_000}, None, 100_000, id="a family of other tokens"),
    ],
)
@pytest.mark.long
def test_the_evaluator_and_the_record_know_what_swift_feeds(plugin, zoo, tmp_path, family, environment, least, most):
    paths = []
    for width, height in SIZES_WH:
        paths.append(str(tmp_path / f"{width}x{height}.png"))
        Image.new("RGB", (width, height)).save(paths[-1])
    done = subprocess.run(
        [sys.executable, "-c", FED, str(plugin), str(zoo.folder(family)), family, json.dumps(FIRST), *paths],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(done.stdout.split("TOLD ")[1].splitlines()[0])
    for first, (fed, record) in zip(FIRST, results, strict=True):
        recorded = msgspec.convert(record, RunRecord)
        limits = Limits(least, most, first)
        assert recorded.limits == limits_in_force(limits, family)
        for declared in (limits, recorded.limits):
            rules = Rules(family, limits=declared)
            assert [list(rules.model_input_wh(size_wh)) for size_wh in SIZES_WH] == fed
        assert [list(resized_wh(size_wh, family, least, most, first)) for size_wh in SIZES_WH] == fed
