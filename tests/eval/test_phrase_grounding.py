"""Phrase grounding: the published rules written out, rows of `convert flickr30k`, and the command as a user calls it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from converted import run
from evaluated import call, write_rows
from flickr30k_fixture import write_flickr30k
from hypothesis import given
from hypothesis import strategies as st

from groundswift import Located, families, format_answer, from_original_px, resized_wh
from groundswift.boxes import as_boxes, iou
from groundswift.eval.answers.phrase_rows import Phrase, boxes_of_phrases, phrases_of_boxes
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.to_boxes import boxes_of_answers
from groundswift.eval.metrics.phrase_grounding import PhraseGrounding, grounded_phrases
from groundswift.eval.row_metric import mean

SIZE = (1000, 1000)
RULES = Rules("qwen2_vl")
MAN, HAT, FAR, LEFT_HALF, RIGHT_HALF = [0, 0, 400, 400], [100, 0, 200, 100], [900, 900, 990, 990], [0, 0, 200, 400], [200, 0, 400, 400]
BOX = st.sampled_from([MAN, HAT, FAR, LEFT_HALF, RIGHT_HALF, [0, 0, 400, 300]])
WORDS = st.sampled_from(["a man", "a hat", "the far thing"])


def said(*objects):
    return format_answer([Located(label, tuple(box)) for label, box in objects], "qwen2_vl")


def row(number, phrases, response, **more):
    """A row as `convert flickr30k --task phrase_grounding` writes it, with an answer. `phrases`: (words, boxes)."""
    return {
        "messages": [{"role": "user", "content": f"<image>Locate the phrases: sentence {number}"}],
        "images": [f"{number}.jpg"],
        "objects": {"ref": [words for words, _ in phrases], "bbox": [box for _, boxes in phrases for box in boxes], "bbox_type": "real"},
        "labels": "".join("<ref-object>" + "<bbox>" * len(boxes) for _, boxes in phrases),
        "sample_id": f"flickr30k/{number}/1",
        "size_wh": list(SIZE),
        "response": response,
        **more,
    }


def scored(path, rows, *words, code=0):
    done = call("phrase-grounding", write_rows(path / "r.jsonl", rows), "--family", "qwen2_vl", "--json", *words, code=code)
    return json.loads(done.stdout) if code == 0 else done.stderr


TWO = [("a man", [MAN]), ("a hat", [HAT])]


@pytest.mark.parametrize(
    ("phrases", "answer", "expected"),
    [
        pytest.param(TWO, [("a man", MAN), ("a hat", HAT)], {"R1": 1, "merged_R1": 1, "merged_both": 1}, id="all right"),
        pytest.param(TWO, [("a hat", HAT), ("A  Man", MAN)], {"R1": 1}, id="another order, case and blanks"),
        pytest.param(TWO, [("a hat", MAN), ("a man", HAT)], {"R1": 0}, id="labels swapped"),
        pytest.param(TWO, [("a man", FAR), ("a man", MAN)], {"R1": 0, "R5": 0.5, "R_all": 0.5}, id="the second is right"),
        pytest.param(TWO, [("a man", FAR)] * 9 + [("a man", MAN)], {"R5": 0, "R10": 0.5}, id="the tenth is right"),
        pytest.param(TWO, [("a man", FAR)] * 10 + [("a man", MAN)], {"R10": 0, "R_all": 0.5}, id="the eleventh is right"),
        pytest.param(TWO, [], {"R1": 0, "merged_R1": 0, "merged_both": 0}, id="nothing said"),
        pytest.param([("men", [LEFT_HALF, FAR])], [("men", FAR)], {"R1": 1, "merged_R1": 0}, id="any box of two"),
        pytest.param([("men", [LEFT_HALF, RIGHT_HALF])], [("men", MAN)], {"R1": 1, "merged_R1": 1}, id="one box around both"),
        pytest.param(
            [("men", [[0, 0, 100, 400], [300, 0, 400, 400]])],
            [("men", [0, 0, 100, 400]), ("men", [300, 0, 400, 400])],
            {"R1": 1, "merged_R1": 0, "merged_R5": 0, "merged_both": 1},
            id="two boxes of two: right only if both sides are merged",
        ),
        pytest.param([("a man", [MAN])], [("", MAN)], {"R1": 1}, id="no label, and one phrase"),
        pytest.param(TWO, [("", MAN)], {"R1": 0}, id="no label, and two phrases"),
        pytest.param([("a man", [MAN]), ("a man", [FAR])], [("a man", MAN), ("a man", FAR)], {"R1": 1}, id="two phrases of the same words"),
        pytest.param([("a man", [MAN]), ("a man", [FAR])], [("a man", FAR), ("a man", MAN)], {"R1": 0}, id="these the wrong way round"),
    ],
)
def test_one_answer(tmp_path, phrases, answer, expected):
    found = scored(tmp_path, [row(1, phrases, said(*answer))])
    assert {key: found[key] for key in expected} == expected


def written_out(phrases, answer):
    """(any-box hits, merged-box hits at 1, 5, 10) of each phrase, by the rules of MDETR's evaluator; no two phrases have the same words."""
    hits = []
    for words, true in phrases:
        boxes = [box for label, box in answer if label == words]
        around = [min(b[0] for b in true), min(b[1] for b in true), max(b[2] for b in true), max(b[3] for b in true)]
        for target in (true, [around]):
            best = [max(iou([box], [each])[0, 0] for each in target) for box in boxes]
            hits.append([bool(best) and max(best[:k], default=0) >= 0.5 for k in (1, 5, 10)])
    return hits


