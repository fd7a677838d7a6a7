"""The AP of perfect answers equals that of the family's text through the evaluator, and figures that were found elsewhere."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest
from converted import run
from evaluated import call, coco_of, metrics_of, write_json, write_rows

from groundswift import Located, families, format_answer, from_original_px, resized_wh
from groundswift.boxes import clipped, xywh_to_xyxy
from groundswift.coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.to_boxes import Predictions, predictions_from_answers
from groundswift.eval.ceiling_command import ceilings
from groundswift.eval.family_ceiling import ceiling, perfect_answers
from groundswift.eval.ground_truth import Truth, truth_from_coco
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.image_resize import Limits

BOX_FAMILIES = sorted(name for name, row in families().items() if row.boxes)
SIZES_WH = ((640, 480), (1333, 800), (301, 299), (480, 640), (4000, 3000))
LIMITS = Limits(None, 500_000, None)
NAMES = ("cat", "dog", "hot dog")


def drawn_truth(seed: int, boxes: int = 150, federated: bool = False, least: float = 2) -> Truth:
    """Images of several sizes; boxes from 2 px to half of a side, crowds, near copies, and one image and class of more than 100."""
    rng = np.random.default_rng(seed)
    lists = {"neg_category_ids": [1], "not_exhaustive_category_ids": [2]} if federated else {}
    images = [CocoImage(n, f"{n}.jpg", *SIZES_WH[n % len(SIZES_WH)], **lists) for n in range(1, 11)]
    rows = []
    for number in range(boxes):
        image = images[rng.integers(len(images))] if number % 3 else images[0]
        size = np.array([image.width, image.height])
        sides = np.exp(rng.uniform(np.log(least), np.log(size / 2)))
        box = np.round([*rng.uniform(0, size - sides), *sides], 2).tolist()
        if rows and number % 5 == 0 and rows[-1].image_id == image.id:
            box = [rows[-1].bbox[0] + 0.5, *rows[-1].bbox[1:]]
            box[2] = min(box[2], image.width - box[0])
        category = 1 if image is images[0] else int(rng.integers(1, len(NAMES) + 1))
        rows.append(CocoAnnotation(image.id, category, box, iscrowd=int(number % 17 == 0), id=number))
    return truth_from_coco(CocoFile(images, rows, [CocoCategory(n, name) for n, name in enumerate(NAMES, 1)]))


def through_text(truth: Truth, rules: Rules) -> Predictions:
    """The same predictions by the way of any answer: written as text, parsed, placed."""
    answers = []
    for index, (image_id, size) in enumerate(zip(truth.image_ids, truth.sizes_wh.tolist(), strict=True)):
        size_wh, own = tuple(size), (truth.image_index == index) & ~truth.is_crowd
        fed_wh = resized_wh(size_wh, rules.family, LIMITS.min_pixels, LIMITS.max_pixels) if rules.space_name == "resized_px" else None
        written = from_original_px(clipped(xywh_to_xyxy(truth.boxes_xywh_px[own]), size_wh), rules.family, size_wh, fed_wh).tolist()
        labels = [truth.category_names[category] for category in truth.category_index[own].tolist()]
        objects = [Located(label, tuple(box)) for label, box in zip(labels, written, strict=True)]
        answers.append((image_id, size_wh, format_answer(objects, rules.family)))
    return predictions_from_answers(answers, truth, rules).predictions


@pytest.mark.parametrize("family", BOX_FAMILIES)
def test_perfect_answers_are_those_that_the_familys_text_gives(family):
    truth, rules = drawn_truth(0), Rules(family, limits=LIMITS)
    fast, slow = perfect_answers(truth, rules).predictions, through_text(truth, rules)
    for column in fields(Predictions):
        assert getattr(fast, column.name).tolist() == getattr(slow, column.name).tolist(), column.name


@pytest.mark.parametrize("family", BOX_FAMILIES)
def test_perfect_answers_of_every_family_score_its_ceiling_and_find_every_large_object(family):
    """Written by its formatter, read by its parser, placed and scored; what is lost is the rounding of its numbers alone."""
    rows = [CocoAnnotation(n, 1, [10.3 * n, 7.7 * n, 301.4, 177.6]) for n in range(1, 11)]
    images = [CocoImage(n, f"{n}.jpg", 640, 480) for n in range(1, 11)]
    truth, rules = truth_from_coco(CocoFile(images, rows, [CocoCategory(1, "cat")])), Rules(family, limits=LIMITS)
    found = evaluate(truth, through_text(truth, rules)).summary
    assert (found["AP50"], found["AR100"] > 0.7) == (1.0, True)
    assert found["AP_ties"] == pytest.approx(ceiling(truth, rules), abs=1e-12)


def test_the_families_without_boxes_are_those_that_the_test_of_pointing_scores():
    assert set(families()) - set(BOX_FAMILIES) == {"molmo", "molmo2"}


@pytest.mark.parametrize("federated", [False, True])
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "shikra", "llava", "kosmos2", "florence2"])
@pytest.mark.parametrize("seed", range(4))
def test_the_ceiling_is_the_evaluators_ap_of_perfect_answers(family, federated, seed):
    truth, rules = drawn_truth(seed, 400, federated), Rules(family, limits=LIMITS)
    for limit in (None, 3):
        expected = evaluate(truth, perfect_answers(truth, rules).predictions, max_detections=limit).summary["AP_ties"]
        assert ceiling(truth, rules, limit) == pytest.approx(expected, abs=1e-12)
        assert 0 <= expected < 1
        assert expected or limit, "at a limit those that fit worst count, which may be none"


@pytest.mark.parametrize("family", ["llava", "kosmos2"])
def test_objects_that_overlap_are_matched_as_the_evaluator_does(family):
    """Their rounded boxes overlap other objects more than their own."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        corners, sides = rng.uniform(100, 130, (12, 2)), rng.uniform(20, 60, (12, 2))
        rows = [CocoAnnotation(1, 1, [*corner, *side]) for corner, side in zip(corners.tolist(), sides.tolist(), strict=True)]
        truth = truth_from_coco(CocoFile([CocoImage(1, "a.jpg", 640, 480)], rows, [CocoCategory(1, "cat")]))
        expected = evaluate(truth, perfect_answers(truth, Rules(family)).predictions).summary["AP_ties"]
        assert ceiling(truth, Rules(family)) == pytest.approx(expected, abs=1e-12)


