"""Qwen-VL, chat and base: its image goes in as a path, which its own code opens; its base model knows no marks of a conversation."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from oriented_images import seen
from PIL import Image
from rows import assert_within_half_a_quantum, detection, places, trained_answer
from stubs import stub_template
from swift.utils import get_logger

from groundswift import parse
from groundswift.errors import GroundswiftError
from groundswift.image_resize import rescaled_wh

PATHS = ["qwen_vl", "qwen_vl_base"]


def asking(image: Any) -> dict[str, Any]:
    """A row with one image and no objects."""
    return {"messages": [{"role": "user", "content": "<image>What is it?"}], "images": [image]}


@pytest.mark.parametrize("mode", ["train", "transformers"])
@pytest.mark.parametrize("stock", PATHS)
def test_an_image_that_goes_in_as_a_path_is_upright_without_objects_too(stub_templates, oriented, stock, mode):
    upright, paths = oriented
    template = stub_templates(stock)
    template.set_mode(mode)
    try:
        for orientation, path in paths.items():
            text = template.tokenizer.decode(template.encode(asking(str(path)))["input_ids"])
            fed = re.search(r"Picture 1: <img>(.*?)</img>\n", text).group(1)
            assert np.array_equal(seen(fed), upright), orientation
            assert (fed == str(path)) == (orientation == 1), "an upright file is no copy"
    finally:
        template.set_mode("train")


@pytest.mark.parametrize(("name", "kind", "most"), [("a.png", np.uint16, 65535), ("a.tif", np.int32, 65535), ("a.tif", np.float32, 1)])
@pytest.mark.parametrize("stock", PATHS)
def test_a_deep_image_that_goes_in_as_a_path_is_scaled_to_8_bits(stub_templates, tmp_path, stock, name, kind, most):
    values = np.linspace(0, most, 40 * 30).reshape(30, 40).astype(kind)
    Image.fromarray(values).save(tmp_path / name)
    text = stub_templates(stock).tokenizer.decode(stub_templates(stock).encode(asking(str(tmp_path / name)))["input_ids"])
    fed = seen(re.search("<img>(.*?)</img>", text).group(1))
    assert np.abs(fed[..., 0].astype(int) - values / most * 255).max() <= 1


@pytest.mark.parametrize("stock", ["qwen_vl", "internvl2_5"])
def test_an_image_without_a_known_scale_is_refused(stub_templates, stock):
    with pytest.raises(GroundswiftError, match="its values are -3 to -3, for which no scale to 8 bits is known"):
        stub_templates(stock).encode(asking(Image.new("F", (40, 30), -3.0)))


SOURCES = {
    "bytes": lambda raw: {"bytes": raw, "path": None},
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "base64 as a URL": lambda raw: "data:image/png;base64," + base64.b64encode(raw).decode(),
    "an image": lambda raw: Image.open(BytesIO(raw)),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("stock", ["qwen_vl", "internvl2_5"])
def test_images_from_elsewhere_are_upright_too(stub_templates, oriented, stock, source):
    upright, paths = oriented
    encoding = stub_templates(stock).encode(asking(SOURCES[source](paths[6].read_bytes())), return_template_inputs=True)
    assert np.array_equal(seen(encoding["template_inputs"].images[0]), upright)


@pytest.mark.parametrize("image", ["no/such/picture.png", "data:image/png;base64,AAAA", "QUJD"])
@pytest.mark.parametrize("stock", ["qwen_vl", "internvl2_5"])
def test_an_image_that_is_none_is_reported_by_its_name(stub_templates, stock, image):
    with pytest.raises(GroundswiftError, match=re.escape(image)):
        stub_templates(stock).encode(asking(image))


@pytest.mark.parametrize("stock", PATHS)
def test_max_pixels_changes_the_image_and_not_the_boxes(stub_templates, image_of_size, stock, monkeypatch):
    template, size_wh, box = stub_templates(stock), (333, 1001), [14, 7, 300.5, 963]
    monkeypatch.setattr(template, "max_pixels", 30_000)
    encoding = template.encode(detection(image_of_size(size_wh), ["cat"], [box]), return_template_inputs=True)
    height, width, _ = seen(encoding["template_inputs"].images[0]).shape
    assert (width, height) == rescaled_wh(size_wh, 30_000)
    located = parse(trained_answer(template, encoding), "qwen_vl").objects
    assert_within_half_a_quantum(places(located, "qwen_vl", size_wh, None), [box], "qwen_vl", size_wh, None)


@pytest.mark.parametrize("stock", PATHS)
def test_the_base_model_never_meets_the_marks_of_a_conversation(stub_templates, image_of_size, stock):
    row = detection(image_of_size((112, 84)), ["cat"], [[1, 2, 50, 60]])
    encoding = stub_templates(stock).encode(row)
    text = stub_templates(stock).tokenizer.decode(encoding["input_ids"])
    assert ("<|im_start|>" in text, "<|im_end|>" in text) == (stock == "qwen_vl",) * 2
    assert text.endswith("<|endoftext|>" if stock == "qwen_vl_base" else "<|im_end|>\n")
    ends = stub_templates(stock).tokenizer.decode([token for token in encoding["labels"] if token != -100])
    assert ends.endswith("<|endoftext|>" if stock == "qwen_vl_base" else "<|im_end|>\n")


@pytest.mark.parametrize("chat_format", ["raw", "chatml"])
@pytest.mark.parametrize("stock", PATHS)
def test_the_chat_template_over_the_base_model_says_what_it_needs(plugin, tmp_path, monkeypatch, stock, chat_format):
    said = []
    monkeypatch.setattr(get_logger(), "warning_once", said.append)
    (tmp_path / "generation_config.json").write_text(f'{{"chat_format": "{chat_format}"}}')
    stub_template(stock, tmp_path)
    warned = any("--modules_to_save wte lm_head" in text for text in said)
    assert warned == (chat_format == "raw" and stock == "qwen_vl")
