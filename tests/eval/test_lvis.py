"""A federated truth is scored by the rules of LVIS, with the numbers of lvis-api, and says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluated import call, metrics_of, write_json

from groundswift.eval.answers.coco_results import read_results
from groundswift.eval.evaluated_run import FP, NOT_COUNTED, TP
from groundswift.eval.ground_truth import read_truth
from groundswift.eval.metrics.coco_engines import accumulate
from groundswift.eval.metrics.coco_map import SUMMARY

KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR{}", "ARs", "ARm", "ARl", "APr", "APc", "APf")
OF_LVIS_API = {  # (seed, detections per image) -> KEYS, as lvis 0.5.3 from PyPI computes them for `dataset(seed)`
    (0, 300): "0.268680839461 0.429976161777 0.312179364604 0.150396039604 0.301559429752 0.343109123453 0.500825648523 "
    "0.253333333333 0.51373015873 0.528888888889 0.386386144315 0.134226629677 0.285429744391",
    (0, 5): "0.180022108526 0.272673432757 0.216279840994 0.07702970297 0.191732673267 0.256152758133 0.301927294197 "
    "0.116666666667 0.282962962963 0.383888888889 0.28470238259 0.082355021216 0.173008921771",
    (1, 300): "0.337848282673 0.499139468873 0.430620981353 0.1375 0.343369250387 0.404275695427 0.535650093371 "
    "0.175 0.546666666667 0.583609307359 0.351027227723 0.283838852373 0.378678767923",
    (1, 5): "0.21400864308 0.310372465818 0.278400871223 0.1 0.163102310231 0.289807480748 0.297692966075 "
    "0.1 0.185555555556 0.387685786436 0.273081683168 0.095851013673 0.2730932324",
    (2, 300): "0.264932747592 0.416124679683 0.323953944259 0.300330033003 0.264213492778 0.333119697528 0.517166918049 "
    "0.3 0.52539021164 0.537407407407 0.263455937699 0.28247254454 0.248869760539",
    (2, 5): "0.125253119176 0.192431541689 0.155673827456 0.0 0.128944680182 0.176538385981 0.232572900955 "
    "0.0 0.229933862434 0.255601851852 0.116800115451 0.121831683168 0.13712755891",
}


def numbers_of_lvis(seed, limit):
    return [float(number) for number in OF_LVIS_API[seed, limit].split()]


def dataset(seed):
    """(LVIS file, predictions): 20 images, 6 classes, two of them annotated, two absent and some not exhaustive in each image."""
    random = np.random.default_rng(seed)
    images, annotations, predictions = [], [], []

    def box():
        return [float(number) for number in (*random.uniform(0, 300, 2).round(1), *random.uniform(5, 200, 2).round(1))]

    def predict(image, category, bbox):
        predictions.append({"image_id": image, "category_id": category, "bbox": bbox, "score": float(random.random().__round__(2))})

    for image in range(1, 21):
        classes = [int(number) for number in random.permutation(6) + 1]
        partly = [classes[0]] if random.random() < 0.4 else []
        lists = {"neg_category_ids": classes[2:4], "not_exhaustive_category_ids": partly}
        images.append({"id": image, "coco_url": f"http://x/train2017/{image}.jpg", "width": 600, "height": 600, **lists})
        for category in classes[:2]:
            for _ in range(int(random.integers(1, 4))):
                x, y, width, height = box()
                area = {"area": width * height, "iscrowd": False, "id": len(annotations) + 1}
                annotations.append({"image_id": image, "category_id": category, "bbox": [x, y, width, height], **area})
                if random.random() < 0.8:
                    predict(image, category, [x + 3, y + 2, width, height * 0.9])
        for _ in range(6):
            predict(image, int(random.integers(1, 7)), box())
    categories = [{"id": number, "name": f"class {number}", "frequency": "rcf"[number % 3]} for number in range(1, 7)]
    return {"images": images, "annotations": annotations, "categories": categories}, predictions


def score(folder, truth, predictions, *words, code=0):
    files = write_json(folder / "p.json", predictions), "--gt", write_json(folder / "gt.json", truth)
    done = call("coco-map", "--predictions", *files, "--out", folder / "out", *words, code=code)
    return done, metrics_of(folder / "out") if code == 0 else None


@pytest.mark.parametrize(("seed", "limit"), OF_LVIS_API)
def test_the_numbers_are_those_of_lvis_api(tmp_path, seed, limit):
    words = () if limit == 300 else ("--max-detections", limit)
    _, found = score(tmp_path, *dataset(seed), "--no-report", *words)
    assert [found[key.format(limit)] for key in KEYS] == pytest.approx(numbers_of_lvis(seed, limit), abs=1e-9)
    assert [found[key] for key in ("AR1", "AR10", "AR100")] == [None] * 3
    assert list(found)[:14] == [*list(SUMMARY)[:9], f"AR{limit}", *list(SUMMARY)[9:], "APr"]


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize("seed", range(4))
def test_our_own_engine_and_hotcoco_give_the_same_arrays(tmp_path, seed, limit):
    files = [write_json(tmp_path / name, content) for name, content in zip(("gt.json", "p.json"), dataset(seed), strict=True)]
    truth = read_truth(files[0])
    ours, theirs = (accumulate(truth, read_results(files[1], truth), engine, limit) for engine in ("groundswift", "hotcoco"))
    assert np.array_equal(ours.precision, theirs.precision)
    assert np.array_equal(ours.recall, theirs.recall)


def test_it_says_that_it_is_lvis(tmp_path):
    truth, predictions = dataset(0)
    done, found = score(tmp_path, truth, predictions)
    protocol = found["protocol"]
    assert (protocol["metric"], protocol["max_detections"], protocol["max_detections_of_ap"]) == ("LVIS detection (bbox)", [300], 300)
    assert protocol["max_detections_are"] == "of an image, over all classes"
    assert "protocol: LVIS detection (bbox)" in done.stdout
    assert f"federated ground truth: {found['counts']['not_looked_for']} predictions of classes not annotated in their image" in done.stdout
    looked_for = {(image["id"], category) for image in truth["images"] for category in image["neg_category_ids"]}
    looked_for |= {(row["image_id"], row["category_id"]) for row in truth["annotations"]}
    assert found["counts"]["not_looked_for"] == sum((row["image_id"], row["category_id"]) not in looked_for for row in predictions) > 20
    assert " Average Precision  (AP) @[ IoU=0.50:0.95 | classes=  r | maxDets=300 ] = 0.386" in done.stdout
    assert "maxDets=  1" not in done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert "all, rare classes" in page
    assert "prediction of a class that is not annotated in its image" in page


def one_image(**lists):
    """An image with one annotated cat, and a right and a wrong box of it and of a dog, all at score 1."""
    image = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 100, **lists}
    categories = [{"id": 1, "name": "cat", "frequency": "f"}, {"id": 2, "name": "dog", "frequency": "r"}]
    other = {"id": 2, "file_name": "b.jpg", "width": 100, "height": 100, "neg_category_ids": [], "not_exhaustive_category_ids": []}
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "area": 400},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [10, 10, 20, 20], "area": 400},
    ]
    places = [(1, 1, [60, 60, 20, 20]), (1, 1, [10, 10, 20, 20]), (1, 2, [60, 10, 20, 20]), (2, 2, [10, 10, 20, 20])]
    found = [{"image_id": i, "category_id": c, "bbox": box, "score": 1 - n / 10} for n, (i, c, box) in enumerate(places)]
    return {"images": [image, other], "annotations": boxes, "categories": categories}, found


@pytest.mark.parametrize(
    ("lists", "cat", "dog", "outcomes"),
    [
        pytest.param({"neg_category_ids": [], "not_exhaustive_category_ids": []}, 0.5, 1, [FP, TP, NOT_COUNTED], id="nobody looked"),
        pytest.param({"neg_category_ids": [2], "not_exhaustive_category_ids": []}, 0.5, 0.5, [FP, TP, FP], id="absent"),
        pytest.param({"neg_category_ids": [2], "not_exhaustive_category_ids": [1]}, 1, 0.5, [NOT_COUNTED, TP, FP], id="partly"),
        pytest.param({"neg_category_ids": None, "not_exhaustive_category_ids": [1, 2]}, 1, 1, [NOT_COUNTED, TP, NOT_COUNTED], id="null"),
    ],
)
def test_what_counts(tmp_path, lists, cat, dog, outcomes):
    _, found = score(tmp_path, *one_image(**lists), "--no-report")
    assert found["per_class"]["cat"]["AP"] == pytest.approx(cat)
    assert found["per_class"]["dog"]["AP"] == pytest.approx(dog)
    assert (found["APf"], found["APr"], found["APc"]) == (pytest.approx(cat), pytest.approx(dog), None)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [box["outcome"] for box in run["images"][0]["predicted"]] == outcomes


def without_lists(truth):
    """An LVIS file as an ordinary COCO file."""
    lists = ("neg_category_ids", "not_exhaustive_category_ids")
    return truth | {"images": [{key: image[key] for key in image if key not in lists} for image in truth["images"]]}


def test_the_same_file_without_the_lists_is_ordinary_coco(tmp_path):
    truth, predictions = dataset(0)
    _, found = score(tmp_path, without_lists(truth), predictions, "--no-report")
    assert found["protocol"]["metric"] == "COCO detection (bbox)"
    assert "APr" not in found
    assert "not_looked_for" not in found["counts"]
    assert found["AP"] < numbers_of_lvis(0, 300)[0]


def test_without_frequencies_they_are_undefined(tmp_path):
    truth, predictions = dataset(1)
    for category in truth["categories"]:
        del category["frequency"]
    _, found = score(tmp_path, truth, predictions, "--no-report")
    assert (found["APr"], found["APc"], found["APf"]) == (None, None, None)
    assert found["AP"] == pytest.approx(numbers_of_lvis(1, 300)[0])


def test_more_than_the_limit_of_an_image_is_counted(tmp_path):
    truth, predictions = dataset(2)
    done, found = score(tmp_path, truth, predictions, "--no-report", "--max-detections", 5)
    beyond = sum(max(0, sum(row["image_id"] == image["id"] for row in predictions) - 5) for image in truth["images"])
    assert found["counts"]["beyond_max_detections"] == beyond > 0
    assert f"{beyond} predictions beyond 5 per image do not count" in done.stdout


def test_the_other_engine_has_no_such_rules(tmp_path):
    done, _ = score(tmp_path, *dataset(0), "--engine", "pycocotools", code=1)
    assert "engine pycocotools does not have the rules of LVIS" in done.stderr
    assert not (tmp_path / "out").exists()
