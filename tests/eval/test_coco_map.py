"""The 12 numbers against pycocotools, at three levels: real scale, hand-made edges, small random sets. Tolerance 1e-9."""

from __future__ import annotations

import contextlib
import io

import msgspec
import numpy as np
import pytest
from evaluated import coco_file, loaded, random_set
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from groundswift.coco_file import CocoFile
from groundswift.errors import GroundswiftError, Tally
from groundswift.eval.answers.coco_results import read_results
from groundswift.eval.answers.to_boxes import Predictions
from groundswift.eval.box_matching import coco_evaluation, outcomes
from groundswift.eval.evaluated_run import CROWD, FN, FP, OUTCOMES, TP
from groundswift.eval.ground_truth import truth_from_coco
from groundswift.eval.image_results import image_results
from groundswift.eval.metrics.coco_engines import accumulate, check_engine, parts_by_class
from groundswift.eval.metrics.coco_map import SUMMARY, CocoMap, Rules, evaluate, predictions_from_answers, truth_from_rows

TOLERANCE = 1e-9
ENGINES = ["groundswift", "hotcoco", "pycocotools"]


def reference(coco: dict, results: list[dict]) -> COCOeval:
    """pycocotools, used as its own demo uses it."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco
        truth.createIndex()
        found = truth.loadRes([dict(row) for row in results]) if results else COCO()  # it writes into them
        if not results:  # which loadRes cannot read
            found.dataset = {**coco, "annotations": []}
            found.createIndex()
        scoring = COCOeval(truth, found, "bbox")
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    return scoring


def numbers_of(scoring: COCOeval) -> list[float | None]:
    return [None if value == -1 else float(value) for value in scoring.stats]


def check(coco: dict, results: list[dict], folder, engine: str) -> None:
    wanted = numbers_of(reference(coco, results))
    truth, predictions = loaded(coco, results, folder)
    summary = evaluate(truth, predictions, engine).summary
    got = [summary[key] for key in SUMMARY]
    assert [value is None for value in got] == [value is None for value in wanted]
    assert [value or 0 for value in got] == pytest.approx([value or 0 for value in wanted], abs=TOLERANCE)


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("step", [None, 0.5, 0.0], ids=["any score", "tied scores", "one score"])
def test_real_scale(tmp_path, engine, step):
    check(*random_set(3, 300, 2500, 12, step), tmp_path, engine)


ONE = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
FOUND = {**ONE, "score": 0.9}
HUNDREDS = [{**ONE, "bbox": [x * 12, y * 12, 10, 10]} for x in range(15) for y in range(10)]
EDGES = [
    pytest.param([ONE], [], id="no predictions"),
    pytest.param([], [FOUND], id="no truths"),
    pytest.param([ONE], [FOUND, {**FOUND, "category_id": 2}], id="a class without truths"),
    pytest.param([{**ONE, "iscrowd": 1}], [FOUND], id="crowd only"),
    pytest.param([{**ONE, "bbox": [0, 0, 90, 90], "iscrowd": 1}, ONE], [FOUND, FOUND, {**FOUND, "bbox": [50, 50, 9, 9]}], id="in a crowd"),
    pytest.param([ONE], [FOUND] * 5, id="all duplicates"),
    pytest.param(HUNDREDS, [{**box, "score": 1.0} for box in HUNDREDS], id="more than 100 detections"),
    pytest.param(HUNDREDS[:3], [{**box, "score": n / 200} for n, box in enumerate(HUNDREDS)], id="found past the 100"),
    pytest.param([ONE], [{**FOUND, "bbox": [0, 0, 5, 5]}, FOUND, {**FOUND, "image_id": 2}], id="tied scores"),
    pytest.param([{**ONE, "bbox": [0, 0, 32, 32]}], [{**FOUND, "bbox": [0, 0, 32, 32]}], id="area 32 x 32"),
    pytest.param([{**ONE, "bbox": [0, 0, 96, 96]}], [{**FOUND, "bbox": [0, 0, 96, 96]}], id="area 96 x 96"),
    pytest.param([{**ONE, "bbox": [0, 0, 1, 1], "image_id": 3}], [{**FOUND, "bbox": [0, 0, 1, 1], "image_id": 3}], id="tiny image"),
    pytest.param([{**ONE, "bbox": [0, 0, 10, 20]}], [{**FOUND, "bbox": [0, 0, 10, 10]}], id="IoU of a threshold"),
    pytest.param([ONE], [{**FOUND, "bbox": [10, 10, 0, 0]}], id="a prediction without area"),
    pytest.param([{**ONE, "area": 2000.0}], [FOUND], id="an area that is not the box's"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("annotations", "results"), EDGES)
def test_edges(tmp_path, annotations, results, engine):
    coco = coco_file({2: (200, 200), 1: (200, 200), 3: (1, 1)}, [2, 1], annotations)
    check(coco, results, tmp_path, engine)
    assert_same_outcomes(coco, results, tmp_path)


BOX = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.integers(1, 4)).map(lambda b: [v * 16.0 for v in b])
PLACE = st.fixed_dictionaries({"image_id": st.integers(1, 3), "category_id": st.integers(1, 2), "bbox": BOX})
TRUE = st.tuples(PLACE, st.integers(0, 1)).map(lambda pair: pair[0] | {"iscrowd": pair[1]})
FOUND_SOMEWHERE = st.tuples(PLACE, st.sampled_from([0.2, 0.5, 1.0])).map(lambda pair: pair[0] | {"score": pair[1]})


@given(st.lists(TRUE, max_size=8, unique_by=lambda row: str(sorted(row.items()))), st.lists(FOUND_SOMEWHERE, max_size=12))
def test_small_random_sets(tmp_path_factory, annotations, results):
    coco = coco_file({1: (128, 128), 2: (128, 128), 3: (128, 128)}, [1, 2], annotations)
    folder = tmp_path_factory.mktemp("small", numbered=True)
    check(coco, results, folder, "groundswift")
    assert_same_outcomes(coco, results, folder)
    for limit in (None, 2):
        assert_same_arrays(*loaded(coco, results, folder), limit)


def assert_same_arrays(truth, predictions, limit) -> None:
    """Our own engine and each library, bit by bit."""
    ours, *others = (accumulate(truth, predictions, engine, limit) for engine in ENGINES)
    for other in others:
        assert np.array_equal(ours.precision, other.precision)
        assert np.array_equal(ours.recall, other.recall)


@pytest.mark.parametrize("limit", [None, 3, 150])
@pytest.mark.parametrize("step", [None, 0.5, 0.1, 0.0])
def test_the_arrays_of_all_engines_are_equal_bit_by_bit(tmp_path, step, limit):
    assert_same_arrays(*loaded(*random_set(8, 9, 160, 2, step), tmp_path), limit)


def assert_same_outcomes(coco: dict, results: list[dict], folder) -> None:
    """Ours are in the order of ids of the images; pycocotools' by result number. IoU 0.5 is its threshold 0, area `all` its first."""
    ((of_truth, of_predictions),) = named_outcomes(*loaded(coco, results, folder))
    order = sorted(range(len(results)), key=lambda number: results[number]["image_id"])
    wanted_truth = [CROWD if a["iscrowd"] else FN for a in coco["annotations"]]
    wanted = [FP] * len(results)
    for cell in reference(coco, results).evalImgs:
        if cell is None or cell["aRng"] != [0, 1e10]:
            continue
        for number, matched, ignored in zip(cell["dtIds"], cell["dtMatches"][0], cell["dtIgnore"][0], strict=True):
            if matched:
                wanted[order.index(number - 1)] = CROWD if ignored else TP
                if not ignored:
                    wanted_truth[int(matched) - 1] = TP
    assert of_truth == wanted_truth
    assert of_predictions == wanted


