"""`--score`: what each policy gives a box, and that no order of the rows changes any number under any policy."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from evaluated import call, coco_of, metrics_of, write_json, write_rows

from groundswift import Located, format_answer

SIZE = (1000, 500)
NAMES = ("cat", "dog", "bird")


def tokens_of(text: str, rng: np.random.Generator) -> dict:
    return {"content": [{"token": letter, "logprob": -float(rng.uniform(0, 1))} for letter in text]}


def case(folder, seed: int = 0, questions: tuple[str, ...] = ("Find all.",)):
    """Ground truth of 12 images and, for each image and question, a row with boxes that often match."""
    rng = np.random.default_rng(seed)
    boxes = [(int(rng.integers(1, 13)), int(rng.integers(1, 4)), [*rng.integers(0, 400, 2).tolist(), 60, 40]) for _ in range(40)]
    rows = []
    for image in range(1, 13):
        for question in questions:
            found = [
                Located(NAMES[c - 1], (x, y * 2, x + 60 + int(rng.integers(9)), y * 2 + 80)) for i, c, (x, y, *_) in boxes if i == image
            ]
            found += [Located("cat", (x, x, x + 100, x + 100)) for x in rng.integers(0, 800, 2).tolist()]
            text = format_answer([found[place] for place in rng.permutation(len(found))], "qwen2_vl")
            row = {"sample_id": image, "size_wh": SIZE, "response": text, "logprobs": tokens_of(text, rng)}
            rows.append(row | {"messages": [{"role": "user", "content": question}]})
    return write_json(folder / "gt.json", coco_of(SIZE, boxes, range(1, 13), NAMES)), rows


def numbers(folder, truth, rows, *words) -> dict:
    result = write_rows(folder / "rows.jsonl", rows)
    call("coco-map", result, "--gt", truth, "--family", "qwen2_vl", "--no-report", "--out", folder / "out", *words)
    return {key: value for key, value in metrics_of(folder / "out").items() if key not in ("protocol", "run", "counts", "warnings")}


@pytest.mark.parametrize("score", ["constant", "order", "logprob"])
@pytest.mark.parametrize("questions", [("Find all.",), ("Find cats.", "Find dogs.", "Find birds.")], ids=["one row an image", "several"])
def test_the_order_of_the_rows_changes_nothing(tmp_path, score, questions):
    truth, rows = case(tmp_path, questions=questions)
    first = numbers(tmp_path, truth, rows, "--score", score)
    assert 0 < first["AP"] < 1
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(rows))
        assert numbers(tmp_path, truth, [rows[place] for place in order], "--score", score) == first


def test_order_scores_by_the_place_in_the_answer(tmp_path):
    box = [10, 10, 60, 40]
    truth = write_json(tmp_path / "gt.json", coco_of(SIZE, [(1, 1, box), (2, 2, box)], [1, 2], NAMES))
    answer = format_answer([Located(name, (10, 20 + n, 70, 100)) for n, name in enumerate(("cat", "cow", "dog", "dog"))], "qwen2_vl")
    rows = [{"sample_id": number, "size_wh": SIZE, "response": answer} for number in (1, 2)]
    numbers(tmp_path, truth, rows, "--score", "order")
    scores = [row["score"] for row in json.loads((tmp_path / "out" / "test_pred.json").read_text())]
    assert scores == [1, 1 / 3, 1 / 4] * 2  # the cow, of no class, has its place
    assert metrics_of(tmp_path / "out")["protocol"]["score_is"] == "1 / (1 + n), n the number of boxes before it in its answer"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "null", '"low"', "0.5"])
def test_log_probabilities_that_are_none_are_refused(tmp_path, value):
    truth, rows = case(tmp_path)
    line = json.dumps(rows[3]).replace(str(rows[3]["logprobs"]["content"][2]["logprob"]), value, 1)
    result = tmp_path / "rows.jsonl"
    result.write_text("".join(json.dumps(row) + "\n" for row in rows[:3]) + line + "\n")
    words = ("coco-map", result, "--gt", truth, "--family", "qwen2_vl", "--no-report", "--score", "logprob", "--out", tmp_path / "out")
    assert f"{result}:4: " in call(*words, code=1).output
    call(*words, "--on-error", "skip")
    assert sum(metrics_of(tmp_path / "out")["counts"]["rows_left_out"].values()) == 1


def test_equal_scores_are_printed(tmp_path):
    truth, rows = case(tmp_path)
    write_rows(tmp_path / "rows.jsonl", rows)
    done = call("coco-map", tmp_path / "rows.jsonl", "--gt", truth, "--family", "qwen2_vl", "--no-report", "--out", tmp_path / "out")
    found = metrics_of(tmp_path / "out")
    assert found["counts"]["equal_scores"] == found["counts"]["predictions"]
    for key, where in (("AP", "area=   all | maxDets=100"), ("AR1", "area=   all | maxDets=  1")):
        assert f" {f'in any order  ({key}_ties)':<26} @[ IoU=0.50:0.95 | {where} ] = {found[f'{key}_ties']:.3f}\n" in done.stdout
    assert f"{found['counts']['predictions']} of {found['counts']['predictions']} predictions have the score of another one" in done.stdout
    assert not math.isclose(found["AP_ties"], found["AP"])


def test_the_f1_of_images_does_not_depend_on_their_ids(tmp_path):
    path, rows = case(tmp_path, seed=5)
    truth, found = json.loads(path.read_text()), set()
    for seed in range(8):
        ids = dict(zip(range(1, 13), np.random.default_rng(seed).permutation(90)[:12].tolist(), strict=True))
        images = [each | {"id": ids[each["id"]]} for each in truth["images"]]
        annotations = [each | {"image_id": ids[each["image_id"]]} for each in truth["annotations"]]
        gt = write_json(tmp_path / "other.json", truth | {"images": images, "annotations": annotations})
        result = write_rows(tmp_path / "f1.jsonl", [each | {"sample_id": ids[each["sample_id"]]} for each in rows])
        call("detection-f1", result, "--gt", gt, "--family", "qwen2_vl", "--no-report", "--out", tmp_path / "f1")
        found.add(metrics_of(tmp_path / "f1")["f1"])
    assert len(found) == 1
