"""swift's metric of texts scores answers without a word in place of ending the training."""

from __future__ import annotations

from importlib import import_module

import pytest

from groundswift.swift_plugins.grounding.patches.empty_answers import USERS, emptied


@pytest.mark.parametrize("module", USERS)
@pytest.mark.parametrize("answer", ["\n", " ", "\u3000", "...", ". .", "\t.\n", ""])
def test_an_answer_without_a_word_scores_0(plugin, module, answer):
    compute = import_module(module).compute_rouge_bleu
    assert compute([answer], ["a cat and a dog"])["rouge-l"] == 0
    assert compute([answer, "a cat"], ["a dog", "a cat"])["rouge-l"] == pytest.approx(50, abs=0.01)


@pytest.mark.parametrize("reference", ["\n", "...", " "])
def test_a_reference_without_a_word_is_passed_over(plugin, reference):
    compute = import_module(USERS[0]).compute_rouge_bleu
    assert compute(["a cat", "a cat"], [reference, "a cat"])["rouge-l"] == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize("text", ["a", "。", "x.", "-", ". a ."])
def test_a_text_with_a_word_stays(text):
    assert emptied(text) == text