def named_outcomes(truth, predictions) -> list[tuple[list[str], list[str]]]:
    return [tuple([OUTCOMES[code] for code in codes] for codes in both) for both in outcomes(truth, predictions)]


def test_what_image_diagnostics_has_no_status_for():
    """A prediction over COCO's largest area, and an image without boxes: why `outcomes` and `f1_of` are not hotcoco's alone."""
    truth = truth_from_rows([(1, (100, 100), ["cat"], [(0, 0, 50, 50)]), (2, (10, 10), [], [])])
    found = Predictions(np.array([0, 0]), np.array([0, 0]), np.array([[0, 0, 50, 50], [0, 0, 2e5, 2e5]]), np.array([0.9, 0.8]))
    evaluation = coco_evaluation(truth, found, [100])
    evaluation.evaluate()
    diagnostics = evaluation.image_diagnostics(iou_thr=0.5)
    assert (diagnostics["dt_status"], list(diagnostics["img_summary"])) == ({1: "tp"}, [1])
    assert named_outcomes(truth, found) == [([TP], [TP, FP])]
    assert [image.f1 for image in image_results(truth, found, ["ok", "empty"], ["", ""])] == [pytest.approx(2 / 3), 1]


LARGE = (2**60, 2**60 + 1)  # ids that a float cannot hold apart


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("ids", "truth", "found", "ap50"),
    [
        pytest.param((1, 2), {"id": 0}, [{"image_id": 1}], 1, id="an annotation with id 0"),
        pytest.param(LARGE, {"image_id": LARGE[0]}, [{"image_id": LARGE[1]}, {"image_id": LARGE[0], "score": 0.1}], 0.5, id="large ids"),
    ],
)
def test_ids_that_need_care(tmp_path, ids, truth, found, ap50, engine):
    coco = coco_file(dict.fromkeys(ids, (200, 200)), [1], [ONE | truth])
    truth, predictions = loaded(coco, [FOUND | each for each in found], tmp_path)
    assert evaluate(truth, predictions, engine).summary["AP50"] == pytest.approx(ap50)


