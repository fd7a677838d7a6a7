"""What swift itself does where our templates lean on it: an upgrade that changes it fails here, and says what and where it matters."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from rows import detection, trained_text
from swift.template import Template
from swift.template.templates.qwen import Qwen2VLTemplate
from zoo import KINDS

from groundswift import from_original_px
from groundswift.image_resize import rescaled_wh
from groundswift.swift_plugins.grounding.patches.model_code import MEDIA_TOKENS
from groundswift.swift_plugins.grounding.templates.grounding import GroundingMixin

TEMPLATES = "swift_plugins/grounding/templates/grounding.py"
BOX = [30.4, 40.6, 150, 100]


HOOKS = ("_load_image", "_preprocess_inputs", "normalize_bbox", "replace_ref", "replace_bbox")


@pytest.mark.parametrize("hook", HOOKS)
def test_swift_still_has_the_hooks_that_the_mixin_overrides(plugin, hook):
    assert hook in vars(GroundingMixin), f"GroundingMixin in {TEMPLATES} no longer overrides {hook}: take it out of this test"
    assert hook in vars(Template), f"swift's Template no longer has {hook}: what GroundingMixin in {TEMPLATES} does there never happens"


def test_swift_rounds_as_the_space_norm1000_does(zoo, image_of_size):
    """200 px to 1000 units: 0.1 px are half a unit."""
    stock, numbers = zoo.template("llava_onevision", ""), [[x, 0.1, x + 50.1, 99.9] for x in np.arange(0, 20, 0.1).tolist()]
    text = trained_text(stock, stock.encode(detection(image_of_size((200, 100)), ["cat"] * len(numbers), numbers)))
    read = np.array(re.findall(r"\((\d+),(\d+)\),\((\d+),(\d+)\)", text), dtype=float)
    ours = from_original_px(numbers, "llava_onevision", (200, 100))
    assert len(read) == len(numbers), f"swift's fallback text is no longer [(x,y),(x,y)]: {text[:80]!r}; look at the grammar swift_brackets"
    assert (read == ours).all(), (
        "swift's normalize_bbox rounds otherwise than spaces.written (halves to even): data of the two would differ"
    )


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "internvl", "llava1_5"])
def test_swift_comes_by_in_the_order_that_the_mixin_counts_on(zoo, image_of_size, monkeypatch, kind):
    template, calls = zoo.make_template(kind, ""), []
    for name in ("_preprocess_inputs", "_load_image", "replace_tag", "normalize_bbox", "replace_ref", "replace_bbox"):
        inner = getattr(template, name)

        def noted(*arguments, name=name, inner=inner):
            inputs = arguments[-1]
            counted = {"replace_ref": "ref_idx", "replace_bbox": "bbox_idx"}.get(name)
            calls.append((name, arguments[1], getattr(inputs, counted)) if counted else name)
            return inner(*arguments)

        monkeypatch.setattr(template, name, noted)
    row = detection(image_of_size((333, 171)), ["cat", "dog"], [BOX, BOX])
    row["messages"][1]["content"] = "<ref-object><bbox><ref-object><bbox>"
    template.encode(row)
    expected = ["_preprocess_inputs", "_load_image", "replace_tag", "normalize_bbox"]
    expected += [("replace_ref", 0, 0), ("replace_bbox", 0, 0), ("replace_ref", 1, 1), ("replace_bbox", 1, 1)]
    assert calls == expected, (
        f"swift encodes in another order or counts placeholders otherwise; {TEMPLATES} loads images first, then writes boxes for the image "
        "as it is after replace_tag, and moves inputs.ref_idx and inputs.bbox_idx on where one placeholder stands for a whole answer"
    )


def test_the_size_that_swift_notes_is_the_one_before_max_pixels(zoo, image_of_size):
    size_wh = (333, 171)
    inputs = zoo.make_template("llava_onevision", "", max_pixels=20_000).encode(
        detection(image_of_size(size_wh), ["cat"], [BOX]), return_template_inputs=True
    )["template_inputs"]
    noted = inputs.objects["width"], inputs.objects["height"]
    assert noted == ([333], [171]), f"swift notes {noted} for an image of {size_wh}: normalize_bbox in {TEMPLATES} divides by it"
    assert inputs.images[0].size == rescaled_wh(size_wh, 20_000), "swift's --max_pixels rounds otherwise than resizing.rescaled_wh"


def test_the_numbers_of_the_row_are_not_changed(zoo, image_of_size):
    row = detection(image_of_size((333, 171)), ["cat"], [BOX])
    before = copy.deepcopy(row)
    for suffix in ("", "_grounding"):
        zoo.template("qwen2_vl", suffix).encode(row)
        assert row == before, "swift's encode changes the row: a second epoch would be taught other boxes"


@pytest.mark.parametrize("template_cls", MEDIA_TOKENS, ids=lambda cls: cls.__name__)
def test_the_ids_that_swift_writes_out_are_found_by_name(plugin, template_cls):
    for attribute, token in MEDIA_TOKENS[template_cls].items():
        assert isinstance(vars(template_cls).get(attribute), property), (
            f"swift's {template_cls.__name__} has no number {attribute} any more: if it finds {token} by name now, take it out of "
            "MEDIA_TOKENS in swift_plugins/grounding/patches/model_code.py"
        )


@pytest.mark.parametrize(("known", "expected"), [({"<|image_pad|>": 7}, 7), ({}, 151655)])
def test_a_tokenizer_without_the_name_keeps_the_official_number(plugin, known, expected):
    from types import SimpleNamespace

    tokenizer = SimpleNamespace(convert_tokens_to_ids=known.get, unk_token_id=None)
    assert vars(Qwen2VLTemplate)["image_token_id"].fget(SimpleNamespace(tokenizer=tokenizer)) == expected


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.literals])
def test_swift_still_writes_these_ids_into_its_code(zoo, kind):
    zoo.make_template(kind, "")  # says which ids, and where to change it


@pytest.mark.parametrize("kind", ["idefics3", "smolvlm"])
def test_a_line_break_behind_an_image_still_costs_swift_most_of_it(zoo, image_of_size, kind):
    def tokens(template, prompt):
        encoding = template.encode(detection(image_of_size((140, 84)), ["cat"], [[14, 7, 70, 63]], prompt))
        return encoding["input_ids"].count(template.processor.image_token_id)

    stock, ours = zoo.template(kind, ""), zoo.template(kind)
    assert tokens(stock, "<image>Find.") == tokens(ours, "<image>Find.") == tokens(ours, "<image>\nFind.") == 52
    assert tokens(stock, "<image>\nFind.") == 16, (
        "swift finds every token of an image now: AllImageTokens in swift_plugins/grounding/templates/overrides.py can go"
    )