def small_boxes(size_wh: tuple[int, int]) -> Truth:
    """50 boxes of 6 to 12 px a side, ten an image, each of a class of its image."""
    rng = np.random.default_rng(1)
    images = [CocoImage(n, f"{n}.jpg", *size_wh) for n in range(1, 6)]
    sides = rng.uniform(6, 12, (50, 2))
    corners = rng.uniform(0, 1, (50, 2)) * (np.array(size_wh) - sides)
    rows = [CocoAnnotation(1 + n // 10, 1 + n // 10, [*corner, *side]) for n, (corner, side) in enumerate(zip(corners, sides, strict=True))]
    return truth_from_coco(CocoFile(images, rows, [CocoCategory(n, str(n)) for n in range(1, 6)]))


@pytest.mark.parametrize(
    ("size_wh", "family", "ap"),
    [
        ((4000, 3000), "qwen2_vl", 0.32),
        ((4000, 3000), "qwen2_5_vl", 0.80),
        ((4000, 3000), "llava", 0.00),
        ((4000, 3000), "kosmos2", 0.00),
        ((640, 480), "qwen2_vl", 0.91),
        ((640, 480), "llava", 0.07),
    ],
)
def test_small_boxes_as_found_with_other_boxes(size_wh, family, ap):
    assert ceiling(small_boxes(size_wh), Rules(family, limits=Limits())) == pytest.approx(ap, abs=0.06)


def test_each_family_has_a_row_and_the_limits_decide_where_boxes_are_pixels_of_the_input():
    truth = drawn_truth(3)
    plain, shrunk = ({row["family"]: row for row in ceilings(truth, None, limits)} for limits in (Limits(), Limits(None, 100_000)))
    assert list(plain) == list(families())
    assert plain["molmo"] == {"family": "molmo", "space": "percent", "reason": "writes points, never boxes"}
    assert shrunk["qwen2_5_vl"]["AP"] < plain["qwen2_5_vl"]["AP"] - 0.05
    assert shrunk["qwen2_vl"] == plain["qwen2_vl"]
    assert plain["kosmos2"]["AP"] < plain["llava"]["AP"] < plain["qwen2_vl"]["AP"]
    assert ceilings(truth, "qwen3_vl_moe", Limits()) == [plain["qwen3_vl"]]


@pytest.fixture
def truth_file(tmp_path):
    return write_json(tmp_path / "gt.json", coco_of((4000, 3000), [(1, 1, [100.4, 100.4, 9, 9]), (2, 1, [500.2, 700, 1, 1])], [1, 2, 3]))


def test_the_command_prints_the_table_or_json(truth_file):
    done = run("families", "--ceiling", truth_file)
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 3 + len(families()))
    assert done.stdout.startswith("gt.json: 3 images, 2 boxes; what perfect answers reach\n")
    one = run("families", "llava", "--ceiling", truth_file, "--json")
    document = json.loads(one.stdout)
    assert (document["truths"], document["limits"]["max_pixels"]) == (2, None)
    (row,) = document["families"]
    assert (row["family"], row["AP"], row["APl"], row["lost"]) == ("llava", 0.0, None, 2)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--ceiling", "none.json"), 1, "none.json: cannot be read"),
        (("--min-pixels", "100"), 2, "--min-pixels needs --ceiling"),
        (("--ceiling", "none.json", "--markdown"), 2, "not --markdown"),
        (("nonsense", "--ceiling", "gt.json"), 1, "unknown model family 'nonsense'"),
        (("--ceiling", "gt.json", "--max-pixels", "0"), 2, "0 is not in the range"),
    ],
)
def test_what_cannot_be_computed_is_an_error_of_one_line(truth_file, monkeypatch, words, code, message):
    monkeypatch.chdir(truth_file.parent)
    done = run("families", *words)
    assert done.exit_code == code
    assert message in done.output


