"""Token log-probabilities -> a confidence for each thing located."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

BROKEN = "\ufffd"  # how a token reads that holds only a part of a character


def token_places(tokens: Sequence[str], text: str) -> tuple[list[int], list[int]] | None:
    """(starts, ends) in characters of the tokens that make up `text`; None where tokens and text do not match.

    Tokens past the end of the text (`<|im_end|>`) have no place. A run of tokens that hold parts of characters shares the text
    before the next whole token: swift's `bytes` are those of the replacement sign, so they do not help. Time is linear in the text.
    """
    if "".join(tokens).startswith(text):
        ends = list(accumulate(map(len, tokens)))
        count = bisect_left(ends, len(text)) + 1
        return [0, *ends[: count - 1]], ends[:count]
    starts: list[int] = []
    ends = []
    position = broken = 0
    for number, token in enumerate([*tokens, ""], 1):
        if BROKEN in token:
            broken += 1
            continue
        at = position
        if broken:
            at = text.find(token, position + 1) if token and position < len(text) else len(text)
            if at < 0 and number == len(tokens):  # the end mark, which the text does not have
                at = len(text)
            starts += [position] * broken
            ends += [at] * broken
            broken = 0
        if at == len(text):
            return starts, ends
        if at < 0 or not text.startswith(token, at):
            return None
        position = at + len(token)
        starts.append(at)
        ends.append(position)
    return None


def span_scores(tokens: Sequence[str], logprobs: Sequence[float], text: str, spans: Sequence[tuple[int, int]]) -> tuple[list[float], bool]:
    """A score in 0..1 for each span (start, end) of `text`: exp of the mean log-probability of the tokens that overlap it.

    The second value says whether tokens and text could be aligned; where not, every span gets the score of the whole answer.
    """
    places = token_places(tokens, text)
    if places is None:
        return [_mean_probability(logprobs)] * len(spans), False
    starts, ends = places
    return [_mean_probability(logprobs[bisect_right(ends, start) : bisect_left(starts, end)]) for start, end in spans], True


def _mean_probability(logprobs: Sequence[float]) -> float:
    """exp of the mean, rounded once, so that the place of a box in its answer does not change its score; 0 where there are none."""
    return min(math.exp(math.fsum(logprobs) / len(logprobs)), 1.0) if logprobs else 0.0
