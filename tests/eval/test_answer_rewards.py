"""Rewards of one answer: by hand, and equal to the numbers of `eval coco-map` and `eval referring` for an image or question alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluated import call, coco_of, metrics_of, write_json, write_rows
from hypothesis import given
from hypothesis import strategies as st

from groundswift import Located, families, format_answer, from_original_px, resized_wh
from groundswift.boxes import iou
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.to_boxes import predictions_from_answers
from groundswift.eval.assignment import assigned
from groundswift.eval.ground_truth import truth_from_rows
from groundswift.eval.metrics import rewards
from groundswift.eval.metrics.answer_rewards import box_format, det_map, rec_iou
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.metrics.one_answer import OneTruth
from groundswift.image_resize import Limits

SIZE = (1000, 500)
CAT, DOG, FAR = [100, 100, 300, 300], [500, 100, 900, 400], [0, 400, 60, 500]
THREE_QUARTERS = [100, 100, 300, 250]  # IoU 0.75 with CAT
ONE_CAT, BOTH, NOTHING = OneTruth(SIZE, ["cat"], [CAT]), OneTruth(SIZE, ["cat", "dog"], [CAT, DOG]), OneTruth(SIZE, [], [])
TWO_CATS = OneTruth(SIZE, ["cat", "cat"], [CAT, DOG])
BARE, TWO_BARE = (OneTruth(SIZE, [""] * count, [CAT, DOG][:count], labelled=False) for count in (1, 2))
RULES = Rules("qwen2_vl")


def said(*objects: tuple[str, list[float]]) -> str:
    return format_answer([Located(label, (x1, y1 * 2, x2, y2 * 2)) for label, (x1, y1, x2, y2) in objects], "qwen2_vl")


RIGHT = said(("cat", CAT), ("dog", DOG))
DETECTED = {
    "all found": (RIGHT, BOTH, 1),
    "the order does not matter": (said(("dog", DOG), ("cat", CAT)), BOTH, 1),
    "one of two classes": (said(("cat", CAT)), BOTH, 0.5),
    "one of two objects of a class: 51 of 101 recalls": (said(("cat", CAT)), TWO_CATS, 51 / 101),
    "IoU 0.75: 6 of 10 thresholds": (said(("cat", THREE_QUARTERS)), ONE_CAT, 0.6),
    "a false box after the right one": (said(("cat", CAT), ("cat", FAR)), ONE_CAT, 0.5),
    "a false box before the right one": (said(("cat", FAR), ("cat", CAT)), ONE_CAT, 0.5),
    "a class that is not in the image": (said(("cat", CAT), ("zebra", FAR)), ONE_CAT, 0.5),
    "two classes that are not in the image": (said(("cat", CAT), ("zebra", FAR), ("horse", FAR)), ONE_CAT, 1 / 3),
    "a class whose only box is empty": (said(("cat", CAT), ("zebra", [10, 10, 10, 40])), ONE_CAT, 1),
    "the wrong class": (said(("dog", CAT)), ONE_CAT, 0),
    "nothing said": ("None", BOTH, 0),
    "nothing there, nothing said": ("None", NOTHING, 1),
    "nothing there, a box said": (said(("cat", CAT)), NOTHING, 0),
    "nothing there, no readable answer": ("(((", NOTHING, 0),
    "no readable answer": ("(((", BOTH, 0),
    "without a label where one is needed": (said(("", CAT)), ONE_CAT, 0),
    "bare boxes": (said(("", DOG), ("", CAT)), TWO_BARE, 1),
    "a bare box with a label": (said(("cat", CAT)), BARE, 1),
}


@pytest.mark.parametrize("name", DETECTED)
def test_det_map_by_hand(name):
    text, truth, expected = DETECTED[name]
    assert det_map(text, truth, RULES) == pytest.approx(expected)


POINTED = {
    "the box": (said(("", CAT)), BARE, 1),
    "a box of IoU 0.75": (said(("", THREE_QUARTERS)), BARE, 0.75),
    "with a label": (said(("cat", CAT)), BARE, 1),
    "the first counts": (said(("", CAT), ("", FAR)), BARE, 1),
    "the second does not": (said(("", FAR), ("", CAT)), BARE, 0),
    "several, in another order": (said(("", DOG), ("", THREE_QUARTERS)), TWO_BARE, 1.75 / 2),
    "several, one missing": (said(("", CAT)), TWO_BARE, 0.5),
    "several, one too many": (said(("", CAT), ("", DOG), ("", FAR)), TWO_BARE, 2 / 3),
    "no box said": ("None", BARE, 0),
    "nothing there, nothing said": ("None", NOTHING, 1),
    "nothing there, a box said": (said(("", CAT)), NOTHING, 0),
    "no readable answer": ("(((", NOTHING, 0),
}


@pytest.mark.parametrize("name", POINTED)
def test_rec_iou_by_hand(name):
    text, truth, expected = POINTED[name]
    assert rec_iou(text, truth, RULES) == pytest.approx(expected)


FORMS = {
    "boxes": (RIGHT, 1),
    "bare boxes": (said(("", CAT)), 1),
    "none": ("None", 1),
    "wrong boxes in the right form": (said(("zebra", FAR)), 1),
    "another family's form": ('[{"bbox_2d": [1, 2, 3, 4], "label": "cat"}]', 0),
    "prose": ("A cat is on the left.", 0),
    "no text": ("", 0),
    "swapped corners": ("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(300,300),(100,100)<|box_end|>", 0),
    "a number outside the space": ("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(1,1),(100,2000)<|box_end|>", 0),
    "cut within a box": (RIGHT[:-20], 0),
    "a point": ("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(300,300)<|box_end|>", 0),
}


@pytest.mark.parametrize("name", FORMS)
def test_box_format_by_hand(name):
    text, expected = FORMS[name]
    assert {box_format(text, truth, RULES) for truth in (BOTH, NOTHING)} == {expected}


@pytest.mark.parametrize("family", sorted(name for name, row in families().items() if row.boxes))
def test_what_a_family_writes_has_the_format_of_the_family(family):
    limits = Limits(None, None, None)
    input_wh = resized_wh(SIZE, family) if families()[family].resize_factor else None
    boxes = from_original_px([CAT, DOG], family, SIZE, input_wh).tolist()
    located = [Located(label, tuple(box)) for label, box in zip(["cat", "dog"], boxes, strict=True)]
    for text in (format_answer(located, family), format_answer([], family)):
        assert box_format(text, NOTHING, Rules(family, limits=limits)) == 1, text


@pytest.mark.parametrize("name", sorted(rewards()))
@pytest.mark.parametrize("truth", [NOTHING, BOTH, BARE], ids=["none", "two", "bare"])
def test_an_answer_cut_before_its_first_box_earns_nothing(name, truth):
    assert rewards()[name]("<|object_ref_start|>ca", truth, RULES, truncated=True) == 0


def test_the_table_has_the_rewards():
    assert {"det_map", "rec_iou", "box_format", "detection_f1", "detection_f1_mean"} <= set(rewards())


LABELS = ["cat", "dog", "zebra"]
PLACES = [[x, y, x + 180, y + 90] for x in range(0, 1000, 200) for y in range(0, 500, 100)]  # boxes that do not overlap


@given(data=st.data())
def test_det_map_is_the_ap_of_coco_with_the_wrong_boxes_first(data):
    """Each class by `evaluate`, for an image alone; a class of the answer that the truth lacks counts 0."""
    places = data.draw(st.permutations(PLACES))
    labels = data.draw(st.lists(st.sampled_from(LABELS[:2]), min_size=1, max_size=6))
    true_boxes, free = places[: len(labels)], places[len(labels) :]
    wrong = [(label, box) for label, box in zip(data.draw(st.lists(st.sampled_from(LABELS), max_size=4)), free, strict=False)]
    found = data.draw(st.lists(st.sampled_from(range(len(labels))), unique=True))
    right = [(labels[number], true_boxes[number]) for number in found]
    known = truth_from_rows([(1, SIZE, labels, true_boxes)], LABELS)
    answers = predictions_from_answers([(1, SIZE, said(*wrong, *right))], known, RULES)
    of_classes = evaluate(known, answers.predictions).per_group
    classes = {*labels, *(label for label, _ in wrong)}
    expected = np.mean([of_classes[label]["AP"] or 0 for label in classes])
    given_order = data.draw(st.permutations([*wrong, *right]))
    assert det_map(said(*given_order), OneTruth(SIZE, labels, true_boxes), RULES) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=5), st.integers(1, 4))
def test_the_assignment_is_the_best_of_all(rows, columns):
    from itertools import permutations

    values = np.array(rows)[:, :columns]
    pairs = assigned(values)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs) == min(values.shape)
    wide = values if values.shape[0] <= values.shape[1] else values.T
    best = max(sum(wide[row, column] for row, column in enumerate(order)) for order in permutations(range(wide.shape[1]), wide.shape[0]))
    assert sum(values[pair] for pair in pairs) == best


def test_the_rewards_are_the_commands_numbers_of_the_same_answers(tmp_path):
    """Over files, each image or question alone: `mean_iou` of referring, and `AP` of coco-map where the answer has no wrong box."""
    for number, (text, truth) in enumerate([(said(("", THREE_QUARTERS)), BARE), (said(("", DOG), ("", CAT)), BARE), ("None", BARE)]):
        turns = [{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "<bbox>"}]
        row = {"messages": turns, "objects": {"ref": [], "bbox": [CAT]}, "images": ["a.png"], "size_wh": SIZE, "sample_id": 1}
        result = write_rows(tmp_path / f"referring-{number}.jsonl", [row | {"response": text, "labels": "<bbox>"}])
        done = call("referring", result, "--family", "qwen2_vl", "--json")
        assert json.loads(done.stdout)["mean_iou"] == pytest.approx(rec_iou(text, truth, RULES))
    for number, text in enumerate([said(("cat", THREE_QUARTERS), ("dog", DOG)), said(("cat", CAT)), said(("dog", FAR), ("dog", DOG))]):
        boxes = [(1, 1, (100, 100, 200, 200)), (1, 2, (500, 100, 400, 300))]
        truth = write_json(tmp_path / f"truth-{number}.json", coco_of(SIZE, boxes, [1], ["cat", "dog"]))
        result = write_rows(tmp_path / f"result-{number}.jsonl", [{"response": text, "sample_id": 1, "size_wh": SIZE}])
        call("coco-map", result, "--gt", truth, "--family", "qwen2_vl", "--no-report", "--out", tmp_path / f"out-{number}")
        assert metrics_of(tmp_path / f"out-{number}")["AP"] == pytest.approx(det_map(text, BOTH, RULES)), text


def test_the_order_of_the_boxes_earns_nothing_where_they_overlap():
    """Two boxes and two objects that each could match: greedy matching finds one or two pairs, by the order."""
    wide, tall = [100, 100, 300, 300], [100, 100, 300, 190]
    boxes = [("cat", [100, 100, 300, 240]), ("cat", [100, 100, 300, 300])]
    truth = OneTruth(SIZE, ["cat", "cat"], [wide, tall])
    assert det_map(said(*boxes), truth, RULES) == det_map(said(*boxes[::-1]), truth, RULES) > 0


def test_it_is_the_commands_ap_of_one_operating_point(tmp_path):
    """`AP` of coco-map that no order changes, of a file with this image alone whose classes are those of image and answer."""
    boxes = [(1, 1, (100, 100, 200, 200)), (1, 2, (500, 100, 400, 300))]
    text = said(("cat", THREE_QUARTERS), ("dog", FAR), ("dog", DOG), ("cat", DOG))
    truth = write_json(tmp_path / "truth.json", coco_of(SIZE, boxes, [1], ["cat", "dog"]))
    result = write_rows(tmp_path / "result.jsonl", [{"response": text, "sample_id": 1, "size_wh": SIZE}])
    call("coco-map", result, "--gt", truth, "--family", "qwen2_vl", "--no-report", "--out", tmp_path / "out")
    assert metrics_of(tmp_path / "out")["AP_ties"] == pytest.approx(det_map(text, BOTH, RULES))


def test_an_overlap_is_matched_once():
    """Two boxes on one object: one of them is false, at every threshold."""
    near = [104, 100, 304, 300]
    assert iou([CAT], [near])[0, 0] > 0.95
    assert det_map(said(("cat", near), ("cat", CAT)), ONE_CAT, RULES) == pytest.approx(0.5)
