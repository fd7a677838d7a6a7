"""Referring: the number itself, and `groundswift eval referring` as a user calls it."""

from __future__ import annotations

import numpy as np
import pytest

from groundswift.errors import GroundswiftError
from groundswift.eval.bare_answers import boxes_of_answers
from groundswift.eval.metrics.referring import score_referring
from groundswift.eval.predictions import Rules

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
    assert (score["mean_iou"], score["acc_iou50"]) == (pytest.approx(iou), float(iou >= 0.5))
    assert score["counts"] == {
        "samples": 1,
        "right": int(iou >= 0.5),
        "without_box": int(not predicted),
        "with_several_boxes": int(len(predicted) > 1),
    }


def test_several_answers():
    score = score_referring([[BOX], np.zeros((0, 4)), [[10, 10, 30, 20]], [[0, 0, 5, 5], BOX]], [BOX] * 4)
    assert (score["acc_iou50"], score["mean_iou"]) == (0.5, pytest.approx(1.5 / 4))
    assert score["counts"] == {"samples": 4, "right": 2, "without_box": 1, "with_several_boxes": 1}


def test_nothing_to_score_is_undefined():
    assert score_referring([], [])["acc_iou50"] is None
    assert score_referring([], [])["mean_iou"] is None


def test_answers_and_true_boxes_go_one_to_one():
    with pytest.raises(GroundswiftError, match="2 answers for 1 true boxes"):
        score_referring([[BOX], [BOX]], [BOX])


def test_answers_are_placed_in_the_declared_space():
    texts = ['[{"bbox_2d": [100, 200, 300, 600], "label": "x"}, {"bbox_2d": [0, 0, 1200, 1000]}]', "None", "I see it", None]
    found = boxes_of_answers(texts, [(100, 50)] * 4, Rules("qwen3_vl"), ["a", "b", "c", "d"])
    assert [boxes.tolist() for boxes in found.boxes_xyxy_px] == [[[10, 10, 30, 30], [0, 0, 100, 50]], [], [], []]
    assert found.statuses == ["ok", "empty", "unreadable", "missing"]
    assert dict(found.counts.changed.counts) == {"boxes cut at the border of their image": 1}
    assert found.counts.read == 3


def test_no_answers():
    assert boxes_of_answers([], [], Rules("qwen3_vl"), []).boxes_xyxy_px == []
