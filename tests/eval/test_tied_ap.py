"""AP of equal scores: by brute force, equal to pycocotools without ties, and the same bit for bit in any order of images, boxes and ids."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from evaluated import coco_file, loaded, random_set, write_json
from hypothesis import given
from hypothesis import strategies as st
from test_coco_map import reference
from test_lvis import dataset

from groundswift.coco_file import CocoFile
from groundswift.eval.answers.to_boxes import Predictions
from groundswift.eval.box_matching import IS_FP, IS_NOT_COUNTED, IS_TP, outcomes
from groundswift.eval.ground_truth import Truth, read_truth, truth_from_coco, truth_from_rows
from groundswift.eval.listed_ap import listed_outcomes
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.metrics.coco_numbers import TIES
from groundswift.eval.precision_recall import RECALLS, exact_mean
from groundswift.eval.tied_ap import tied_ap
from groundswift.eval.tied_matching import AREAS_PX2, counting, match


def predictions_of(rows: list[dict], truth: Truth) -> Predictions:
    image, category = ({number: place for place, number in enumerate(ids)} for ids in (truth.image_ids, truth.category_ids))
    rows = sorted(rows, key=lambda row: row["image_id"])
    return Predictions(
        np.array([image[row["image_id"]] for row in rows], dtype=np.int64),
        np.array([category[row["category_id"]] for row in rows], dtype=np.int64),
        np.array([row["bbox"] for row in rows]).reshape(-1, 4),
        np.array([row["score"] for row in rows], dtype=np.float64),
    )


def both(coco: dict, rows: list[dict]) -> tuple[Truth, Predictions]:
    truth = truth_from_coco(msgspec.convert(coco, CocoFile))
    return truth, predictions_of(rows, truth)


@pytest.mark.parametrize("seed", range(4))
def test_without_equal_scores_it_is_the_ap_of_pycocotools(tmp_path, seed):
    coco, results = random_set(seed, 12, 90, 3)
    found, wanted = evaluate(*loaded(coco, results, tmp_path)), reference(coco, results).stats
    assert found.counts["equal_scores"] == 0
    assert [-1 if found.summary[key] is None else found.summary[key] for key in TIES] == pytest.approx(wanted, abs=1e-9)
    assert [each["AP_ties"] for each in found.per_group.values()] == pytest.approx([each["AP"] for each in found.per_group.values()])


@pytest.mark.parametrize("seed", range(4))
def test_without_equal_scores_the_outcomes_are_those_of_pycocotools_in_every_area(tmp_path, seed):
    coco, results = random_set(seed, 12, 90, 3)
    truth, predictions = loaded(coco, results, tmp_path)
    areas = ("all", "small", "medium", "large")
    found = match(truth, predictions, areas=areas)
    order = [row["id"] for row in reference_results(results, truth)]
    wanted = np.full(found.outcomes.shape, IS_FP)
    for cell in reference(coco, results).evalImgs:
        if cell is None:
            continue
        area = [list(AREAS_PX2[name]) for name in areas].index([float(side) for side in cell["aRng"]])
        for number, matched, ignored in zip(cell["dtIds"], cell["dtMatches"].T, cell["dtIgnore"].T, strict=True):
            wanted[area, :, order.index(number)] = np.where(ignored, IS_NOT_COUNTED, np.where(matched > 0, IS_TP, IS_FP))
    assert found.outcomes.tolist() == wanted.tolist()


def reference_results(results: list[dict], truth: Truth) -> list[dict]:
    """The results in the order of `read_results`, with the ids that pycocotools gives them."""
    return sorted(({**row, "id": number} for number, row in enumerate(results, 1)), key=lambda row: truth.image_ids.index(row["image_id"]))


def slow_ap(scores: list[float], matched: list[bool], wanted: int) -> float:
    """COCO's AP of one class in one order."""
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    found = np.cumsum([matched[number] for number in order])
    precision, recall = found / np.arange(1, len(order) + 1), found / wanted
    return float(np.mean([max(precision[recall >= least], default=0.0) for least in RECALLS]))


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=5), st.integers(0, 2))
def test_it_is_the_lowest_of_all_orders(predictions, missed):
    """Each prediction in an image of its own, on an object or far from it, so that order changes nothing but the curve."""
    wanted = sum(matched for _, matched in predictions) + missed
    if not wanted:
        return
    objects = [*(matched for _, matched in predictions), *[True] * missed]
    truth = truth_from_rows([(number, (100, 100), ["cat"] * there, [(0, 0, 10, 10)] * there) for number, there in enumerate(objects)])
    indices, boxes = np.arange(len(predictions)), np.array([[0, 0, 10, 10]] * len(predictions), dtype=float)
    found = tied_ap(truth, Predictions(indices, np.zeros_like(indices), boxes, np.array([score for score, _ in predictions])))
    orders = itertools.permutations(predictions)
    lowest = min(slow_ap(*map(list, zip(*order, strict=True)), wanted) for order in orders)
    assert found.tolist() == pytest.approx(np.full((10, 1), lowest))


