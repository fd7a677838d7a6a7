"""OCR: numbers by hand, the rates of jiwer, normalisation, formulas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_rows import scored, text_row

from groundswift.eval.answers.text_measures import NORMALIZATIONS, anls, normalizer
from groundswift.eval.answers.text_rows import Question, TextSample
from groundswift.eval.metrics.ocr import Ocr

WORD = st.text("ab\u732b\u00e9e", min_size=1, max_size=6)
TEXT = st.lists(WORD, max_size=5).map(" ".join)


def numbers(pairs, **options):
    """The numbers of (answer, true answers) pairs."""
    samples = [TextSample(Question(None, "", references), answer, "ok") for answer, references in pairs]
    metric = Ocr(**options)
    found = metric.score_samples(samples)
    return {key: metric.number_of(found, key) for key in found.columns}


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_the_rates_are_those_of_jiwer(pairs):
    jiwer = pytest.importorskip("jiwer")
    answers, references = map(list, zip(*pairs, strict=True))
    found = numbers([(answer, [reference]) for answer, reference in pairs])
    if any(references):
        assert found["cer"] == pytest.approx(jiwer.cer(references, answers), abs=1e-12)
        assert found["wer"] == pytest.approx(jiwer.wer(references, answers), abs=1e-12)
    else:
        assert (found["cer"], found["wer"], found["cer_mean"]) == (None, None, None)


def test_numbers_by_hand():
    found = numbers([("hallo", ["hello"]), ("a b", ["a b d", "a c"]), ("xx", [""]), ("", [""])])
    assert found["exact"] == 0.25
    assert found["cer"] == pytest.approx((1 + 1 + 2 + 0) / (5 + 3))
    assert found["cer_mean"] == pytest.approx((1 / 5 + 1 / 3) / 2)
    assert found["wer"] == pytest.approx((1 + 1 + 1 + 0) / (1 + 2))
    assert found["edit_distance"] == pytest.approx((1 / 5 + 1 / 3 + 1 + 0) / 4)
    assert found["anls"] == pytest.approx((4 / 5 + 2 / 3 + 0 + 1) / 4)


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("ab", ["ax"], 0),
        ("abc", ["abx"], 2 / 3),
        ("A  b", ["a B"], 1),
        ("", ["a"], 0),
        ("abcd", ["zzzz", "abcx"], 0.75),
    ],
    ids=["half is 0", "a third", "case and blanks", "empty", "the best"],
)
def test_anls(answer, references, expected):
    assert anls(answer, references) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["none"], " A\u00a0\uff11 ", " A\u00a0\uff11 "),
        (["nfkc"], "\uff21\ufb01", "Afi"),
        (["casefold"], "Stra\u00dfe", "strasse"),
        (["whitespace"], " a\n  b\t", "a b"),
        (["punctuation"], '"Yes."\u3002', "Yes"),
        (["whitespace", "nfkc"], "a\u3000b", "a b"),
        (["latex"], r"\frac { a } { b } + \alpha  x", r"\frac{a}{b}+\alpha x"),
        (["latex"], r"\text { a  b } \ c \\ x", r"\text{a b}\ c\\x"),
        (["latex"], r"x ^ { 2 } \sin \theta 2", r"x^{2}\sin\theta2"),
    ],
)
def test_normalisations(names, text, expected):
    assert normalizer(names)(text) == expected


@given(st.text(max_size=30), st.sampled_from(sorted(NORMALIZATIONS)))
def test_a_normalisation_done_twice_is_done_once(text, name):
    if name != "punctuation":  # what is behind punctuation at an end may be blank
        step = normalizer([name])
        assert step(step(text)) == step(text)


def test_the_command_declares_its_normalisation(tmp_path):
    rows = [text_row(1, "x ^ {2}", "x^{ 2 }")]
    plain, latex = scored("ocr", tmp_path, rows), scored("ocr", tmp_path, rows, "--normalize", "latex")
    assert (plain["exact"], latex["exact"], latex["cer"]) == (0, 1, 0)
    assert (plain["protocol"]["normalize"], latex["protocol"]["normalize"]) == ("none", "latex")


def test_word_rates_of_chinese_come_with_a_warning(tmp_path):
    found = scored("ocr", tmp_path, [text_row(1, "\u732b\u5728\u8fd9", "\u732b\u5728\u90a3\u91cc")])
    assert [warning["id"] for warning in found["warnings"]] == ["words-of-cjk"]
    assert (found["cer"], found["wer"]) == (0.5, 1)


def test_an_undefined_rate_is_null(tmp_path):
    found = scored("ocr", tmp_path, [text_row(1, "x", "")])
    assert (found["cer"], found["cer_mean"], found["exact"]) == (None, None, 0)
    assert "CER" not in found["images"][0]["values"]
    found = scored("ocr", tmp_path, [text_row(1, "x", ""), text_row(2, "x", "y")])
    assert [image["values"]["CER"] for image in found["images"]] == [None, 1]
