"""F1 of a single answer: by hand, and equal to what the report of `groundswift eval coco-map` has for each image."""

from __future__ import annotations

import pytest
from evaluated import call, coco_of, write_json, write_rows

from groundswift import Located, format_answer
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.metrics.detection_f1 import COCO_THRESHOLDS, OneTruth, sample_f1
from groundswift.eval.run_check import read_run

SIZE = (1000, 500)
CAT, DOG = [100, 100, 300, 300], [500, 100, 900, 400]
BOTH = OneTruth(SIZE, ["cat", "dog"], [CAT, DOG])
NOTHING = OneTruth(SIZE, [], [])
BARE = OneTruth(SIZE, [""], [CAT], labelled=False)


def said(*objects: tuple[str, list[float]]) -> str:
    return format_answer([Located(label, (x1, y1 * 2, x2, y2 * 2)) for label, (x1, y1, x2, y2) in objects], "qwen2_vl")


TWO = said(("cat", CAT), ("dog", DOG))
HALF = [100, 100, 300, 250]  # IoU 0.75 with CAT
CASES = {
    "all found": (TWO, BOTH, 1),
    "one of two found": (said(("cat", CAT)), BOTH, 2 / 3),
    "one found, one false": (said(("cat", CAT), ("dog", [0, 0, 50, 50])), BOTH, 0.5),
    "the wrong class": (said(("dog", CAT)), OneTruth(SIZE, ["cat"], [CAT]), 0),
    "a class that is not there": (said(("cat", CAT), ("zebra", DOG)), OneTruth(SIZE, ["cat"], [CAT]), 2 / 3),
    "nothing said": ("None", BOTH, 0),
    "nothing there, nothing said": ("None", NOTHING, 1),
    "nothing there, a box said": (said(("cat", CAT)), NOTHING, 0),
    "nothing there, a box without a label said": (said(("", CAT)), NOTHING, 0),
    "nothing there, no answer": ("(((", NOTHING, 0),
    "no answer": ("(((", BOTH, 0),
    "a bare box": (said(("", CAT)), BARE, 1),
    "a bare box with a label": (said(("cat", CAT)), BARE, 1),
    "a bare box and another": (said(("", CAT), ("", DOG)), BARE, 2 / 3),
    "a box of IoU 0.75": (said(("cat", HALF)), OneTruth(SIZE, ["cat"], [CAT]), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name):
    text, truth, expected = CASES[name]
    assert sample_f1(text, truth, Rules("qwen2_vl")) == pytest.approx(expected)


def test_the_mean_over_cocos_thresholds_grows_with_the_overlap():
    truth = OneTruth(SIZE, ["cat"], [CAT])
    scores = [sample_f1(said(("cat", box)), truth, Rules("qwen2_vl"), COCO_THRESHOLDS) for box in (CAT, HALF, [100, 100, 300, 220])]
    assert scores == pytest.approx([1, 0.6, 0.3])


@pytest.mark.parametrize(
    ("text", "truth", "expected"),
    [
        *(("<|object_ref_start|>ca", truth, 0) for truth in (NOTHING, BOTH, BARE)),
        (TWO[: TWO.index("dog") + 2], BOTH, 2 / 3),
    ],
    ids=["no object", "two objects", "no label", "after a box"],
)
def test_only_boxes_before_the_cut_count(text, truth, expected):
    assert sample_f1(text, truth, Rules("qwen2_vl"), truncated=True) == pytest.approx(expected)


def test_it_is_the_number_that_the_report_has_for_each_image(tmp_path):
    """Answers of CASES through files and the command; on an image without objects a reward is stricter than the report, on purpose."""
    apart = {"nothing there, a box without a label said", "nothing there, no answer"}
    cases = [case for name, case in CASES.items() if case[1] is not BARE and name not in apart]
    names = ["cat", "dog", "zebra", "other"]
    boxes = [
        (number, names.index(label) + 1, (x1, y1, x2 - x1, y2 - y1))
        for number, (_, truth, _) in enumerate(cases, 1)
        for label, (x1, y1, x2, y2) in zip(truth.labels, truth.boxes_xyxy_px, strict=True)
    ]
    rows = [{"response": text, "sample_id": number, "size_wh": SIZE} for number, (text, _, _) in enumerate(cases, 1)]
    truth = write_json(tmp_path / "truth.json", coco_of(SIZE, boxes, range(1, len(cases) + 1), names))
    result = write_rows(tmp_path / "result.jsonl", rows)
    call("coco-map", result, "--gt", truth, "--family", "qwen2_vl", "--out", tmp_path / "out")
    found = {result.image_id: result.f1 for result in read_run(tmp_path / "out").images}
    scores = {number: sample_f1(row["response"], cases[number - 1][1], Rules("qwen2_vl")) for number, row in enumerate(rows, 1)}
    assert found == pytest.approx(scores, abs=1e-6)
