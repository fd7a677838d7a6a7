"""Answers in text to boxes in original pixels: placing, classes, doubles, and the join by id."""

from __future__ import annotations

import json

import numpy as np
import pytest

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
    fed = resized_wh((1000, 500), "qwen2_5_vl", None, 100_000)
    assert fed != resized_wh((1000, 500), "qwen2_5_vl")
    limited = read((4, [("dog", (0, 0, *fed))]), family="qwen2_5_vl", limits=Limits(max_pixels=100_000))
    assert boxes_xyxy(limited) == [[0, 0, 1000, 500]]
    assert boxes_xyxy(read((4, [("dog", (0, 0, *fed))]), family="qwen2_5_vl", limits=Limits())) != [[0, 0, 1000, 500]]


def test_a_first_resize_counts_too():
    fed = resized_wh((1000, 500), first_max_pixels=20_000)
    assert fed == (196, 112)
    answer = (4, [("dog", (0, 0, *fed))])
    assert boxes_xyxy(read(answer, family="qwen2_5_vl", limits=Limits(first_max_pixels=20_000))) == [[0, 0, 1000, 500]]


def test_the_space_can_be_declared():
    assert boxes_xyxy(read((4, [("dog", (100, 100, 600, 400))]), space="original_px")) == [[100, 100, 600, 400]]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        pytest.param({"family": "qwen9"}, "unknown model family 'qwen9'", id="family"),
        pytest.param({"family": "qwen2_vl", "space": "norm1"}, "unknown coordinate space 'norm1'", id="space"),
        pytest.param({"family": "qwen2_5_vl"}, "--max-pixels", id="no limits for resized pixels"),
        pytest.param({"family": "qwen3_vl", "space": "resized_px"}, "that many times 32 x 32 px", id="no limits for a declared space"),
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
        pytest.param([("cat", (1, 1, 5, 5)), ("cat", (1, 1, 5, 5))], 1, "dropped", "box-duplicate", id="doubled"),
        pytest.param([("cat", (1, 1, 5, 5)), ("dog", (1, 1, 5, 5))], 2, None, None, id="same box of two classes"),
        pytest.param([("cat", (5, 1, 5, 9))], 0, "dropped", "box-empty", id="no width"),
        pytest.param([("cat", (1200, 0, 1400, 9))], 0, "dropped", "box-empty", id="outside the image"),
        pytest.param([("cat", (500, 0, 1002, 9))], 1, "changed", "box-clipped", id="cut by two units"),
        pytest.param([("cat", (500, 0, 1001, 9))], 1, None, None, id="cut by one unit, which is rounding"),
        pytest.param([("cow", (1, 1, 5, 5))], 0, "dropped", "label-unknown", id="unknown label"),
        pytest.param([("", (1, 1, 5, 5))], 0, "dropped", "label-missing", id="no label"),
        pytest.param("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(1,2)<|box_end|>", 0, "dropped", "point", id="point"),
    ],
)
def test_what_is_left_out_or_changed_is_counted(found, kept, tally, reason):
    answers = read((30, found))
    assert len(answers.predictions.scores) == kept
    counted = {name: dict(getattr(answers.counts, name).counts) for name in ("dropped", "changed")}
    assert counted == {"dropped": {}, "changed": {}} | ({tally: {reason: 1}} if tally else {})


def test_boxes_that_are_the_same_once_cut_are_doubles():
    answers = read((30, [("cat", (990, 0, 1400, 9)), ("cat", (990, 0, 1500, 9))]))
    assert len(answers.predictions.scores) == 1
    assert answers.counts.dropped.counts == {"box-duplicate": 1}
    assert answers.counts.changed.counts == {"box-clipped": 2}


def test_of_doubles_the_first_stays():
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
        pytest.param([(4, (1000, 500), "None")] * 2, "image 4: two answers", id="doubled id"),
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


def row(sample_id, text="None", **more):
    sizes = {30: (200, 100), 4: (1000, 500)}
    return {"response": text, "sample_id": sample_id, "size_wh": sizes.get(sample_id), "images": [{"path": "x"}], **more}


def result_file(tmp_path, *lines):
    path = tmp_path / "result.jsonl"
    path.write_bytes(b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines))
    return path


def test_rows_are_joined_by_id_whatever_their_order(tmp_path):
    cat = format_answer([Located("cat", (0, 0, 500, 500))])
    answers = read_answers(result_file(tmp_path, row(30, cat), row(4)), TRUTH, Rules("qwen2_vl"))
    assert answers.statuses == ["empty", "ok"]
    assert boxes_xyxy(answers) == [[0, 0, 100, 50]]


def test_a_doubled_id_counts_once_and_the_first_row_is_scored(tmp_path):
    cat = format_answer([Located("cat", (0, 0, 500, 500))])
    answers = read_answers(result_file(tmp_path, row(30), row(30, cat)), TRUTH, Rules("qwen2_vl"))
    assert answers.statuses == ["missing", "empty"]
    assert answers.counts.rows.counts == {"row-duplicate": 1}
    assert answers.counts.read == 2