SIDES = st.sampled_from([10.0, 12.0, 100.0])
PLACES = st.sampled_from([0.0, 1.0, 2.0, 3.0])
BOX = st.tuples(PLACES, PLACES, SIDES, SIDES)


@st.composite
def crowded(draw) -> tuple[dict, list[dict]]:
    """Boxes that overlap often, in few places, so that IoUs and scores are equal."""
    where = {"image_id": st.sampled_from([1, 1, 1, 2, 3]), "category_id": st.sampled_from([1, 1, 1, 2]), "bbox": BOX.map(list)}
    truths = draw(st.lists(st.fixed_dictionaries({**where, "iscrowd": st.sampled_from([0, 0, 0, 1])}), min_size=3, max_size=9))
    found = draw(st.lists(st.fixed_dictionaries({**where, "score": st.sampled_from([0.5, 1.0])}), min_size=3, max_size=12))
    return coco_file(dict.fromkeys([1, 2, 3], (200, 200)), [1, 2], truths), found


@given(crowded(), st.randoms(use_true_random=False))
def test_no_order_changes_it(case, random):
    coco, rows = case
    images, classes = random.sample(range(1, 90), 3), random.sample(range(1, 90), 2)
    moved = {"image_id": lambda number: images[number - 1], "category_id": lambda number: classes[number - 1]}

    def renumbered(row: dict) -> dict:
        return row | {key: moved[key](row[key]) for key in moved}

    other = {
        "images": [image | {"id": images[image["id"] - 1]} for image in coco["images"]],
        "categories": [each | {"id": classes[each["id"] - 1]} for each in coco["categories"]],
        "annotations": [renumbered(row) | {"id": number} for number, row in enumerate(shuffled(coco["annotations"], random), 1)],
    }
    before, after = evaluate(*both(coco, rows)), evaluate(*both(other, [renumbered(row) for row in shuffled(rows, random)]))
    assert {key: before.summary[key] for key in TIES} == {key: after.summary[key] for key in TIES}
    assert {name: each["AP_ties"] for name, each in before.per_group.items()} == {n: each["AP_ties"] for n, each in after.per_group.items()}


def shuffled(rows: list, random) -> list:
    return random.sample(rows, len(rows))


@pytest.mark.parametrize("seed", range(3))
def test_with_other_scores_no_number_changes_with_the_ids(seed):
    coco, rows = random_set(seed, 20, 150, 7)
    rng = np.random.default_rng(seed)
    images, classes = (dict(zip(ids, rng.permutation(1000)[: len(ids)].tolist(), strict=True)) for ids in ids_of(coco))
    other = {
        "images": [each | {"id": images[each["id"]]} for each in coco["images"]],
        "categories": [each | {"id": classes[each["id"]]} for each in coco["categories"]],
        "annotations": [renamed(each, images, classes) for each in coco["annotations"]],
    }
    before, after = evaluate(*both(coco, rows)), evaluate(*both(other, [renamed(row, images, classes) for row in rows]))
    assert before.summary == after.summary
    assert before.per_group == after.per_group


def ids_of(coco: dict) -> list[list[int]]:
    return [[each["id"] for each in coco[key]] for key in ("images", "categories")]


def renamed(row: dict, images: dict[int, int], classes: dict[int, int]) -> dict:
    return row | {"image_id": images[row["image_id"]], "category_id": classes[row["category_id"]]}


LEFT, RIGHT = (0, 0, 10, 10), (4, 0, 14, 10)  # xyxy
CONFLICTS = [  # predictions xywh, the second of which fits one object only; TP
    pytest.param([(2.5, 0, 10, 10), (4, 0, 10, 10)], 2, id="the better box first"),
    pytest.param([(1.5, 0, 10, 10), (0, 1.5, 10, 10)], 2, id="equally good boxes, the left one first"),
    pytest.param([(2, 0, 10, 10), (0, 2.2, 10, 10)], 2, id="equally good objects, the right one first"),
    pytest.param([(2, 0, 10, 10), (4, 2.2, 10, 10)], 1, id="equally good objects, the left one is left"),
]


