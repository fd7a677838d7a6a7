"""CIDEr, BLEU and ROUGE-L of tokenised captions; CIDEr and the counts of BLEU are those of pycocoevalcap."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.errors import GroundswiftError

from ..bootstrap import Interval, draws, percentiles
from .text_measures import INSTALL

ORDERS = 4  # of n-grams
TINY, SMALL = 1e-15, 1e-9  # pycocoevalcap adds them above and below the line of each fraction
BETA = 1.2  # of ROUGE-L: weight of recall
Texts = Sequence[Sequence[str]]  # tokens of each text


def check_package() -> None:
    """Raises GroundswiftError where pycocoevalcap is not installed."""
    try:
        import pycocoevalcap.bleu.bleu_scorer
        import pycocoevalcap.cider.cider  # noqa: F401
    except ImportError:
        raise GroundswiftError(f"captions need the package pycocoevalcap: {INSTALL}") from None


def cider(answers: Texts, references: Sequence[Texts]) -> list[float]:
    """CIDEr of each answer, the document frequency from the references of all. With one answer it is 0 by construction."""
    from pycocoevalcap.cider.cider import Cider

    truth = {index: [" ".join(text) for text in texts] for index, texts in enumerate(references)}
    said = {index: [" ".join(text)] for index, text in enumerate(answers)}
    return Cider().compute_score(truth, said)[1].tolist()


def bleu_counts(answers: Texts, references: Sequence[Texts]) -> NDArray[np.float64]:
    """(N, 10): length of the answer and of the closest reference, then by order 1 to 4 the n-grams of the answer and those that match."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=ORDERS)
    for answer, texts in zip(answers, references, strict=True):
        scorer += (" ".join(answer), [" ".join(text) for text in texts])
    rows = [
        [each["testlen"], min((abs(length - each["testlen"]), length) for length in each["reflen"])[1], *each["guess"], *each["correct"]]
        for each in scorer.ctest
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * ORDERS)


def bleu(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) BLEU-1 to BLEU-4 of (..., 10) counts, of one answer or summed over answers."""
    lengths, references = counts[..., :1], counts[..., 1:2]
    guessed, correct = counts[..., 2 : 2 + ORDERS], counts[..., 2 + ORDERS :]
    means = np.cumprod((correct + TINY) / (guessed + SMALL), axis=-1) ** (1 / np.arange(1, ORDERS + 1))
    ratio = (lengths + TINY) / (references + SMALL)
    return means * np.where(ratio < 1, np.exp(1 - 1 / np.minimum(ratio, 1)), 1.0)


class BleuCounts:
    """The counts of samples, (N, 10), and what BLEU they have together; `longest` is the number of words of the longest reference."""

    def __init__(self, counts: NDArray[np.float64], longest: int) -> None:
        self.counts, self.longest = counts, longest
        self._intervals: list[Interval | None] = []

    def intervals(self, units: Sequence[Hashable]) -> list[Interval | None]:
        """The bootstrap interval of each BLEU over units, whose answers are drawn together; None with fewer than two."""
        if not self._intervals:
            places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
            sums = np.zeros((len(places), self.counts.shape[1]))
            np.add.at(sums, [places[unit] for unit in units], self.counts)
            sums = sums[np.lexsort(sums.T)]
            drawn = [np.bincount(row, minlength=len(sums)) @ sums for part in draws(len(sums)) for row in part]
            self._intervals = [percentiles(column) if len(sums) > 1 else None for column in bleu(np.array(drawn)).T]
        return self._intervals


class BleuColumn(NamedTuple):
    """One BLEU of samples, with the methods of `text_metric.Column`. Undefined where no reference has as many words."""

    counts: BleuCounts
    order: int
    per_sample: bool = True

    def number(self, chosen: Sequence[int] | None = None) -> float | None:
        rows = self.counts.counts if chosen is None else self.counts.counts[list(chosen)]
        return float(bleu(rows.sum(axis=0))[self.order - 1]) if self.order <= self.counts.longest and rows.any() else None

    def value(self, index: int) -> float | None:
        return self.number([index])

    def interval(self, units: Sequence[Hashable]) -> Interval | None:
        return None if self.number() is None else self.counts.intervals(units)[self.order - 1]


def rouge_l(answer: Sequence[str], references: Texts) -> float:
    """ROUGE-L as COCO computes it: F with beta 1.2 of the best precision and the best recall, of two references perhaps. 0 to 1."""
    from rapidfuzz.distance import LCSseq

    if not answer:
        return 0.0
    common = [LCSseq.similarity(answer, text) for text in references]
    precision = max(common) / len(answer)
    recall = max(length / len(text) for length, text in zip(common, references, strict=True))
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision) if precision else 0.0
