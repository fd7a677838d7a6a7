"""A perfect answer scores 1.0 in every family, up to what its space can express; read in a wrong space it scores next to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from groundswift import Located, families, format_answer, from_original_px, resized_wh
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.to_boxes import predictions_from_answers
from groundswift.eval.ground_truth import Truth, truth_from_rows
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.image_resize import Limits
from groundswift.spaces import quantum, space_row

SIZES_WH = [(640, 480), (333, 500), (301, 299), (480, 640), (2000, 1500), (3001, 2400), (517, 400), (412, 300)]
LIMITS = Limits(None, 200_000, 150_000)
LABELS = ("cat", "dog", "hot dog")
BOX_FAMILIES = sorted(name for name, row in families().items() if row.boxes)
FINE = 45  # a box of as many quanta a side has IoU 0.95 with its rounded self
COARSE = 12  # of as many cells: IoU 0.75


def model_input_wh(family: str, size_wh: tuple[int, int]) -> tuple[int, int] | None:
    limits = {name: getattr(LIMITS, name) for name in LIMITS.__struct_fields__}
    return resized_wh(size_wh, family, **limits) if families()[family].resize_factor else None


def drawn_truth(family: str, seed: int = 0) -> Truth:
    """Images of many sizes with up to three boxes, one a label, none smaller than the family can write well; the last has none."""
    rng, rows = np.random.default_rng(seed), []
    space = space_row(families()[family].space)
    for image_id, size_wh in enumerate(SIZES_WH * 4):
        step = quantum(space, size_wh, model_input_wh(family, size_wh))
        least = (COARSE if space.rounding == "cells" else FINE) * step / size_wh
        assert (least < 0.7).all(), f"{family}: {size_wh} is too small an image"
        sides = rng.uniform(least, np.maximum(least * 1.2, 0.45), (len(LABELS), 2))
        corners = rng.uniform(0, 1 - sides)
        boxes_px = np.concatenate([corners, corners + sides], axis=1) * np.tile(size_wh, 2)
        count = image_id % (len(LABELS) + 1)
        rows.append((image_id, size_wh, LABELS[:count], boxes_px[:count].tolist()))
    return truth_from_rows(rows)


def perfect_answers(truth: Truth, family: str) -> list[tuple[int, tuple[int, int], str]]:
    """What a model that sees everything would write."""
    answers = []
    for index, (image_id, size) in enumerate(zip(truth.image_ids, truth.sizes_wh.tolist(), strict=True)):
        size_wh = tuple(size)
        own = truth.image_index == index
        xywh = truth.boxes_xywh_px[own]
        boxes_px = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        written = from_original_px(boxes_px, family, size_wh, model_input_wh(family, size_wh)).tolist()
        labels = [truth.category_names[category] for category in truth.category_index[own]]
        located = [Located(label, tuple(box)) for label, box in zip(labels, written, strict=True)]
        answers.append((image_id, size_wh, format_answer(located, family)))
    return answers


@pytest.mark.parametrize("family", BOX_FAMILIES)
def test_a_perfect_answer_scores_one(family):
    truth = drawn_truth(family)
    answers = perfect_answers(truth, family)
    read = predictions_from_answers(answers, truth, Rules(family, limits=LIMITS))
    assert read.counts.statuses == {"ok": 24, "empty": 8}
    assert (read.counts.reasons, read.counts.dropped.counts, read.counts.changed.counts) == ({}, {}, {})
    summary = evaluate(truth, read.predictions).summary
    if space_row(families()[family].space).rounding == "cells":
        assert (summary["AP50"], summary["AP75"]) == (pytest.approx(1), pytest.approx(1))
    else:
        assert summary["AP"] == pytest.approx(1)


def wrong_space(family: str) -> str:
    """A space in which the family's numbers mean something else, whatever the image."""
    row = families()[family]
    space = space_row(row.space)
    if space.side == "original" and space.units is not None and space.units > 900:
        return "resized_px" if row.resize_factor else "original_px"
    return "norm1000"


@pytest.mark.parametrize(
    ("family", "rules"),
    [
        *(pytest.param(family, Rules(family, wrong_space(family), LIMITS), id=f"{family} in a wrong space") for family in BOX_FAMILIES),
        pytest.param("qwen2_5_vl", Rules("qwen3_vl"), id="pixels read as 0 to 1000"),
        pytest.param("qwen3_vl", Rules("qwen2_5_vl", limits=LIMITS), id="0 to 1000 read as pixels"),
        pytest.param("qwen2_5_vl", Rules("qwen2_5_vl", limits=Limits(3_000_000)), id="pixels of a larger limit"),
        pytest.param("qwen2_5_vl", Rules("qwen2_5_vl", limits=Limits(max_pixels=40_000)), id="pixels of a smaller limit"),
        pytest.param("gemini", Rules("qwen3_vl"), id="y first read by the grammar of x first"),
    ],
)
def test_the_same_answer_read_otherwise_scores_next_to_nothing(family, rules):
    """Nothing is repaired: the truth would tell which space fits, and must not be asked."""
    truth = drawn_truth(family)
    read = predictions_from_answers(perfect_answers(truth, family), truth, rules)
    assert rules.space is None or read.counts.statuses == {"ok": 24, "empty": 8}
    summary = evaluate(truth, read.predictions).summary
    assert (summary["AP"] < 0.05, summary["AP50"] < 0.2) == (True, True), summary


@pytest.mark.parametrize("family", sorted(set(families()) - set(BOX_FAMILIES)))
def test_a_family_of_points_scores_nothing_and_is_counted(family):
    """A point overlaps no box: each is counted as dropped, none is made a box."""
    truth = truth_from_rows([(1, (640, 480), ["cat", "dog"], [(10, 20, 300, 400), (50, 60, 200, 300)]), (2, (300, 300), [], [])])
    corner_px = from_original_px([[155, 210, 155, 210], [125, 180, 125, 180]], family, (640, 480)).tolist()
    located = [Located(label, point=tuple(box[:2])) for label, box in zip(("cat", "dog"), corner_px, strict=True)]
    answers = [(1, (640, 480), format_answer(located, family)), (2, (300, 300), format_answer([], family))]
    read = predictions_from_answers(answers, truth, Rules(family))
    assert read.counts.dropped.counts == {"point": 2}
    assert read.counts.statuses == {"ok": 1, "empty": 1}
    assert evaluate(truth, read.predictions).summary["AP"] == 0
