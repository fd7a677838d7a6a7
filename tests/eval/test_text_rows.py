"""Rows of text: which answer belongs to which question, which texts are true answers, and what is refused or counted."""

from __future__ import annotations

import json
import random

import pytest
from evaluated import call, write_rows
from text_rows import asked, refused, scored, text_row

ROWS = [text_row(1, "hello", "hello"), text_row("2", "word", "world"), text_row("a/3", "", "x")]


def test_the_rows_that_were_asked_give_the_missing_ones(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", map(asked, ROWS))
    answers = [{"sample_id": 1, "response": "hello"}, ROWS[0] | {"sample_id": "1"}, text_row(9, "x"), text_row("2", "y", question="Other?")]
    found = scored("ocr", tmp_path, answers, "--rows", rows)
    assert found["exact"] == pytest.approx(1 / 3)
    assert found["counts"]["rows_left_out"] == {"row-duplicate": 1, "question-unknown": 2}
    assert (found["counts"]["answers_missing"], found["counts"]["answers_ok"]) == (2, 1)
    assert [warning["id"] for warning in found["warnings"]] == ["answers-missing"]


def test_an_id_without_a_question_is_ambiguous_where_it_has_two_questions(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", [asked(text_row(1, "", word, question=word)) for word in ("red", "blue")])
    answers = [{"sample_id": 1, "response": "red"}, text_row(1, "blue", question="blue")]
    found = scored("ocr", tmp_path, answers, "--rows", rows)
    assert found["counts"]["rows_left_out"] == {"question-unknown": 1}
    assert found["exact"] == 0.5


@pytest.mark.parametrize(
    ("columns", "words", "references"),
    [
        pytest.param({"references": ["a", "b"]}, (), ["a", "b"], id="references before the answer of the dataset"),
        pytest.param({"answers": [{"answer": "a", "answer_id": 1}, {"answer": "a"}]}, (), ["a", "a"], id="answers of VQA"),
        pytest.param({"solution": 3.0}, (), ["3"], id="a number"),
        pytest.param({"my text": ["a", 2]}, ("--column", "my text"), ["a", "2"], id="a column"),
        pytest.param({"answers": "b", "solution": "a"}, ("--column", "solution"), ["a"], id="a column of the usual ones"),
        pytest.param({}, (), ["c"], id="the answer of the dataset"),
    ],
)
def test_where_the_true_answers_are(tmp_path, columns, words, references):
    found = scored("ocr", tmp_path, [text_row(1, "a", "c", **columns)], *words)
    assert found["images"][0]["references"] == references
    assert found["exact"] == float("a" in references)


def test_rows_of_one_question_are_one_question_with_all_true_answers(tmp_path):
    rows = [text_row(1, "b", text) for text in ("c", "b", "c")]
    found = scored("ocr", tmp_path, rows)
    assert (found["exact"], found["images"][0]["references"]) == (1, ["b", "c"])
    assert found["counts"]["rows_left_out"] == {"row-duplicate": 2}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"labels": None}, "truth-missing", id="no true answer"),
        pytest.param({"labels": None, "references": []}, "truth-missing", id="an empty list"),
        pytest.param({"references": [True]}, "truth-invalid", id="not text"),
        pytest.param({"references": {"text": "a"}}, "truth-invalid", id="an object"),
        pytest.param({"references": ["a", ["b"]]}, "truth-invalid", id="a list in a list"),
        pytest.param({"response": None}, "response-missing", id="no response"),
    ],
)
def test_a_row_that_cannot_be_scored(tmp_path, change, reason):
    rows = [ROWS[0], {key: value for key, value in (text_row(7, "x", "x") | change).items() if value is not None}]
    said = refused("ocr", tmp_path, rows)
    assert said.startswith(f"error: {tmp_path / 'r.jsonl'}:2: ")
    assert "Use --on-error skip to drop and count such rows." in said
    found = scored("ocr", tmp_path, rows, "--on-error", "skip")
    assert found["counts"]["rows_left_out"] == {reason: 1}
    assert found["exact"] == (0.5 if reason == "response-missing" else 1)


@pytest.mark.parametrize("line", ['{"response": NaN}', '{"response": 1}', "[]", '{"a": "b', '{"response": "\\ud800"}'])
def test_a_line_that_is_not_a_row(tmp_path, line):
    path = write_rows(tmp_path / "r.jsonl", [ROWS[0]])
    path.write_text(path.read_text() + line + "\n")
    assert call("ocr", path, "--out", tmp_path / "out", code=1).stderr.startswith(f"error: {path}:2: not a row")


