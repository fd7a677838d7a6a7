"""Token log-probabilities -> a confidence for each thing located."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BETWEEN = "\0"  # tokens of one string
BROKEN = "\ufffd"  # how a token reads that holds only a part of a character


class Tokens(NamedTuple):
    """What was generated, and the log-probability of each token. `joined`: the tokens with NUL between them, where none has one."""

    tokens: Sequence[str]
    logprobs: Sequence[float]
    joined: str | None = None


def compact_tokens(tokens: list[str], logprobs: list[float]) -> Tokens:
    """Tokens in little memory: one string and one array."""
    joined = BETWEEN.join(tokens)
    return Tokens((), array("d", logprobs), joined) if joined.count(BETWEEN) == len(tokens) - 1 else Tokens(tokens, logprobs)


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


def scores_of_answers(
    texts: Sequence[str], tokens: Sequence[Tokens | None], spans: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], list[int]]:
    """`span_scores` of many answers: (N,) scores, and which answers could not be aligned. Without tokens the score is 1.

    `spans`: (N, 2), a start below 0 means the whole text; those of answer i are `offsets[i]` to `offsets[i + 1]`.
    """
    scores, apart = np.ones(len(spans)), []
    plain = [each is not None and is_plain(each, text) for each, text in zip(tokens, texts, strict=True)]
    if any(plain):
        answers, counts = np.flatnonzero(plain), np.diff(offsets)
        chosen = np.flatnonzero(np.repeat(plain, counts))
        ranks = np.repeat(np.arange(len(answers)), counts[answers])
        lengths = np.fromiter((len(texts[answer]) for answer in answers.tolist()), np.int64, len(answers))
        starts, ends = spans[chosen].T
        whole = starts < 0
        ends = np.where(whole, lengths[ranks], ends)
        scores[chosen] = _scores_of_plain([tokens[answer] for answer in answers.tolist()], ranks, np.where(whole, 0, starts), ends)
    for number, (text, each) in enumerate(zip(texts, tokens, strict=True)):
        if each is None or plain[number]:
            continue
        here = slice(int(offsets[number]), int(offsets[number + 1]))
        places = [(start, end) if start >= 0 else (0, len(text)) for start, end in spans[here].tolist()]
        strings = each.tokens if each.joined is None else each.joined.split(BETWEEN) if each.logprobs else []
        scores[here], aligned = span_scores(strings, each.logprobs, text, places)
        if not aligned:
            apart.append(number)
    return scores, apart


def is_plain(tokens: Tokens, text: str) -> bool:
    """Whether a text is what its tokens say, one behind the other, to the last one of the text."""
    return bool(tokens.joined and tokens.joined.replace(BETWEEN, "").startswith(text))


def _scores_of_plain(
    answers: Sequence[Tokens], ranks: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Scores of spans in plain answers. `ranks`: (N,) of which answer each span is."""
    joined = BETWEEN.join([each.joined or "" for each in answers])
    units = joined.encode() if joined.isascii() else joined.encode("utf-32-le", "surrogatepass")
    characters = np.frombuffer(units, np.uint8 if joined.isascii() else np.uint32)
    token_ends = np.append(np.flatnonzero(characters == 0), len(characters))
    token_ends -= np.arange(len(token_ends))
    token_starts = np.append(0, token_ends[:-1])
    logprobs = np.concatenate([each.logprobs for each in answers])
    counts = np.fromiter((len(each.logprobs) for each in answers), np.int64, len(answers))
    origins = token_starts[np.cumsum(counts) - counts][ranks]
    firsts = np.searchsorted(token_ends, starts + origins, side="right")
    lasts = np.searchsorted(token_starts, ends + origins, side="left")
    return mean_probabilities(logprobs, firsts, lasts)


def mean_probabilities(logprobs: NDArray[np.float64], firsts: NDArray[np.int64], lasts: NDArray[np.int64]) -> NDArray[np.float64]:
    """`_mean_probability` of many runs of tokens: sums in longer numbers, and one by one where their rounding is not sure."""
    counts = lasts - firsts
    scores, some = np.zeros(len(firsts)), np.flatnonzero(counts > 0)
    firsts, lasts, counts = firsts[some], lasts[some], counts[some]
    edges, long = np.stack([firsts, lasts], axis=1).ravel(), np.append(logprobs, 0.0).astype(np.longdouble)
    if not len(edges):
        return scores
    sums, sizes = (np.add.reduceat(values, edges)[::2] for values in (long, np.abs(long)))
    error = sizes * counts * np.finfo(np.longdouble).eps
    rounded = (sums - error).astype(np.float64)
    for place in np.flatnonzero(rounded != (sums + error).astype(np.float64)).tolist():
        rounded[place] = math.fsum(logprobs[firsts[place] : lasts[place]].tolist())
    scores[some] = np.minimum(np.fromiter(map(math.exp, (rounded / counts).tolist()), np.float64, len(some)), 1.0)
    return scores


def _mean_probability(logprobs: Sequence[float]) -> float:
    """exp of the mean, rounded once, so that the place of a box in its answer does not change its score; 0 where there are none."""
    return min(math.exp(math.fsum(logprobs) / len(logprobs)), 1.0) if logprobs else 0.0
