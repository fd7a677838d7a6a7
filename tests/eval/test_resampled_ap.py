"""Bootstrap of AP and F1 over images: a resample is scored as if its images had been written out, and weights of 1 give the AP itself."""

from __future__ import annotations

import numpy as np
import pytest
from evaluated import call, loaded, metrics_of, random_set, write_json
from test_coco_map import reference

from groundswift.eval import bootstrap
from groundswift.eval.answers.to_boxes import Predictions
from groundswift.eval.ground_truth import Truth, truth_from_rows
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.precision_recall import exact_mean
from groundswift.eval.rate_intervals import counts_by_image, drawn_sums, rate_intervals
from groundswift.eval.resampled_ap import ap_intervals, content_order, image_weights, in_any_order, in_order_of_ids
from groundswift.eval.tied_matching import match

STEPS = [None, 0.5, 0.0]


@pytest.mark.parametrize("step", STEPS)
def test_weights_of_1_give_the_ap(tmp_path, step):
    coco, results = random_set(1, 15, 120, 3, step)
    truth, predictions = loaded(coco, results, tmp_path)
    ones, found = np.ones(len(truth.image_ids), dtype=np.int64), evaluate(truth, predictions).summary
    plain, tied = in_order_of_ids(truth, predictions).ap(ones), in_any_order(truth, predictions).ap(ones)
    assert exact_mean(plain) == pytest.approx(reference(coco, results).stats[0], abs=1e-12)
    assert exact_mean(plain) == pytest.approx(found["AP"], abs=1e-12)
    assert (exact_mean(tied), exact_mean(tied[:1]), exact_mean(tied[5:6])) == (found["AP_ties"], found["AP50_ties"], found["AP75_ties"])


@pytest.mark.parametrize("step", STEPS)
def test_a_resample_is_scored_as_if_its_images_had_been_written_out(tmp_path, step):
    coco, results = random_set(2, 8, 70, 3, step)
    coco["annotations"] = [each | {"iscrowd": 0} for each in coco["annotations"]]
    truth, predictions = loaded(coco, results, tmp_path)
    rng = np.random.default_rng(0)
    for _ in range(5):
        weights = np.bincount(rng.integers(8, size=8), minlength=8)
        found = in_any_order(truth, predictions).ap(weights)
        assert exact_mean(found) == pytest.approx(evaluate(*written_out(truth, predictions, weights)).summary["AP_ties"], abs=1e-12)


def written_out(truth: Truth, predictions: Predictions, weights: np.ndarray) -> tuple[Truth, Predictions]:
    """The images as often as they were drawn."""
    rows, parts = [], []
    drawn = np.repeat(np.arange(len(weights)), weights)
    for number, image in enumerate(drawn.tolist()):
        own = truth.image_index == image
        x, y, w, h = truth.boxes_xywh_px[own].T
        labels = [truth.category_names[place] for place in truth.category_index[own]]
        rows.append((number, (640, 640), labels, np.stack([x, y, x + w, y + h], axis=1).tolist()))
        parts.append((np.flatnonzero(predictions.image_index == image), number))
    copied = truth_from_rows(rows, truth.category_names)
    places = np.concatenate([part for part, _ in parts])
    images = np.concatenate([np.full(len(part), number) for part, number in parts])
    return copied, Predictions(images, predictions.category_index[places], predictions.boxes_xywh_px[places], predictions.scores[places])


def test_intervals_do_not_depend_on_ids(tmp_path):
    coco, results = random_set(3, 12, 90, 4, 0.5)
    ids = dict(zip(sorted(each["id"] for each in coco["images"]), np.random.default_rng(0).permutation(500)[:12].tolist(), strict=True))
    classes = dict(zip(sorted(each["id"] for each in coco["categories"]), (7, 3, 5, 1), strict=True))

    def renamed(each: dict) -> dict:
        return each | {"image_id": ids[each["image_id"]], "category_id": classes[each["category_id"]]}

    other = {
        "images": [each | {"id": ids[each["id"]]} for each in coco["images"]],
        "categories": [each | {"id": classes[each["id"]]} for each in coco["categories"]],
        "annotations": [renamed(each) for each in coco["annotations"][::-1]],
    }
    first = ap_intervals(*loaded(coco, results, tmp_path), resamples=40)
    second = ap_intervals(*loaded(other, [renamed(each) for each in results][::-1], tmp_path), resamples=40)
    assert {key: first[key] for key in first if "ties" in key} == {key: second[key] for key in second if "ties" in key}
    assert set(first) == {"AP", "AP50", "AP75", "AP_ties", "AP50_ties", "AP75_ties"}


def test_rates_of_a_resample(tmp_path):
    truth, predictions = loaded(*random_set(4, 30, 200, 3), tmp_path)
    found = match(truth, predictions)
    counts = counts_by_image(truth, predictions, found.outcomes[0], found.objects[0])
    sums = drawn_sums(counts.matrix(), 3)
    units = counts.matrix()[np.lexsort(counts.matrix().T)]
    assert sums.tolist() == [units[row].sum(axis=0).tolist() for row in next(bootstrap.draws(30, 3))]
    between = rate_intervals(counts, {"50": 0})
    true, false, objects = counts.found[:, 0].sum(), counts.false[:, 0].sum(), counts.objects.sum()
    assert between["f1_50"][0] < 2 * true / (true + false + objects) < between["f1_50"][1]


def test_weights_sum_to_the_number_of_images(tmp_path):
    truth, predictions = loaded(*random_set(4, 30, 200, 3), tmp_path)
    order = content_order(truth, in_any_order(truth, predictions))
    assert sorted(order.tolist()) == list(range(30))
    assert {weights.sum() for weights in image_weights(order, 7)} == {30}


def test_commands_have_intervals(tmp_path):
    coco, _ = random_set(4, 30, 200, 3)
    files = ("--predictions", tmp_path / "results.json", "--gt", write_json(tmp_path / "gt.json", coco), "--no-report")
    loaded(*random_set(4, 30, 200, 3), tmp_path)
    done = call("coco-map", *files, "--out", tmp_path / "a", "--intervals")
    found = metrics_of(tmp_path / "a")
    low, high = found["intervals"]["AP"]
    assert low < found["AP"] < high
    assert f" 95 % interval over images: AP {low:.3f} to {high:.3f}\n" in done.stdout
    assert found["protocol"]["intervals"] == "percentile bootstrap over images, matches kept, 200 resamples, 95%, seed 0"
    call("coco-map", *files, "--out", tmp_path / "default")
    assert metrics_of(tmp_path / "default")["intervals"] == found["intervals"], "30 images have them by default"
    call("coco-map", *files, "--out", tmp_path / "b", "--no-intervals")
    assert "intervals" not in metrics_of(tmp_path / "b")
    call("detection", *files, "--out", tmp_path / "c")
    assert set(metrics_of(tmp_path / "c")["intervals"]) >= {"f1", "precision", "recall", "f1_50", "recall_95"}
    call("detection", *files, "--out", tmp_path / "d", "--no-intervals")
    assert "intervals" not in metrics_of(tmp_path / "d")
