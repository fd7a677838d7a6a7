"""`groundswift eval compare`: paired tests by brute force, what was fixed and regressed, and what has no test."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from evaluated import call, coco_of, metrics_of, random_set, write_json, write_rows
from test_detection import CAT, DOG, NAMES, SIZE, TRUTH, row, text
from text_rows import asked, text_row

from groundswift.eval.evaluated_run import FN, FP, TP, DrawnBox, ImageResult, Run
from groundswift.eval.paired.comparison import paired
from groundswift.eval.run_check import read_run


def run_of(name: str, counts: list[tuple[int, int, int]]) -> Run:
    """A run whose images have these TP, FP and FN."""
    images = []
    for number, (found, false, missed) in enumerate(counts, 1):
        truth = [DrawnBox("cat", (place, 0, place + 1, 1), TP if place < found else FN) for place in range(found + missed)]
        predicted = [DrawnBox("cat", (place, 0, place + 1, 1), TP, 1.0) for place in range(found)]
        predicted += [DrawnBox("cat", (place, 5, place + 1, 6), FP, 1.0) for place in range(false)]
        images.append(ImageResult(number, f"{number}.jpg", (9, 9), "ok", truth, predicted, f1=0.5))
    return Run(name, {}, [], images)


FIRST = [(1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 1, 1), (2, 0, 1), (0, 0, 2)]
OTHER = [(2, 0, 1), (2, 0, 0), (1, 1, 0), (1, 0, 1), (1, 1, 2), (1, 0, 1)]


def f1(counts) -> float:
    found, false, missed = np.sum(counts, axis=0)
    return 2 * found / (2 * found + false + missed)


def ap50(counts) -> float:
    """One class at one score: precision times the share of the 101 recalls that are reached."""
    found, false, missed = np.sum(counts, axis=0)
    reached = (np.linspace(0, 1, 101) <= found / (found + missed)).mean()
    return found / (found + false) * reached


@pytest.mark.parametrize(("place", "number"), [(0, f1), (2, ap50), (3, ap50)])
def test_p_is_the_share_of_all_swaps(place, number):
    found = paired(run_of("a", FIRST), run_of("b", OTHER)).differences[place]
    difference = number(OTHER) - number(FIRST)
    assert (found.first, found.other, found.difference) == pytest.approx((number(FIRST), number(OTHER), difference))
    every = []
    for swaps in itertools.product([0, 1], repeat=len(FIRST)):
        one, two = ([(a, b)[s ^ side] for a, b, s in zip(FIRST, OTHER, swaps, strict=True)] for side in (0, 1))
        every.append(abs(number(two) - number(one)) >= abs(difference) - 1e-12)
    assert found.p == pytest.approx(np.mean(every), abs=0.06 if place == 0 else 0.12)
    assert found.interval[0] < difference < found.interval[1]


def test_the_same_run_has_no_difference():
    found = paired(run_of("a", FIRST), run_of("b", FIRST))
    assert [(each.difference, each.interval, each.p) for each in found.differences] == [(0, (0, 0), 1)] * 4
    assert (found.fixed, found.regressed) == ([], [])


def test_the_order_of_the_images_does_not_matter():
    first, other = run_of("a", FIRST), run_of("b", OTHER)
    before = [each for each in paired(first, other).differences if each.number != "AP"]
    for run in (first, other):
        run.images = [run.images[place] for place in (3, 1, 5, 0, 2, 4)]
        for image in run.images:
            image.image_id = 100 - image.image_id
    assert [each for each in paired(first, other).differences if each.number != "AP"] == before


def test_what_was_fixed_and_regressed():
    found = paired(run_of("a", FIRST), run_of("b", OTHER))
    assert [(each.image_id, each.box_xyxy_px) for each in found.fixed] == [(1, (1, 0, 2, 1)), (3, (0, 0, 1, 1)), (6, (0, 0, 1, 1))]
    assert [(each.image_id, each.label, each.box_xyxy_px) for each in found.regressed] == [(5, "cat", (1, 0, 2, 1))]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda run: run.metrics.update(protocol={"gt_sha256": "x"}), "the runs have different ground truths", id="truth"),
        pytest.param(lambda run: run.images.__delitem__(slice(1, None)), "1 images are in both runs", id="images"),
        pytest.param(lambda run: run.images[0].truth.pop(), "the runs have different objects", id="objects"),
    ],
)
def test_what_has_no_test(change, reason):
    first, other = run_of("a", FIRST), run_of("b", FIRST)
    change(other)
    found = paired(first, other)
    assert (found.refused, found.differences) == (reason, [])


def samples(name: str, values: list[float]) -> Run:
    images = [
        ImageResult(number, f"{number // 2}.jpg", (9, 9), "ok", [], [], sample_id=number, question=f"q{number}", values={"CER": value})
        for number, value in enumerate(values)
    ]
    return Run(name, {}, [], images)


def test_metrics_of_samples_compare_their_values():
    found = paired(samples("a", [0.5, 0.1, 0.4, 0.9, 0.2, 0.2]), samples("b", [0.1, 0.0, 0.4, 0.2, 0.1, 0.3]))
    (difference,) = found.differences
    assert (difference.number, difference.first, difference.other) == ("CER", pytest.approx(2.3 / 6), pytest.approx(1.1 / 6))
    assert difference.p == pytest.approx(2 / 4, abs=0.05)  # images have -0.5, -0.7 and 0.0: of 4 swaps the 2 equal ones
    assert [each.sample_id for each in found.regressed] == [0, 1, 3, 4]  # a rate of errors, whose direction only its metric states
    assert found.images == 3


def test_a_number_of_some_samples_is_compared_over_those():
    """As of verdicts among other questions: the mean is that of the run; a number that one run lacks is compared where both have it."""
    first, other = samples("a", [0.5, 0.1, 0.4, 0.9]), samples("b", [0.1, 0.0, 0.4, 0.2])
    for run, values in ((first, {1: 0.0, 3: 1.0}), (other, {1: 1.0, 3: 1.0, 2: 0.0})):
        for place, value in values.items():
            run.images[place].values["verdict accuracy"] = value
    tests = {each.number: each for each in paired(first, other).differences}
    assert (tests["verdict accuracy"].first, tests["verdict accuracy"].other) == (0.5, 1.0)
    assert list(tests) == ["CER", "verdict accuracy"]


def score(folder: Path, name: str, rows: list[dict]) -> Path:
    files = write_rows(folder / "rows.jsonl", rows), "--gt", write_json(folder / "gt.json", TRUTH), "--family", "qwen2_vl"
    call("detection", *files, "--no-report", "--out", folder / name)
    return folder / name


@pytest.mark.parametrize("step", [None, 0.5])
def test_ap_of_both_runs_is_that_of_their_metrics(tmp_path, step):
    coco, results = random_set(1, 15, 120, 3, step)
    for each in (*coco["annotations"], *results):
        each["bbox"] = [round(number, 1) for number in each["bbox"]]
    files, runs = ("--gt", write_json(tmp_path / "gt.json", coco), "--no-report", "--no-intervals"), {}
    for name, kept in (("a", results), ("b", results[: len(results) // 2])):
        call("coco-map", "--predictions", write_json(tmp_path / "results.json", kept), *files, "--out", tmp_path / name)
        runs[name] = read_run(tmp_path / name)
    tests = {each.number: each for each in paired(runs["a"], runs["b"]).differences}
    assert len(tests) == (3 if step is None else 4), "without equal scores AP is that of any order"
    keys = {"AP": "AP", "AP50": "AP50", "AP in any order of equal scores": "AP_ties", "AP50 in any order of equal scores": "AP50_ties"}
    for number, key in keys.items():
        if number in tests:
            found = tests[number]
            assert (found.first, found.other) == pytest.approx((runs["a"].metrics[key], runs["b"].metrics[key]), abs=1e-9)
            assert (found.p < 0.05, found.interval[1] < 0) == (True, True), "half of the boxes are missing"


def test_lvis_has_no_test_of_ap():
    first, other = run_of("a", FIRST), run_of("b", OTHER)
    first.metrics = other.metrics = {"protocol": {"classes_not_looked_for": "do not count"}}
    assert [each.number for each in paired(first, other).differences] == ["F1 at IoU 0.5"]


def test_the_command(tmp_path):
    before = score(tmp_path, "before", [row(1, text(("cat", CAT))), row(2, "None"), row(3, "None")])
    after = score(tmp_path, "after", [row(1, text(("dog", DOG))), row(2, text(("cat", CAT))), row(3, "None")])
    done = call("compare", before, after, "--out", tmp_path / "both")
    (found,) = json.loads((tmp_path / "both" / "paired.json").read_text())
    assert (found["first"], found["other"], found["images"]) == ("before", "after", 3)
    assert [(each["image_id"], each["label"]) for each in found["fixed"]] == [(1, "dog"), (2, "cat")]
    assert [(each["image_id"], each["label"]) for each in found["regressed"]] == [(1, "cat")]
    assert [each["number"] for each in found["differences"]] == ["F1 at IoU 0.5", "AP", "AP50"]
    assert found["differences"][0]["other"] == metrics_of(after)["f1_50"]
    assert "before and after, 3 images: 2 fixed, 1 regressed (paired.json)\n" in done.stdout
    assert "Regressed in after: 1" in (tmp_path / "both" / "report.html").read_text()
    call("compare", before, after, "--out", tmp_path / "plain", "--no-paired")
    assert not (tmp_path / "plain" / "paired.json").exists()
    assert [table.id for table in read_run(before).tables][0] == "operating-points"
    assert coco_of(SIZE, [], [1], NAMES)["images"]


def test_a_mean_over_samples_is_not_called_by_the_name_of_another_number(tmp_path):
    """BLEU-4 of a run is of the sums over its sentences; the test is of the mean over them."""
    truth = "a red dog runs on the green grass near two cats"
    texts = {"a": [truth, "a red dog runs"], "b": ["a red dog runs on grass", truth]}
    rows = [text_row(number, None, truth if number else f"{truth} today") for number in range(2)]
    write_rows(tmp_path / "gt.jsonl", [asked(row) for row in rows])
    for name, said in texts.items():
        result = write_rows(tmp_path / f"{name}.jsonl", [row | {"response": text} for row, text in zip(rows, said, strict=True)])
        call("captions", result, "--rows", tmp_path / "gt.jsonl", "--out", tmp_path / name, "--no-report")
    done = call("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "both")
    found = {
        each["number"]: each for (run,) in [json.loads((tmp_path / "both" / "paired.json").read_text())] for each in run["differences"]
    }
    assert "BLEU-4" not in found
    assert "BLEU-4, mean of samples 0." in done.stdout
    assert found["BLEU-4, mean of samples"]["first"] != metrics_of(tmp_path / "a")["bleu4"]
    assert found["CIDEr"]["first"] == metrics_of(tmp_path / "a")["cider"], "whose number is the mean over samples"