BAD_ROWS = [
    pytest.param(b'{"response": "No', "row-invalid", "stops in the middle of this line", id="cut in the middle of a line"),
    pytest.param(b"nonsense\n", "row-invalid", "not a row: JSON is malformed", id="no JSON"),
    pytest.param(row(5), "row-unknown", "sample_id 5 is not in the ground truth", id="unknown id"),
    pytest.param(row("31"), "row-unknown", "sample_id '31' is not in the ground truth", id="id as text"),
    pytest.param(row(None), "sample-id-missing", "groundswift plugin", id="sample-id-missing"),
    pytest.param(row(30, None), "response-missing", "the row has no response", id="null response"),
    pytest.param({**row(30), "size_wh": [100, 200]}, "size-differs", "image 30 is 100x200 px in the result and 200x100", id="size-differs"),
]


@pytest.mark.parametrize(("line", "reason", "message"), BAD_ROWS)
def test_bad_rows_stop_with_their_line_or_are_counted(tmp_path, line, reason, message):
    path = result_file(tmp_path, row(4), line)
    with pytest.raises(GroundswiftError) as caught:
        read_answers(path, TRUTH, Rules("qwen2_vl"))
    assert str(caught.value).startswith(f"{path}:2: ")
    assert message in str(caught.value)
    assert "\n1 valid rows before it" in str(caught.value)
    answers = read_answers(path, TRUTH, Rules("qwen2_vl"), on_error="skip")
    assert answers.counts.rows.counts == {reason: 1}
    assert answers.statuses == ["empty", "missing"]


def test_a_row_that_limits_its_own_image_is_not_placed_by_the_limits_of_the_run(tmp_path):
    own = {"max_pixels": 4704, "enable_thinking": False}
    path = result_file(tmp_path, row(30, chat_template_kwargs={"min_pixels": None}), row(4, chat_template_kwargs=own))
    resized = Rules("qwen2_5_vl", limits=Limits())
    with pytest.raises(GroundswiftError, match=r"jsonl:2: the row limits its own image \(chat_template_kwargs: max_pixels\)"):
        read_answers(path, TRUTH, resized)
    assert read_answers(path, TRUTH, resized, on_error="skip").counts.rows.counts == {"own-limits": 1}
    assert read_answers(path, TRUTH, Rules("qwen2_vl")).counts.read == 2


def test_scores_come_from_the_tokens_of_each_box(tmp_path):
    first, second = (format_answer([Located("cat", (0, 0, 500, side))]) for side in (400, 500))
    tokens = [(first, -1.0), (second, -2.0), ("<|im_end|>", -9.0)]
    content = [{"token": token, "logprob": logprob, "bytes": []} for token, logprob in tokens]
    path = result_file(tmp_path, row(30, first + second, logprobs={"content": content}))
    scored = read_answers(path, TRUTH, Rules("qwen2_vl", score="logprob"))
    assert scored.predictions.scores == pytest.approx(np.exp([-1, -2]))
    assert read_answers(path, TRUTH, Rules("qwen2_vl")).predictions.scores.tolist() == [1, 1]


def test_log_probabilities_that_miss_are_an_error_that_says_how_to_get_them(tmp_path):
    with pytest.raises(GroundswiftError, match="swift infer --logprobs true, without --stream true"):
        read_answers(result_file(tmp_path, row(30)), TRUTH, Rules("qwen2_vl", score="logprob"))


def test_tokens_that_do_not_fit_their_text_are_counted(tmp_path):
    cat = format_answer([Located("cat", (0, 0, 500, 500))])
    path = result_file(tmp_path, row(30, cat, logprobs={"content": [{"token": "?", "logprob": -1.0}]}))
    answers = read_answers(path, TRUTH, Rules("qwen2_vl", score="logprob"))
    assert answers.counts.changed.counts == {"tokens-differ": 1}
    assert answers.predictions.scores == pytest.approx([np.exp(-1)])


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
    path = result_file(tmp_path, row(30, text, **more), row(4))
    answers = read_answers(path, TRUTH, Rules("qwen2_vl"))
    assert answers.statuses[TRUTH.image_ids.index(30)] == status
    assert answers.statuses[TRUTH.image_ids.index(4)] == "empty"


# the truth


def coco(**changes):
    base = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 20, "iscrowd": 0}],
    }
    return base | changes


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
        pytest.param(annotation(area=float("inf")), "area-not-finite", id="area"),
    ],
)
def test_bad_annotations_stop_or_are_counted(tmp_path, changes, reason):
    from groundswift.errors import Tally

    path = tmp_path / "ann.json"
    path.write_text(json.dumps(coco(**changes)))
    with pytest.raises(GroundswiftError, match=f"ann.json: .*{reason}"):
        read_truth(path)
    tally = Tally()
    assert len(read_truth(path, "skip", tally).boxes_xywh_px) == 0
    assert tally.counts == {reason: 1}


