"""Referring: the number itself, and `groundswift eval referring` as a user calls it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from evaluated import call, coco_of, metrics_of, write_json, write_rows

from groundswift.errors import GroundswiftError
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.referring_rows import holds_bare_boxes
from groundswift.eval.answers.to_boxes import boxes_of_answers
from groundswift.eval.metrics.referring import Referring, score_referring
from groundswift.eval.several_boxes import RULES, SEVERAL

BOX = [10, 10, 30, 30]


@pytest.mark.parametrize(
    ("predicted", "iou"),
    [
        pytest.param([BOX], 1, id="right"),
        pytest.param([[10, 10, 30, 20]], 0.5, id="half of it, which is enough"),
        pytest.param([[10, 10, 30, 19]], 0.45, id="less than half"),
        pytest.param([BOX, [0, 0, 1, 1]], 1, id="the first of two is right"),
        pytest.param([[0, 0, 1, 1], BOX], 0, id="the second of two is right"),
        pytest.param([[20, 20, 20, 20]], 0, id="no area"),
        pytest.param([], 0, id="none"),
    ],
)
def test_one_answer(predicted, iou):
    score = score_referring([predicted], [BOX])
    assert (score.summary["mean_iou"], score.summary["acc_iou50"]) == (pytest.approx(iou), float(iou >= 0.5))
    counts = {"samples": 1, "right": int(iou >= 0.5), "without_box": int(not predicted), "with_several_boxes": int(len(predicted) > 1)}
    assert score.counts == {**counts, "sets": 0, "none": 0}


def test_several_answers():
    score = score_referring([[BOX], np.zeros((0, 4)), [[10, 10, 30, 20]], [[0, 0, 5, 5], BOX]], [BOX] * 4)
    assert (score.summary["acc_iou50"], score.summary["mean_iou"]) == (0.5, pytest.approx(1.5 / 4))
    assert score.counts == {"samples": 4, "right": 2, "without_box": 1, "with_several_boxes": 1, "sets": 0, "none": 0}


def test_nothing_to_score_is_undefined():
    assert score_referring([], []).summary == dict.fromkeys(number.key for number in Referring.numbers)


def test_answers_and_true_boxes_go_one_to_one():
    with pytest.raises(GroundswiftError, match="2 answers for 1 ground-truth boxes"):
        score_referring([[BOX], [BOX]], [BOX])


def test_answers_are_placed_in_the_declared_space():
    texts = ['[{"bbox_2d": [100, 200, 300, 600], "label": "x"}, {"bbox_2d": [0, 0, 1200, 1000]}]', "None", "I see it", None]
    found = boxes_of_answers(texts, [(100, 50)] * 4, Rules("qwen3_vl"), ["a", "b", "c", "d"])
    assert [boxes.tolist() for boxes in found.boxes_xyxy_px] == [[[10, 10, 30, 30], [0, 0, 100, 50]], [], [], []]
    assert found.statuses == ["ok", "empty", "unreadable", "missing"]
    assert dict(found.counts.changed.counts) == {"box-clipped": 1}
    assert found.counts.read == 3


def test_no_answers():
    assert boxes_of_answers([], [], Rules("qwen3_vl"), []).boxes_xyxy_px == []


def answer(*boxes):
    return json.dumps([{"bbox_2d": list(box), "label": "x"} for box in boxes])


RIGHT, HALF, WRONG = answer((100, 200, 300, 600)), answer((100, 200, 300, 400)), answer((0, 0, 10, 10), (100, 200, 300, 600))


def row(number, response, **more):
    """A row of `convert refcoco` with an answer of qwen3_vl: a box at 10, 10 to 30, 30 px of 100x50."""
    return {
        "response": response,
        "labels": "<bbox>",
        "messages": [{"role": "user", "content": "<image>Find <ref-object>."}, {"role": "assistant", "content": response}],
        "images": [{"bytes": None, "path": "a.jpg"}],
        "objects": {"ref": [f"thing {number}"], "bbox": [BOX], "bbox_type": "real"},
        "sample_id": f"refcoco/{number}",
        "size_wh": [100, 50],
        **more,
    }


ASK = [{"role": "user", "content": "<image>Find all."}]
ROWS = [row(number, text) for number, text in enumerate([RIGHT, HALF, WRONG, "None", "no idea", RIGHT[:20]])]


def score(*words, code=0):
    return call("referring", *words, code=code)


def document(path, rows, *words):
    return json.loads(score(write_rows(path / "r.jsonl", rows), "--family", "qwen3_vl", "--json", *words).stdout)


def test_the_command(tmp_path):
    result = write_rows(tmp_path / "r.jsonl", ROWS)
    done = score(result, "--family", "qwen3_vl", "--out", tmp_path / "out")
    for line in (
        "accuracy at IoU 0.5  0.333",
        "mean IoU             0.250",
        "protocol: referring expressions\n          family qwen3_vl, boxes in norm1000 (declared by family)",
        "right at IoU 0.5 or more; the first box of an answer counts",
        "samples: 6, 2 right; answers: 3 ok, 1 empty, 1 unreadable, 1 truncated",
        "3 without a box, 1 with several",
        "wrote metrics.json, run.json, report.html",
    ):
        assert line in done.stdout
    found = metrics_of(tmp_path / "out")
    numbers = ["acc_iou50", "mean_iou", "acc_iou75", "acc_iou90", "acc_iou50_95", "f1_iou50", "acc_none", "grec_f1", "grec_nacc"]
    assert list(found) == [*numbers, "per_class", "counts", "protocol", "warnings", "run"]
    assert (found["acc_iou75"], found["acc_none"]) == (pytest.approx(1 / 6), None)
    assert (found["acc_iou50"], found["mean_iou"]) == (pytest.approx(2 / 6), pytest.approx(1.5 / 6))
    assert found["counts"]["statuses"] == {"ok": 3, "empty": 1, "truncated": 1, "unreadable": 1, "missing": 0}
    assert found["protocol"]["several_boxes"] == "the first box of an answer counts"
    assert json.loads(score(result, "--family", "qwen3_vl", "--json").stdout)["counts"] == found["counts"]


def test_the_rows_that_were_asked_give_the_missing_ones(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", [{key: one[key] for key in one if key not in ("response", "labels")} for one in ROWS])
    found = document(tmp_path, [ROWS[0], ROWS[0], row(99, RIGHT)], "--rows", rows)
    assert found["acc_iou50"] == pytest.approx(1 / 6)
    assert found["counts"]["statuses"]["missing"] == 5
    assert found["counts"]["rows_left_out"] == {"row-duplicate": 1, "question-unknown": 1}


ASKED = [{"role": "user", "content": "<image>What is left of <bbox>?"}]


@pytest.mark.parametrize(
    "more",
    [
        {"messages": ASKED, "objects": {"ref": [], "bbox": [[0, 0, 5, 5], BOX]}},
        {"objects": {"ref": [], "bbox": [[0.1, 0.2, 0.3, 0.6]], "bbox_type": "norm1"}},
    ],
    ids=["after a box of the question", "fractions of the image"],
)
def test_where_the_true_box_is(tmp_path, more):
    assert document(tmp_path, [row(0, RIGHT, **more)])["mean_iou"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param({"response": None}, "response-missing", id="no response"),
        pytest.param({"size_wh": None}, "size-missing", id="no size"),
        pytest.param({"objects": None}, "true-box-missing", id="no objects"),
        pytest.param({"objects": {"ref": [], "bbox": []}}, "true-box-missing", id="no box"),
        pytest.param({"labels": "No.", "objects": {"ref": [], "bbox": []}}, "true-box-missing", id="no box, and the answer is not None"),
        pytest.param({"objects": {"ref": ["cat", "dog"], "bbox": [BOX, BOX]}, "messages": ASK}, "true-labels-several", id="two classes"),
        pytest.param({"objects": {"ref": [], "bbox": [BOX, [1, 1, 1, 1]]}}, "box-empty", id="no area of the second"),
        pytest.param({"objects": {"ref": [], "bbox": [[10, 10, 10, 30]]}}, "box-empty", id="no area"),
        pytest.param({"objects": {"ref": [], "bbox": [[30, 10, 10, 30]]}}, "box-inverted", id="inverted"),
        pytest.param({"objects": {"ref": [], "bbox": [[1, 2, 3]]}}, "box-length", id="three numbers"),
        pytest.param({"objects": {"ref": [], "bbox": ["a box"]}}, "box-length", id="text"),
        pytest.param({"objects": {"ref": [], "bbox": [[1, 2, None, 4]]}}, "box-length", id="null"),
        pytest.param({"images": ["a.jpg", "b.jpg"]}, "images-several", id="two images"),
    ],
)
def test_a_row_that_cannot_be_scored(tmp_path, more, reason):
    result = write_rows(tmp_path / "r.jsonl", [ROWS[0], row(7, RIGHT) | more])
    said = score(result, "--family", "qwen3_vl", code=1).stderr
    assert said.startswith(f"error: {result}:2: ")
    assert "Use --on-error skip to drop and count such rows." in said
    found = json.loads(score(result, "--family", "qwen3_vl", "--on-error", "skip", "--json").stdout)
    assert found["counts"]["rows_left_out"] == {reason: 1}
    assert found["acc_iou50"] == (0.5 if reason == "response-missing" else 1)


@pytest.mark.parametrize("rows", [[], [row(0, RIGHT, objects=None)]], ids=["empty", "none usable"])
def test_nothing_to_score_is_refused(tmp_path, rows):
    result = write_rows(tmp_path / "r.jsonl", rows)
    said = score(result, "--family", "qwen3_vl", "--on-error", "skip", "--out", tmp_path / "out", code=1).stderr
    assert "no row has a ground-truth box to score" in said
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_named_first(tmp_path):
    assert "no.jsonl: cannot be read (No such file or directory)" in score(tmp_path / "no.jsonl", code=1).stderr


def test_another_space_is_warned_of_and_not_used(tmp_path):
    random = np.random.default_rng(0)
    rows = []
    for number in range(12):
        corner = random.integers(0, 300, 2)
        box = [*corner.tolist(), *(corner + random.integers(20, 100, 2)).tolist()]
        rows.append(row(number, answer(box), size_wh=[640, 480], objects={"ref": [], "bbox": [box]}))
    done = score(write_rows(tmp_path / "r.jsonl", rows), "--family", "qwen3_vl", "--json")
    found = json.loads(done.stdout)
    assert found["acc_iou50"] < 0.5
    assert found["warnings"][0]["id"] == "box-space"
    assert "WARNING: boxes seem to be in another space than declared" in done.stderr
    assert "original_px (pixels of the image)" in found["warnings"][0]["message"]


MAP_WORDS = ("--gt", "gt.json", "--family", "qwen3_vl", "--out", "out")


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="convert refcoco"),
        pytest.param({"objects": {"ref": [], "bbox": [BOX]}, "sample_id": 1}, id="bare boxes"),
        pytest.param({"objects": {"bbox": [BOX]}, "labels": None}, id="no labels at all"),
        pytest.param({"labels": "<bbox>, <bbox>", "objects": {"ref": ["a", "b"], "bbox": [BOX, BOX]}}, id="two bare boxes"),
    ],
)
def test_map_of_bare_boxes_is_refused_and_says_what_scores_them(tmp_path, monkeypatch, more, on_error):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "r.jsonl", [row(0, RIGHT) | more])
    write_json(tmp_path / "gt.json", coco_of((100, 50), [], [1], []))
    said = call("coco-map", "r.jsonl", *MAP_WORDS, "--on-error", on_error, code=1).stderr
    assert "score these with: groundswift eval referring r.jsonl" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "labels", ["<ref-object><bbox>", '[{"bbox_2d": <bbox>, "label": "<ref-object>"}]', "None", None], ids=["pairs", "JSON", "none", "null"]
)
def test_labelled_rows_are_no_referring_rows(tmp_path, labels):
    objects = {"ref": [], "bbox": []} if labels == "None" else {"ref": ["a"], "bbox": [BOX]}
    messages = [{"role": "user", "content": "<image>Find all."}]
    assert not holds_bare_boxes(write_rows(tmp_path / "r.jsonl", [row(0, RIGHT, labels=labels, objects=objects, messages=messages)]))


def test_a_row_that_could_not_be_asked_is_wrong(tmp_path):
    found = document(tmp_path, [ROWS[0], row(7, "", error="a.jpg: not a readable image")])
    assert found["acc_iou50"] == 0.5
    assert found["counts"]["statuses"]["missing"] == 1
    assert found["counts"]["rows_left_out"] == {"row-failed": 1}


@pytest.mark.parametrize("more", [{"finish_reason": "length"}, {"is_truncated": True}])
@pytest.mark.parametrize(("response", "status"), [(RIGHT, "ok"), ("   ", "empty"), ("None", "empty"), ("no idea", "unreadable")])
def test_an_answer_that_is_known_to_be_cut_is_truncated(tmp_path, response, status, more):
    whole, cut = (document(tmp_path, [row(1, response, **extra)]) for extra in ({}, more))
    assert whole["counts"]["statuses"][status] == 1
    assert cut["counts"]["statuses"]["unreadable" if status == "unreadable" else "truncated"] == 1


def question(number, response, boxes, **more):
    """A row about its own image, of any number of true boxes."""
    labels = "<bbox>" * len(boxes) or "None"
    objects = {"ref": [f"thing {number}"], "bbox": list(boxes), "bbox_type": "real"}
    return row(number, response, images=[f"{number}.jpg"], labels=labels, objects=objects, **more)


OTHER = [60, 10, 80, 30]
BOTH = answer((600, 200, 800, 600), (100, 200, 300, 600))
MIXED = [
    question(1, BOTH, [BOX, OTHER], split="testA"),
    question(2, RIGHT, [BOX, OTHER], split="testA"),
    question(3, "None", [], split="testB"),
    question(4, "[]", [], split="testB"),
    question(5, "there is nothing like it", [], split="testB"),
    question(6, "没有", [], split="testB"),
    question(7, RIGHT, [], split="testB"),
    question(8, WRONG, [BOX], split="val"),
]


def test_several_true_boxes_and_none(tmp_path):
    found = document(tmp_path, MIXED)
    assert (found["acc_iou50"], found["acc_none"]) == (3 / 8, 2 / 5)
    assert found["mean_iou"] == pytest.approx((1 + 0.5 + 1 + 1) / 8)
    assert (found["grec_f1"], found["grec_nacc"]) == (5 / 8, 4 / 5), "an unreadable answer has no box either"
    assert {key: found["counts"][key] for key in ("samples", "right", "sets", "none")} == {"samples": 8, "right": 3, "sets": 2, "none": 5}
    assert found["counts"]["statuses"]["unreadable"] == 2
    assert {name: (group["samples"], group["acc_iou50"]) for name, group in found["per_class"].items()} == {
        "testA": (2, 0.5),
        "testB": (5, 0.4),
        "val": (1, 0),
    }
    low, high = found["intervals"]["acc_iou50"]
    assert 0 <= low < 3 / 8 < high <= 1
    assert found["protocol"]["intervals"] == "percentile bootstrap over images, 1000 resamples, 95%, seed 0"


@pytest.mark.parametrize(("several", "right"), [("first", 0), ("any", 1), ("all", 0), ("hungarian", 0)])
def test_which_of_several_boxes_counts_is_declared(tmp_path, several, right):
    found = document(tmp_path, [question(1, WRONG, [BOX])], "--several", several)
    assert found["acc_iou50"] == right
    assert found["protocol"]["several_boxes"] == RULES[several]


@pytest.mark.parametrize("several", SEVERAL)
def test_no_order_of_rows_changes_a_bit(tmp_path, several):
    random = np.random.default_rng(5)
    rows = MIXED + [question(n, answer((100 + n, 200, 300 + 3 * n, 600), (n, n, 9 * n, 9 * n)), [BOX]) for n in range(10, 40)]
    first = document(tmp_path, rows, "--several", several)
    for _ in range(3):
        again = document(tmp_path, [rows[place] for place in random.permutation(len(rows))], "--several", several)
        for found in (first, again):
            del found["protocol"]["gt_sha256"], found["protocol"]["result_sha256"], found["protocol"]["date"]
            found["protocol"].update(gt_sha256="", result_sha256="", date="")
        assert again == first


@pytest.mark.parametrize(
    ("more", "name", "split"),
    [
        ({"split": "testB", "sample_id": "refcoco/unc/val/1/2"}, "r.jsonl", "testB"),
        ({"sample_id": "refcoco+/unc/testA/1/2"}, "val.jsonl", "refcoco+/unc/testA"),
        ({"sample_id": 7}, "refcoco_testa.jsonl", "testA"),
        ({"sample_id": 7}, "interval.jsonl", None),
        ({"split": 3, "sample_id": 7}, "r.jsonl", None),
    ],
)
def test_splits(tmp_path, more, name, split):
    result = write_rows(tmp_path / name, [row(1, RIGHT, **more)])
    found = json.loads(score(result, "--family", "qwen3_vl", "--json").stdout)["per_class"]
    assert list(found) == ([split] if split else [])


def test_ids_are_joined_as_text_and_without_a_question(tmp_path):
    asked = [{**row(1, RIGHT), "sample_id": 7}, {**row(2, RIGHT), "sample_id": "8"}]
    rows = write_rows(tmp_path / "rows.jsonl", [{key: one[key] for key in one if key not in ("response", "labels")} for one in asked])
    bare = [{"sample_id": "7", "size_wh": [100, 50], "response": RIGHT}, {"sample_id": 8, "size_wh": [100, 50], "response": RIGHT}]
    for result in (bare, [{**asked[0], "sample_id": "7"}, {**asked[1], "sample_id": 8}]):
        assert document(tmp_path, result, "--rows", rows)["acc_iou50"] == 1
    write_rows(tmp_path / "rows.jsonl", [asked[0], {**asked[1], "sample_id": 7}])
    found = document(tmp_path, bare[:1], "--rows", rows)
    assert found["counts"]["rows_left_out"] == {"question-unknown": 1}, "two questions have this id: neither is meant"


def test_a_question_that_is_asked_twice_is_counted(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", [ROWS[0], ROWS[0]])
    found = document(tmp_path, [ROWS[0]], "--rows", rows)
    assert (found["counts"]["samples"], found["counts"]["rows_left_out"]) == (1, {"question-duplicate": 1})


def test_the_report_and_the_comparison(tmp_path):
    result = write_rows(tmp_path / "r.jsonl", MIXED)
    better = write_rows(tmp_path / "better.jsonl", [*MIXED[:-1], question(8, RIGHT, [BOX], split="val")])
    for path, out in ((result, "before"), (better, "after")):
        score(path, "--family", "qwen3_vl", "--out", tmp_path / out)
    run = json.loads((tmp_path / "before" / "run.json").read_text())
    first, last = run["images"][0], run["images"][-1]
    assert (first["sample_id"], first["file_name"], first["question"], first["f1"]) == ("refcoco/1", "1.jpg", "Find thing 1.", 1)
    assert first["values"] == {"IoU": 1, "right at IoU 0.5": "yes", "split": "testA"}
    assert [box["outcome"] for box in last["predicted"]] == ["false_positive", "not_counted"]
    assert (run["tables"][0]["id"], run["plots"][0]["lines"][0]["y"][0]) == ("by_split", 3 / 8)
    done = call("compare", tmp_path / "before", tmp_path / "after", "--out", tmp_path / "both")
    assert "+0.125" in done.stdout
    assert "not comparable" not in done.stderr


def test_other_rules_are_not_compared(tmp_path):
    result = write_rows(tmp_path / "r.jsonl", MIXED)
    for several in ("first", "any"):
        score(result, "--family", "qwen3_vl", "--several", several, "--out", tmp_path / several)
    done = call("compare", tmp_path / "first", tmp_path / "any", "--out", tmp_path / "both")
    assert "the runs differ in several_boxes: their numbers are not comparable" in done.stderr


def test_a_very_long_answer(tmp_path):
    text = RIGHT[:-1] + ", " + ", ".join(['{"bbox_2d": [1, 2, 3, 4], "label": "x"}'] * 50_000) + "]"
    result = write_rows(tmp_path / "r.jsonl", [question(1, text, [BOX]), question(2, "no " * 700_000, [BOX])])
    found = json.loads(
        score(result, "--family", "qwen3_vl", "--several", "hungarian", "--json", "--no-report", "--out", tmp_path / "out").stdout
    )
    assert (found["acc_iou50"], found["counts"]["statuses"]["unreadable"]) == (0, 1)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [len(image["predicted"]) for image in run["images"]] == [1000, 0]
    assert max(len(image["response"]) for image in run["images"]) < 20_100


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_true_box_that_is_not_finite(tmp_path, number):
    result = write_rows(tmp_path / "r.jsonl", [question(1, RIGHT, [BOX]), question(2, RIGHT, [BOX])])
    result.write_text(result.read_text().replace("[10, 10, 30, 30]", f"[10, {number}, 30, 30]", 1))
    said = score(result, "--family", "qwen3_vl", code=1).stderr
    assert said.startswith(f"error: {result}:1: ")


def test_rows_in_memory_as_training_has_them():
    rows = [SimpleNamespace(size_wh=(100, 50), labels=[""], boxes_xyxy_px=[BOX]), SimpleNamespace(size_wh=(100, 50), boxes_xyxy_px=[])]
    found = Referring().score_rows([RIGHT, "None"], rows, Rules("qwen3_vl")).summary
    assert (found["acc_iou50"], found["acc_none"]) == (1, 1)
    assert Referring().score_rows([RIGHT, "what"], rows, Rules("qwen3_vl")).summary["acc_none"] == 0
    unanswered = type("Unanswered", (str,), {"reason": "b.jpg: not an image"})()
    assert Referring().score_rows([RIGHT, unanswered], rows, Rules("qwen3_vl")).summary["acc_none"] == 0