@given(
    st.lists(
        st.tuples(st.dictionaries(WORDS, st.lists(BOX, min_size=1, max_size=3), min_size=1), st.lists(st.tuples(WORDS, BOX), max_size=14))
    )
)
def test_any_answers_as_written_out(questions):
    phrases = [[Phrase(words, boxes) for words, boxes in of_row.items()] for of_row, _ in questions]
    answers = boxes_of_answers([said(*answer) for _, answer in questions], [SIZE] * len(questions), RULES, ["x"] * len(questions))
    columns = grounded_phrases(phrases, answers).columns()
    expected = [hits for of_row, answer in questions for hits in written_out(of_row.items(), answer)]
    for place, key in enumerate(("R1", "R5", "R10")):
        assert columns[key] == [hits[place] for hits in expected[::2]]
        assert columns[f"merged_{key}"] == [hits[place] for hits in expected[1::2]]
        assert mean(columns[key]) is None or mean(columns[key]) <= mean(columns["R_all"])


def perfect(source, family):
    """The response to a row of the converter that has all boxes, in the family's own space."""
    counts = [len(part.split("<bbox>")) - 1 for part in source["messages"][1]["content"].split("<ref-object>")[1:]]
    size, boxes = tuple(source["size_wh"]), iter(source["objects"]["bbox"])
    named = [(ref, next(boxes)) for ref, count in zip(source["objects"]["ref"], counts, strict=True) for _ in range(count)]
    resized = resized_wh(size, family) if families()[family].space == "resized_px" else None
    placed = from_original_px([box for _, box in named], family, size, resized)
    return format_answer([Located(ref, tuple(box)) for (ref, _), box in zip(named, placed.tolist(), strict=True)], family)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl", "qwen2_5_vl", "internvl", "glm4v", "florence2"])
@pytest.mark.parametrize("task", ["phrase_grounding", "grounded_caption"])
def test_perfect_answers_to_rows_of_the_converter(tmp_path, family, task):
    folder = write_flickr30k(tmp_path / "f")
    out = tmp_path / "test.jsonl"
    done = run("convert", "flickr30k", folder, "--images", folder / "images", "--out", out, "--task", task, "--on-error", "skip")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    results = [{"sample_id": one["sample_id"], "size_wh": one["size_wh"], "response": perfect(one, family)} for one in rows]
    limits = ("--min-pixels", "default", "--max-pixels", "default", "--first-max-pixels", "default") if family == "qwen2_5_vl" else ()
    done = call("phrase-grounding", write_rows(tmp_path / "r.jsonl", results), "--rows", out, "--family", family, "--json", *limits)
    found = json.loads(done.stdout)
    assert (found["R1"], found["merged_both"], found["counts"]["phrases_without_box"]) == (1, 1, 0)
    assert {"people", "clothing", "other"} <= set(found["per_class"])
    assert found["counts"]["dropped"] == {}


ROWS = [
    row(1, TWO, said(("a man", MAN), ("a hat", FAR)), phrase_types=["people", "clothing/other"]),
    row(2, [("the sea", [MAN])], said(("a ship", MAN)), phrase_types=["scene"]),
    row(3, TWO, "没有", phrase_types=["people", "clothing"]),
    row(4, TWO, said(("a man", MAN), ("", HAT)), phrase_types=None),
]


def test_the_command(tmp_path):
    done = call("phrase-grounding", write_rows(tmp_path / "r.jsonl", ROWS), "--family", "qwen2_vl", "--out", tmp_path / "out")
    for line in (
        "recall at 1          0.286",
        "right at IoU 0.5 or more; boxes rank as written",
        "samples: 4; phrases: 7, 4 without a box in the answer",
        "labels that are not a phrase: 'a ship' 1",
        "1  label-missing: box without a label",
    ):
        assert line in done.stdout
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["R1"] == pytest.approx(2 / 7)
    assert {name: (group["samples"], group["R1"]) for name, group in found["per_class"].items()} == {
        "clothing": (2, 0),
        "other": (1, 0),
        "people": (2, 0.5),
        "scene": (1, 0),
    }
    assert found["counts"]["unknown_labels"] == {"a ship": 1}
    assert found["counts"]["statuses"]["unreadable"] == 1
    assert 0 <= found["intervals"]["R1"][0] <= 2 / 7 <= found["intervals"]["R1"][1] <= 1
    first = json.loads((tmp_path / "out" / "run.json").read_text())["images"][0]
    assert [box["outcome"] for box in first["predicted"]] == ["true_positive", "false_positive"]
    assert [box["outcome"] for box in first["truth"]] == ["true_positive", "false_negative"]
    assert (first["references"], first["values"]) == (["a man", "a hat"], {"phrases right at 1": "1 of 2"})


