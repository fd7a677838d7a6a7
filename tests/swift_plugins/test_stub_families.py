"""Families whose code comes with their weights, through swift's real templates over stand-ins: what a template makes itself.

What all share is in `test_template_contract.py`; `test_remote_families.py` trains and merges them.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from rows import as_written, assert_within_half_a_quantum, detection, places, trained_answer
from special_models import FLORENCE_IMAGE_TOKENS, florence_processor, special_template
from stubs import NEWLINE, PHI3_IMAGE, STUBS
from swift.infer_engine import InferRequest, RequestConfig, TransformersEngine
from swift.model import MODEL_MAPPING, get_model_processor
from swift.model.model_meta import get_matched_model_types
from swift.template.register import TEMPLATE_MAPPING
from swift.template.templates.microsoft import Phi3VisionTemplate, Phi4MMTemplate
from zoo import KINDS

from groundswift import parse, resized_wh
from groundswift.errors import GroundswiftError
from groundswift.family import FAMILIES
from groundswift.swift_plugins.grounding.templates.grounding import GroundingMixin
from groundswift.swift_plugins.grounding.templates.overrides import BASE_OF, stock_meta

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
    boxes = as_written([[0, 0, 100, 50], [20, 10, 120, 60]], family)
    row = detection(image_of_size((200, 100)), ["cat", "dog"], boxes)
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
    input_wh = resized_wh((200, 100), family) if FAMILIES[family].resize_factor else None
    expected = boxes[1] if len(boxes[1]) == 4 else boxes[1] * 2
    assert_within_half_a_quantum(places([located], family, (200, 100), input_wh), [expected], family, (200, 100), input_wh)


@pytest.mark.parametrize("boxes", [[[14, 7, 70, 63]], []], ids=["with objects", "without"])
@every_stub
def test_inference_asks_as_training_did(stub_templates, image_of_size, stock, boxes):
    """swift hands the objects of a row on at inference too, where the answer is not there yet."""
    template = stub_templates(stock)
    row = detection(image_of_size((112, 84)), ["cat"] * len(boxes), as_written(boxes, STUBS[stock].family))
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


def test_a_template_that_swift_lacks_is_named_with_its_family():
    with pytest.raises(
        GroundswiftError, match="^family acme_vl: swift has no template 'cuneiform'; expected names of swift's own templates"
    ):
        stock_meta("cuneiform", "acme_vl")


SPECIAL = {"chatglm4v", "florence", "florence2"}  # of special_models


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


def test_a_greedy_token_is_the_likeliest_of_its_own_step(special_folders, image_of_size):
    """swift pairs the first probabilities with the token that starts the decoder, which none of them belongs to."""
    engine = TransformersEngine(
        str(special_folders["florence2"]), model_type="florence2", template_type="florence2_grounding", torch_dtype=torch.float32
    )
    request = InferRequest([{"role": "user", "content": "<image><OD>"}], images=[str(image_of_size((112, 84)))])
    config = RequestConfig(max_tokens=6, temperature=0, logprobs=True, top_logprobs=1)
    [response] = engine.infer([request], config, use_tqdm=False)
    for token in response.choices[0].logprobs["content"]:
        assert token["token"] == token["top_logprobs"][0]["token"]


def boxes_written(template, path):
    return trained_answer(template, template.encode(detection(path, ["square"], [[31, 25, 87, 81]])))


def test_swifts_own_template_still_normalises_twice_and_ours_does_not(special_folders, special_templates, image_of_size):
    """Lean: on the day when swift's own is right, our guard against the second time (`written`) can go."""
    path = image_of_size((112, 112))
    once = "square<loc_276><loc_223><loc_776><loc_723>"  # bins: 31 / 112 is in bin 276
    assert boxes_written(special_templates["florence"], path) == boxes_written(special_templates["florence2"], path) == once
    own = boxes_written(special_template(special_folders["florence"], "florence", ""), path)
    assert own == "square<loc_2473><loc_1991><loc_6938><loc_6455>", (
        f"swift's florence template no longer normalises boxes twice, it writes {own}: update the trap in family.py and this test"
    )


def test_swifts_own_model_type_still_refuses_the_native_class(special_folders):
    refused = ""
    try:
        get_model_processor(str(special_folders["florence2"]), model_type="florence", torch_dtype=torch.float32)
    except ValueError as error:
        refused = str(error)
    assert "Florence2Config" in refused, "swift's model type florence loads the native class now: our type florence2 may go"


def test_a_folder_without_a_model_type_names_both(plugin):
    assert get_matched_model_types(["Florence2ForConditionalGeneration"]) == ["florence", "florence2"]


TASKS = {
    "<image><OD>": "Locate the objects with category name in the image.",
    "<OD>": "Locate the objects with category name in the image.",
    "<image>\n<OPEN_VOCABULARY_DETECTION> cat": "Locate cat in the image.",
    "<CAPTION_TO_PHRASE_GROUNDING><ref-object>": "Locate the phrases in the caption: cat",
    "<image>Find cat.": "Find cat.",
}


@pytest.mark.parametrize("question", TASKS)
@pytest.mark.parametrize("stock", ["florence", "florence2"])
def test_a_task_becomes_its_question_wherever_the_image_is(special_templates, image_of_size, stock, question):
    row = detection(image_of_size((112, 84)), ["cat"], [[1, 2, 50, 60]], question)
    if "<ref-object>" in question:
        row["messages"][1]["content"] = "<bbox>"
    ids = special_templates[stock].encode(row)["input_ids"]
    assert special_templates[stock].tokenizer.decode(ids).replace("<image>", "") == f"<s>{TASKS[question]}</s>"


def test_image_tokens_come_first_and_the_decoder_is_taught_the_whole_answer(special_templates, image_of_size):
    template = special_templates["florence2"]
    encoding = template.encode(detection(image_of_size((112, 84)), ["cat"], [[0, 0, 112, 84]]))
    assert encoding["input_ids"][: FLORENCE_IMAGE_TOKENS + 1] == [template.processor.image_token_id] * FLORENCE_IMAGE_TOKENS + [0]
    assert template.tokenizer.decode(encoding["labels"]) == "<s>cat<loc_0><loc_0><loc_999><loc_999></s>"


def test_what_was_generated_is_cut_to_the_answer(special_templates):
    template, pad = special_templates["florence2"], special_templates["florence2"].tokenizer.pad_token_id
    answer = template.tokenizer.encode("cat<loc_1>", add_special_tokens=False)
    rows = torch.tensor([[2, 0, *answer, 2], [2, *answer, 2, pad]])
    cut = template.get_generate_ids(rows, 99)
    assert cut.tolist() == [[pad, *answer, 2], [*answer, 2, pad]]
    assert template.decode_generate_ids([*answer, 2], template_inputs=None) == "cat<loc_1>"
    assert np.array_equal(rows[0], [2, 0, *answer, 2])
