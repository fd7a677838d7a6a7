"""Question answering: VQA's own evaluation, choices, whole words, numbers, and what is undefined."""

from __future__ import annotations

import importlib.util
import json
import random
import time
from pathlib import Path

import pytest
from evaluated import call, write_rows
from hypothesis import given
from hypothesis import strategies as st
from text_rows import scored, text_row

from groundswift.eval.answers.choices import chosen, options_in, options_of
from groundswift.eval.answers.vqa import CONTRACTIONS, contains, is_close, number_in, vqa_accuracy, vqa_text

LAVIS = "evalscope/metrics/vision/t2v_metrics/models/vqascore_models/lavis/common/vqa_tools/vqa_eval.py"
OPTIONS = {"A": "a dog", "B": "a cat", "C": "two birds", "D": "none"}


@pytest.fixture(scope="module")
def reference():
    """VQA's evaluation, as evalscope ships it; its file is loaded without the packages above it."""
    evalscope = importlib.util.find_spec("evalscope")
    if evalscope is None:
        pytest.skip("no evalscope")
    spec = importlib.util.spec_from_file_location("vqa_eval", Path(evalscope.origin).parents[1] / LAVIS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VQAEval()


PIECES = ["two", "The", "dont", "it's", "1,000", "3.5", "a", "red", "-", "?", " ,", "b/c", "(x)", "y'alld've", "end.", "\n", "none"]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map(" ".join), st.text(max_size=20))
def test_texts_are_those_of_vqa(reference, words, text):
    for each in (words, text):
        expected = reference.processDigitArticle(reference.processPunctuation(each.replace("\n", " ").replace("\t", " ").strip()))
        assert vqa_text(each) == expected


def test_contractions_are_those_of_vqa(reference):
    theirs = {key: word for key, word in reference.contractions.items() if key != word and key == key.lower()}
    assert theirs == CONTRACTIONS


@given(st.lists(st.sampled_from(["red", "blue", "2"]), min_size=4, max_size=10), st.sampled_from(["red", "2", "two", "Blue.", "the red"]))
def test_accuracy_is_that_of_vqa(reference, annotators, answer):
    answers = [{"answer": text, "answer_id": number} for number, text in enumerate(annotators)]

    class Set:
        qa = {1: {"answers": answers, "question_type": "", "answer_type": ""}}

        def getQuesIds(self):
            return [1]

    class Result:
        qa = {1: {"answer": answer}}

    reference.vqa, reference.vqaRes, reference.evalQA, reference.n = Set(), Result(), {}, 9
    reference.evaluate([1])
    assert vqa_accuracy(answer, annotators) == pytest.approx(reference.evalQA[1] / 100, abs=1e-9)


def test_accuracy_needs_four_annotators():
    assert (vqa_accuracy("a", ["a"] * 3), vqa_accuracy("yes", ["yes"] * 4)) == (None, 1)


def test_options_of_a_question():
    question = "What is it? A. a dog B) a cat\n(C) two birds D: none"
    assert options_in(question) == OPTIONS
    assert options_in("Is A. Smith here?") == {}
    assert options_of("A, B", question) == {"A": "a dog", "B": "a cat"}
    assert options_of("cat,dog", question) == {"cat": "cat", "dog": "dog"}


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("B", "B"),
        (" (b). ", "B"),
        ("B. a cat", "B"),
        ("c) two", "C"),
        ("The answer is B.", "B"),
        ("A dog? No. Final answer: **C**", "C"),
        ("answer is A. No: the answer is B", "B"),
        ("\\boxed{D}", "D"),
        ("\u7b54\u6848\u662fB", "B"),
        ("a cat", "B"),
        ("I see a cat there", "B"),
        ("It is C, obviously", "C"),
        ("A", "A"),
        ("A cat", "B"),
        ("a dog or a cat", None),
        ("both A and B", None),
        ("E", None),
        ("", None),
        ("no idea", None),
    ],
)
def test_the_chosen_option(text, option):
    assert chosen(text, OPTIONS) == option


def test_options_that_are_words():
    options = options_of("yes,no", "")
    assert [chosen(text, options) for text in ("Yes.", "no, it is not", "yes or no", "I do not know", "")] == [
        "yes",
        "no",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("a black cat", "cat", True),
        ("category", "cat", False),
        ("cats", "cat", False),
        ("it costs $5", "$5", True),
        ("it costs $50", "$5", False),
        ("\u4e00\u53ea\u9ed1\u732b\u5728", "\u9ed1\u732b", True),
        ("\u732bcat\u732b", "cat", True),
        ("cat", "", False),
        ("a.b", "a+b", False),
    ],
)
def test_whole_words(text, part, expected):
    assert contains(text, part) is expected


def test_many_true_answers_take_no_time():
    """A pattern compiled for each of them took 7 ms."""
    started = time.monotonic()
    assert sum(contains(f"about {number} cats", f"{number}") for number in range(5000)) == 5000
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42", 42),
        ("about $1,234.50 in all", 1234.5),
        ("-3 %", -3),
        ("1e3", 1000),
        ("2 or 3", None),
        ("2, yes 2", 2),
        ("none", None),
        ("9" * 400, None),
        ("\uff14\uff12", 42),
    ],
    ids=str,
)
def test_the_number_of_a_text(text, number):
    assert number_in(text) == number


