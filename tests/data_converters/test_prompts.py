"""The file of prompts: each task in both languages, and which question a row gets."""

from __future__ import annotations

import re

import pytest

from groundswift.data_converters.prompts import all_prompts, asking

KEYS = [f"set/{number}" for number in range(400)]
HELD = re.compile(r"\{\w+\}|<[\w-]+>")  # fields, and swift's placeholders


@pytest.mark.parametrize("task", all_prompts())
def test_a_task_is_asked_alike_in_both_languages(task):
    languages = all_prompts()[task]
    assert list(languages) == ["en", "zh"]
    english, chinese = languages["en"], languages["zh"]
    assert len(english) == len(chinese) >= 4
    assert len(set(english + chinese)) == 2 * len(english), "a question is there twice"
    assert len({tuple(sorted(HELD.findall(text))) for text in english + chinese}) == 1, "a question holds others of the fields"
    assert not any(re.search("[\u4e00-\u9fff]", text) for text in english)
    assert all(re.search("[\u4e00-\u9fff]", text) for text in chinese)


def picked(language: str, sampled: bool, seed: int = 0) -> list[str]:
    questions = asking("caption", language, None, seed, sampled)
    return [questions.pick(key).name for key in KEYS]


@pytest.mark.parametrize(
    ("language", "sampled", "names"),
    [
        ("en", False, {"caption.en.1"}),
        ("zh", False, {"caption.zh.1"}),
        ("both", False, {"caption.en.1", "caption.zh.1"}),
        ("zh", True, {f"caption.zh.{number}" for number in (1, 2, 3, 4)}),
        ("both", True, {f"caption.{language}.{number}" for language in ("en", "zh") for number in (1, 2, 3, 4)}),
    ],
)
def test_which_questions_are_asked(language, sampled, names):
    once = picked(language, sampled)
    assert set(once) == names
    assert once == picked(language, sampled)
    assert (once != picked(language, sampled, seed=1)) == (len(names) > 1)
    assert all(once.count(name) > len(KEYS) / len(names) / 2 for name in names)
