"""Referring: the number itself, and `groundswift eval referring` as a user calls it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluated import call, coco_of, metrics_of, write_json, write_rows

from groundswift.errors import GroundswiftError
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.referring_rows import holds_bare_boxes
from groundswift.eval.answers.to_boxes import boxes_of_answers
from groundswift.eval.metrics.referring import score_referring

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
    assert score.counts == {
        "samples": 1,
        "right": int(iou >= 0.5),
        "without_box": int(not predicted),
        "with_several_boxes": int(len(predicted) > 1),
    }


def test_several_answers():
    score = score_referring([[BOX], np.zeros((0, 4)), [[10, 10, 30, 20]], [[0, 0, 5, 5], BOX]], [BOX] * 4)
    assert (score.summary["acc_iou50"], score.summary["mean_iou"]) == (0.5, pytest.approx(1.5 / 4))
    assert score.counts == {"samples": 4, "right": 2, "without_box": 1, "with_several_boxes": 1}


def test_nothing_to_score_is_undefined():
    assert score_referring([], []).summary == {"acc_iou50": None, "mean_iou": None}


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
        "wrote metrics.json into",
    ):
        assert line in done.stdout
    found = metrics_of(tmp_path / "out")
    assert list(found) == ["acc_iou50", "mean_iou", "counts", "protocol", "warnings"]
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
        pytest.param({"objects": {"ref": [], "bbox": [BOX, BOX]}}, "true-boxes-several", id="two boxes"),
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
    assert "no row has one ground-truth box to score" in said
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
