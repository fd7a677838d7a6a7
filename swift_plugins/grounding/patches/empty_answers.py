"""swift's metric of texts (`--eval_metric nlg`, `swift infer --metric rouge`) when an answer is empty.

ms-swift 4.6.0 gives such an answer to rouge as it is, and rouge may raise `ValueError: Hypothesis is empty`, which ends the training. Which
answers do depends on the package: rouge 1.0.1, or rouge-chinese 1.0.3, which overwrites the module `rouge`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .wrap_once import patch

USERS = ("swift.metrics.nlg", "swift.pipelines.infer.infer")  # the modules that have the function under its name
NO_WORD = re.compile(r"[\s.]*")


@patch("compute_rouge_bleu", *USERS)
def score_empty_answers(compute: Callable[..., dict[str, float]], preds: list[str], labels: list[str]) -> dict[str, float]:
    """Score an answer of nothing but blanks and full stops 0, as swift does an empty one, and skip such a reference, as an empty one."""
    return compute([emptied(text) for text in preds], [emptied(text) for text in labels])


def emptied(text: str) -> str:
    """An empty text for one without a word; any other unchanged."""
    return "" if NO_WORD.fullmatch(text) else text
