"""GLM-4V-9B over a stand-in for its remote code, and Florence-2 of transformers' own class: their templates.

`test_remote_families.py` trains and merges them.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rows import detection, trained_answer
from special_models import FLORENCE_IMAGE_TOKENS, special_template
from swift.infer_engine import InferRequest, RequestConfig, TransformersEngine
from swift.model import get_model_processor
from swift.model.model_meta import get_matched_model_types

SIZES_WH = [(32, 32), (333, 1001), (1279, 719), (2000, 96), (5000, 3000)]
FAMILY_OF = {"chatglm4v": "chatglm4v", "florence": "florence2", "florence2": "florence2"}
every_stock = pytest.mark.parametrize("stock", FAMILY_OF)


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
