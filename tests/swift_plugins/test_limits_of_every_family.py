"""Every way to limit an image's pixels, alone and together: the size that we compute is the one that was fed, and boxes lead back.

swift reads the environment once a process, when the first processor is loaded. Here qwen-vl-utils is imported anew for each case,
which is all that a new process changes; `test_pixel_limits.py` starts real ones.
"""

from __future__ import annotations

import os
import sys

import pytest
from rows import assert_within_half_a_quantum, detection, places, read_back
from special_models import special_template
from tiny_models import tiny_model
from zoo import KINDS

from groundswift import families, resized_wh

NAMES = ("MAX_PIXELS", "MIN_PIXELS", "IMAGE_MAX_TOKEN_NUM", "IMAGE_MIN_TOKEN_NUM")
SIZES_WH = [(640, 480), (333, 1001), (60, 40), (1233, 485)]
FAMILY_OF = {name: kind.family for name, kind in KINDS.items()} | {name: name for name in ("dots_ocr", "mimo_v2")}  # the last: remote code
RESIZED = [name for name, family in FAMILY_OF.items() if families()[family].resize_factor and not name.endswith("_moe")]
MAX, MIN, MAX_TOKENS, MIN_TOKENS, OPTION, OF_ROW = "MAX_PIXELS", "MIN_PIXELS", "IMAGE_MAX_TOKEN_NUM", "IMAGE_MIN_TOKEN_NUM", "option", "row"
CASES = {
    "nothing": {},
    "MAX_PIXELS": {MAX: 100_000},
    "MIN_PIXELS": {MIN: 20_001},
    "MIN_PIXELS and MAX_PIXELS": {MIN: 20_000, MAX: 500_001},
    "IMAGE_MAX_TOKEN_NUM": {MAX_TOKENS: 50},
    "IMAGE_MIN_TOKEN_NUM": {MIN_TOKENS: 40},
    "IMAGE_MAX_TOKEN_NUM over MAX_PIXELS": {MAX_TOKENS: 50, MAX: 500_000},
    "--max_pixels": {OPTION: 30_011},
    "--max_pixels under MAX_PIXELS": {OPTION: 30_011, MAX: 20_000},
    "--max_pixels over MIN_PIXELS": {OPTION: 9_000, MIN: 50_000},
    "a row's max_pixels": {OF_ROW: 20},
    "a row's max_pixels over the environment": {OF_ROW: 60, MAX: 20_000},
    "all": {OF_ROW: 20, OPTION: 60_000, MIN: 10_000, MAX: 90_000},
}


@pytest.fixture
def new_process(monkeypatch):
    """Set limits in the environment as for a process that has not read them yet."""

    def start(limits):
        for name in [name for name in sys.modules if name.partition(".")[0] in ("qwen_vl_utils", "qwen_omni_utils")]:
            monkeypatch.delitem(sys.modules, name)
        for name in NAMES:
            monkeypatch.setenv(name, str(limits.get(name, "")))  # so that what swift sets is taken back
            if name not in limits:
                os.environ.pop(name)

    return start


@pytest.fixture
def make_template(zoo):
    """Our template of a tiny model, as swift makes it."""

    def make(kind, max_pixels):
        if kind in KINDS:
            return zoo.make_template(kind, max_pixels=max_pixels)
        return special_template(tiny_model(kind, zoo.base / "remote"), kind, max_pixels=max_pixels)

    return make


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", RESIZED)
def test_the_model_input_is_what_we_compute(make_template, image_of_size, new_process, kind, case):
    limits, family = CASES[case], FAMILY_OF[kind]
    factor = families()[family].resize_factor
    new_process(limits)
    template = make_template(kind, limits.get(OPTION))
    least = limits[MIN_TOKENS] * factor**2 if MIN_TOKENS in limits else limits.get(MIN)
    most = limits[MAX_TOKENS] * factor**2 if MAX_TOKENS in limits else limits.get(MAX)
    if OF_ROW in limits:
        most = limits[OF_ROW] * factor**2
    for size_wh in SIZES_WH:
        width, height = size_wh
        boxes = [[0.1 * width, 0.2 * height, 0.63 * width, 0.81 * height], [0, 0, width, height]]
        row = detection(image_of_size(size_wh), ["cat", "dog"], boxes)
        if OF_ROW in limits:
            row["chat_template_kwargs"] = {"max_pixels": most}
        encoding = template.encode(row)
        _, high, wide = (encoding["image_grid_thw"][0] * template.processor.image_processor.patch_size).tolist()
        assert resized_wh(size_wh, family, least, most, limits.get(OPTION)) == (wide, high)
        found = places(read_back(template, encoding, family).objects, family, size_wh, (wide, high))
        assert_within_half_a_quantum(found, boxes, family, size_wh, (wide, high))
