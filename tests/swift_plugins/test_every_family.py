"""Every family that runs offline, through swift's real template over a tiny model: what is taught leads back, and the image counts.

The families with code of their own have `test_stub_families.py`.
"""

from __future__ import annotations

import pytest
from PIL import Image
from rows import assert_within_half_a_quantum, detection, noise, places, read_back
from token_counts import COUNTS
from zoo import KINDS
from zoo_parts import losses

from groundswift import families, resized_wh
from groundswift.errors import GroundswiftError
from groundswift.image_resize import rescaled_wh
from groundswift.images import padded_to_square
from groundswift.spaces import SPACES
from groundswift.swift_plugins.grounding.templates.grounding import PADDING

SIZES_WH = [(32, 32), (112, 84), (333, 1001), (1279, 719), (2000, 96), (5000, 3000)]
SQUARE = [name for name, kind in KINDS.items() if SPACES[families()[kind.family].space].side == "square"]
LABELS = ['a "quoted" one', "red, round", "two\nlines", "红色的猫", "back\\slash", "it's; [1]"]
REFUSED = {grammar: ["two\nlines"] for grammar in ("glm_box", "llava_brackets", "swift_brackets", "paligemma_loc")}  # an object a line
every_kind = pytest.mark.parametrize("kind", KINDS)


def model_input_wh(kind, size_wh, **limits):
    """What the family resizes an image to; None where its space does not depend on it."""
    family = KINDS[kind].family
    return resized_wh(size_wh, family, **limits) if families()[family].resize_factor else None


def image_tokens(zoo, kind, encoding):
    return encoding["input_ids"].count(zoo[kind].tokenizer.convert_tokens_to_ids(COUNTS[kind][0]))


@every_kind
def test_another_image_is_another_loss(zoo, tmp_path, kind):
    """What comes back without an error may still have ignored the image: swift trains so where a token id is wrong."""
    template = zoo[kind]
    template.model = zoo.model(kind)
    rows = [detection(noise(tmp_path / f"{seed}.png", (140, 84), seed), ["cat"], [[14, 7, 70, 63]]) for seed in (0, 1)]
    first, other, again = losses(template.model, template, [[rows[0]], [rows[1]], [rows[0]]])
    template.model = None
    assert first == again
    assert abs(first - other) > 1e-6


@pytest.mark.parametrize("label", LABELS, ids=repr)
@every_kind
def test_difficult_labels_come_back_whole_or_are_refused(zoo, image_of_size, kind, label):
    row = detection(image_of_size((112, 84)), [label], [[1, 2, 50, 60]])
    if label in REFUSED.get(families()[KINDS[kind].family].grammar, ()):
        with pytest.raises(GroundswiftError, match="cannot be written"):
            zoo[kind].encode(row)
        return
    encoding = zoo[kind].encode(row)
    assert read_back(zoo[kind], encoding, KINDS[kind].family).objects[0].label == label


@pytest.mark.parametrize("kind", SQUARE)
def test_the_image_is_padded_to_a_square_and_its_borders_lead_back(zoo, tmp_path, kind):
    size_wh, family = (300, 100), KINDS[kind].family
    path = noise(tmp_path / "wide.png", size_wh)
    boxes = [[0, 0, 20, 100], [280, 0, 300, 100], [0, 90, 300, 100]]
    encoding = zoo[kind].encode(detection(path, ["cat"] * 3, boxes))
    square = padded_to_square(Image.open(path), PADDING)
    assert square.size == (300, 300)
    padded = zoo[kind].processor.image_processor([square], return_tensors="pt")["pixel_values"]
    assert (encoding["pixel_values"] == padded).all()
    bare = zoo[kind].processor.image_processor([Image.open(path)], return_tensors="pt")["pixel_values"]
    assert bare.shape != padded.shape or not (bare == padded).all()
    answer = read_back(zoo[kind], encoding, family)
    assert_within_half_a_quantum(places(answer.objects, family, size_wh, None), boxes, family, size_wh, None)


@pytest.mark.parametrize(("option", "of_row"), [(30_000, None), (None, 25_000), (30_000, 9_000)], ids=["option", "row", "row over option"])
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if families()[kind.family].resize_factor is None])
def test_max_pixels_changes_the_image_and_not_the_boxes(zoo, image_of_size, kind, option, of_row):
    family, size_wh = KINDS[kind].family, (333, 1001)
    template = zoo.make_template(kind, max_pixels=option)
    row = detection(image_of_size(size_wh), ["cat"], [[14, 7, 300.5, 963]])
    if of_row:
        row["chat_template_kwargs"] = {"max_pixels": of_row}
    encoding = template.encode(row)
    found = places(read_back(template, encoding, family).objects, family, size_wh, None)
    assert_within_half_a_quantum(found, [[14, 7, 300.5, 963]], family, size_wh, None)
    assert image_tokens(zoo, kind, encoding) == COUNTS[kind][1](rescaled_wh(size_wh, of_row or option))
