"""The detection reward in real runs: GRPO's logged rewards are the evaluator's numbers of the logged answers; sampling keeps the best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evaluated import call, metrics_of
from rows import detection, noise, read_rows
from tiny_run import rlhf, rows_of, sample, scored, written

from groundswift import parse
from groundswift.errors import GroundswiftError
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.metrics.answer_rewards import box_format, det_map
from groundswift.eval.metrics.one_answer import OneTruth
from groundswift.eval.run_check import read_run
from groundswift.swift_plugins.grounding import rewards
from groundswift.swift_plugins.grounding.rewards import REWARDS


def grpo(plugin: Path, data: Path, out: Path, **more: object) -> list[dict[str, Any]]:
    """Two steps -> the logged answers, one entry a step, with lists of the same length."""
    steps = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4, "max_steps": 2, "save_strategy": "no"}
    answers = {
        "num_generations": 4,
        "temperature": 2,
        "log_completions": True,
        "learning_rate": "1e-4",
        "reward_funcs": ["detection_f1", "det_map", "box_format"],
    }
    rlhf(plugin, "grpo", data, out, **(steps | answers | more))
    return read_rows(out / "completions.jsonl")


@pytest.fixture(scope="module")
def trained(plugin, toys, tmp_path_factory):
    """(rows by id, answers as (id, text, reward), the folder) of a training with a negative among the prompts."""
    from swift.rewards import orms

    out = tmp_path_factory.mktemp("grpo")
    rows = read_rows(toys / "toys.jsonl")[:3]
    empty = detection(noise(out / "empty.png", (112, 112)), [], [], rows[0]["messages"][0]["content"])
    rows.append(empty | {"sample_id": 1000, "size_wh": [112, 112]})
    answers = []

    class Noting(REWARDS["detection_f1"]):
        """The reward, which notes what it was asked and what it said."""

        def __call__(self, completions, **columns):
            rewards = super().__call__(completions, **columns)
            answers.extend(zip(columns["sample_id"], completions, rewards, strict=True))
            return rewards

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(orms, "detection_f1", Noting)
        logged = grpo(plugin, written(out / "rows.jsonl", rows), out / "out", max_completion_length=160)
    written_down = [pair for entry in logged[:2] for pair in zip(entry["completion"], entry["Noting"], strict=True)]
    assert written_down == [(text, pytest.approx(reward)) for _, text, reward in answers]
    return {row["sample_id"]: row for row in rows}, answers, out / "out"


def test_the_logged_rewards_are_the_evaluators_numbers_of_the_same_answers(trained, toys, tmp_path):
    """By the command, over files: one result row for each answer, and for each the truth of its image."""
    rows, answers = trained[0], [(trained[0][sample_id], text, reward) for sample_id, text, reward in trained[1]]
    assert {sample_id for sample_id, _, _ in trained[1]} == set(rows)
    truth = json.loads((toys / "annotations.json").read_text())
    written_labels = {located.label for _, text, _ in answers for located in parse(text, "qwen2_vl").objects if located.label}
    names = {category["name"]: category["id"] for category in truth["categories"]}
    names |= {label: len(names) + number for number, label in enumerate(sorted(written_labels - set(names)), 1)}
    categories = [{"id": number, "name": name} for name, number in names.items()]
    images, annotations, result = [], [], []
    for number, (row, text, _) in enumerate(answers, 1):
        images.append({"id": number, "file_name": f"{number}.png", "width": row["size_wh"][0], "height": row["size_wh"][1]})
        for label, (x1, y1, x2, y2) in zip(row["objects"]["ref"], row["objects"]["bbox"], strict=True):
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": names[label], **box})
        result.append({"response": text, "sample_id": number, "size_wh": row["size_wh"]})
    (tmp_path / "truth.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    scored(written(tmp_path / "result.jsonl", result), tmp_path / "truth.json", tmp_path / "scored", "--family", "qwen2_vl")

    found = {image.image_id: image.f1 for image in read_run(tmp_path / "scored").images}
    compared = 0
    for number, (row, text, reward) in enumerate(answers, 1):
        if row["objects"]["bbox"]:
            assert reward == pytest.approx(found[number], abs=1e-6), text
            compared += 1
        else:  # stricter than the report, which drops boxes without a label and has no word for an unreadable answer
            answer = parse(text, "qwen2_vl")
            assert reward == float(answer.status in ("ok", "empty") and not answer.objects), text
    assert compared >= 8
    assert len({round(reward, 3) for _, _, reward in answers}) > 1, "rewards that are all the same train nothing"


def test_the_rewards_move_the_weights(trained):
    steps = [step for step in read_rows(trained[2] / "logging.jsonl") if "grad_norm" in step]
    assert len(steps) == 2
    assert any(step["grad_norm"] > 0 for step in steps)
    assert all(0 <= step[f"rewards/{name}/mean"] <= 1 for step in steps for name in ("Noting", "DetMap", "BoxFormat"))


def test_each_reward_of_the_table_scores_the_same_answers(trained):
    """What GRPO logged for det_map and box_format is what the evaluator's functions say of the same text and truth."""
    rows, answers, out = trained
    logged = read_rows(out / "completions.jsonl")[:2]
    for name, scorer in (("DetMap", det_map), ("BoxFormat", box_format)):
        found = [reward for entry in logged for reward in entry[name]]
        expected = [scorer(text, one_truth(rows[sample_id]), Rules("qwen2_vl")) for sample_id, text, _ in answers]
        assert found == pytest.approx(expected)
        assert len(set(found)) > 1, f"{name} is the same for all answers"


