"""Families whose code is with their weights, through swift's real templates over stand-ins for their processors.

What is tested is what a template makes itself: prompt, marks, labels, box text, and the image tokens that it inserts. The families with
a class of their own in transformers have `test_every_family.py`; what all share is in `test_template_contract.py`.
"""

from __future__ import annotations

import pickle

import pytest
import torch
from rows import assert_within_half_a_quantum, detection, places, trained_answer
from special_models import florence_processor
from stubs import NEWLINE, PHI3_IMAGE, STUBS
from swift.model import MODEL_MAPPING
from swift.template.register import TEMPLATE_MAPPING
from swift.template.templates.microsoft import Phi3VisionTemplate, Phi4MMTemplate
from zoo import KINDS

from groundswift import parse
from groundswift.errors import GroundswiftError
from groundswift.family import FAMILIES
from groundswift.swift_plugins.grounding.templates.grounding import GroundingMixin
from groundswift.swift_plugins.grounding.templates.overrides import BASE_OF

SIZES_WH = [(32, 32), (333, 1001), (1279, 719), (2000, 96), (5000, 3000)]
ONE_IMAGE = [name for name, stub in STUBS.items() if stub.images == 1]
ONE_TURN = ["deepseek_ocr", "deepseek_ocr2"]
PATHS = ["qwen_vl", "qwen_vl_base"]  # the image goes in as a path
every_stub = pytest.mark.parametrize("stock", STUBS)


@pytest.mark.parametrize("stock", ["internvl", "internvl_phi3"])
def test_text_between_images_is_refused_where_swift_would_lose_it(stub_templates, image_of_size, stock):
    row = detection(image_of_size((112, 84)), [], [], "<image>Compare with <image>.")
    with pytest.raises(GroundswiftError, match="next to each other"):
        stub_templates(stock).encode({**row, "images": row["images"] * 2})


@every_stub
def test_several_turns_are_taught_or_refused(stub_templates, image_of_size, stock):
    """Swift cuts earlier turns off where a template takes one: the boxes of the last would be those of the first."""
    template, family = stub_templates(stock), STUBS[stock].family
    row = detection(image_of_size((200, 100)), ["cat", "dog"], [[0, 0, 100, 50], [20, 10, 120, 60]])
    row["messages"] = [
        {"role": "user", "content": "<image>Find the cat."},
        {"role": "assistant", "content": "<ref-object><bbox>"},
        {"role": "user", "content": "And the dog?"},
        {"role": "assistant", "content": "<ref-object><bbox>"},
    ]
    if stock in ONE_TURN:
        with pytest.raises(GroundswiftError, match="one question and one answer"):
            template.encode(row)
        return
    located = parse(trained_answer(template, template.encode(row)), family).objects[-1]
    assert_within_half_a_quantum(places([located], family, (200, 100), None), [[20, 10, 120, 60]], family, (200, 100), None)


@pytest.mark.parametrize("boxes", [[[14, 7, 70, 63]], []], ids=["with objects", "without"])
@every_stub
def test_inference_asks_as_training_did(stub_templates, image_of_size, stock, boxes):
    """swift hands the objects of a row on at inference too, where the answer is not there yet."""
    template = stub_templates(stock)
    row = detection(image_of_size((112, 84)), ["cat"] * len(boxes), boxes)
    taught = template.encode(row)["input_ids"]
    template.set_mode("transformers")
    try:
        asked = template.encode({**row, "messages": row["messages"][:1]})["input_ids"]
        bare = template.encode({"messages": row["messages"][:1], "images": row["images"]})["input_ids"]
    finally:
        template.set_mode("train")
    assert taught[: len(asked)] == asked
    assert len(asked) < len(taught)
    assert bare == asked or stock in PATHS, "an image that belongs to objects goes in under another path"


def test_the_name_of_a_channel_is_no_part_of_an_answer(stub_templates):
    """InternVL over GPT-OSS: text and probabilities of `swift infer` begin with the answer."""
    template = stub_templates("internvl3_5_gpt")
    pad = template.tokenizer.pad_token_id
    head, answer = (template.tokenizer.encode(text) for text in ("<|channel|>final<|message|>", "<ref>cat</ref>"))
    cut = template.get_generate_ids(torch.tensor([[*head, *answer], [*answer, *answer[:1] * len(head)]]), 0)
    assert cut.tolist() == [[pad] * len(head) + answer, [*answer, *answer[:1] * len(head)]]
    assert template.decode_generate_ids([*head, *answer]) == "<ref>cat</ref>"
    assert parse(template.decode_generate_ids([*head, *template.tokenizer.encode("None")]), "internvl").status == "empty"


TABLE = [(row.name, stock, name) for row in FAMILIES.values() for stock, name in zip(row.swift_templates, row.templates, strict=True)]


@pytest.mark.parametrize(("family", "stock", "name"), TABLE, ids=[name for _, _, name in TABLE])
def test_every_template_of_the_table_is_registered_over_swifts_own(plugin, family, stock, name):
    assert name in TEMPLATE_MAPPING, f"the plugin does not register {name}: look at template_metas in templates/grounding.py"
    assert BASE_OF.get(stock, stock) in TEMPLATE_MAPPING, f"swift no longer has the template {stock} of family {family}: change families"
    made = TEMPLATE_MAPPING[name].template_cls
    assert issubclass(made, (GroundingMixin, TEMPLATE_MAPPING[BASE_OF.get(stock, stock)].template_cls))
    assert issubclass(made, GroundingMixin)
    assert made.family == family
    assert pickle.loads(pickle.dumps(made)) is made, "workers of a data loader find it by its name"


SPECIAL = {"chatglm4v", "florence", "florence2"}  # test_special_families.py


def test_every_template_of_the_table_has_a_test():
    tested = {*STUBS, *SPECIAL, *(kind.stock for kind in KINDS.values())}
    alike = {"llava1_6_vicuna_hf": "llava1_6_mistral_hf"}  # one class, another language model
    assert {stock for _, stock, _ in TABLE} - tested - set(alike) == set()


def test_every_model_type_of_the_table_is_registered(plugin):
    missing = {kind for row in FAMILIES.values() for kind in row.swift_model_types} - set(MODEL_MAPPING)
    assert not missing, f"swift no longer has the model types {missing}: change the table of families"


def test_the_numbers_that_swift_writes_out_are_those_of_the_stubs(plugin):
    """Two templates hold token ids of the official tokenizers as numbers; the stubs have their tokens there."""
    assert PHI3_IMAGE in Phi3VisionTemplate._encode.__code__.co_consts
    assert NEWLINE in Phi4MMTemplate._encode.__code__.co_consts
    assert florence_processor().tokenizer.bos_token_id == 0  # FlorenceTemplate begins labels with the number 0
