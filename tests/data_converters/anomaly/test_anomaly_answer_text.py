"""What a model writes, read as pairs of question and answer, descriptions and verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswift.data_converters.anomaly.answer_text import described, pairs_of, verdict_of

TEXTS = {  # what a model writes -> (pairs, problems)
    "Q: a?\nA: b": ([("a?", "b")], {}),
    "**Q1:** a?\n**A1:** b\n\n**Q2:** c?\n**A2:** d\ne": ([("a?", "b"), ("c?", "d\ne")], {}),
    "1. Question: a?\n   Answer: b\n2. Question: c?\n   Answer: d": ([("a?", "b"), ("c?", "d")], {}),
    "问：什么？\n答：管子。": ([("什么？", "管子。")], {}),
    "问题1：什么？\n答案1：管子。": ([("什么？", "管子。")], {}),
    "Q: which?\nA. red\nB. blue\nA: A": ([("which?\nA. red\nB. blue", "A")], {}),
    '```json\n[{"question": "a?", "answer": "b"}]\n```': ([("a?", "b")], {}),
    '{"qa": [{"Q": "a?", "A": 3}]}': ([("a?", "3")], {}),
    "<think>Q: x\nA: y</think>\nQ: a?\nA: b": ([("a?", "b")], {}),
    "Q: a?\nA: b\n\nThat is all.": ([("a?", "b")], {}),
    "Q: a?\nA:": ([], {"question-without-answer": 1}),
    "A: b": ([], {"answer-without-question": 1}),
    "I can't assist with that.": ([], {"answer-refused": 1}),
    "抱歉，我无法回答。": ([], {"answer-refused": 1}),
    "": ([], {"text-without-pairs": 1}),
    "[1, 2": ([], {"text-without-pairs": 1}),
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text):
    pairs, problems = TEXTS[text]
    found = pairs_of(text)
    assert (list(map(tuple, found.pairs)), dict(found.problems)) == (pairs, problems)


def test_the_last_pair_of_a_truncated_text_is_dropped():
    assert pairs_of("Q: a?\nA: b\nQ: c?\nA: d and", truncated=True) == ([("a?", "b")], {"answer-truncated": 1})
    assert pairs_of("Q: a?\nA: b\nQ: c", truncated=True) == ([("a?", "b")], {"answer-truncated": 1})


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="<>*_:：", exclude_categories=("C", "Z")), min_size=1, max_size=20)


@given(st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=5, unique_by=lambda pair: pair[0]))
def test_every_pair_is_read(pairs):
    text = "\n\n".join(f"Q: {question}\nA: {answer}" for question, answer in pairs)
    assert [tuple(pair) for pair in pairs_of(text).pairs] == pairs


@given(st.text())
def test_no_text_raises(text):
    pairs_of(text)
    described(text)


VERDICTS = {"anomaly": "anomaly", "Normal.": "normal", "no anomaly": "normal", "It is not normal": "anomaly", "abnormal": "anomaly"}
VERDICTS |= {"没有异常": "normal", "不正常": "anomaly", "正常": "normal", "异常": "anomaly", "normal or anomaly": None, "maybe": None}


@pytest.mark.parametrize("text", VERDICTS)
def test_verdicts(text):
    assert verdict_of(text) == VERDICTS[text]
