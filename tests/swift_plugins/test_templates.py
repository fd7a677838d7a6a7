"""Rows through the real swift templates: what a model is taught is what the table of families says, and leads back to the same box."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from groundswift import families, parse, resized_wh, to_original_px
from groundswift.errors import GroundswiftError
from orientations import STORED_BY

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
SIZES_WH = [(32, 32), (112, 84), (300, 200), (333, 1001), (640, 480), (1279, 719), (2000, 96)]
ORIENTATION = 0x0112


def detection(path, labels, boxes, prompt="<image>Detect every object of these categories: cat."):
    answer = "<ref-object><bbox>" * len(labels) or "None"
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "images": [str(path)], "objects": {"ref": list(labels), "bbox": [list(box) for box in boxes]}}


def encoded(template, row):
    """(the text that is learnt, without its end mark, and the whole encoding)."""
    encoding = template.encode(row)
    text = template.tokenizer.decode([token for token in encoding["labels"] if token != -100])
    return text.split("<|im_end|>")[0], encoding


def picture(path, size_wh, colour=(200, 30, 90)):
    Image.new("RGB", size_wh, colour).save(path)
    return path


@pytest.mark.parametrize("size_wh", SIZES_WH, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_taught_box_leads_back_to_the_original_pixels(templates, tmp_path, family, size_wh):
    width, height = size_wh
    boxes = [[0.1 * width, 0.2 * height, 0.63 * width, 0.81 * height], [0, 0, width, height], [width - 9, height - 7, width, height]]
    text, encoding = encoded(templates[family], detection(picture(tmp_path / "a.png", size_wh), ["cat", "dog", "cat"], boxes))
    answer = parse(text, family)
    assert (answer.status, answer.reasons) == ("ok", [])
    assert [located.label for located in answer.objects] == ["cat", "dog", "cat"]
    fed_wh = resized_wh(size_wh, family)
    placed = to_original_px([located.box for located in answer.objects], family, size_wh, fed_wh)
    half = np.array(families()[family].quantum_px(size_wh, fed_wh) * 2) / 2
    assert (np.abs(placed - np.array(boxes)) <= half + 1e-9).all()
    tokens = fed_wh[0] * fed_wh[1] // families()[family].resize_factor ** 2
    assert encoding["input_ids"].count(templates[family].image_token_id) == tokens


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("family", FAMILIES)
def test_every_orientation_is_turned_upright(templates, tmp_path, family, orientation):
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 255, (84, 140, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = upright if STORED_BY[orientation] is None else upright.transpose(STORED_BY[orientation])
    stored.save(tmp_path / "turned.png", exif=exif)
    upright.save(tmp_path / "upright.png")
    taught = [encoded(templates[family], detection(tmp_path / name, ["cat"], [[14, 7, 70, 63]])) for name in ("turned.png", "upright.png")]
    assert taught[0][0] == taught[1][0]
    assert (taught[0][1]["pixel_values"] == taught[1][1]["pixel_values"]).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_without_objects_answers_as_its_family_does(templates, tmp_path, family):
    text, _ = encoded(templates[family], detection(picture(tmp_path / "a.png", (112, 112)), [], []))
    assert text == families()[family].empty_answer
    assert parse(text, family).status == "empty"


@pytest.mark.parametrize("label", ['a "quoted" one', "red, round", "two\nlines", "红色的猫", "back\\slash"])
@pytest.mark.parametrize("family", FAMILIES)
def test_difficult_labels_come_back_whole(templates, tmp_path, family, label):
    text, _ = encoded(templates[family], detection(picture(tmp_path / "a.png", (112, 112)), [label], [[1, 2, 50, 60]]))
    assert parse(text, family).objects[0].label == label


@pytest.mark.parametrize("family", FAMILIES)
def test_points_several_boxes_of_one_label_and_earlier_turns(templates, tmp_path, family):
    row = detection(picture(tmp_path / "a.png", (200, 100)), [], [])
    row["messages"] = [
        {"role": "user", "content": "<image>Find <ref-object>."},
        {"role": "assistant", "content": "<bbox>"},
        {"role": "user", "content": "And all others?"},
        {"role": "assistant", "content": "<ref-object><bbox><bbox><ref-object><bbox>"},
    ]
    row["objects"] = {"ref": ["cat", "dog", "hat"], "bbox": [[0, 0, 100, 50], [20, 10, 120, 60], [50, 50], [100, 50, 200, 100]]}
    objects = parse(encoded(templates[family], row)[0], family).objects
    turns = templates[family].tokenizer.decode(templates[family].encode(row)["input_ids"])
    last = parse(turns.rsplit("assistant\n", 1)[1].split("<|im_end|>")[0], family).objects
    assert [located.label for located in last] == ["dog", "dog", "hat"]
    assert [located.point is not None for located in last] == [False, True, False]
    assert objects  # of the first turn, which is learnt too


@pytest.mark.parametrize("family", FAMILIES)
def test_boxes_belong_to_the_image_that_image_id_names(templates, tmp_path, family):
    row = detection(picture(tmp_path / "a.png", (100, 100)), ["cat", "cat"], [[10, 10, 50, 50], [10, 10, 50, 50]], "<image><image>Find.")
    row["images"].append(str(picture(tmp_path / "b.png", (400, 200))))
    row["objects"]["image_id"] = [0, 1]
    first, second = parse(encoded(templates[family], row)[0], family).objects
    for located, size_wh in ((first, (100, 100)), (second, (400, 200))):
        fed_wh = resized_wh(size_wh, family)
        placed = to_original_px([located.box], family, size_wh, fed_wh)[0]
        half = np.array(families()[family].quantum_px(size_wh, fed_wh) * 2) / 2
        assert (np.abs(placed - [10, 10, 50, 50]) <= half + 1e-9).all()


def test_boxes_of_zero_to_one_are_taken_as_such(templates, tmp_path):
    row = detection(picture(tmp_path / "a.png", (200, 100)), ["cat"], [[0.1, 0.2, 0.5, 0.6]])
    row["objects"]["bbox_type"] = "norm1"
    assert parse(encoded(templates["qwen2_vl"], row)[0]).objects[0].box == (100, 200, 500, 600)


FAULTS = {
    "more boxes than placeholders": ({"ref": ["cat"], "bbox": [[1, 1, 9, 9], [2, 2, 9, 9]]}, "as many of each"),
    "fewer boxes than placeholders": ({"ref": ["cat"], "bbox": []}, "as many of each"),
    "box outside the image": ({"ref": ["cat"], "bbox": [[10, 10, 900, 90]]}, "outside its image"),
    "unknown kind of box": ({"ref": ["cat"], "bbox": [[1, 1, 9, 9]], "bbox_type": "norm1000"}, "bbox_type"),
    "three numbers": ({"ref": ["cat"], "bbox": [[1, 1, 9]]}, "3 numbers"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_swift_would_train_on_in_silence_is_an_error(templates, tmp_path, family, name):
    objects, message = FAULTS[name]
    row = detection(picture(tmp_path / "a.png", (100, 100)), ["cat"], [[1, 1, 9, 9]])
    row["objects"] = objects
    with pytest.raises(GroundswiftError, match=message):
        templates[family].encode(row)


def test_objects_need_an_image(templates):
    row = detection("a.png", ["cat"], [[1, 1, 9, 9]], prompt="Where?")
    row["images"] = []
    with pytest.raises(GroundswiftError, match="without an image"):
        templates["qwen2_vl"].encode(row)


def test_another_space_cannot_be_asked_for(plugin, models):
    from swift.model import get_processor
    from swift.template import get_template

    processor = get_processor(str(models["qwen2_vl"]), model_type="qwen2_vl")
    with pytest.raises(GroundswiftError, match="norm1000"):
        get_template(processor, template_type="qwen2_vl_grounding", norm_bbox="none")


@pytest.mark.parametrize("family", ["qwen2_vl"])
def test_the_text_of_marks_is_the_one_that_swift_writes(plugin, templates, models, tmp_path, family):
    """We lean on swift's own rounding: an upgrade that changes it must be seen."""
    from swift.model import get_processor
    from swift.template import get_template

    stock = get_template(get_processor(str(models[family]), model_type=family), template_type=family)
    stock.set_mode("train")
    row = detection(picture(tmp_path / "a.png", (333, 171)), ["cat", "dog"], [[30.4, 40.6, 150, 100], [0.5, 1.5, 2.5, 171]])
    assert encoded(stock, row)[0] == encoded(templates[family], row)[0]