@pytest.mark.parametrize(("boxes", "wanted"), CONFLICTS)
def test_of_equal_scores_the_better_box_matches_first(boxes, wanted):
    for objects in ([LEFT, RIGHT], [RIGHT, LEFT]):
        truth = truth_from_rows([(1, (200, 200), ["cat"] * 2, objects)])
        for order in ([0, 1], [1, 0]):
            found = match(truth, Predictions(np.array([0, 0]), np.array([0, 0]), np.array(boxes, dtype=float)[order], np.ones(2)), [0.55])
            assert (found.outcomes == IS_TP).sum() == wanted


def test_at_the_limit_of_equal_scores_those_that_fit_worst_count():
    truth = truth_from_rows([(1, (999, 999), ["cat"], [(0, 0, 10, 10)])])
    scores, boxes = (
        np.array([0.9, 0.5, 0.5, 0.5, 0.1]),
        np.array([[0, 0, 10, 10], [0, 0, 10, 10], [9, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10.0]]),
    )
    found = Predictions(np.zeros(5, np.int64), np.zeros(5, np.int64), boxes, scores)
    assert [counting(truth, found, limit).tolist() for limit in (1, 2, 3, 4, 5)] == [[0], [0, 2], [0, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3, 4]]


@given(st.data())
def test_ar1_is_the_lowest_of_all_orders(data):
    """Of one image and class, by pycocotools' own number in each order; no crowds."""
    boxes = st.lists(BOX, min_size=1, max_size=3)
    objects, found = data.draw(boxes), data.draw(boxes)
    coco = coco_file({1: (200, 200)}, [1], [{"image_id": 1, "category_id": 1, "bbox": list(box)} for box in objects])
    rows = [{"image_id": 1, "category_id": 1, "bbox": list(box), "score": 1.0} for box in found]
    values = [evaluate(*both(coco, list(order))).summary for order in itertools.permutations(rows)]
    (lowest,) = {each["AR1_ties"] for each in values}
    assert lowest == pytest.approx(min(each["AR1"] for each in values))


def test_a_block_of_pairs_is_no_border(monkeypatch):
    truth, predictions = both(*random_set(5, 3, 120, 2, 0.5))
    whole = match(truth, predictions)
    monkeypatch.setattr("groundswift.eval.close_pairs.PAIRS_AT_ONCE", 7)
    assert match(truth, predictions).outcomes.tolist() == whole.outcomes.tolist()


@pytest.mark.parametrize("step", [None, 0.5, 0.0])
@pytest.mark.parametrize("limit", [100, 2])
def test_outcomes_as_listed_are_those_of_hotcoco(step, limit):
    for seed in range(4):
        truth, predictions = both(*random_set(seed, 8, 120, 3, step))
        ((of_truth, of_predictions),) = outcomes(truth, predictions, limit)
        found = listed_outcomes(truth, predictions, limit)
        assert [each.tolist() for each in found] == [of_truth.tolist(), of_predictions.tolist()]


@given(crowded())
def test_outcomes_as_listed_are_those_of_hotcoco_where_ious_are_equal(case):
    truth, predictions = both(*case)
    ((of_truth, of_predictions),) = outcomes(truth, predictions, 100)
    assert [each.tolist() for each in listed_outcomes(truth, predictions, 100)] == [of_truth.tolist(), of_predictions.tolist()]


@pytest.mark.parametrize("limit", [300, 3])
def test_outcomes_of_lvis_as_listed_are_those_of_hotcoco(tmp_path, limit):
    coco, rows = dataset(0)
    truth = read_truth(write_json(tmp_path / "gt.json", coco))
    predictions = predictions_of(rows, truth)
    ((of_truth, of_predictions),) = outcomes(truth, predictions, limit)
    assert [each.tolist() for each in listed_outcomes(truth, predictions, limit)] == [of_truth.tolist(), of_predictions.tolist()]


def test_undefined_is_none():
    truth = truth_from_rows([(1, (10, 10), [], [])], ["cat"])
    none = Predictions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
    assert exact_mean(tied_ap(truth, none)) is None
    assert exact_mean(tied_ap(truth_from_rows([(1, (10, 10), ["cat"], [(0, 0, 5, 5)])]), none)) == 0


@pytest.mark.parametrize("limit", [None, 3])
def test_the_rules_of_lvis_hold(tmp_path, limit):
    coco, rows = dataset(0)
    scores = np.random.default_rng(0).permutation(len(rows)) / len(rows)
    truth = read_truth(write_json(tmp_path / "gt.json", coco))
    predictions = predictions_of([row | {"score": score} for row, score in zip(rows, scores.tolist(), strict=True)], truth)
    found = evaluate(truth, predictions, max_detections=limit)
    assert [found.summary[key] for key in TIES] == pytest.approx([found.summary[key.removesuffix("_ties")] for key in TIES], abs=1e-12)
    assert len(counting(truth, predictions, limit)) < len(rows)