def test_no_order_of_rows_changes_a_bit(tmp_path):
    random = np.random.default_rng(0)
    rows = ROWS + [row(n, TWO, said(("a man", [n, 0, 400 + 7 * n, 400]), ("a hat", HAT))) for n in range(10, 40)]
    numbers = lambda found: json.dumps([{key: found[key] for key in found if key != "protocol"}, found["protocol"]["truth_sha256"]])  # noqa: E731
    first = numbers(scored(tmp_path, rows))
    for _ in range(3):
        assert numbers(scored(tmp_path, [rows[place] for place in random.permutation(len(rows))])) == first


def test_confidence_ranks_the_boxes(tmp_path):
    text = said(("a man", FAR), ("a man", MAN))
    cut = text.index("<|box_start|>", text.index("<|box_start|>") + 1)
    tokens = [{"token": text[:cut], "logprob": -2.0}, {"token": text[cut:], "logprob": -0.1}]
    rows = [row(1, [("a man", [MAN])], text, logprobs={"content": tokens})]
    assert scored(tmp_path, rows)["R1"] == scored(tmp_path, rows, "--score", "order")["R1"] == 0
    assert scored(tmp_path, rows, "--score", "logprob")["R1"] == 1


@pytest.mark.parametrize(
    ("logprobs", "problem"),
    [
        (None, "logprobs-missing"),
        ({"content": []}, "logprobs-missing"),
        ({"content": [{"token": "x", "logprob": 2.0}]}, "logprob-invalid"),
        ({"content": [{"token": "x", "logprob": float("nan")}]}, "row-invalid"),
    ],
)
def test_confidence_that_is_not_there(tmp_path, logprobs, problem):
    text = said(("a man", MAN))
    rows = [row(1, TWO, text, logprobs={"content": [{"token": text, "logprob": -1.0}]}), row(2, TWO, text, logprobs=logprobs)]
    assert scored(tmp_path, rows, "--score", "logprob", code=1).startswith(f"error: {tmp_path / 'r.jsonl'}:2: ")
    found = scored(tmp_path, rows, "--score", "logprob", "--on-error", "skip")
    assert found["counts"]["rows_left_out"] == {problem: 1}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"objects": None}, "true-box-missing"),
        ({"objects": {"ref": [], "bbox": []}}, "true-box-missing"),
        ({"objects": {"ref": ["a man"], "bbox": [MAN, HAT]}, "labels": "<bbox><ref-object><bbox>"}, "true-label-missing"),
        ({"objects": {"ref": [], "bbox": [MAN]}, "labels": "<bbox>"}, "true-label-missing"),
        ({"objects": {"ref": ["a man", "a hat"], "bbox": [MAN, [1, 2, 3]]}}, "box-length"),
        ({"size_wh": None}, "size-missing"),
        ({"response": None}, "response-missing"),
    ],
)
def test_a_row_that_cannot_be_scored(tmp_path, more, reason):
    rows = [ROWS[0], row(7, TWO, "None") | more]
    assert scored(tmp_path, rows, code=1).startswith(f"error: {tmp_path / 'r.jsonl'}:2: ")
    assert scored(tmp_path, rows, "--on-error", "skip")["counts"]["rows_left_out"] == {reason: 1}


def test_rows_without_phrases_are_refused(tmp_path):
    assert "no row has phrases with boxes" in scored(tmp_path, [], code=1)


def test_scores_decide_before_the_order():
    boxes = as_boxes([FAR, MAN, HAT])
    found = boxes_of_phrases([Phrase("a man", [MAN])], ["a man"] * 3, boxes, np.array([0.1, 0.9, 0.9]))
    assert found.places[0].tolist() == [1, 2, 0]


def test_rows_in_memory_as_training_has_them():
    rows = [
        SimpleNamespace(size_wh=SIZE, labels=["a man", "men", "men"], boxes_xyxy_px=[MAN, LEFT_HALF, RIGHT_HALF]),
        SimpleNamespace(size_wh=SIZE, labels=[""], boxes_xyxy_px=[MAN]),
    ]
    assert [(each.text, len(each.boxes_xyxy_px)) for each in phrases_of_boxes(rows[0].labels, rows[0].boxes_xyxy_px)] == [
        ("a man", 1),
        ("men", 2),
    ]
    found = PhraseGrounding().score_rows([said(("men", RIGHT_HALF)), ""], rows, RULES).summary
    assert (found["R1"], found["merged_R1"]) == (0.5, 0.5)