def test_referring_rewards_are_the_evaluators_numbers_and_swifts_accuracy_is_warned_of(plugin, toys, tmp_path, warned):
    """A real training with bare boxes: of each logged answer `groundswift eval referring` says the same by the command, over a file."""
    from swift.rewards import ORM, orms

    rows = [row for row in read_rows(toys / "toys.jsonl") if row["objects"]["bbox"]][:4]
    for row in rows:
        row["messages"] = [{"role": "user", "content": "<image>Where is it?"}, {"role": "assistant", "content": "<bbox>"}]
        row["objects"] = {"ref": [], "bbox": row["objects"]["bbox"][:1]}
    asked = []

    class Accuracy(ORM):
        """In the place of swift's own, which needs math-verify; it notes what it is asked."""

        def __call__(self, completions, **columns):
            asked.extend(zip(columns["sample_id"], completions, strict=True))
            return [0.0] * len(completions)

    chosen = {"reward_funcs": ["rec_iou", "box_format", "accuracy"], "max_completion_length": 40}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(orms, "accuracy", Accuracy)
        logged = grpo(plugin, written(tmp_path / "rows.jsonl", rows), tmp_path / "out", **chosen)[:2]
    assert len([line for line in warned if "[reward-accuracy-boxes]" in line]) == 1
    found = [numbers for entry in logged for numbers in zip(entry["RecIou"], entry["BoxFormat"], strict=True)]
    assert [text for entry in logged for text in entry["completion"]] == [text for _, text in asked]
    by_id = {row["sample_id"]: row for row in rows}
    for number, ((sample_id, text), (rec_iou, formed)) in enumerate(zip(asked, found, strict=True)):
        result = written(tmp_path / f"{number}.jsonl", [by_id[sample_id] | {"response": text}])
        call("referring", result, "--family", "qwen2_vl", "--out", tmp_path / f"scored{number}", "--no-report")
        assert rec_iou == pytest.approx(metrics_of(tmp_path / f"scored{number}")["mean_iou"], abs=1e-6), text
        answer = parse(text, "qwen2_vl")
        assert formed <= float(answer.status in ("ok", "empty") and not answer.reasons), text
    assert len({rec_iou for rec_iou, _ in found}) > 1, "rewards that are all the same train nothing"


def one_truth(row: dict[str, Any]) -> OneTruth:
    return OneTruth(row["size_wh"], row["objects"]["ref"], row["objects"]["bbox"])


TEXT = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A cat."}]
UNDEFINED = {
    "points": ({"objects": {"ref": ["cat"], "bbox": [[10, 20]]}}, "1 with points"),
    "text": ({"objects": None, "messages": TEXT}, "no boxes"),
}