def test_ids_are_needed_to_join_and_only_then(tmp_path):
    nameless = [text_row(None, "a", "a", question="Same?"), text_row(None, "b", "c", question="Same?")]
    found = scored("ocr", tmp_path, nameless)
    assert (found["exact"], found["counts"]["samples"]) == (0.5, 2)
    assert [warning["id"] for warning in found["warnings"]] == ["sample-id-missing"]
    rows = write_rows(tmp_path / "rows.jsonl", [asked(ROWS[0])])
    assert "r.jsonl:1: the row has no sample_id" in refused("ocr", tmp_path, nameless, "--rows", rows)
    rows = write_rows(tmp_path / "rows.jsonl", [asked(nameless[0])])
    assert "rows.jsonl:1: the row has no sample_id" in refused("ocr", tmp_path, ROWS, "--rows", rows)


def test_answers_to_other_questions_are_refused(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", map(asked, ROWS))
    said = refused("ocr", tmp_path, [text_row(99, "x")], "--rows", rows)
    assert "no answer belongs to a question of the ground truth, whose first is sample_id 1, 'Read.'" in said
    assert "no row has a true answer" in refused("ocr", tmp_path, [])


@pytest.mark.parametrize(
    ("row", "answer", "status", "changed"),
    [
        pytest.param({"response": "<think>no</think> yes"}, "yes", "ok", ["thinking-removed"], id="thinking"),
        pytest.param({"response": "<think>no, yes"}, "", "truncated", ["thinking-unclosed"], id="thinking without an end"),
        pytest.param({"response": "yes", "finish_reason": "length"}, "yes", "truncated", [], id="at the token limit"),
        pytest.param({"response": " \n"}, " \n", "empty", [], id="blank"),
        pytest.param({"response": "", "error": "a.jpg: [image-unreadable]"}, "", "missing", [], id="could not be asked"),
    ],
)
def test_an_answer_and_its_status(tmp_path, row, answer, status, changed):
    found = scored("ocr", tmp_path, [text_row(1, "", "yes") | row])
    (image,) = found["images"]
    assert (image.get("response", ""), image["status"], list(found["counts"]["changed"])) == (answer, status, changed)


def test_a_huge_answer_is_scored_and_shortened_in_the_report(tmp_path):
    found = scored("ocr", tmp_path, [text_row(1, "x" * 3_000_000, "xx")])
    assert found["cer"] == 1_499_999
    assert found["images"][0]["response"].endswith("x ... (3,000,000 characters)")


def test_any_order_of_rows_and_other_ids_give_the_same_bits(tmp_path):
    draw = random.Random(0)
    words = ["", "a", "ab ", "abc de", "\u732b\u306f", "fgh ijk lmn"]
    rows = [text_row(n, draw.choice(words), references=draw.choices(words, k=2), images=[f"{n // 3}.jpg"]) for n in range(40)]
    runs = []
    for turn in range(3):
        changed = [row | {"sample_id": f"{(row['sample_id'] * 7 + turn) % 41}"} for row in draw.sample(rows, len(rows))] if turn else rows
        found = scored("ocr", tmp_path, changed)
        runs.append({key: found[key] for key in ("exact", "cer", "cer_mean", "wer", "edit_distance", "anls", "intervals")})
    assert json.dumps(runs[0]) == json.dumps(runs[1]) == json.dumps(runs[2])
    assert None not in runs[0].values()


def test_groups(tmp_path):
    rows = [text_row(n, "a", "ab"[n % 2], task=["read", "spell"][n % 2], size=n // 2) for n in range(4)]
    found = scored("ocr", tmp_path, rows, "--group-by", "task", "--group-by", "size")
    exact = {name: each["exact"] for name, each in found["per_class"].items()}
    assert exact == {"size: 0": 0.5, "size: 1": 0.5, "task: read": 1, "task: spell": 0}
    assert found["tables"][0]["rows"][2][:2] == ["task: read", 1]
    assert found["tables"][0]["rows"][2][-1] == 2


def test_a_group_that_no_row_has_is_refused(tmp_path):
    said = refused("ocr", tmp_path, ROWS, "--group-by", "taks")
    assert "r.jsonl: no row has the column 'taks'; expected a column of these rows (--group-by)" in said


def test_compare_joins_runs_whose_questions_are_the_same(tmp_path):
    for name, text in (("before", "a"), ("after", "b")):
        call("ocr", write_rows(tmp_path / f"{name}.jsonl", [text_row(1, text, "b"), text_row(2, "a", "a")]), "--out", tmp_path / name)
    done = call("compare", tmp_path / "before", tmp_path / "after", "--out", tmp_path / "both")
    assert "exact match" in done.stdout
    assert "not comparable" not in done.stderr
    (tested,) = json.loads((tmp_path / "both/paired.json").read_text(encoding="utf-8"))
    assert (tested["images"], tested["refused"]) == (2, ""), "two results that hold the same truth are two files"
    call("ocr", write_rows(tmp_path / "c.jsonl", [text_row(1, "b", "c")]), "--out", tmp_path / "other")
    done = call("compare", tmp_path / "before", tmp_path / "other", "--out", tmp_path / "both")
    assert "the runs differ in truth_sha256: their numbers are not comparable" in done.stderr
