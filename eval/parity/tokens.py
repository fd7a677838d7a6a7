"""Where two answers first differ: token, text and log-probability gap; and how far log-probabilities drift before that."""

from __future__ import annotations

from itertools import takewhile
from os.path import commonprefix

from msgspec import Struct

from .answers import Sample, WeighedToken

CONTEXT = 24  # characters before the difference that are shown
DRIFT = 0.01  # of a log-probability: what batching and threads change in float32 is far less


class FirstDifference(Struct):
    """The first place where an answer differs from the reference's.

    `token_index` counts from 0, None where an answer has no tokens; `character` is the place in the text. `reference` and `other` are the
    tokens there, or the rest of the text; "" where the answer has ended. `gap`: by how much the reference prefers its own token, in
    log-probability; `gap_of_other`: by how much the other prefers its. None where the row does not say: it needs top_logprobs.
    """

    token_index: int | None
    character: int
    after: str
    reference: str
    other: str
    reference_logprob: float | None = None
    other_logprob: float | None = None
    gap: float | None = None
    gap_of_other: float | None = None


class Drift(Struct):
    """Log-probabilities of the tokens that both answers begin with: the largest difference, and the first one above DRIFT."""

    largest: float
    token_index: int | None = None
    token: str = ""
    difference: float | None = None


def same_prefix(reference: Sample, other: Sample) -> int:
    """How many tokens both answers begin with."""
    pairs = zip(reference.tokens or (), other.tokens or (), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].token == pair[1].token, pairs))


def first_difference(reference: Sample, other: Sample) -> FirstDifference | None:
    """The first difference of two answers; None where their texts are equal."""
    if reference.text == other.text:
        return None
    if reference.tokens is None or other.tokens is None:
        return _by_characters(reference.text, other.text)
    index = same_prefix(reference, other)
    if index == len(reference.tokens) == len(other.tokens):  # tokens that hold parts of characters read the same
        return _by_characters(reference.text, other.text)
    before = "".join(each.token for each in reference.tokens[:index])
    own, others = (_at(sample, index) for sample in (reference, other))
    return FirstDifference(
        index,
        len(before),
        before[-CONTEXT:],
        own.token if own else "",
        others.token if others else "",
        own and own.logprob,
        others and others.logprob,
        _gap(own, others),
        _gap(others, own),
    )


def _at(sample: Sample, index: int) -> WeighedToken | None:
    """The token at an index, that which ended the answer among them."""
    tokens = [*sample.tokens, *sample.end[:1]]
    return tokens[index] if index < len(tokens) else None


def _gap(own: WeighedToken | None, other: WeighedToken | None) -> float | None:
    """How much likelier `own` is than the other's token where it was chosen."""
    if own is None or other is None:
        return None
    found = own.likeliest().get(other.token)
    return None if found is None else own.logprob - found


def _by_characters(text: str, other: str) -> FirstDifference:
    place = len(commonprefix([text, other]))
    return FirstDifference(
        None, place, text[max(place - CONTEXT, 0) : place], text[place : place + CONTEXT], other[place : place + CONTEXT]
    )


def drift(reference: Sample, other: Sample) -> Drift | None:
    """How the log-probabilities of the same tokens differ; None without such tokens."""
    count = same_prefix(reference, other)
    if not count:
        return None
    gaps = [abs(a.logprob - b.logprob) for a, b in zip(reference.tokens[:count], other.tokens[:count], strict=True)]
    found = next((index for index, gap in enumerate(gaps) if gap > DRIFT), None)
    if found is None:
        return Drift(max(gaps))
    return Drift(max(gaps), found, reference.tokens[found].token, gaps[found])


def token_edits(reference: Sample, other: Sample) -> int | None:
    """Levenshtein distance of the token sequences; None where an answer has no tokens."""
    if reference.tokens is None or other.tokens is None:
        return None
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance([each.token for each in reference.tokens], [each.token for each in other.tokens])