@pytest.mark.parametrize("engine", ENGINES)
def test_undefined_is_none_and_never_0(tmp_path, engine):
    truth, predictions = loaded(coco_file({1: (200, 200)}, [1, 2], [ONE]), [FOUND], tmp_path)
    result = evaluate(truth, predictions, engine)
    assert result.summary["APl"] is None
    undefined = dict.fromkeys(("AP", "AP50", "AP75", "AR100", "AP_ties"))
    assert result.per_group["class 2"] == {**undefined, "truths": 0, "predictions": 0}
    assert [curve.precision[0] for curve in result.curves if curve.label == "class 2"] == [-1] * 3
    assert CocoMap().lines(result)[5].endswith("= -1.000")


def test_no_classes_at_all():
    truth = truth_from_rows([(1, (10, 10), [], [])])
    answers = predictions_from_answers([(1, (10, 10), "None")], truth, Rules("qwen2_vl"))
    result = evaluate(truth, answers.predictions)
    assert set(result.summary.values()) == {None}
    assert image_results(truth, answers.predictions, answers.statuses, answers.texts)[0].f1 == 1


def test_familiar_lines_are_those_of_pycocotools(tmp_path, capsys):
    coco, results = random_set(4, 10, 60, 3)
    truth, predictions = loaded(coco, results, tmp_path)
    reference(coco, results).summarize()
    assert capsys.readouterr().out.splitlines() == CocoMap().lines(evaluate(truth, predictions))


def test_per_class_and_curves_are_those_of_the_reference(tmp_path):
    coco, results = random_set(6, 40, 300, 4)
    truth, predictions = loaded(coco, results, tmp_path)
    result, precision = evaluate(truth, predictions), reference(coco, results).eval["precision"][..., 0, 2]
    for index, (name, numbers) in enumerate(result.per_group.items()):
        assert numbers["AP"] == pytest.approx(precision[..., index].mean(), abs=TOLERANCE)
        assert numbers["AP50"] == pytest.approx(precision[0, :, index].mean(), abs=TOLERANCE)
        category = int(name.removeprefix("class "))
        assert numbers["truths"] == sum(a["category_id"] == category and not a["iscrowd"] for a in coco["annotations"])
        assert numbers["predictions"] == sum(r["category_id"] == category for r in results)
    all_classes = {curve.iou: curve.precision for curve in result.curves if curve.label is None}
    assert all_classes["0.50"] == pytest.approx(precision[0].mean(axis=1), abs=1e-6)
    assert all_classes["0.50:0.95"] == pytest.approx(precision.mean(axis=(0, 2)), abs=1e-6)


