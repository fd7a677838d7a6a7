"""Answers in text to boxes in original pixels: placing, classes, duplicates, and the join by id."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluated import coco_of, write_json

from groundswift import Located, format_answer, resized_wh
from groundswift.errors import GroundswiftError
from groundswift.eval.answers.label_matching import LabelIndex
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.swift_results import read_answers
from groundswift.eval.answers.to_boxes import predictions_from_answers
from groundswift.eval.ground_truth import read_truth, truth_from_rows
from groundswift.image_resize import Limits

TRUTH = truth_from_rows([(30, (200, 100), ["cat"], [(0, 0, 10, 10)]), (4, (1000, 500), ["dog"], [(0, 0, 10, 10)])])


def read(*answers, truth=TRUTH, **rules):
    """Answers (image id, [(label, box)] or text) of qwen2_vl, read against the truth."""
    sizes = dict(zip(truth.image_ids, map(tuple, truth.sizes_wh.tolist()), strict=True))
    family = rules.setdefault("family", "qwen2_vl")
    texts = [(i, f if isinstance(f, str) else format_answer([Located(label, box) for label, box in f], family)) for i, f in answers]
    return predictions_from_answers([(i, sizes[i], text) for i, text in texts], truth, Rules(**rules))


def boxes_xyxy(answers):
    xywh = answers.predictions.boxes_xywh_px
    return np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]).tolist()


def test_boxes_are_placed_and_ordered_by_image_id():
    answers = read((30, [("cat", (100, 200, 500, 1000))]), (4, [("dog", (1, 2, 3, 4)), ("cat", (0, 0, 10, 10))]))
    assert boxes_xyxy(answers) == pytest.approx(np.array([[1, 1, 3, 2], [0, 0, 10, 5], [20, 20, 100, 100]]))
    assert [TRUTH.image_ids[index] for index in answers.predictions.image_index] == [4, 4, 30]
    assert [TRUTH.category_names[index] for index in answers.predictions.category_index] == ["dog", "cat", "cat"]
    assert answers.predictions.scores.tolist() == [1.0, 1.0, 1.0]
    assert answers.statuses == ["ok", "ok"]


def test_boxes_of_an_answer_keep_their_order():
    sides = range(1, 60)
    answers = read((30, [("cat", (0, 0, 10 * side % 590 + 1, 10)) for side in sides]), (4, [("dog", (0, 0, side, 10)) for side in sides]))
    widths = answers.predictions.boxes_xywh_px[:, 2]
    assert widths.tolist() == pytest.approx([*sides, *((10 * side % 590 + 1) / 5 for side in sides)])


def test_boxes_in_resized_pixels_go_back_by_the_limits_of_the_run():
    input_wh = resized_wh((1000, 500), "qwen2_5_vl", None, 100_000)
    assert input_wh != resized_wh((1000, 500), "qwen2_5_vl")
    limited = read((4, [("dog", (0, 0, *input_wh))]), family="qwen2_5_vl", limits=Limits(max_pixels=100_000))
    assert boxes_xyxy(limited) == [[0, 0, 1000, 500]]
    assert boxes_xyxy(read((4, [("dog", (0, 0, *input_wh))]), family="qwen2_5_vl", limits=Limits())) != [[0, 0, 1000, 500]]


def test_a_first_resize_counts_too():
    input_wh = resized_wh((1000, 500), first_max_pixels=20_000)
    assert input_wh == (196, 112)
    answer = (4, [("dog", (0, 0, *input_wh))])
    assert boxes_xyxy(read(answer, family="qwen2_5_vl", limits=Limits(first_max_pixels=20_000))) == [[0, 0, 1000, 500]]


def test_the_space_can_be_declared():
    assert boxes_xyxy(read((4, [("dog", (100, 100, 600, 400))]), space="original_px")) == [[100, 100, 600, 400]]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        pytest.param({"family": "qwen9"}, "unknown model family 'qwen9'", id="family"),
        pytest.param({"family": "qwen2_vl", "space": "norm1"}, "unknown coordinate space 'norm1'", id="space"),
        pytest.param({"family": "qwen2_5_vl"}, "--max-pixels", id="no limits for resized pixels"),
        pytest.param({"family": "qwen3_vl", "space": "resized_px"}, "tokens times 32 x 32 px", id="no limits for a declared space"),
        pytest.param(
            {"family": "qwen_vl", "space": "resized_px"}, "is not in the table of families", id="a space that cannot be taken back"
        ),
    ],
)
def test_rules_never_guess(rules, message):
    with pytest.raises(GroundswiftError, match=message):
        Rules(**rules)


@pytest.mark.parametrize(
    ("found", "kept", "tally", "reason"),
    [
        pytest.param([("cat", (1, 1, 5, 5)), ("cat", (1, 1, 5, 5))], 1, "dropped", "box-duplicate", id="duplicate"),
        pytest.param([("cat", (1, 1, 5, 5)), ("dog", (1, 1, 5, 5))], 2, None, None, id="same box of two classes"),
        pytest.param([("cat", (5, 1, 5, 9))], 0, "dropped", "box-empty", id="no width"),
        pytest.param([("cat", (1200, 0, 1400, 9))], 0, "dropped", "box-empty", id="outside the image"),
        pytest.param([("cat", (500, 0, 1002, 9))], 1, "changed", "box-clipped", id="clipped by two units"),
        pytest.param([("cat", (500, 0, 1001, 9))], 1, None, None, id="clipped by one unit, which is rounding"),
        pytest.param([("cow", (1, 1, 5, 5))], 0, "dropped", "label-unknown", id="unknown label"),
        pytest.param([("", (1, 1, 5, 5))], 0, "dropped", "label-missing", id="no label"),
        pytest.param("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(1,2)<|box_end|>", 0, "dropped", "point", id="point"),
    ],
)
def test_what_is_dropped_or_changed_is_counted(found, kept, tally, reason):
    answers = read((30, found))
    assert len(answers.predictions.scores) == kept
    counted = {name: dict(getattr(answers.counts, name).counts) for name in ("dropped", "changed")}
    assert counted == {"dropped": {}, "changed": {}} | ({tally: {reason: 1}} if tally else {})


def test_boxes_that_are_equal_once_clipped_are_duplicates():
    answers = read((30, [("cat", (990, 0, 1400, 9)), ("cat", (990, 0, 1500, 9))]))
    assert len(answers.predictions.scores) == 1
    assert answers.counts.dropped.counts == {"box-duplicate": 1}
    assert answers.counts.changed.counts == {"box-clipped": 2}


def test_of_duplicates_the_first_stays():
    answers = read((4, [("cat", (1, 1, 5, 5)), ("dog", (2, 2, 5, 5)), ("cat", (1, 1, 5, 5)), ("cat", (0, 0, 3, 3))]))
    assert boxes_xyxy(answers) == pytest.approx(np.array([[1, 0.5, 5, 2.5], [2, 1, 5, 2.5], [0, 0, 3, 1.5]]))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("None", "empty"),
        ("I see nothing of the kind.", "unreadable"),
        ("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(1,2),(3", "truncated"),
    ],
)
def test_statuses(text, status):
    answers = read((4, text))
    assert answers.statuses == [status, "missing"]
    assert answers.counts.statuses == {status: 1, "missing": 1}
    assert len(answers.predictions.scores) == 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param([(5, (1000, 500), "None")], "image 5: not in the ground truth", id="unknown id"),
        pytest.param([(4, (1000, 500), "None")] * 2, "image 4: two answers", id="duplicate id"),
        pytest.param([(4, (500, 1000), "None")], "500x1000 px in the result and 1000x500 in the ground truth", id="size-differs"),
    ],
)
def test_answers_at_hand_must_fit_the_truth(answer, message):
    with pytest.raises(GroundswiftError, match=message):
        predictions_from_answers(answer, TRUTH, Rules("qwen2_vl"))


@pytest.mark.parametrize(
    ("names", "match", "label", "found"),
    [
        (["cat", "dog"], "exact", "dog", 1),
        (["cat", "Dog"], "exact", "dog", None),
        (["cat", "Dog"], "casefold", "dog", 1),
        (["dog", "Dog"], "casefold", "DOG", None),
        (["dog", "Dog"], "casefold", "Dog", 1),
        (["hot dog"], "exact", " hot\n dog", 0),
        (["caf\u00e9"], "exact", "cafe\u0301", 0),
        (["a b", "a  b"], "exact", "a   b", None),
    ],
)
def test_labels(names, match, label, found):
    assert LabelIndex(names, match).find(label) == found


def test_a_label_that_only_case_keeps_apart_is_hinted_at():
    index = LabelIndex(["Dog", "cat"])
    assert (index.would_match("dog"), index.would_match("cat"), index.would_match("cow")) == ("Dog", None, None)


# the result file

CAT = format_answer([Located("cat", (0, 0, 500, 500))])
LOGPROB = {"score": "logprob"}


def row(sample_id, text="None", **more):
    sizes = {30: (200, 100), 4: (1000, 500)}
    return {"response": text, "sample_id": sample_id, "size_wh": sizes.get(sample_id), "images": [{"path": "x"}], **more}


def logprobs(**tokens):
    """The column of a row with these tokens and log-probabilities."""
    return {"logprobs": {"content": [{"token": token, "logprob": value, "bytes": []} for token, value in tokens.items()]}}


def result_file(tmp_path, *lines):
    path = tmp_path / "result.jsonl"
    path.write_bytes(b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines))
    return path


def answers_of(tmp_path, *lines, on_error="stop", family="qwen2_vl", **rules):
    return read_answers(result_file(tmp_path, *lines), TRUTH, Rules(family, **rules), on_error)


def test_rows_are_joined_by_id_whatever_their_order(tmp_path):
    answers = answers_of(tmp_path, row(30, CAT), row(4))
    assert answers.statuses == ["empty", "ok"]
    assert boxes_xyxy(answers) == [[0, 0, 100, 50]]


def test_a_duplicate_id_counts_once_and_the_first_row_is_scored(tmp_path):
    answers = answers_of(tmp_path, row(30), row(30, CAT))
    assert answers.statuses == ["missing", "empty"]
    assert answers.counts.rows.counts == {"row-duplicate": 1}
    assert answers.counts.read == 2


def test_ids_that_became_text_are_joined(tmp_path):
    assert answers_of(tmp_path, row("30", CAT), row("4", CAT)).statuses == ["ok", "ok"]


OWN = {"chat_template_kwargs": {"max_pixels": 4704, "enable_thinking": False}}
RESIZED = {"family": "qwen2_5_vl", "limits": Limits()}
NO_OWN = {"chat_template_kwargs": {"min_pixels": None}}
BAD_ROWS = [
    pytest.param(b'{"response": "No', "row-invalid", "stops in the middle of this line", {}, id="cut in the middle of a line"),
    pytest.param(b"nonsense\n", "row-invalid", "not a row: JSON is malformed", {}, id="no JSON"),
    pytest.param(row(5), "row-unknown", "sample_id 5 is not in the ground truth", {}, id="unknown id"),
    pytest.param(row("31"), "row-unknown", "sample_id '31' is not in the ground truth", {}, id="id as text"),
    pytest.param(row(None), "sample-id-missing", "groundswift plugin", {}, id="sample-id-missing"),
    pytest.param(row(30, None), "response-missing", "the row has no response", {}, id="null response"),
    pytest.param(
        {**row(30), "size_wh": [100, 200]}, "size-differs", "image 30 is 100x200 px in the result and 200x100", {}, id="size-differs"
    ),
    pytest.param(row(30, **OWN), "own-limits", "the row limits its own image (chat_template_kwargs: max_pixels)", RESIZED, id="own limits"),
    pytest.param(row(30), "logprobs-missing", "swift infer --logprobs true, without --stream true", LOGPROB, id="no logprobs"),
    *(
        pytest.param(row(30, CAT, **logprobs(cat=value)), "logprob-invalid", f"log-probability {value!r}", LOGPROB, id=f"logprob {value}")
        for value in (0.5, 710.0, 1e300, -1e300, 0.01)
    ),
    *(
        pytest.param(row(30, CAT, **logprobs(cat=value)), "row-invalid", "not a row", LOGPROB, id=f"logprob {value!r}")
        for value in (float("nan"), float("inf"), None, "-1")
    ),
]


@pytest.mark.parametrize(("line", "reason", "message", "rules"), BAD_ROWS)
def test_bad_rows_stop_with_their_line_or_are_counted(tmp_path, line, reason, message, rules):
    good = row(4, **logprobs(none=-0.5), **NO_OWN)
    with pytest.raises(GroundswiftError) as caught:
        answers_of(tmp_path, good, line, **rules)
    assert str(caught.value).startswith(f"{tmp_path / 'result.jsonl'}:2: ")
    assert message in str(caught.value)
    assert "\n1 valid rows before it" in str(caught.value)
    answers = answers_of(tmp_path, good, line, on_error="skip", **rules)
    assert answers.counts.rows.counts == {reason: 1}
    assert answers.statuses == ["empty", "missing"]


def test_limits_of_a_row_do_not_matter_outside_resized_pixels(tmp_path):
    assert answers_of(tmp_path, row(30, **OWN)).counts.read == 1


def test_scores_come_from_the_tokens_of_each_box(tmp_path):
    first, second = (format_answer([Located("cat", (0, 0, 500, side))]) for side in (400, 500))
    line = row(30, first + second, **logprobs(**{first: -1.0, second: -2.0, "<|im_end|>": -9.0}))
    assert answers_of(tmp_path, line, **LOGPROB).predictions.scores == pytest.approx(np.exp([-1, -2]))
    assert answers_of(tmp_path, line).predictions.scores.tolist() == [1, 1]


def test_tokens_that_do_not_fit_their_text_are_counted(tmp_path):
    answers = answers_of(tmp_path, row(30, CAT, **logprobs(other=-1.0)), **LOGPROB)
    assert answers.counts.changed.counts == {"tokens-differ": 1}
    assert answers.predictions.scores == pytest.approx([np.exp(-1)])


@pytest.mark.parametrize("logprob", [0, 1e-7, 0.0009])
def test_rounding_above_zero_is_a_score_of_one(tmp_path, logprob):
    assert answers_of(tmp_path, row(30, CAT, **logprobs(**{CAT: logprob})), **LOGPROB).predictions.scores.tolist() == [1.0]


BLANKS = {"content": [{"token": "\n", "logprob": -0.1}] * 3}
ENDED = {"content": [*BLANKS["content"], {"token": "<|im_end|>", "logprob": -0.1}]}


@pytest.mark.parametrize(
    ("text", "more", "status"),
    [
        ("\n\n\n", {}, "empty"),
        ("\n\n\n", {"logprobs": BLANKS}, "truncated"),
        ("\n\n\n", {"logprobs": ENDED}, "empty"),
        ("", {"logprobs": {"content": []}}, "empty"),
        ("\n\n\n", {"logprobs": "none"}, "empty"),
        ("\n\n\n", {"finish_reason": "length"}, "truncated"),
        ("\n\n\n", {"finish_reason": "stop"}, "empty"),
        ("None", {"is_truncated": True}, "truncated"),
        ("", {"finish_reason": "length"}, "truncated"),
        ("There is a", {"finish_reason": "length"}, "unreadable"),
    ],
)
def test_an_answer_of_blanks_that_was_cut_is_truncated_and_not_empty(tmp_path, text, more, status):
    answers = answers_of(tmp_path, row(30, text, **more), row(4))
    assert dict(zip(TRUTH.image_ids, answers.statuses, strict=True)) == {30: status, 4: "empty"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param([], "holds no rows", id="empty file"),
        pytest.param([{"sample_id": 4, "response": None, "error": "unreadable"}], "no row has an answer", id="failed rows"),
        pytest.param([{"sample_id": 4}], "no row has an answer.*\n.*response-missing", id="skipped rows"),
    ],
)
def test_a_result_without_an_answer_is_refused(tmp_path, lines, message):
    with pytest.raises(GroundswiftError, match=message):
        answers_of(tmp_path, *lines, on_error="skip")


@pytest.mark.parametrize("score", ["constant", "logprob"])
def test_a_row_that_could_not_be_asked_counts_as_missed(tmp_path, score):
    good, failed = row(4, CAT, **logprobs(**{CAT: -0.5})), row(30, "", error="30.jpg: not a readable image")
    answers = answers_of(tmp_path, good, failed, score=score)
    assert answers.statuses == ["ok", "missing"]
    assert answers.counts.rows.counts == {"row-failed": 1}
    assert answers.counts.rows.examples == {"row-failed": ["image 30: 30.jpg: not a readable image"]}
    again = {**good, "sample_id": 30, "size_wh": (200, 100)}  # it was asked again, and answered
    assert answers_of(tmp_path, good, failed, again, score=score).statuses == ["ok", "ok"]


@pytest.mark.parametrize("error", [None, ""])
def test_a_row_without_an_error_is_an_answer(tmp_path, error):
    assert answers_of(tmp_path, row(30, "None", error=error)).statuses == ["missing", "empty"]


# the truth


def truth_file(tmp_path, **changes):
    """A COCO file of one image and one box, with other lists."""
    return write_json(tmp_path / "ann.json", coco_of((10, 10), [(1, 1, [0, 0, 5, 5], {"area": 20, "iscrowd": 0})], [1]) | changes)


def annotation(**changes):
    return {"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]} | changes]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param(annotation(image_id=2), "image-unknown", id="image"),
        pytest.param(annotation(category_id=2), "category-unknown", id="category"),
        pytest.param(annotation(bbox=[0, 0, -5, 5]), "box-inverted", id="inverted"),
        pytest.param(annotation(bbox=[0, 0, 0, 5]), "box-empty", id="empty"),
        pytest.param(annotation(bbox=[0, 0, float("nan"), 5]), "box-not-finite", id="NaN"),
        pytest.param(annotation(bbox=[20, 0, 5, 5]), "box-outside", id="outside"),
        pytest.param(annotation(bbox=[0, 0, 1e308, 1e308]), "box-too-large", id="endless"),
        pytest.param(annotation(area=float("inf")), "area-not-finite", id="area"),
        pytest.param(annotation(area=-1), "area-negative", id="negative area"),
        pytest.param(annotation(area=2e10), "area-too-large", id="an area that COCO ignores"),
    ],
)
def test_bad_annotations_stop_or_are_counted(tmp_path, changes, reason):
    path = truth_file(tmp_path, **changes)
    with pytest.raises(GroundswiftError, match=f"ann.json: .*{reason}"):
        read_truth(path)
    found = read_truth(path, "skip")
    assert (len(found.boxes_xywh_px), found.dropped.counts) == (0, {reason: 1})


def test_many_problems_are_listed_in_part_and_counted(tmp_path):
    with pytest.raises(GroundswiftError, match="^9 problems in the ground truth:") as caught:
        read_truth(truth_file(tmp_path, annotations=annotation(bbox=[0, 0, 0, 5])["annotations"] * 9))
    assert str(caught.value).count("box-empty") == 5


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "holds no images"),
        ([{"id": 1, "file_name": "a", "width": 2**63, "height": 50}], "image 1 has size 9223372036854775808x50; expected at least 1x1"),
        ([{"id": 1, "file_name": "a", "width": 5, "height": 10**30}], "at most 2147483647 px per side"),
    ],
)
def test_images_that_cannot_be(tmp_path, images, message):
    with pytest.raises(GroundswiftError, match=message):
        read_truth(truth_file(tmp_path, images=images, annotations=[]))


def test_area_is_the_annotations_own(tmp_path):
    assert read_truth(truth_file(tmp_path)).areas_px2.tolist() == [20]
    assert read_truth(truth_file(tmp_path, **annotation())).areas_px2.tolist() == [25]


def test_rows_outside_the_classes_are_an_error():
    with pytest.raises(GroundswiftError, match="category-unknown"):
        truth_from_rows([(1, (9, 9), ["cow"], [(0, 0, 5, 5)])], categories=["cat"])
