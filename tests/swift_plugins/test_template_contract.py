"""What every grounding template must do: over tiny models (zoo), stubs of remote code, and the special models with code of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from oriented_images import seen
from PIL import Image
from rows import as_written, assert_within_half_a_quantum, detection, four_boxes, noise, places, read_back, trained_answer
from special_models import FLORENCE_IMAGE_TOKENS
from stubs import STUBS
from token_counts import COUNTS
from zoo import KINDS
from zoo_parts import losses

from groundswift import families, parse, resized_wh
from groundswift.errors import GroundswiftError
from groundswift.image_resize import rescaled_wh
from groundswift.images import padded_to_square
from groundswift.spaces import SPACES
from groundswift.swift_plugins.grounding.templates.grounding import PADDING

SizeWH = tuple[int, int]
SPECIAL = {"chatglm4v": "chatglm4v", "florence": "florence2", "florence2": "florence2"}  # swift's template -> family
FAMILY_OF = {f"zoo-{name}": kind.family for name, kind in KINDS.items()}
FAMILY_OF |= {f"stub-{name}": stub.family for name, stub in STUBS.items()} | {f"special-{name}": row for name, row in SPECIAL.items()}
ONE_IMAGE = [f"stub-{name}" for name, stub in STUBS.items() if stub.images == 1] + [f"special-{name}" for name in SPECIAL]
SIZES_WH = [(32, 32), (112, 84), (333, 1001), (1279, 719), (2000, 96), (5000, 3000)]
LAYOUTS = {
    "side by side": "<image><image>Detect every object.",
    "a line each": "<image>\n<image>\nDetect every object.",
    "text between": "First: <image> Second: <image> Detect every object.",
}
SEVERAL = [(name, layout) for name in FAMILY_OF if name.startswith("zoo") for layout in LAYOUTS]
SEVERAL += [(name, "side by side") for name in FAMILY_OF if not name.startswith("zoo") and name not in ONE_IMAGE]


class Case(NamedTuple):
    """A template, its family, and how many image tokens an encoding has and should have (None: not known)."""

    name: str
    template: Any
    family: str
    count: Callable[[list[int]], int]
    expected: Callable[[list[SizeWH]], int] | None

    def input_wh(self, size_wh: SizeWH) -> SizeWH | None:
        """What the family resizes an image to; None where its space does not depend on it."""
        return resized_wh(size_wh, self.family) if families()[self.family].resize_factor else None

    def check(self, encoding: dict[str, Any], boxes: list[list[float]], sizes_wh: list[SizeWH], labels: list[str] | None = None) -> None:
        """The boxes lead back to the original pixels of their images, and the images have their tokens."""
        located = read_back(self.template, encoding, self.family).objects
        assert labels is None or [one.label for one in located] == labels
        for one, box, size_wh in zip(located, boxes, sizes_wh, strict=True):
            box, input_wh = box if len(box) == 4 else box * 2, self.input_wh(size_wh)
            assert_within_half_a_quantum(places([one], self.family, size_wh, input_wh), [box], self.family, size_wh, input_wh)

    def check_tokens(self, encoding: dict[str, Any], sizes_wh: list[SizeWH]) -> None:
        if self.expected:
            assert self.count(encoding["input_ids"]) == self.expected(sizes_wh)
        assert len(encoding["labels"]) == len(encoding["input_ids"]) or self.family == "florence2"


@pytest.fixture
def case(request, zoo, stub_templates, special_templates) -> Case:
    kind, _, name = request.param.partition("-")
    family = FAMILY_OF[request.param]
    if kind == "zoo":
        token = zoo[name].tokenizer.convert_tokens_to_ids(COUNTS[name][0])
        return Case(request.param, zoo[name], family, lambda ids: ids.count(token), lambda sizes: sum(map(COUNTS[name][1], sizes)))
    if kind == "stub":
        template, stub = stub_templates(name), STUBS[name]
        if stub.token in (None, "negative"):  # a path in the text; or places for images that no tokenizer has
            return Case(request.param, template, family, lambda ids: sum(number < 0 for number in ids), stub.tokens)
        token = template.tokenizer.convert_tokens_to_ids(stub.token)
        return Case(request.param, template, family, lambda ids: ids.count(token), stub.tokens)
    template = special_templates[name]
    if name == "chatglm4v":
        marks = template.tokenizer.encode("<|begin_of_image|><|endoftext|><|end_of_image|>", add_special_tokens=False)
        return Case(request.param, template, family, lambda ids: sum(ids[at : at + 3] == marks for at in range(len(ids))), lambda sizes: 1)
    if name == "florence2":
        image = template.processor.image_token_id
        return Case(request.param, template, family, lambda ids: ids.count(image), lambda sizes: FLORENCE_IMAGE_TOKENS)
    return Case(request.param, template, family, len, None)


every_case = pytest.mark.parametrize("case", FAMILY_OF, indirect=True)


@pytest.mark.parametrize("size_wh", SIZES_WH, ids="{0[0]}x{0[1]}".format)
@every_case
def test_boxes_lead_back_to_the_original_pixels(case, image_of_size, size_wh):
    row, labels, boxes = four_boxes(image_of_size(size_wh), size_wh)
    row["objects"]["bbox"] = boxes = as_written(boxes, case.family)
    encoding = case.template.encode(row)
    case.check(encoding, boxes, [size_wh] * len(boxes), labels)
    case.check_tokens(encoding, [size_wh])


@pytest.mark.parametrize(("case", "layout"), SEVERAL, indirect=["case"])
def test_boxes_belong_to_the_image_that_image_id_names(case, image_of_size, layout):
    sizes_wh, image_ids = [(100, 100), (400, 200)], [0, 1, 0]
    (box,) = as_written([[10, 10, 50, 50]], case.family)
    row = detection(image_of_size(sizes_wh[0]), ["cat", "dog", "cat"], [box] * 3, LAYOUTS[layout])
    row["images"].append(str(image_of_size(sizes_wh[1])))
    row["objects"]["image_id"] = image_ids
    encoding = case.template.encode(row)
    case.check(encoding, [box] * 3, [sizes_wh[image_id] for image_id in image_ids])
    case.check_tokens(encoding, sizes_wh)


@pytest.mark.parametrize("case", ONE_IMAGE, indirect=True)
def test_a_second_image_is_refused_where_the_model_takes_one(case, image_of_size):
    row = detection(image_of_size((112, 84)), [], [], "<image><image>Find cats.")
    with pytest.raises(GroundswiftError, match="one image per row"):
        case.template.encode({**row, "images": row["images"] * 2})


@every_case
def test_points_are_written_or_refused(case, image_of_size):
    size_wh, boxes = (333, 171), [[30.4, 40.6, 150, 100], [90.5, 41], [150, 20]]
    row = detection(image_of_size(size_wh), ["cat", "dog", "dog"], boxes)
    if not families()[case.family].points:
        with pytest.raises(GroundswiftError, match="writes boxes only"):
            case.template.encode(row)
        return
    if not families()[case.family].boxes:
        with pytest.raises(GroundswiftError, match="points only"):
            case.template.encode(row)
        return
    encoding = case.template.encode(row)
    case.check(encoding, boxes, [size_wh] * 3)
    assert [one.point is not None for one in read_back(case.template, encoding, case.family).objects] == [False, True, True]


@every_case
def test_an_image_without_objects_answers_as_its_family_does(case, image_of_size):
    text = trained_answer(case.template, case.template.encode(detection(image_of_size((112, 84)), [], [])))
    assert text == families()[case.family].empty_answer
    assert parse(text, case.family).status == "empty"


@every_case
def test_every_orientation_is_upright_in_the_model(case, oriented):
    upright, paths = oriented
    boxes = as_written([[7, 4, 35, 31]], case.family)
    expected = case.template.encode(detection(paths[1].with_name("upright.png"), ["cat"], boxes))
    for orientation, path in paths.items():
        encoding = case.template.encode(detection(path, ["cat"], boxes), return_template_inputs=True)
        assert trained_answer(case.template, encoding) == trained_answer(case.template, expected), orientation
        pixels = [name for name in ("pixel_values", "images") if isinstance(expected.get(name), torch.Tensor)]
        assert all(torch.equal(encoding[name], expected[name]) for name in pixels), orientation
        if case.name.startswith("zoo") or families()[case.family].resize_factor:  # the template resizes, so that `images` has other pixels
            assert pixels
            assert encoding["input_ids"] == expected["input_ids"], orientation
        else:
            assert np.array_equal(seen(encoding["template_inputs"].images[0]), upright), orientation


SQUARE = [name for name, kind in KINDS.items() if SPACES[families()[kind.family].space].side == "square"]
LABELS = ['a "quoted" one', "red, round", "two\nlines", "红色的猫", "back\\slash", "it's; [1]"]
REFUSED = {grammar: ["two\nlines"] for grammar in ("glm_box", "llava_brackets", "swift_brackets", "paligemma_loc")}  # an object a line
REFUSED |= {grammar: ["two\nlines"] for grammar in ("paddleocr_corners", "hunyuan_pairs")}
every_kind = pytest.mark.parametrize("kind", KINDS)


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
