"""Captions: the numbers of pycocoevalcap, of Java's tokenizer, other languages, and what is undefined."""

from __future__ import annotations

import json
import random
import shutil

import numpy as np
import pytest
from evaluated import call, write_rows
from hypothesis import given
from hypothesis import strategies as st
from text_rows import asked, refused, scored, text_row

from groundswift.eval.answers.caption_scores import bleu, bleu_counts, cider, rouge_l
from groundswift.eval.answers.tokenizers import LONGEST, ptb, tokenized

NUMBERS = ("cider", "bleu1", "bleu2", "bleu3", "bleu4", "rouge_l")
WORDS = st.lists(st.sampled_from(["a", "dog", "cat", "runs", "on", "the", "red", "grass"]), max_size=9)
TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "dog", "cat", "runs", "on", "the", "red", "grass"]), min_size=1, max_size=9), min_size=1, max_size=4
)
HERE, HINDI = "\u732b\u5728\u8fd9\u91cc", "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902"
CAPTIONS = [
    ("A dog runs on the grass.", ["A brown dog runs across green grass.", "The dog is running on the grass"]),
    ("Two cats sleep on a couch", ["Two cats sleeping on a couch.", "A pair of cats asleep on the sofa, isn't it?"]),
    ("A man's bike", ["A man rides his bike down a hill.", "The man's well-made bike"]),
    ("", ["A red bus parked near the station."]),
]


def rows_of(captions):
    return [text_row(number, answer, references=references) for number, (answer, references) in enumerate(captions)]