def test_many_faults_are_listed_in_part_and_counted(tmp_path):
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(coco(annotations=annotation(bbox=[0, 0, 0, 5])["annotations"] * 9)))
    with pytest.raises(GroundswiftError, match="^9 problems in the ground truth:") as caught:
        read_truth(path)
    assert str(caught.value).count("box-empty") == 5


def test_no_images_is_an_error(tmp_path):
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(coco(images=[], annotations=[])))
    with pytest.raises(GroundswiftError, match="holds no images"):
        read_truth(path)


def test_area_is_the_annotations_own(tmp_path):
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(coco()))
    assert read_truth(path).areas_px2.tolist() == [20]
    path.write_text(json.dumps(coco(**annotation())))
    assert read_truth(path).areas_px2.tolist() == [25]


def test_rows_outside_the_classes_are_an_error():
    with pytest.raises(GroundswiftError, match="category-unknown"):
        truth_from_rows([(1, (9, 9), ["cow"], [(0, 0, 5, 5)])], categories=["cat"])


@pytest.mark.parametrize("logprob", [0.5, 710.0, 1e300, -1e300, 0.01])
def test_a_number_that_is_no_log_probability_stops(tmp_path, logprob):
    cat = format_answer([Located("cat", (0, 0, 10, 10))])
    good, bad = ([{"token": cat, "logprob": value}] for value in (-0.5, logprob))
    path = result_file(tmp_path, row(30, cat, logprobs={"content": good}), row(4, cat, logprobs={"content": bad}))
    with pytest.raises(GroundswiftError, match=rf"{path}:2: log-probability {logprob!r}".replace("+", r"\+")):
        read_answers(path, TRUTH, Rules("qwen2_vl", score="logprob"))
    answers = read_answers(path, TRUTH, Rules("qwen2_vl", score="logprob"), on_error="skip")
    assert answers.counts.rows.counts == {"logprob-invalid": 1}
    assert len(answers.predictions.scores) == 1


@pytest.mark.parametrize("logprob", [0, 1e-7, 0.0009])
def test_rounding_above_zero_is_a_score_of_one(tmp_path, logprob):
    cat = format_answer([Located("cat", (0, 0, 10, 10))])
    path = result_file(tmp_path, row(30, cat, logprobs={"content": [{"token": cat, "logprob": logprob}]}))
    assert read_answers(path, TRUTH, Rules("qwen2_vl", score="logprob")).predictions.scores.tolist() == [1.0]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "null", '"-1"'])
def test_a_log_probability_that_is_no_number_stops(tmp_path, number):
    path = tmp_path / "r.jsonl"
    start = '{"response": "None", "sample_id": 30, "logprobs": {"content": [{"token": "None", "logprob": '
    path.write_text(f"{start}{number}}}]}}}}\n")
    with pytest.raises(GroundswiftError, match=r"r\.jsonl:1: not a row"):
        read_answers(path, TRUTH, Rules("qwen2_vl", score="logprob"))


def test_ids_that_became_text_are_joined(tmp_path):
    cat = format_answer([Located("cat", (0, 0, 10, 10))])
    answers = read_answers(result_file(tmp_path, row("30", cat), row("4", cat)), TRUTH, Rules("qwen2_vl"))
    assert answers.statuses == ["ok", "ok"]


@pytest.mark.parametrize("score", ["constant", "logprob"])
def test_a_row_that_could_not_be_asked_counts_as_missed(tmp_path, score):
    cat = format_answer([Located("cat", (0, 0, 10, 10))])
    tokens = {"logprobs": {"content": [{"token": cat, "logprob": -0.5}]}}
    failed = row(30, "", error="30.jpg: not a readable image")
    path = result_file(tmp_path, row(4, cat, **tokens), failed)
    answers = read_answers(path, TRUTH, Rules("qwen2_vl", score=score))
    assert answers.statuses == ["ok", "missing"]
    assert answers.counts.rows.counts == {"row-failed": 1}
    assert answers.counts.rows.examples == {"row-failed": ["image 30: 30.jpg: not a readable image"]}
    path = result_file(tmp_path, row(4, cat, **tokens), failed, row(30, cat, **tokens))  # it was asked again, and answered
    assert read_answers(path, TRUTH, Rules("qwen2_vl", score=score)).statuses == ["ok", "ok"]


@pytest.mark.parametrize("error", [None, ""])
def test_a_row_without_an_error_is_an_answer(tmp_path, error):
    assert read_answers(result_file(tmp_path, row(30, "None", error=error)), TRUTH, Rules("qwen2_vl")).statuses == ["missing", "empty"]
