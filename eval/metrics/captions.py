"""Captions and descriptions: CIDEr, BLEU-1 to BLEU-4 and ROUGE-L against several references."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..answers.caption_scores import BleuColumn, BleuCounts, bleu_counts, check_package, cider, rouge_l
from ..answers.cli_options import FILE
from ..answers.coco_captions import is_coco_captions, read_captions
from ..answers.protocol import Rules
from ..answers.text_measures import has_cjk
from ..answers.text_rows import Questions, TextAnswers, TextSample
from ..answers.tokenizers import LONGEST, MEANINGS, check_java, tokenized
from ..evaluated_run import Number
from ..text_metric import ROWS, TEXT_OPTIONS, Column, Scored, TextMetric

BLEUS = tuple(f"bleu{order}" for order in range(1, 5))
SAME_ANSWERS = (
    "CIDEr is undefined: all words of the true answers are in all questions (there is one, or all have the same answers), so it is 0 by "
    "construction; expected questions with different true answers"
)
CJK_WORDS = (
    "true answers have Chinese, Japanese or Korean text, which --tokenizer {} does not split: a sentence is a word or a few, and all "
    "numbers are near 0; expected --tokenizer chars"
)


class Captions(TextMetric):
    """CIDEr, BLEU and ROUGE-L of RESULT, whose answers are captions or descriptions.

    Several true answers are a list in `references`, or rows with the same sample_id and question, or COCO's captions file, whose images
    are joined by sample_id. METEOR and SPICE are not computed: they need Java and models. Numbers of different tokenizers do not compare;
    COCO's server uses `ptb`.

    \b
    Example:
      groundswift eval captions result.jsonl --out scored/
      groundswift eval captions result.jsonl --gt captions_val2017.json --out scored/
      groundswift eval captions result.jsonl --rows val.jsonl --tokenizer chars --out scored/
    """

    name, title = "captions", "Captions"
    numbers = (
        Number("cider", "CIDEr", headline=True),
        *(Number(key, f"BLEU-{key[-1]}", headline=key == "bleu4") for key in BLEUS),
        Number("rouge_l", "ROUGE-L", headline=True),
    )
    options = (
        *TEXT_OPTIONS,
        click.option(
            "--tokenizer",
            type=click.Choice(list(MEANINGS)),
            default="words",
            show_default=True,
            help="; ".join(f"{name}: {meaning}" for name, meaning in MEANINGS.items()) + ".",
        ),
    )
    comparable_terms = {**TextMetric.comparable_terms, "tokenizer": None}
    truth_option = click.option("--rows", "--gt", "truth_path", type=FILE, help=f"COCO's captions file or rows. {ROWS}")

    of_images = False  # whether the ground truth is COCO's captions file

    @property
    def tokenizer(self) -> str:
        return self.options.get("tokenizer", "words")

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        check_package()
        if self.tokenizer == "ptb":
            check_java()
        return super().source(result)

    def read_truth(self, path: Path) -> Questions:
        self.of_images = self.options["truth_path"] is not None and is_coco_captions(path)
        if not self.of_images:
            return super().read_truth(path)
        if unused := [f"--{name}" for name, key in (("column", "column"), ("group-by", "groups")) if self.options.get(key)]:
            raise click.UsageError(f"{', '.join(unused)} names columns of rows; {path} is COCO's captions file")
        self.truth_name = "captions of {}"
        return read_captions(path, self.options["on_error"])

    def read_answers(self, source: Path, truth: Questions, rules: Rules | None) -> TextAnswers:
        answers = super().read_answers(source, truth, rules)
        if len({frozenset(each.references) for each in truth.found.values()}) == 1:
            answers.warnings.append({"id": "cider-undefined", "message": SAME_ANSWERS})
        if self.tokenizer in ("words", "ptb") and has_cjk([text for each in truth.found.values() for text in each.references]):
            answers.warnings.append({"id": "words-of-cjk", "message": CJK_WORDS.format(self.tokenizer)})
        return answers

    def terms(self) -> dict[str, Any]:
        return {
            **({"join": "by sample_id: the image id, or IMAGE/CAPTION as `convert coco-captions` writes it"} if self.of_images else {}),
            "tokenizer": self.tokenizer,
            "tokenizer_is": MEANINGS[self.tokenizer],
            "cider": "CIDEr-D (n 4, sigma 6) of pycocoevalcap, mean of samples; document frequency from the references of these samples",
            "cider_intervals": "document frequency fixed at that of all samples: a bootstrap draws images, not the corpus",
            "bleu": "corpus BLEU of pycocoevalcap, closest reference length; that of one sample is not smoothed",
            "rouge_l": "F with beta 1.2 of the best precision and the best recall over references, mean of samples",
            "longest": f"{LONGEST} words of a text count",
        }

    def score_samples(self, samples: Sequence[TextSample]) -> Scored:
        answers, references = self.words_of(samples)
        scored = [index for index, texts in enumerate(references) if texts]
        said, truth = [answers[index] for index in scored], [references[index] for index in scored]
        counts = np.zeros((len(samples), 10))
        counts[scored] = bleu_counts(said, truth)
        found = BleuCounts(counts, max((len(text) for texts in truth for text in texts), default=0))
        differ = len({frozenset(map(tuple, texts)) for texts in truth}) > 1
        consensus = cider(said, truth) if differ else [None] * len(scored)
        overlap = [rouge_l(*pair) for pair in zip(said, truth, strict=True)]
        return Scored(
            {
                "cider": Column(spread(consensus, scored, len(samples))),
                **{key: BleuColumn(found, order, order in (1, 4)) for order, key in enumerate(BLEUS, 1)},
                "rouge_l": Column(spread(overlap, scored, len(samples))),
            },
            counts={
                "references_without_words": len(samples) - len(scored),
                "answers_shortened": sum(len(words) == LONGEST for words in answers),
            },
        )

    def words_of(self, samples: Sequence[TextSample]) -> tuple[list[list[str]], list[list[list[str]]]]:
        """The words of each answer, and of each of its references that has any."""
        texts = [text for sample in samples for text in (sample.text, *sample.question.references)]
        found = iter(tokenized(texts, self.tokenizer))
        pairs = [(next(found), [next(found) for _ in sample.question.references]) for sample in samples]
        return [answer for answer, _ in pairs], [list(filter(None, references)) for _, references in pairs]


def spread(values: Sequence[float | None], places: Sequence[int], length: int) -> list[float | None]:
    """Values at their places in a list that has None elsewhere."""
    found: list[float | None] = [None] * length
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found