@pytest.mark.parametrize(
    ("answer", "truth", "expected"),
    [
        ("105", "100", True),
        ("105.1", "100", False),
        ("42%", "42", True),
        ("0.1", "0", False),
        ("x", "3", False),
        ("3", "x", None),
        ("3", "B. 3", None),
    ],
)
def test_numbers_within_a_tolerance(answer, truth, expected):
    assert is_close(answer, [truth], 0.05) is expected


QUESTION = "Which? A. red B. blue"
ROWS = [
    text_row(1, "The answer is B.", "B", QUESTION, task="colour"),
    text_row(2, "red", "A. red", QUESTION, task="colour"),
    text_row(3, "A or B", "A", QUESTION, task="colour"),
    text_row(4, "About 98.", "100", "How many?", task="count"),
    text_row(5, "2", "two", "How many?", task="count", answers=["2"] * 3 + ["two"] * 3 + ["3"] * 4),
]


def test_the_command(tmp_path):
    found = scored("question-answering", tmp_path, ROWS, "--choices", "letters", "--group-by", "task")
    assert (found["choice"], found["numeric"], found["exact"]) == (pytest.approx(2 / 3), 1, 0.2)
    assert found["vqa"] == 1, "two is 2: six of ten annotators"
    assert (found["judge"], found["judge_kappa"]) == (None, None)
    assert (found["counts"]["choice_unreadable"], found["counts"]["choice_without_truth"]) == (1, 2)
    assert [image["values"].get("chosen") for image in found["images"]] == ["B", "A", None, None, None]
    choice = {group: each["choice"] for group, each in found["per_class"].items()}
    assert choice == {
        "task: colour": pytest.approx(2 / 3),
        "task: count": None,
    }
    assert scored("question-answering", tmp_path, ROWS)["choice"] is None


def test_normalisation_is_declared(tmp_path):
    rows = [text_row(1, "  The Cat. ", "the cat")]
    loose, strict = scored("question-answering", tmp_path, rows), scored("question-answering", tmp_path, rows, "--normalize", "none")
    assert (loose["exact"], strict["exact"]) == (1, 0)
    assert (loose["protocol"]["normalize"], strict["protocol"]["normalize"]) == ("nfkc, casefold, whitespace, punctuation", "none")


def test_any_order_of_rows_gives_the_same_bits(tmp_path):
    draw, words = random.Random(0), ["red", "blue", "A", "B.", "3", "3.1", "", "\u84dd"]
    rows = [
        text_row(n, draw.choice(words), answers=draw.choices(words, k=5), question=QUESTION, images=[f"{n // 4}.png"]) for n in range(40)
    ]
    runs = [scored("question-answering", tmp_path, draw.sample(rows, 40), "--choices", "A,B", "--on-error", "skip") for _ in range(3)]
    numbers = [{key: run[key] for key in ("exact", "substring", "choice", "vqa", "anls", "intervals")} for run in runs]
    assert numbers[0] == numbers[1] == numbers[2]
    assert None not in numbers[0].values()


def test_the_report_shows_what_a_run_has(tmp_path):
    found = scored("question-answering", tmp_path, ROWS, "--group-by", "task")
    (page,) = tmp_path.glob("scored-*/report.md")
    text = page.read_text(encoding="utf-8")
    assert "| VQA accuracy | 1.000" in text
    assert [words for words in ("kappa", "judge", "| Class |", "choice") if words in text.partition("## Protocol")[0]] == []
    assert "| task: colour |" in text
    assert list(found["images"][0]["values"]) == ["exact match", "substring", "numeric", "VQA accuracy", "ANLS"]


def test_numbers_without_a_folder(tmp_path):
    done = call("question-answering", write_rows(tmp_path / "r.jsonl", ROWS), "--json")
    assert json.loads(done.stdout)["exact"] == 0.2
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What?\nA. a dog\nB. a cat\nAnswer with A or B only.", {"A": "a dog", "B": "a cat"}),
        ("What? A. a dog B. a cat\nAnswer.", {"A": "a dog", "B": "a cat"}),
        ("What?\nA. a dog\n  that runs\nB. a cat\n  that sleeps", {"A": "a dog that runs", "B": "a cat that sleeps"}),
        ("What? A. a dog B. a cat", {"A": "a dog", "B": "a cat"}),
        ("What?\nA. a dog\nAnswer.", {}),
    ],
)
def test_an_instruction_behind_the_options_is_no_part_of_the_last(question, expected):
    assert options_in(question) == expected


def test_the_text_of_the_last_option_chooses_it(tmp_path):
    row = text_row(1, "a cat", "B", "What?\nA. a dog\nB. a cat\nAnswer with A or B only.")
    assert scored("question-answering", tmp_path, [row], "--choices", "letters")["choice"] == 1
