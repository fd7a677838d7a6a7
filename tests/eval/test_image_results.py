"""Results of images are made when they are asked for: the same in any piece, with unknown labels, and in a run's file."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswift.eval import artifacts
from groundswift.eval.answers.to_boxes import Predictions
from groundswift.eval.artifacts import image_items
from groundswift.eval.evaluated_run import FP, TP, UNKNOWN_LABEL, DrawnBox, ImageResult
from groundswift.eval.ground_truth import truth_from_rows
from groundswift.eval.image_results import IMAGES_AT_ONCE, ImageResults
from groundswift.eval.listed_ap import listed_outcomes

UNKNOWN = DrawnBox("cow", (1.0, 2.0, 3.0, 4.0), UNKNOWN_LABEL, 0.5)


def results(count: int, unknown: dict | None = None) -> ImageResults:
    """Images with 0, 1 or 2 objects; predictions in the reverse order of their images, one right and one wrong in each."""
    rows = [(n, (100, 50), ["cat", "dog"][: n % 3], [(0, 0, 10.004, 10), (20, 20, 30, 30)][: n % 3]) for n in range(1, count + 1)]
    truth = truth_from_rows(rows, ["cat", "dog"])
    images = np.repeat(np.arange(count)[::-1], 2)
    boxes = np.tile([[0, 0, 10.004, 10], [50, 30, 5, 5]], (count, 1))
    found = Predictions(images, np.zeros_like(images), boxes, np.ones(len(images)))
    return ImageResults(truth, found, listed_outcomes(truth, found, 100), ["ok"] * count, [f"text {n}" for n in range(count)], unknown)


def test_an_image_has_its_boxes_and_outcomes():
    second = results(3)[1]
    assert (second.image_id, second.size_wh, second.status, second.response) == (2, (100, 50), "ok", "text 1")
    assert [(box.label, box.box_xyxy_px, box.score) for box in second.truth] == [
        ("cat", (0, 0, 10, 10), None),
        ("dog", (20, 20, 30, 30), None),
    ]
    assert [(box.label, box.box_xyxy_px, box.outcome) for box in second.predicted] == [
        ("cat", (0, 0, 10, 10), TP),
        ("cat", (50, 30, 55, 35), FP),
    ]
    assert second.f1 == pytest.approx(0.5)


@given(st.integers(0, 9), st.slices(9))
def test_any_piece_is_that_of_all(count, piece):
    images = results(count)
    whole = list(images)
    assert len(images) == len(whole) == count
    assert images[piece] == whole[piece]
    assert [images[place] for place in range(-count, count)] == whole * 2


def test_there_are_more_images_than_are_made_at_once():
    assert [image.image_id for image in results(2 * IMAGES_AT_ONCE + 1)] == list(range(1, 2 * IMAGES_AT_ONCE + 2))


def test_no_image_after_the_last():
    with pytest.raises(IndexError):
        results(3)[3]


def test_unknown_labels_are_drawn_each_time():
    images = results(3, {2: [UNKNOWN]})
    for _ in range(2):
        assert [len(image.predicted) for image in images] == [2, 3, 2]
        assert images[1].predicted[-1] == UNKNOWN


@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_what_is_kept_is_no_part_of_the_bytes(monkeypatch, kept):
    monkeypatch.setattr(artifacts, "KEPT", kept)
    images = results(2 * IMAGES_AT_ONCE + 1)
    text = b"".join(image_items(images))
    assert msgspec.json.decode(b"[" + text + b"]", type=list[ImageResult]) == list(images)
