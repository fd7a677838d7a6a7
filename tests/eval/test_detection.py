"""`groundswift eval detection`: by hand, against pycocotools' matching and hotcoco's TIDE and confusion matrix, and in any order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluated import call, coco_of, loaded, metrics_of, random_set, write_json, write_rows
from test_coco_map import reference
from test_lvis import dataset

from groundswift import Located, format_answer
from groundswift.eval.answers.label_matching import LabelIndex, normalised
from groundswift.eval.box_matching import coco_evaluation
from groundswift.eval.confusion import confusion, matrix_table
from groundswift.eval.detection_rates import best_threshold
from groundswift.eval.metrics.detection import Detection
from groundswift.eval.run_check import read_run
from groundswift.eval.tide import tide
from groundswift.eval.tied_matching import AREAS_PX2, match

SIZE = (1000, 500)
NAMES = ("cat", "dog", "bird")
CAT, DOG = [100, 100, 200, 200], [500, 100, 300, 300]  # xywh
TRUTH = coco_of(SIZE, [(1, 1, CAT), (1, 2, DOG), (2, 1, CAT)], [1, 2, 3], NAMES)


def text(*objects: tuple[str, list[float]]) -> str:
    return format_answer([Located(label, (x, y * 2, x + w, (y + h) * 2)) for label, (x, y, w, h) in objects], "qwen2_vl")


def row(image: int, response: str, **more: object) -> dict:
    return {"sample_id": image, "size_wh": SIZE, "response": response, **more}


def score(folder: Path, rows: list[dict], *words: object, truth: dict = TRUTH, code: int = 0):
    files = write_rows(folder / "rows.jsonl", rows), "--gt", write_json(folder / "gt.json", truth), "--family", "qwen2_vl"
    done = call("detection", *files, "--no-report", "--out", folder / "out", *words, code=code)
    return metrics_of(folder / "out") if code == 0 else done.output


def test_by_hand(tmp_path):
    far = [700, 10, 50, 50]
    rows = [
        row(1, text(("cat", CAT), ("cat", CAT), ("dog", [500, 100, 300, 240]), ("zebra", far))),
        row(2, "no idea"),
        row(3, text(("bird", far))),
    ]
    found = score(tmp_path, rows)
    assert (found["precision_50"], found["recall_50"], found["f1_50"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (found["precision_95"], found["recall_95"], found["f1_95"]) == pytest.approx((1 / 3, 1 / 3, 1 / 3))  # the dog has IoU 0.8
    assert found["f1"] == pytest.approx((7 * 2 / 3 + 3 / 3) / 10)
    assert (found["f1_best"], found["best_threshold"]) == pytest.approx((2 / 3, 1))
    assert (found["precision_50_copies"], found["f1_50_copies"]) == pytest.approx((2 / 4, 4 / 7))
    assert found["f1_50_classes"] == pytest.approx((2 / 3 + 1) / 2)  # cat: 1 of 2; dog: 1 of 1; no bird is there
    assert (found["fp_per_empty_image"], found["rejection"]) == (1, 0)
    assert (found["format_adherence"], found["truncated"]) == pytest.approx((2 / 3, 0))
    assert (found["unknown_label"], found["copies"]) == pytest.approx((1 / 5, 1 / 4))
    assert found["counts"]["answers"] == {"ok": 2, "unreadable": 1}
    assert found["per_class"]["bird"]["f1_50"] == 0
    assert found["per_class"]["bird"]["recall_50"] is None
    run = read_run(tmp_path / "out")
    assert [image.f1 for image in run.images] == pytest.approx([1, 0, 0])
    assert {table.id for table in run.tables} >= {"operating-points", "sizes", "tide", "confusion", "confused", "answers", "unknown-labels"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit", [None, 2])
def test_counts_are_those_of_pycocotools_at_every_iou_and_size(tmp_path, seed, limit):
    coco, results = random_set(seed, 12, 150, 3)
    scoring = reference(coco, results)
    scoring.params.maxDets = [limit or 10_000]
    scoring.evaluate()
    truth, _ = loaded(coco, results, tmp_path)
    words = () if limit is None else ("--max-detections", limit)
    files = ("--predictions", tmp_path / "results.json", "--gt", write_json(tmp_path / "gt.json", coco))
    call("detection", *files, "--no-report", "--out", tmp_path / "out", *words)
    tables = {table.id: table.rows for table in read_run(tmp_path / "out").tables}
    wanted = {}
    for cell in filter(None, scoring.evalImgs):
        matched, counts = cell["dtMatches"] > 0, ~cell["dtIgnore"].astype(bool)
        objects = int((np.array(cell["gtIgnore"]) == 0).sum())
        add = np.stack([(matched & counts).sum(axis=1), (~matched & counts).sum(axis=1), np.full(10, objects)])
        wanted[tuple(cell["aRng"])] = wanted.get(tuple(cell["aRng"]), 0) + add
    of_all = wanted[0, 1e10]
    assert [each[5:] for each in tables["operating-points"][:10]] == np.stack([of_all[0], of_all[1], of_all[2] - of_all[0]]).T.tolist()
    for name, *_, true, false, missed in tables["sizes"]:
        found, wrong, objects = wanted[tuple(AREAS_PX2[name])][:, 0].tolist()
        assert (true, false, missed) == (found, wrong, objects - found)
    assert len(truth.image_ids) == 12


def test_the_best_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores, outcomes = rng.integers(5, size=20) / 5, rng.integers(3, size=20)
        codes = np.array([0, 2, 4], dtype=np.uint8)[outcomes]  # TP, FP, not counted
        found = best_threshold(scores, codes, 12)
        f1 = {
            score: 2 * (hits := (codes[scores >= score] == 0).sum()) / (hits + (codes[scores >= score] == 2).sum() + 12)
            for score in np.unique(scores)
        }
        assert found.f1 == pytest.approx(max(f1.values()))
        assert found.score == max(score for score, value in f1.items() if value == found.f1)


@pytest.mark.parametrize("seed", range(4))
def test_tide_and_confusion_are_those_of_hotcoco(tmp_path, seed):
    coco, results = random_set(seed, 12, 120, 4)
    for each in coco["annotations"]:
        each["iscrowd"] = 0
    truth, predictions = loaded(coco, results, tmp_path)
    evaluation = coco_evaluation(truth, predictions, [10_000])
    evaluation.evaluate()
    found, wanted = tide(truth, predictions), evaluation.tide_errors()
    assert found.counts == wanted["counts"]
    assert found.gains == pytest.approx(wanted["delta_ap"], abs=1e-9)
    assert found.ap == pytest.approx(wanted["ap_base"], abs=1e-9)
    matrix = evaluation.confusion_matrix(iou_thr=0.5, max_det=10_000)["matrix"]
    assert confusion(truth, predictions).tolist() == matrix.astype(int).tolist()


def test_a_matrix_of_many_classes_shows_those_with_errors():
    counts = np.diag(np.arange(101))
    counts[70, 3] = counts[100, 5] = 4
    table = matrix_table(counts, [f"class {number:03d}" for number in range(100)])
    assert len(table.rows) == 41
    assert {"class 070", "class 003", "class 005"} <= {each[0] for each in table.rows}
    assert "The 40 of 100 classes" in table.note


def case(seed: int = 0) -> tuple[dict, list[dict]]:
    """Crowded images, some empty, with rows whose boxes have the scores of few tokens."""
    rng = np.random.default_rng(seed)
    boxes = [(int(rng.integers(1, 9)), int(rng.integers(1, 4)), [*rng.integers(0, 60, 2).tolist(), 60, 40]) for _ in range(40)]
    rows = []
    for image in range(1, 11):
        own = [(NAMES[category - 1], bbox) for number, category, bbox in boxes if number == image]
        moved = [(name, [x + int(rng.integers(-9, 9)) % 60, y, w, h]) for name, (x, y, w, h) in own]
        answer = text(*moved, *(("dog", [x, x, 60, 40]) for x in rng.integers(0, 90, 2).tolist()))
        tokens = {"content": [{"token": letter, "logprob": -float(rng.integers(2))} for letter in answer]}
        rows.append(row(image, answer, logprobs=tokens, messages=[{"role": "user", "content": "Find all."}]))
    return coco_of(SIZE, boxes, range(1, 11), NAMES), rows


@pytest.mark.parametrize("policy", ["constant", "order", "logprob"])
@pytest.mark.parametrize("kind", ["rows", "images", "classes", "annotations"])
def test_no_order_changes_a_number(tmp_path, policy, kind):
    truth, rows = case()
    before = shown(tmp_path, rows, truth, policy)
    rng = np.random.default_rng(1)
    if kind == "rows":
        rows = [rows[place] for place in rng.permutation(len(rows))]
    elif kind == "images":
        ids = dict(zip(range(1, 11), rng.permutation(50)[:10].tolist(), strict=True))
        truth["images"] = [image | {"id": ids[image["id"]]} for image in truth["images"]]
        truth["annotations"] = [each | {"image_id": ids[each["image_id"]]} for each in truth["annotations"]]
        rows = [each | {"sample_id": ids[each["sample_id"]]} for each in rows]
    elif kind == "classes":
        ids = {1: 9, 2: 4, 3: 6}
        truth["categories"] = [each | {"id": ids[each["id"]]} for each in truth["categories"]]
        truth["annotations"] = [each | {"category_id": ids[each["category_id"]]} for each in truth["annotations"]]
    else:
        truth["annotations"] = [truth["annotations"][place] for place in rng.permutation(len(truth["annotations"]))]
    assert shown(tmp_path, rows, truth, policy) == before


def shown(folder: Path, rows: list[dict], truth: dict, policy: str) -> dict:
    """All numbers, those of the tables too."""
    found = score(folder, rows, "--score", policy, truth=truth)
    tables = {table.id: sorted(map(str, table.rows)) for table in read_run(folder / "out").tables}
    return {key: value for key, value in found.items() if key not in ("protocol", "run", "warnings")} | {"tables": tables}


def test_boxes_in_another_order_of_the_answer_score_the_same(tmp_path):
    truth, rows = case(3)
    before = shown(tmp_path, rows, truth, "constant")
    for each in rows:
        marks = [part for part in each["response"].split("<|object_ref_start|>") if part]
        each["response"] = "".join(f"<|object_ref_start|>{part}" for part in reversed(marks))
    assert shown(tmp_path, rows, truth, "constant") == before


def test_more_than_100_boxes_count(tmp_path):
    boxes = [(1, 1, [x * 30, y * 40, 25, 35]) for x in range(30) for y in range(12)]
    truth = coco_of(SIZE, boxes, [1], NAMES)
    rows = [row(1, text(*(("cat", bbox) for _, _, bbox in boxes)))]
    assert score(tmp_path, rows, truth=truth)["recall_50"] == 1
    assert score(tmp_path, rows, "--max-detections", 100, "--score", "order", truth=truth)["recall_50"] == pytest.approx(100 / 360)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        pytest.param(["cat"], {"recall_50": 2 / 3, "unlabelled": 2}, id="one class"),
        pytest.param(["cat", "dog"], {"recall_50": 0, "unlabelled": 0}, id="two classes"),
        pytest.param(None, {"recall_50": 0, "unlabelled": 0}, id="all classes"),
        pytest.param("cat", {"recall_50": 0, "unlabelled": 0}, id="a column of something else"),
    ],
)
def test_boxes_without_a_label_are_of_the_one_class_that_was_asked_for(tmp_path, asked, wanted):
    rows = [row(image, text(("", CAT)), asked=asked) for image in (1, 2)] + [row(3, "None")]
    found = score(tmp_path, rows)
    assert found["recall_50"] == pytest.approx(wanted["recall_50"])
    assert found["counts"]["changed"].get("label-asked", 0) == wanted["unlabelled"]
    assert found["counts"]["dropped"].get("label-missing", 0) == 2 - wanted["unlabelled"]


def test_rejection_is_of_questions_about_what_is_absent(tmp_path):
    def asks(image: int, name: str, response: str) -> dict:
        return row(image, response, asked=[name], messages=[{"role": "user", "content": f"Find {name}."}])

    rows = [
        asks(1, "cat", text(("cat", CAT))),
        asks(1, "bird", "None"),
        asks(2, "dog", text(("dog", CAT))),
        asks(3, "cat", "((("),
        asks(2, "bird", "None"),
    ]
    found = score(tmp_path, rows)
    assert found["rejection"] == pytest.approx(2 / 4)  # bird twice; the dog was answered, and (((( is no rejection
    assert score(tmp_path, [row(1, "None")])["rejection"] is None


def test_unknown_labels_are_matched_by_what_is_stated(tmp_path):
    truth = coco_of(SIZE, [(1, 1, CAT), (1, 2, DOG)], [1], ("traffic light", "dog"))
    rows = [row(1, text(("The Traffic_Light", CAT), ("puppy", DOG)))]
    synonyms = write_json(tmp_path / "synonyms.json", {"dog": ["Puppy"]})
    found = [
        score(tmp_path, rows, *words, truth=truth)
        for words in (
            [],
            ["--label-match", "normalised"],
            ["--label-match", "normalised", "--synonyms", synonyms],
            ["--synonyms", synonyms],
        )
    ]
    assert [each["recall_50"] for each in found] == [0, 0.5, 1, 0]  # Puppy is not puppy where labels match exactly
    assert found[2]["counts"]["changed"] == {"label-normalised": 1, "label-synonym": 1}
    assert found[2]["protocol"]["synonyms"] == "1 labels"
    assert [each["unknown_label"] for each in found] == [1, 0.5, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "not a file of synonyms"),
        ('{"dog": "puppy"}', "not a file of synonyms"),
        ('{"dog": ["x"], "cat": ["x"]}', "'x' is a synonym of 'dog' and of 'cat'"),
        ('{"cow": ["x"]}', "'cow' is not a class of the ground truth"),
        ('{"dog": ["cat"]}', "'cat' is a synonym of 'dog' and a class of its own"),
    ],
)
def test_synonyms_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "synonyms.json").write_text(content)
    assert message in score(tmp_path, [row(1, "None")], "--synonyms", tmp_path / "synonyms.json", code=1)


def test_normalisation():
    index = LabelIndex(["Traffic light", "hot-dog", "a/c unit"], "normalised")
    assert [index.find(label) for label in ("the traffic_light.", "HOT DOG", "A/C unit", "ＨＯＴ dog", "light")] == [0, 1, 2, 1, None]
    assert normalised("An  apple,") == "apple"


def test_lvis(tmp_path):
    truth, predictions = dataset(0)
    files = write_json(tmp_path / "p.json", predictions), "--gt", write_json(tmp_path / "gt.json", truth)
    call("detection", "--predictions", *files, "--no-report", "--out", tmp_path / "out")
    found = metrics_of(tmp_path / "out")
    known = [each for each in predictions if any(looked_for(each, truth))]
    assert found["counts"]["predictions_that_count"] == len(known) < len(predictions)
    assert 0 < found["precision_50"] < 1


def looked_for(prediction: dict, truth: dict):
    image = next(each for each in truth["images"] if each["id"] == prediction["image_id"])
    yield prediction["category_id"] in image["neg_category_ids"]
    yield any(
        each["image_id"] == prediction["image_id"] and each["category_id"] == prediction["category_id"] for each in truth["annotations"]
    )


def test_answers_in_text_and_their_boxes_score_the_same(tmp_path):
    truth, rows = case()
    first = score(tmp_path, rows, "--score", "order", truth=truth)
    files = ("--predictions", tmp_path / "out" / "test_pred.json", "--gt", tmp_path / "gt.json")
    call("detection", *files, "--no-report", "--out", tmp_path / "again")
    second = metrics_of(tmp_path / "again")
    same = [
        number.key
        for number in Detection.numbers
        if number.key.startswith(("f1", "precision", "recall", "best")) and "copies" not in number.key
    ]
    assert {key: first[key] for key in same} == {key: second[key] for key in same}
    assert (second["format_adherence"], second["copies"]) == (None, None)
    assert json.loads((tmp_path / "gt.json").read_text()) == truth
    assert match is not None
