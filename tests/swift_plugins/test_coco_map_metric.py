"""`--eval_metric coco_map` scores what the validation rows hold, each kind by its own number, or refuses before the first step."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from evaluated import call, coco_of, metrics_of, write_json
from PIL import Image
from rows import detection, read_rows
from tiny_run import evaluation_of, sft, unreadable, written

from groundswift import Located, format_answer
from groundswift.errors import GroundswiftError
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.metrics import METRICS
from groundswift.eval.metrics.detection_f1 import DetectionF1
from groundswift.swift_plugins.grounding.metrics.coco_map_metric import CocoMapMetric, eval_metrics
from groundswift.swift_plugins.grounding.metrics.scoring import RowScoring, Scoring, by_class
from groundswift.swift_plugins.grounding.metrics.unanswered import Unanswered
from groundswift.swift_plugins.grounding.metrics.validation_rows import samples_of

SIZE = [200, 100]
CAT, DOG = [20, 10, 100, 50], [100, 50, 180, 100]
EMPTY = {"ref": [], "bbox": []}


def row(answer: str, objects: dict[str, Any] | None = None, question: str = "<image>Find it.", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "images": ["a.png"], "objects": objects, "size_wh": SIZE} | more


def said(*objects: tuple[str, list[float]]) -> str:
    """An answer of Qwen2-VL with boxes given in pixels."""
    return format_answer([Located(label, (x1 * 5, y1 * 10, x2 * 5, y2 * 10)) for label, (x1, y1, x2, y2) in objects], "qwen2_vl")


LABELLED = row("<ref-object><bbox><ref-object><bbox>", {"ref": ["cat", "dog"], "bbox": [CAT, DOG]})
NOTHING = row("None", EMPTY)
BARE = row("<bbox>", {"ref": [], "bbox": [CAT]})
NAMED_IN_THE_QUESTION = row("<bbox>", {"ref": ["cat"], "bbox": [CAT]}, "<image>Where is <ref-object>?")
SHOWN_IN_THE_QUESTION = row("<bbox>", {"ref": [], "bbox": [DOG, CAT]}, "<image>What is as <bbox>?")
SHARES = row("<bbox>", {"ref": [], "bbox": [[0.1, 0.1, 0.5, 0.5]], "bbox_type": "norm1"})
SEVERAL = row("<bbox><bbox>", {"ref": [], "bbox": [CAT, DOG]})
ONE_LABEL = row("<ref-object><bbox><bbox>", {"ref": ["cat"], "bbox": [CAT, DOG]})
TEXT = row("A cat.")
POINT = row("<bbox>", {"ref": [], "bbox": [[20, 10]]})
BOX_OF_THE_QUESTION = row("A cat.", {"ref": [], "bbox": [CAT]}, "<image>What is at <bbox>?")
LATER = row("<bbox>", {"ref": [], "bbox": [CAT], "image_id": [1]}, images=["a.png", "b.png"])
UNCLEAR = row("<bbox>, and <ref-object> at <bbox>.", {"ref": ["cat"], "bbox": [CAT, DOG]})


def scored(rows: list[dict[str, Any]], texts: list[str]) -> dict[str, float]:
    return Scoring(samples_of(rows), Rules("qwen2_vl")).score(texts)[0]


def test_another_metric_of_the_table_scores_the_rows_with_boxes():
    assert {"coco_map", "detection_f1", "referring"} <= set(eval_metrics())
    scoring = RowScoring(DetectionF1(), samples_of([LABELLED, TEXT, NOTHING, BARE]), Rules("qwen2_vl"))
    assert scoring.numbers == ["f1"]
    assert scoring.score([said(("cat", CAT)), "A cat.", "None", said(("", CAT))])[0] == {"f1": pytest.approx(8 / 9), "unanswered": 0}
    with pytest.raises(GroundswiftError, match="--eval_metric detection_f1 cannot score these validation rows"):
        RowScoring(DetectionF1(), samples_of([TEXT]), Rules("qwen2_vl"))


def row_scoring(name: str, rows: list[dict[str, Any]]) -> RowScoring:
    return RowScoring(METRICS[name](), samples_of(rows), Rules("qwen2_vl"))


def test_rows_without_an_answer_are_counted_and_wrong_even_where_there_is_nothing_to_find():
    lost = Unanswered("a.png: no such image [image-missing]")
    expected = {"unanswered": 1, "unanswered_image_missing": 1}
    assert row_scoring("detection_f1", [LABELLED, NOTHING]).score([BOTH, lost])[0] == {"f1": 0.5} | expected
    numbers, remarks = row_scoring("referring", [BARE, NOTHING]).score([ONE, lost])
    assert {"acc_iou50": 0.5, "acc_none": 0, "mean_iou": 0.5} | expected == {key: numbers[key] for key in numbers if key in SOME}
    assert "1 rows have no answer: they count as wrong" in remarks[0]
    with pytest.raises(GroundswiftError, match="no validation row could be answered"):
        row_scoring("referring", [BARE]).score([lost])


SOME = ("acc_iou50", "acc_none", "mean_iou", "unanswered", "unanswered_image_missing")
ASKED = {"question": "<image>What is it?", "sample_id": 1}
TEXTS = {
    "ocr": ([row("STOP", **ASKED), row("EXIT", **ASKED | {"sample_id": 2})], ["STOP", "EXAT"], {"exact": 0.5, "cer": 1 / 8}),
    "captions": ([row("a red ball", **ASKED), row("two dogs run", **ASKED | {"sample_id": 2})], ["a red ball", "a cat"], {"rouge_l": 0.5}),
    "several references": (
        [row("", references=["STOP", "HALT"], **ASKED), row("EXIT", **ASKED | {"sample_id": "2"})],
        ["HALT", Unanswered("x [row-too-long]")],
        {"exact": 0.5, "unanswered": 1, "unanswered_row_too_long": 1},
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_metrics_of_text_score_rows_without_boxes(name):
    rows, texts, expected = TEXTS[name]
    numbers = row_scoring("ocr" if " " in name else name, rows).score(texts)[0]
    assert {key: numbers[key] for key in expected} == pytest.approx(expected)


def test_a_metric_of_text_in_training_gives_the_numbers_of_its_command(tmp_path):
    """The same rows through files: ids that repeat, an answer with thinking, no answer."""
    rows = [row(text, question=f"<image>Read {text}.", sample_id=number % 3) for number, text in enumerate(["STOP", "EXIT", "GO", "A b c"])]
    texts = ["STOP", "<think>hm</think>EXIT", "GONE", "A b"]
    result = [each | {"response": text, "labels": each["messages"][1]["content"]} for each, text in zip(rows, texts, strict=True)]
    done = call("ocr", written(tmp_path / "result.jsonl", result), "--json", "--no-report", "--out", tmp_path / "out")
    found, numbers = json.loads(done.stdout), row_scoring("ocr", rows).score(texts)[0]
    assert {key: value for key, value in numbers.items() if key != "unanswered"} == {
        number.key: pytest.approx(found[number.key]) for number in METRICS["ocr"].numbers if found[number.key] is not None
    }


def test_detection_in_training_gives_the_numbers_of_its_command(tmp_path):
    """Labelled boxes, an image without objects, a wrong class, and a row without an answer."""
    rows = [each | {"sample_id": number} for number, each in enumerate([LABELLED, NOTHING, LABELLED, ONE_LABEL])]
    texts = [BOTH, said(("dog", DOG)), said(("cat", CAT), ("horse", DOG)), Unanswered("x [row-too-long]")]
    scoring = row_scoring("detection", rows)
    numbers = scoring.score(texts)[0]
    samples = samples_of(rows)
    boxes = [(n, ["cat", "dog"].index(label) + 1, (x1, y1, x2 - x1, y2 - y1)) for n, each in enumerate(samples, 1)
             for label, (x1, y1, x2, y2) in zip(each.labels, each.boxes_xyxy_px, strict=True)]  # fmt: skip
    truth = write_json(tmp_path / "truth.json", coco_of(SIZE, boxes, range(1, 5), ["cat", "dog"]))
    result = [{"response": text, "sample_id": n, "size_wh": SIZE} for n, text in enumerate(texts[:3], 1)]
    more = ("--family", "qwen2_vl", "--no-report", "--out", tmp_path / "out")
    call("detection", written(tmp_path / "result.jsonl", result), "--gt", truth, *more)
    found = metrics_of(tmp_path / "out")
    assert scoring.numbers[0] == "f1"
    assert 0 < numbers["f1"] < 1
    of_all = {key: value for key, value in numbers.items() if key in found}
    assert of_all == {key: pytest.approx(found[key]) for key in of_all}
    assert numbers["f1/dog"] == pytest.approx(found["per_class"]["dog"]["f1"])
    with pytest.raises(GroundswiftError, match="--eval_metric detection cannot score .* no number is defined"):
        row_scoring("detection", [BARE])


def test_numbers_of_each_class_are_logged_unless_there_are_too_many():
    scoring = Scoring(samples_of([LABELLED, NOTHING]), Rules("qwen2_vl"))
    assert scoring.of_classes == ["AP/cat", "AP/dog"]
    numbers = scoring.score([said(("cat", CAT)), "None"])[0]
    assert {name: numbers[name] for name in scoring.of_classes} == {"AP/cat": pytest.approx(1), "AP/dog": 0}
    assert scoring.per_class["dog"]["truths"] == 1
    assert by_class({f"class {number}": {"AP": 0.5} for number in range(101)}, ["AP"]) == {}


BOTH = said(("cat", CAT), ("dog", DOG))
ONE, OTHER = said(("", CAT)), said(("", DOG))
CASES = {
    "labelled boxes": ([LABELLED, NOTHING], [BOTH, "None"], {"AP": 1, "AP50": 1}),
    "labelled boxes, one of them missed": ([LABELLED], [said(("cat", CAT))], {"AP": 0.5}),
    "two boxes of one label": ([ONE_LABEL], [said(("cat", CAT), ("cat", DOG))], {"AP": 1}),
    "bare boxes": ([BARE, BARE], [ONE, OTHER], {"acc_iou50": 0.5, "mean_iou": 0.5}),
    "bare boxes, answered with a label": ([BARE], [said(("cat", CAT))], {"acc_iou50": 1}),
    "a bare box whose question names it": ([NAMED_IN_THE_QUESTION], [ONE], {"acc_iou50": 1}),
    "a bare box behind one of the question": ([SHOWN_IN_THE_QUESTION], [ONE], {"acc_iou50": 1}),
    "a bare box in shares of the image": ([SHARES], [ONE], {"acc_iou50": 1, "mean_iou": 1}),
    "several bare boxes": ([SEVERAL], [ONE + OTHER], {"boxes_AP": 1}),
    "several kinds, each by its own rows": (
        [LABELLED, BARE, TEXT, SEVERAL, POINT],
        [BOTH, OTHER, "", ONE + OTHER, ""],
        {"AP": 1, "acc_iou50": 0, "boxes_AP": 1},
    ),
    "rows besides what can be scored": ([BARE, LATER, UNCLEAR, BOX_OF_THE_QUESTION, NOTHING], [ONE, "", "", "", ""], {"acc_iou50": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_row_has_its_number(plugin, name):
    rows, texts, expected = CASES[name]
    numbers = scored(rows, texts)
    assert {key: numbers[key] for key in expected} == pytest.approx(expected)
    kinds = {"AP": LABELLED in rows or ONE_LABEL in rows, "acc_iou50": "acc_iou50" in expected, "boxes_AP": SEVERAL in rows}
    assert {key: key in numbers for key in kinds} == kinds


def test_undefined_numbers_are_skipped(plugin):
    numbers = scored([LABELLED], [BOTH])
    assert "APl" not in numbers
    assert None not in numbers.values()


def test_what_is_not_used_is_counted_by_reason(plugin):
    texts = [said(("cat", CAT), ("horse", DOG), ("", CAT)), Unanswered("a.png: no such image [image-missing]"), "<|box_start|>(1,"]
    numbers = scored([LABELLED, BARE, BARE], texts)
    expected = {"dropped_label_unknown": 1, "dropped_label_missing": 1, "dropped_point": 0, "truncated": 1}
    expected |= {"unanswered": 1, "unanswered_image_missing": 1, "acc_iou50": 0}
    assert {key: numbers[key] for key in expected} == expected


def test_boxes_in_another_space_are_explained_and_not_scored(plugin):
    boxes = [[3 + 7 * i, 5 + 4 * i, 60 + 9 * i, 40 + 5 * i] for i in range(10)]
    for make in (
        lambda box: row("<ref-object><bbox>", {"ref": ["cat"], "bbox": [box]}, size_wh=[2000, 1500]),
        lambda box: row("<bbox>", {"ref": [], "bbox": [box]}, size_wh=[2000, 1500]),
    ):
        rows = [make(box) for box in boxes]
        label = "cat" if rows[0]["objects"]["ref"] else ""
        texts = [format_answer([Located(label, tuple(box))], "qwen2_vl") for box in boxes]  # pixels, where 0..1000 is declared
        numbers, remarks = Scoring(samples_of(rows), Rules("qwen2_vl")).score(texts)
        assert max(numbers.get("AP", 0), numbers.get("acc_iou50", 0)) < 0.3
        assert any("another space" in remark and "original_px" in remark for remark in remarks)


def metric_of(zoo, rows: list[dict[str, Any]], best: str | None = "rouge-l") -> Any:
    args = SimpleNamespace(predict_with_generate=True, metric_for_best_model=best, greater_is_better=None, callbacks=[])
    return CocoMapMetric(args, SimpleNamespace(template=zoo["qwen2_vl"], eval_dataset=rows))


UNFIT = {
    "text only": [TEXT, TEXT],
    "points only": [POINT],
    "nothing there in any": [NOTHING, NOTHING],
    "boxes of questions only": [BOX_OF_THE_QUESTION],
    "boxes on later images only": [LATER],
}


@pytest.mark.parametrize("name", UNFIT)
def test_rows_without_a_box_to_find_are_refused_in_words(zoo, name):
    with pytest.raises(GroundswiftError, match=f"cannot score these validation rows \\({len(UNFIT[name])} validation rows"):
        metric_of(zoo, UNFIT[name]).read_rows_once()


@pytest.mark.parametrize("rows", [None, []])
def test_no_validation_rows_are_refused(zoo, rows):
    with pytest.raises(GroundswiftError, match="no validation rows to score"):
        metric_of(zoo, rows).read_rows_once()


@pytest.mark.parametrize(
    ("rows", "best"),
    [([LABELLED], "AP"), ([BARE], "acc_iou50"), ([BARE, LABELLED], "AP"), ([SEVERAL], "boxes_AP"), ([SEVERAL, BARE], "acc_iou50")],
)
def test_the_best_checkpoint_is_that_of_the_number_that_there_is(zoo, rows, best):
    metric = metric_of(zoo, rows)
    metric.read_rows_once()
    assert (metric.args.metric_for_best_model, metric.args.greater_is_better) == (best, True)


@pytest.mark.parametrize("asked", ["acc_iou50", "eval_mean_iou", "unreadable"])
def test_a_number_that_will_be_logged_may_be_asked_for(zoo, asked):
    metric = metric_of(zoo, [BARE], asked)
    metric.read_rows_once()
    assert metric.args.metric_for_best_model == asked


@pytest.mark.parametrize(
    ("rows", "asked"), [([BARE], "AP"), ([LABELLED], "acc_iou50"), ([LABELLED], "eval_APl"), ([BARE], "loss"), ([BARE], "F1")]
)
def test_a_number_that_will_not_be_logged_is_refused_with_those_that_will(zoo, rows, asked):
    with pytest.raises(
        GroundswiftError, match=f"metric_for_best_model {asked} is not logged.*expected one of (AP, AP50|acc_iou50, mean_iou)"
    ):
        metric_of(zoo, rows, asked).read_rows_once()


def test_a_row_without_size_is_measured_at_its_image(zoo, tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    plain = [{**BARE, "images": [str(tmp_path / "a.png")]}, {**BARE, "images": [str(tmp_path / "missing.png")]}]
    rows = [{name: value for name, value in each.items() if name != "size_wh"} for each in plain]
    assert scored(rows, [ONE, ""])["acc_iou50"] == 0.5


# ---------------------------------------------------------------------------------------------------------------------
# real trainings


def train(plugin: Path, toys: Path, validation: Path, out: Path) -> None:
    metric = {"predict_with_generate": True, "eval_metric": "coco_map", "per_device_eval_batch_size": 4, "max_length": 400}
    sft(plugin, toys / "toys.jsonl", out, val_dataset=validation, learning_rate="1e-12", eval_steps=1, save_steps=1, **metric)


def test_a_training_scores_each_kind_and_sets_unreadable_rows_aside(plugin, toys, tmp_path):
    """Known image_of_size, bare boxes, and rows that cannot be read: a missing image, a file cut short, and one that is too long."""
    known = read_rows(toys / "toys.jsonl")
    bare = [row("<bbox>", {"ref": [], "bbox": [[9, 9, 60, 60]]}, images=known[0]["images"], size_wh=known[0]["size_wh"])]
    lost = [detection(path, ["circle"], [[10, 7, 50, 63]]) | {"size_wh": [112, 84]} for path in unreadable(tmp_path)]
    mixed = [each | {"sample_id": number} for number, each in enumerate([lost[0], *known, *bare, *lost[1:]])]
    train(plugin, toys, written(tmp_path / "val.jsonl", mixed), tmp_path / "out")
    checkpoint = tmp_path / "out" / "checkpoint-1"
    logged = evaluation_of(checkpoint)
    assert logged["eval_AP"] > 0.3
    assert logged["best_metric"] == pytest.approx(logged["eval_AP"])
    assert {"eval_acc_iou50", "eval_mean_iou", "eval_dropped_label_missing"} <= set(logged)
    expected = {"": 3, "_image_missing": 1, "_image_unreadable": 1, "_row_too_long": 1}
    assert {name: logged[f"eval_unanswered{name}"] for name in expected} == expected
    predicted = read_rows(checkpoint / "predict.jsonl")
    assert [each["sample_id"] for each in predicted] == list(range(len(mixed)))
    assert [each["sample_id"] for each in predicted if each.get("error")] == [0, len(mixed) - 2, len(mixed) - 1]
    assert [each["response"] for each in predicted if each.get("error")] == ["", "", ""]


def test_a_training_whose_rows_cannot_be_scored_ends_before_its_first_step(plugin, toys, tmp_path):
    text = row("A toy.", None, "<image>What is this?", images=read_rows(toys / "toys.jsonl")[0]["images"])
    with pytest.raises(GroundswiftError, match="cannot score these validation rows"):
        train(plugin, toys, written(tmp_path / "val.jsonl", [text]), tmp_path / "out")
    assert not list((tmp_path / "out").glob("checkpoint-*"))
    assert '"loss"' not in (tmp_path / "out" / "logging.jsonl").read_text(encoding="utf-8")
