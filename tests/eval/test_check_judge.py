"""Judges on answers that are known to be right or wrong, and the same answers as training rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluated import call, write_rows
from hypothesis import given
from hypothesis import strategies as st
from judge_server import completion, judge_server
from text_rows import asked, text_row

from groundswift.eval.answers.choices import chosen, options_in
from groundswift.eval.answers.text_rows import Question
from groundswift.eval.judge.client import verdict_of
from groundswift.eval.judge.known_answers import KINDS, known_answers

CHOICE = "What is this?\nA. {}\nB. {}\nAnswer with A or B only."
QUICK = ("--judge-retries", "0", "--judge-timeout", "5")
NAMES = st.lists(st.text("abcdef ring", min_size=1, max_size=8).map(str.strip).filter(bool), min_size=2, max_size=6, unique=True)


@pytest.fixture
def server():
    with judge_server() as running:
        yield running


def rows_in(folder: Path) -> Path:
    rows = [text_row(n, None, name, "What is it?") for n, name in enumerate(("a ring", "a ring", "two squares"))]
    rows += [text_row(letter, None, letter, CHOICE.format("ring", "square")) for letter in "AB"]
    rows += [text_row("box", None, "<ref-object><bbox>", "Where?")]
    return write_rows(folder / "rows.jsonl", [asked(row) for row in rows])


def checked(server, folder, model, *words):
    named = ("--judge-url", server.url, "--judge-model", model)
    return json.loads(call("check-judge", rows_in(folder), *named, "--json", *QUICK, *words).stdout)


def test_a_judge_that_compares_letters_alone_says_no_to_other_forms(server, tmp_path):
    found = checked(server, tmp_path, "strict", "--each", 100, "--out", tmp_path / "checked.json")
    strict = found["judges"]["strict"]
    assert strict["kinds"] == {"same": 1, "same-form": 0, "other": 1, "other-form": 1}
    assert (strict["false_yes"], strict["no_verdict"], len(server.seen)) == (0, {}, found["answers"])
    assert strict["false_no"] == pytest.approx(len(strict["mistakes"]) / found["right"])
    assert strict["false_no"] > 0.5
    assert {(each["kind"], each["is"], each["judge"]) for each in strict["mistakes"]} == {("same-form", "yes", "No.")}
    assert json.loads((tmp_path / "checked.json").read_text()) == found


def test_a_judge_that_always_says_yes_is_right_on_half(server, tmp_path):
    found = checked(server, tmp_path, "kind")
    kind = found["judges"]["kind"]
    assert (kind["accuracy"], kind["kappa"], kind["false_no"], kind["false_yes"]) == (0.5, 0, 0, 1)
    assert 2 * found["right"] == found["answers"] == 16


def test_a_judge_without_a_verdict_has_no_numbers_of_it(server, tmp_path):
    done = call("check-judge", rows_in(tmp_path), "--judge-url", server.url, "--judge-model", "vague", *QUICK, code=1)
    assert "judge vague: no verdict on 16 of 16 answers (16 judge-unreadable)" in done.stderr


def test_the_terminal_says_what_was_asked_and_found(server, tmp_path):
    done = call("check-judge", rows_in(tmp_path), "--judge-url", server.url, "--judge-model", "kind", *QUICK)
    assert "questions that ask for boxes, skipped: 1" in done.stdout
    assert "16 answers, 8 of them right" in done.stdout
    assert "judge kind: right on 0.500, kappa 0.000; said no to 0.000 of right answers, yes to 1.000 of wrong ones" in done.stdout


def test_verdicts_are_kept(server, tmp_path):
    first = checked(server, tmp_path, "strict")
    asked_before = len(server.seen)
    assert checked(server, tmp_path, "strict") == first
    assert len(server.seen) == asked_before == first["answers"]


def test_rows_to_train_on_and_held_out_answers_share_no_prompt(server, tmp_path):
    words = ("--each", 100, "--held-out", 0.4)
    done = call("check-judge", rows_in(tmp_path), "--write", tmp_path / "judging.jsonl", *words)
    rows = [json.loads(line) for line in (tmp_path / "judging.jsonl").open()]
    trained = {row["messages"][0]["content"]: row["messages"][1]["content"] for row in rows}
    found = checked(server, tmp_path, "strict", *words)
    held_out = {each["messages"][0]["content"] for each in server.seen}
    assert len(trained) == len(rows)
    assert trained.keys() & held_out == set()
    assert f"wrote {len(trained)} of {len(trained) + len(held_out)} answers" in done.stdout
    assert len(held_out) == found["answers"]
    assert set(trained.values()) == {"yes", "no"}
    assert {row["kind"] for row in rows} == set(KINDS)
    true_line = 'True answers: ["two squares"]'
    assert {said for prompt, said in trained.items() if true_line in prompt and 'answer: "two squares"' in prompt} <= {"yes"}
    assert {said for prompt, said in trained.items() if true_line in prompt and "ring" in prompt} <= {"no"}


def test_the_reason_comes_before_the_verdict_and_does_not_hide_it(tmp_path):
    rows = [text_row(n, None, truth, "Is it?") for n, truth in enumerate(("no", "two rings", "a square", "a" * 25, "b" * 25))]
    source = write_rows(tmp_path / "rows.jsonl", [asked(row) for row in [*rows, text_row("c", None, "A", CHOICE.format("ring", "square"))]])
    call("check-judge", source, "--write", tmp_path / "judging.jsonl", "--reason", "--each", 100)
    replies = [json.loads(line)["messages"][1]["content"] for line in (tmp_path / "judging.jsonl").open()]
    assert {"A / A: yes", "A / B: no", "two rings / a square: no", "a square / a square: yes", "... / two rings: no", "yes", "no"} <= set(
        replies
    )
    assert not any("... / ..." in reply for reply in replies)
    for reply in replies:
        assert verdict_of(completion(reply)).vote == reply.endswith("yes")


def test_questions_with_long_answers_are_skipped_and_these_cut_where_they_are_wrong_ones(tmp_path):
    rows = [text_row(n, None, truth, "Is it?") for n, truth in enumerate(("a ring", "b" * 30))]
    source = write_rows(tmp_path / "rows.jsonl", [asked(row) for row in rows])
    done = call("check-judge", source, "--write", tmp_path / "judging.jsonl", "--longest", 6, "--each", 100)
    assert "questions with a longer true answer, skipped: 1" in done.stdout
    prompts = [json.loads(line)["messages"][0]["content"] for line in (tmp_path / "judging.jsonl").open()]
    assert all('True answers: ["a ring"]' in prompt for prompt in prompts)
    assert any('answer: "bbbbbb"' in prompt for prompt in prompts)


def test_a_prompt_without_the_question_that_is_right_of_one_question_and_wrong_of_another_is_dropped(tmp_path):
    rows = [asked(text_row(n, None, "A", CHOICE.format(*names))) for n, names in enumerate((("ring", "square"), ("square", "ring")))]
    (tmp_path / "prompt.txt").write_text("{references} {answer}")
    source, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "judging.jsonl"
    done = call("check-judge", source, "--judge-prompt", tmp_path / "prompt.txt", "--write", out, "--each", 100)
    assert "prompts skipped, right of one question and wrong of another: 2" in done.stdout
    prompts = [json.loads(line)["messages"][0]["content"] for line in out.open()]
    assert '["A"] "A"' in prompts
    assert '["A"] "ring"' not in prompts


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "expected either --judge-url and --judge-model, or --write"),
        (("--write", "x.jsonl", "--judge-url", "http://127.0.0.1:1/v1", "--judge-model", "m"), 2, "expected either"),
        (("--write", "x.jsonl", "--held-out", "1"), 1, "expected another --held-out than 1"),
        (("--write", "no/such/x.jsonl"), 1, "no/such"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, words, code, said):
    assert said in call("check-judge", rows_in(tmp_path), *words, code=code).stderr


@given(NAMES, st.integers(0, 9), st.integers(1, 8))
def test_known_answers_are_what_they_are_said_to_be(names, seed, each):
    """By the rule for choices; an answer without a letter that is right is the true answer but for its ends and case."""
    choices = [Question(n, "", [letter], asked=CHOICE.format(*names[:2])) for n, letter in enumerate("AB")]
    plain = [Question(n, "What?", [name]) for n, name in enumerate(names)]
    found = known_answers([*choices, *plain], seed, each)
    assert found == known_answers([*choices, *plain], seed, each)
    for question in (*choices, *plain):
        mine = [known for known in found if known.sample.question is question]
        assert sum(known.is_right for known in mine) * 2 == len(mine) <= 2 * each
    for (question, text, _, _), kind, is_right, short in found:
        assert (kind in ("same", "same-form")) == is_right
        assert short.casefold() in text.casefold() or text in options_in(question.asked).values()
        if options := options_in(question.asked):
            assert (chosen(text, options) == question.references[0]) == is_right
        else:
            said = text.removeprefix("The answer is ").casefold().strip('".')
            assert (said == question.references[0].casefold().strip('".')) == is_right
