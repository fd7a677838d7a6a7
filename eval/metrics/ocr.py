"""OCR: exact match, character and word error rate, normalised edit distance; formulas by `--normalize latex`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from ..answers.text_measures import ANLS_THRESHOLD, NORMALIZATIONS, anls, edit_distance, has_cjk, normalizations, normalizer
from ..answers.text_rows import Questions, TextAnswers, TextSample
from ..evaluated_run import Number
from ..text_metric import TEXT_OPTIONS, Column, Scored, TextMetric

WORDS_OF_CJK = (
    "true answers have Chinese, Japanese or Korean characters: WER counts what is between white space as a word, "
    "which is a whole line there; read CER"
)


class Compared(NamedTuple):
    """An answer against its closest true answer: edits and length in characters, then in words; exact match; distance 0 to 1."""

    edits: int
    characters: int
    word_edits: int
    words: int
    exact: bool
    distance: float


class Ocr(TextMetric):
    """Exact match, CER, WER and edit distance of RESULT, whose answers are the text of an image or a formula.

    CER is the edits of all answers over the characters of all true answers: it is not clipped and may exceed 1. Of several true answers
    the closest counts. Text is compared as it is unless --normalize says otherwise.

    \b
    Example:
      groundswift eval ocr result.jsonl --out scored/
      groundswift eval ocr result.jsonl --rows val.jsonl --normalize nfkc --normalize whitespace --out scored/
      groundswift eval ocr formulas.jsonl --normalize latex --out scored/
    """

    name, title = "ocr", "OCR"
    numbers = (
        Number("exact", "exact match", headline=True),
        Number("cer", "CER", higher_is_better=False, headline=True),
        Number("cer_mean", "mean CER of samples", higher_is_better=False),
        Number("wer", "WER", higher_is_better=False),
        Number("edit_distance", "edit distance (0-1)", higher_is_better=False),
        Number("anls", "ANLS"),
    )
    options = (
        *TEXT_OPTIONS,
        click.option(
            "--normalize",
            "normalize",
            multiple=True,
            type=click.Choice(list(NORMALIZATIONS)),
            default=("none",),
            show_default=True,
            help="What does not count in answers and true answers: form (nfkc), case, runs of white space, punctuation at the ends, white "
            "space that TeX ignores; repeatable.",
        ),
    )
    empty_truth = True

    def read_answers(self, source: Any, truth: Questions, rules: Any) -> TextAnswers:
        answers = super().read_answers(source, truth, rules)
        if has_cjk([text for question in truth.found.values() for text in question.references]):
            answers.warnings.append({"id": "words-of-cjk", "message": WORDS_OF_CJK})
        return answers

    def terms(self) -> dict[str, Any]:
        return {
            "normalize": ", ".join(normalizations(self.options.get("normalize", ("none",)))),
            "several_references": "the one with the lowest CER",
            "cer": "edits of all samples / characters (code points) of all true answers, not clipped",
            "wer": "the same by words, which white space separates",
            "empty_reference": "its insertions count in CER and WER; the CER of the sample is undefined; exact if the answer is empty",
            "edit_distance": "edits / length of the longer text, mean of samples",
            "anls": f"1 - edit distance where it is below {ANLS_THRESHOLD}, else 0; case and runs of white space do not count",
        }

    def score_samples(self, samples: Sequence[TextSample]) -> Scored:
        normalized = normalizer(self.options.get("normalize", ("none",)))
        found = [compare(normalized(each.text), [normalized(text) for text in each.question.references]) for each in samples]
        rates = [one.edits / one.characters if one.characters else None for one in found]
        return Scored(
            {
                "exact": Column([float(one.exact) for one in found]),
                "cer": Column([one.edits for one in found], [one.characters for one in found]),
                "cer_mean": Column(rates, per_sample=False),
                "wer": Column([one.word_edits for one in found], [one.words for one in found]),
                "edit_distance": Column([one.distance for one in found]),
                "anls": Column([anls(each.text, each.question.references) for each in samples]),
            }
        )


def compare(answer: str, references: Sequence[str]) -> Compared:
    """An answer against the true answer with the lowest CER, of equal ones against the first in alphabetical order."""
    measured = ((edit_distance(answer, text), text) for text in references)
    edits, reference = min(measured, key=lambda pair: (pair[0] / max(len(pair[1]), 1), pair[1]))
    words = reference.split()
    return Compared(
        edits,
        len(reference),
        edit_distance(answer.split(), words),
        len(words),
        answer in references,
        edits / max(len(answer), len(reference), 1),
    )
