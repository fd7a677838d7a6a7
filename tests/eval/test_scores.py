"""Confidences from token log-probabilities: which tokens belong to a span, and what their mean is."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswift.eval.answers.confidence import (
    BROKEN,
    Tokens,
    compact_tokens,
    mean_probabilities,
    scores_of_answers,
    span_scores,
    token_places,
)

END = "<|im_end|>"


@pytest.mark.parametrize(
    ("tokens", "text", "places"),
    [
        pytest.param(["ab", "c", END], "abc", ([0, 2], [2, 3]), id="plain text with an end mark"),
        pytest.param(["ab", "c"], "abc", ([0, 2], [2, 3]), id="no end mark"),
        pytest.param(["ab", "cd", END], "abc", ([0, 2], [2, 4]), id="the text ends within a token"),
        pytest.param([BROKEN, BROKEN, "1", END], "猫1", ([0, 0, 1], [1, 1, 2]), id="one character of two tokens"),
        pytest.param(["a", " " + BROKEN, BROKEN, END], "a 猫", ([0, 1, 1], [1, 3, 3]), id="broken tokens at the end"),
        pytest.param([BROKEN, BROKEN, BROKEN, "x", BROKEN], "猫狗x鸟", ([0, 0, 0, 2, 3], [2, 2, 2, 3, 4]), id="two runs"),
        pytest.param([BROKEN, "1", END], BROKEN + "1", ([0, 1], [1, 2]), id="a replacement sign that the model really wrote"),
        pytest.param(["猫", "1", END], "猫1", ([0, 1], [1, 2]), id="a whole character in one token"),
        pytest.param(["ab"], "abc", None, id="tokens too short"),
        pytest.param(["x", "y"], "abc", None, id="another text"),
        pytest.param([BROKEN, "z", END], "猫1", None, id="another text after a broken token"),
        pytest.param([], "abc", None, id="no tokens"),
    ],
)
def test_places(tokens, text, places):
    assert token_places(tokens, text) == places


def test_a_span_takes_the_tokens_that_overlap_it():
    tokens, logprobs = ["<a>", "12", "34", "</a>", END], [-1.0, -2.0, -4.0, -8.0, -100.0]
    scores, aligned = span_scores(tokens, logprobs, "<a>1234</a>", [(0, 11), (3, 7), (4, 5), (6, 8)])
    assert aligned
    assert scores == pytest.approx([math.exp(-15 / 4), math.exp(-3), math.exp(-2), math.exp(-6)])


def test_all_tokens_of_a_broken_character_count():
    scores, aligned = span_scores(["x", BROKEN, BROKEN, "1", END], [-9.0, -1.0, -3.0, -9.0, -9.0], "x猫1", [(1, 2)])
    assert aligned
    assert scores == pytest.approx([math.exp(-2)])


def test_what_cannot_be_aligned_gets_the_score_of_the_answer():
    assert span_scores(["x", "y"], [-1.0, -3.0], "abc", [(0, 1), (1, 2)]) == ([math.exp(-2)] * 2, False)


@given(st.lists(st.tuples(st.text("ab猫é", min_size=1, max_size=4), st.floats(-20, 0)), min_size=1, max_size=20), st.data())
def test_scores_are_means_of_the_overlapping_tokens(pieces, data):
    text = "".join(token for token, _ in pieces)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    wanted, at = [], 0
    for token, logprob in pieces:
        if at < end and at + len(token) > start:
            wanted.append(logprob)
        at += len(token)
    (score,), aligned = span_scores([*(token for token, _ in pieces), END], [*(value for _, value in pieces), -5.0], text, [(start, end)])
    assert aligned
    assert score == pytest.approx(math.exp(sum(wanted) / len(wanted)), rel=1e-9)


LOGPROBS = st.floats(-20, 1e-3) | st.sampled_from([-0.1, -1e5, 0.0])
PIECES = st.lists(st.tuples(st.text("ab猫\0\n", max_size=4) | st.just(BROKEN), LOGPROBS), max_size=12)


@given(st.lists(st.tuples(PIECES, st.integers(0, 9), st.booleans()), max_size=6), st.integers(0, 10**6))
def test_scores_of_many_answers_are_those_of_each_to_the_last_bit(answers, seed):
    draw, texts, tokens, spans, wanted, apart = random.Random(seed), [], [], [], [], []
    for number, (pieces, cut, other) in enumerate(answers):
        strings, logprobs = [token for token, _ in pieces], [value for _, value in pieces]
        text = "".join(strings)[: -cut or None] + ("x" if other and cut == 1 else "")
        here = [tuple(sorted(draw.randint(0, len(text)) for _ in range(2))) for _ in range(draw.randint(0, 4))]
        here += [(-1, -1)] * (cut == 3)
        given_ = None if other and cut == 2 else compact_tokens(strings, logprobs) if cut % 2 else Tokens(strings, logprobs)
        scores, aligned = span_scores(strings, logprobs, text, [(0, len(text)) if span[0] < 0 else span for span in here])
        wanted.append(scores if given_ else [1.0] * len(here))
        apart += [number] if given_ and not aligned else []
        texts.append(text), tokens.append(given_), spans.append(here)
    places = np.array([span for here in spans for span in here], np.int64).reshape(-1, 2)
    found, not_aligned = scores_of_answers(texts, tokens, places, np.cumsum([0, *map(len, spans)]))
    assert found.tolist() == [score for scores in wanted for score in scores]
    assert not_aligned == apart


@given(st.lists(st.floats(-1e3, 1e-3), min_size=1, max_size=40), st.booleans())
def test_sums_are_rounded_once(logprobs, coarse):
    values = [float(np.float32(value)) for value in logprobs] if coarse else logprobs
    sizes = range(1, len(values) + 1)
    found = mean_probabilities(np.array(values), np.zeros(len(values), np.int64), np.array(sizes))
    assert found.tolist() == [min(math.exp(math.fsum(values[:size]) / size), 1.0) for size in sizes]