def reference_numbers(captions):
    """The numbers of pycocoevalcap of captions whose words white space separates."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    truth = dict(enumerate(references for _, references in captions))
    said = {number: [answer] for number, (answer, _) in enumerate(captions)}
    means = [
        Cider().compute_score(truth, said)[0],
        *Bleu(4).compute_score(truth, said, verbose=0)[0],
        Rouge().compute_score(truth, said)[0],
    ]
    return dict(zip(NUMBERS, means, strict=True))


@given(st.lists(st.tuples(WORDS, TEXTS), min_size=2, max_size=6))
def test_the_numbers_are_those_of_pycocoevalcap(pairs):
    pytest.importorskip("pycocoevalcap")
    answers, references = map(list, zip(*pairs, strict=True))
    expected = reference_numbers([(" ".join(answer), [" ".join(text) for text in texts]) for answer, texts in pairs])
    assert np.mean(cider(answers, references)) == pytest.approx(expected["cider"], abs=1e-9)
    assert bleu(bleu_counts(answers, references).sum(axis=0)) == pytest.approx([expected[f"bleu{n}"] for n in (1, 2, 3, 4)], abs=1e-9)
    assert np.mean([rouge_l(*pair) for pair in zip(answers, references, strict=True)]) == pytest.approx(expected["rouge_l"], abs=1e-9)


def test_the_command_scores_as_pycocoevalcap_does(tmp_path):
    found = scored("captions", tmp_path, rows_of(CAPTIONS))
    spaced = [(" ".join(tokenized([a], "words")[0]), [" ".join(words) for words in tokenized(texts, "words")]) for a, texts in CAPTIONS]
    assert {key: found[key] for key in NUMBERS} == pytest.approx(reference_numbers(spaced), abs=1e-9)
    assert sorted(found["intervals"]) == sorted(NUMBERS)
    assert found["images"][0]["values"]["CIDEr"] > found["images"][3]["values"]["CIDEr"] == 0
    assert found["protocol"]["tokenizer"] == "words"


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("java"), reason="no Java")
def test_words_are_those_of_stanfords_tokenizer_where_it_drops_punctuation():
    texts = [text for answer, references in CAPTIONS for text in (answer, *references)]
    assert ptb(texts) == tokenized(texts, "words")
    assert ptb(["A dog (black)\nruns", "\u732b\u5728\u8fd9\u91cc"]) == [
        ["a", "dog", "-lrb-", "black", "-rrb-", "runs"],
        ["\u732b\u5728\u8fd9\u91cc"],
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("words", "It's 3.5 \u2019n\u2019 isn\u2019t re-use", ["it", "'s", "3.5", "n", "is", "n't", "re-use"]),
        (
            "words",
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u092e\u0947\u0902"],
        ),
        ("words", "\u732b\u5728 a_b", ["\u732b\u5728", "a", "b"]),
        ("chars", "\u732b\u5728 two", ["\u732b", "\u5728", "two"]),
        ("spaces", "A dog .", ["A", "dog", "."]),
    ],
)
def test_tokenizers(name, text, expected):
    assert tokenized([text], name) == [expected]


def test_several_rows_of_a_question_are_its_references(tmp_path):
    rows = [asked(text_row(number, "", text)) for number, (_, texts) in enumerate(CAPTIONS) for text in texts]
    answers = [text_row(number, answer) for number, (answer, _) in enumerate(CAPTIONS)]
    listed = scored("captions", tmp_path, rows_of(CAPTIONS))
    joined = scored("captions", tmp_path, answers, "--rows", write_rows(tmp_path / "rows.jsonl", rows))
    assert {key: joined[key] for key in NUMBERS} == pytest.approx({key: listed[key] for key in NUMBERS}, abs=1e-12)
    assert joined["counts"]["references"] == 7


def test_any_order_of_rows_gives_the_same_bits(tmp_path):
    draw = random.Random(0)
    words = ["a", "dog", "cat", "runs", "on", "the", "red", "grass"]
    rows = [text_row(n, " ".join(draw.choices(words, k=6)), " ".join(draw.choices(words, k=5)), images=[f"{n % 4}.jpg"]) for n in range(12)]
    rows += [row | {"labels": " ".join(draw.choices(words, k=7))} for row in rows]
    runs = []
    for turn in range(3):
        changed = [row | {"sample_id": f"x{row['sample_id'] * 5 % 13}"} for row in draw.sample(rows, len(rows))] if turn else rows
        found = scored("captions", tmp_path, changed, "--group-by", "images")
        runs.append(json.dumps({key: found[key] for key in (*NUMBERS, "intervals", "per_class")}))
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("captions", [CAPTIONS[:1], CAPTIONS[:1] * 3], ids=["one image", "the same true answers"])
def test_cider_that_is_0_by_construction_is_refused_in_words(tmp_path, captions):
    found = scored("captions", tmp_path, rows_of(captions))
    assert found["cider"] is None
    assert found["bleu4"] > 0
    assert [warning["id"] for warning in found["warnings"]] == ["cider-undefined"]
    assert "it is 0 by construction; expected questions with different true answers" in found["warnings"][0]["message"]


def test_bleu_is_undefined_where_no_reference_has_as_many_words(tmp_path):
    found = scored("captions", tmp_path, [text_row(n, "a cat", "a dog") for n in range(2)])
    assert (found["bleu1"], found["bleu3"], found["bleu4"]) == (pytest.approx(0.5), None, None)


def test_chinese_needs_characters(tmp_path):
    rows = [text_row(1, "\u4e00\u53ea\u732b", "\u4e00\u53ea\u9ed1\u732b"), text_row(2, "\u72d7\u5728\u8dd1", "\u72d7\u5728\u8dd1\u6b65")]
    as_words, as_characters = scored("captions", tmp_path, rows), scored("captions", tmp_path, rows, "--tokenizer", "chars")
    assert [[each["id"] for each in found["warnings"]] for found in (as_words, as_characters)] == [["words-of-cjk"], []]
    assert (as_words["bleu1"], as_characters["bleu1"] > 0.5) == (pytest.approx(0, abs=1e-6), True)


def test_references_without_a_word_are_counted_and_a_huge_answer_is_shortened(tmp_path):
    rows = [*rows_of(CAPTIONS), text_row("dots", "a", "..."), text_row("huge", "dog " * 300_000, "a dog")]
    found = scored("captions", tmp_path, rows)
    assert (found["counts"]["references_without_words"], found["counts"]["answers_shortened"]) == (1, 1)
    assert found["images"][-2]["values"]["CIDEr"] is None
    assert LONGEST == 10_000


def test_what_is_missing_is_refused_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "`java` was not found" in refused("captions", tmp_path, rows_of(CAPTIONS), "--tokenizer", "ptb")
    monkeypatch.setitem(__import__("sys").modules, "pycocoevalcap.cider.cider", None)
    said = call("captions", tmp_path / "r.jsonl", "--out", tmp_path / "o", code=1).stderr
    assert "captions need the package pycocoevalcap: pip install 'groundswift[text-eval]'" in said
    assert "the true answer is empty" in refused_empty(tmp_path, monkeypatch)


def refused_empty(folder, monkeypatch):
    """The error of a caption without a true answer."""
    monkeypatch.undo()
    return refused("captions", folder, [text_row(1, "a", " ")])