def test_image_results_tell_what_was_found():
    truth = truth_from_rows([(7, (100, 100), ["cat", "cat"], [(0, 0, 50, 50), (50, 50, 100, 100)]), (8, (10, 10), [], [])])
    found = Predictions(np.array([0, 0]), np.array([0, 0]), np.array([[0.0, 0, 50, 50], [60, 0, 20, 20]]), np.array([0.5, 1.0]))
    first, second = image_results(truth, found, ["ok", "empty"], ["text", "None"])
    assert [box.outcome for box in first.truth] == ["true_positive", "false_negative"]
    assert [(box.outcome, box.score, box.box_xyxy_px) for box in first.predicted] == [
        ("true_positive", 0.5, (0, 0, 50, 50)),
        ("false_positive", 1.0, (60, 0, 80, 20)),
    ]
    assert (first.f1, second.f1, first.response, second.status) == (0.5, 1, "text", "empty")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, "unknown image_id: 9"),
        ({"category_id": 9}, "unknown category_id: 9"),
        ({"score": None}, "no score"),
        ({"score": float("nan")}, "score not finite"),
        ({"bbox": [1, 2, 3]}, "box-length"),
        ({"bbox": [1, 2, float("inf"), 3]}, "box-not-finite"),
        ({"bbox": [0, 0, float("nan"), 1]}, "box-not-finite"),
        ({"bbox": [1, 2, -3, 3]}, "box-inverted"),
        ({"bbox": [0, 0, 1e200, 1e200]}, "box-too-large"),
        ({"bbox": [-1e308, 0, 1.7e308, 5]}, "box-"),
    ],
)
def test_results_that_cannot_be_scored_stop_or_are_skipped(tmp_path, change, message):
    coco = coco_file({1: (200, 200)}, [1], [ONE])
    with pytest.raises(GroundswiftError, match=f"prediction 1: {message}"):
        loaded(coco, [FOUND, FOUND | change], tmp_path)
    tally = Tally()
    assert len(read_results(tmp_path / "results.json", truth_from_coco(msgspec.convert(coco, CocoFile)), "skip", tally).scores) == 1
    assert tally.counts.total() == 1


@pytest.mark.parametrize(("text", "message"), [("{}", "Expected `array`"), ("[1]", "Expected `object`"), ("[", "not JSON")])
def test_result_files_that_are_none(tmp_path, text, message):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(GroundswiftError, match=message):
        read_results(tmp_path / "results.json", truth_from_rows([]))


def test_engines_that_there_are_not(monkeypatch):
    with pytest.raises(GroundswiftError, match="unknown engine 'fast'; expected one of groundswift, hotcoco, pycocotools"):
        check_engine("fast")
    monkeypatch.setattr("groundswift.eval.metrics.coco_engines.find_spec", lambda name: None)
    with pytest.raises(GroundswiftError, match=r"pip install 'groundswift\[reference\]'"):
        check_engine("pycocotools")


@pytest.mark.parametrize("boxes", [1, 40, 100])
def test_classes_one_after_the_other_give_the_same_arrays(tmp_path, monkeypatch, boxes):
    truth, predictions = loaded(*random_set(3, 12, 90, 5), tmp_path)
    together = accumulate(truth, predictions, "hotcoco")
    monkeypatch.setattr("groundswift.eval.metrics.coco_engines.BOXES_AT_ONCE", boxes)
    parts = list(parts_by_class(truth, predictions))
    assert len(parts) > 1
    assert [name for part, _ in parts for name in part.category_names] == truth.category_names
    apart = accumulate(truth, predictions, "hotcoco")
    assert np.array_equal(apart.precision, together.precision)
    assert np.array_equal(apart.recall, together.recall)