@pytest.mark.parametrize("name", UNDEFINED)
def test_rows_that_no_reward_is_defined_for_are_refused_before_the_first_step(plugin, tmp_path, name):
    change, message = UNDEFINED[name]
    rows = rows_of(tmp_path, 4)
    rows[2].update(change)
    with pytest.raises(GroundswiftError, match=f"detection_f1 is not defined for 1 of 4 rows .*{message}"):
        grpo(plugin, written(tmp_path / "rows.jsonl", rows), tmp_path / "out")


def test_a_reward_without_a_grounding_template_says_so(plugin, monkeypatch):
    monkeypatch.setattr(rewards, "_rules", [])
    with pytest.raises(GroundswiftError, match="--reward_funcs detection_f1_mean needs a grounding template"):
        rewards.REWARDS["detection_f1_mean"]()(["None"])


GROUPED = {"ref": ["cat", "dog"], "bbox": [[10, 7, 50, 63], [60, 7, 90, 63], [20, 20, 40, 40]]}


def test_true_boxes_are_paired_with_their_labels_by_the_true_answer(plugin, zoo, image_of_size):
    """Two boxes of one label: the numbers of labels and boxes differ, and the generated answer says nothing about which is whose."""
    rewards.note_rules(zoo["qwen2_vl"])
    row = detection(image_of_size((112, 84)), ["cat", "dog"], GROUPED["bbox"][:2]) | {"objects": GROUPED}
    true_answer = "<ref-object><bbox><bbox><ref-object><bbox>"
    generated = [row["messages"][0], {"role": "assistant", "content": "anything"}]
    truth = rewards.truth_of(row | {"messages": generated, "true_answer": true_answer})
    assert list(zip(truth.labels, truth.boxes_xyxy_px, strict=True)) == list(zip(["cat", "cat", "dog"], GROUPED["bbox"], strict=True))


@pytest.mark.parametrize("name", ["detection_f1", "det_map"])
def test_sampling_keeps_the_best_answer_by_the_same_reward(plugin, toys, tmp_path, name):
    """Rejection sampling: of eight answers and the true one, what is kept is no worse than what is rejected."""
    rows = read_rows(toys / "toys.jsonl")[:3]
    best = {"num_return_sequences": 8, "orm_model": name, "n_best_to_keep": 2, "temperature": 2, "max_new_tokens": 160}
    kept = sample(plugin, written(tmp_path / "rows.jsonl", rows), tmp_path / "out", **best)
    by_id = {row["sample_id"]: row for row in rows}
    assert kept
    reward = rewards.REWARDS[name]()
    for row in kept:
        source = by_id[row["sample_id"]]
        truth = rewards.truth_of(source | {"true_answer": source["messages"][-1]["content"]})
        best, worst = row["messages"][-1]["content"], row["rejected_response"]
        assert best != source["messages"][-1]["content"], "the true answer, which is no sample of the model's"
        score = reward.score(best, truth, truncated=False)
        assert score > 0
        assert score >= reward.score(worst, truth, truncated=False)


def test_the_true_answer_is_neither_kept_nor_rejected(plugin, zoo, image_of_size):
    """swift adds it to the sampled answers as the last one."""
    from swift.infer_engine import InferRequest

    rewards.note_rules(zoo["qwen2_vl"])
    row = detection(image_of_size((200, 100)), ["cat"], [[20, 10, 100, 50]])
    right = "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(100,100),(500,500)<|box_end|>"
    texts = ["None", right, "(((", "<ref-object><bbox>"]
    requests = [InferRequest(**(row | {"messages": [row["messages"][0], {"role": "assistant", "content": text}]})) for text in texts]
    assert rewards.REWARDS["detection_f1"]()(requests, ground_truths=["<ref-object><bbox>"] * 4) == [0, 1, 0, 0]
    assert rewards.REWARDS["detection_f1"]()(requests[1:2] * 2 + requests[3:], ground_truths=["<ref-object><bbox>"] * 3) == [1, 1, 1]
