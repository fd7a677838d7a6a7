"""`swift rlhf` and `swift sample` over our templates: each runs once on the embedded model, and what it trains on is the family's text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rows import detection, noise
from tiny_run import EMBEDDED, rlhf, sample, written

from groundswift import parse
from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.grounding.templates.rlhf_rows import objects_of_pair

ROOT = Path(__file__).resolve().parents[2]
CASE = ROOT / "tests" / "cases" / "grpo"
ANSWERS = ["<ref-object><bbox><ref-object><bbox>", "<ref-object><bbox>", "None", "<ref-object><bbox>"]


def rows(folder: Path) -> list[dict[str, Any]]:
    """Four rows with two, one, no and one box, on images of different sizes."""
    made = []
    for index, answer in enumerate(ANSWERS):
        count, size_wh = answer.count("<bbox>"), (112 + 28 * index, 84)
        path = noise(folder / f"{index}.png", size_wh, index)
        row = detection(path, ["cat", "dog"][:count], [[10, 7, 50, 63], [56, 0, size_wh[0], 84]][:count])
        made.append(row | {"sample_id": index, "size_wh": list(size_wh)})
    return made


@pytest.mark.parametrize("name", ["grpo2.jsonl", "grpo3.jsonl"])
def test_grpo_trains_and_rewards_see_the_true_boxes(plugin, tmp_path, monkeypatch, warned, name):
    from swift.rewards import ORM, orms

    shutil.copytree(CASE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "img").mkdir()
    shutil.copy(CASE / "a.jpg", tmp_path / "img")
    seen: list[dict[str, Any]] = []

    class Noted(ORM):
        def __call__(self, completions: list[str], objects: list[dict[str, Any]], **_: Any) -> list[float]:
            seen.extend(objects)
            return [float(len(text)) for text in completions]

    monkeypatch.setitem(orms, "noted", Noted)
    monkeypatch.chdir(tmp_path)
    few = {"num_generations": 2, "max_completion_length": 16, "max_pixels": 50_176}
    step = rlhf(plugin, "grpo", Path(name), tmp_path / "out", reward_funcs="noted", save_strategy="no", **few)[0]
    truth = json.loads((tmp_path / name).read_text(encoding="utf-8").splitlines()[0])["objects"]
    assert step["completions/mean_length"] > 0
    assert len(seen) == 2
    assert [(row["ref"], row["bbox"]) for row in seen] == [(truth["ref"], truth["bbox"])] * 2
    assert not [line for line in warned if "error" in line]


TEACHER = {"teacher_model": EMBEDDED, "teacher_model_type": "qwen2_vl", "max_completion_length": 8}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("dpo", {}),
        ("kto", {}),
        ("gkd", TEACHER | {"lmbda": 1}),
        ("gkd", TEACHER | {"lmbda": 0}),
    ],
    ids=["dpo", "kto", "gkd of answers that it generates", "gkd of the rows' own answers"],
)
def test_preferences_and_distillation_train_on_every_row(plugin, tmp_path, warned, kind, more):
    data = [row | {"label": bool(row["sample_id"] % 2)} if kind == "kto" else row for row in rows(tmp_path)]
    if kind == "dpo":
        rejected = ["<ref-object><bbox>", "I see <bbox>.", "There is a cat.", "No."]
        data = [row | {"rejected_response": text} for row, text in zip(data, rejected, strict=True)]
    step = rlhf(plugin, kind, written(tmp_path / "rows.jsonl", data), tmp_path / "out", save_strategy="no", **more)[0]
    assert step["grad_norm"] >= 0
    assert not [line for line in warned if "error" in line]


def test_ppo_trains_with_a_reward_model_of_ours(plugin, tmp_path, warned):
    data = written(tmp_path / "rows.jsonl", [row | {"rejected_response": "Nothing."} for row in rows(tmp_path)])
    rlhf(plugin, "rm", data, tmp_path / "rm", save_steps=1, tuner_type="full")
    reward = {"reward_model": tmp_path / "rm" / "checkpoint-1", "reward_model_type": "qwen2_vl", "max_completion_length": 4}
    few = {"max_steps": -1, "num_train_epochs": 0.5, "num_ppo_epochs": 1, "save_strategy": "no", "tuner_type": "full"}
    step = rlhf(plugin, "ppo", written(tmp_path / "ppo.jsonl", rows(tmp_path)), tmp_path / "ppo", **reward, **few)[0]
    assert "objective/scores" in step
    assert not [line for line in warned if "error" in line]


def test_sampled_rows_can_be_trained_on(plugin, tmp_path, zoo):
    """The template that was asked for is used, and objects that only the true answer named are gone."""
    data = rows(tmp_path)
    data[3]["messages"] = [{"role": "user", "content": "<image>Where is <ref-object>?"}, {"role": "assistant", "content": "<bbox>"}]
    few = {"num_return_sequences": 2, "num_sampling_batch_size": 2, "max_new_tokens": 8}
    sampled = sample(plugin, written(tmp_path / "rows.jsonl", data), tmp_path / "out", **few)
    assert sorted(row["sample_id"] for row in sampled) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [row["objects"]["ref"] for row in sampled if row["objects"]] == [["cat"]] * 2
    for row in sampled:
        zoo["qwen2_vl"].encode(row)


REJECTED = {
    "boxes of its own": ("<bbox>", {"ref": [], "bbox": [[20, 30, 100, 90]]}, [(100, 300, 500, 900)]),
    "more boxes of its own": (
        "<bbox><bbox>",
        {"ref": [], "bbox": [[20, 30, 100, 90], [0, 0, 20, 10]]},
        [(100, 300, 500, 900), (0, 0, 100, 100)],
    ),
    "the first of the chosen boxes": ("<ref-object><bbox>", None, [(50, 100, 250, 500)]),
    "a sentence without a box": ("No such thing.", None, []),
    "no objects": ("None", None, []),
}


@pytest.mark.parametrize("name", REJECTED)
@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen3_vl", "internvl"])
def test_a_rejected_answer_is_written_in_the_text_of_the_family(zoo, image_of_size, kind, name):
    text, objects, boxes = REJECTED[name]
    row = detection(image_of_size((200, 100)), ["cat", "dog"], [[10, 10, 50, 50], [60, 10, 90, 90]]) | {"rejected_response": text}
    template = zoo.make_template(kind)
    template.set_mode("rlhf")
    encoding = template.encode(row | ({} if objects is None else {"rejected_objects": objects}))
    written = {
        part: template.tokenizer.decode([token for token in encoding[f"{part}_labels"] if token != -100]).split("<|im_end|>")[0]
        for part in ("chosen", "rejected")
    }
    from zoo import KINDS

    family = KINDS[kind].family
    assert [located.box for located in parse(written["chosen"], family).objects] == [(50, 100, 250, 500), (300, 100, 450, 900)]
    assert [located.box for located in parse(written["rejected"], family).objects] == boxes
    assert "<bbox>" not in written["rejected"]


FAULTS = {
    "more placeholders than objects": ({"rejected_response": "<bbox><bbox><bbox>"}, "an object for each placeholder"),
    "objects of its own without placeholder": (
        {"rejected_response": "<bbox>", "rejected_objects": {"ref": [], "bbox": [[1, 1, 9, 9], [2, 2, 9, 9]]}},
        "as many of each",
    ),
    "a box outside the image": (
        {"rejected_response": "<bbox>", "rejected_objects": {"ref": [], "bbox": [[1, 1, 900, 9]]}},
        "outside its image",
    ),
    "a chosen answer without its object": (
        {"rejected_response": "No.", "messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "<bbox>"}]},
        "as many of each",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_problems_of_preference_rows_are_still_errors(zoo, image_of_size, name):
    columns, message = FAULTS[name]
    template = zoo.make_template("qwen2_vl")
    template.set_mode("rlhf")
    with pytest.raises(GroundswiftError, match=message):
        template.encode(detection(image_of_size((200, 100)), ["cat", "dog"], [[10, 10, 50, 50], [60, 10, 90, 90]]) | columns)


def test_placeholders_that_a_model_generates_are_not_true_boxes(zoo, image_of_size):
    """A reward model reads the generated text, in rows that have the tokens of their rollout."""
    row = detection(image_of_size((200, 100)), ["cat"], [[10, 10, 50, 50]])
    generated = row | {"messages": [row["messages"][0], {"role": "assistant", "content": "a <bbox>"}], "response_token_ids": [[1, 2]]}
    text = zoo["qwen2_vl"].tokenizer.decode(zoo["qwen2_vl"].encode(generated)["input_ids"])
    assert "<bbox>" in text
    assert "<|box_start|>" not in text


def test_the_question_of_a_generated_answer_keeps_its_boxes(zoo, image_of_size):
    row = detection(image_of_size((200, 100)), ["cat", "dog"], [[10, 10, 50, 50], [60, 10, 90, 90]], "<image>What is at <bbox>?")
    row["messages"][1]["content"] = [1, 2, 3]
    text = zoo["qwen2_vl"].tokenizer.decode(zoo["qwen2_vl"].encode(row)["input_ids"])
    assert "(50,100),(250,500)" in text


def test_a_question_without_its_object_is_an_error_before_the_answer_is_there(zoo, image_of_size):
    row = detection(image_of_size((200, 100)), ["cat"], [[10, 10, 50, 50]], "<image>What is at <bbox> and <bbox>?")
    with pytest.raises(GroundswiftError, match="an object for each placeholder"):
        zoo["qwen2_vl"].encode(row | {"messages": row["messages"][:1]})


def test_the_mismatched_answer_of_kto_keeps_its_boxes_in_shares_of_its_image(plugin, tmp_path):
    first, second = rows(tmp_path)[:2]
    first["messages"][0]["content"] += " Not <bbox>."
    first["objects"]["bbox"].insert(0, [0, 0, 56, 42])
    del second["size_wh"]
    second["images"] = [{"bytes": None, "path": second["images"][0]}]
    assert objects_of_pair(first, second) == {
        "ref": ["cat"],
        "bbox": [[0, 0, 0.5, 0.5], [10 / 140, 7 / 84, 50 / 140, 63 / 84]],
        "bbox_type": "norm1",
        "image_id": [0, 0],
    }