def test_an_image_that_a_family_cannot_resize_leaves_its_ceiling_open_and_the_evaluation_whole(tmp_path):
    truth = write_json(tmp_path / "gt.json", coco_of((4100, 20), [(1, 1, [0, 0, 10, 10])], [1]))
    rows = {row["family"]: row for row in json.loads(run("families", "--ceiling", truth, "--json").stdout)["families"]}
    assert rows["qwen2_5_vl"]["reason"].startswith("image 1: image of 4100x20 px; expected")
    assert rows["qwen2_vl"]["AP"] is not None
    result = write_rows(tmp_path / "result.jsonl", [{"sample_id": 1, "response": "[]"}])
    words = ("--family", "qwen2_5_vl", "--min-pixels", "default", "--max-pixels", "default", "--no-report")
    done = call("coco-map", result, "--gt", truth, *words, "--out", tmp_path / "out")
    assert metrics_of(tmp_path / "out")["AP_ceiling"] is None
    assert "of at most" not in done.stdout


def test_coco_map_prints_the_ceiling_next_to_its_ap(truth_file):
    result = write_rows(truth_file.parent / "result.jsonl", [{"sample_id": n, "response": "None"} for n in (1, 2, 3)])
    done = call("coco-map", result, "--gt", truth_file, "--family", "qwen2_vl", "--no-report", "--out", truth_file.parent / "out")
    found = metrics_of(truth_file.parent / "out")["AP_ceiling"]
    assert 0 < found < 1
    assert f" AP 0.000 of at most {found:.3f}, which perfect answers reach in the numbers of qwen2_vl (norm1000)\n" in done.stdout
    again = call("coco-map", "--predictions", truth_file.parent / "out/test_pred.json", "--gt", truth_file, "--json", "--no-report",
                 "--out", truth_file.parent / "again")  # fmt: skip
    assert "AP_ceiling" not in json.loads(again.stdout)
