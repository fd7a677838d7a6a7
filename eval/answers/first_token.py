"""What could have been the first token of an answer, and how probable each was."""

from __future__ import annotations

from typing import Any

import msgspec

Alternatives = tuple[tuple[str, float], ...]  # token, log-probability
HIGHEST = 1e-3  # of a log-probability: a little over 0 is rounding of the runtime


class Candidate(msgspec.Struct):
    """A generated token with those that could have been in its place."""

    token: str
    logprob: float
    top_logprobs: list[Candidate] | None = None


class Logprobs(msgspec.Struct):
    """The log-probabilities of an answer, as the OpenAI format nests them."""

    content: list[Candidate] | None = None


def first_alternatives(logprobs: Any) -> Alternatives:
    """(token, log-probability) of all that could begin an answer; () without log-probabilities, and where one is not a number up to 0."""
    try:
        found = msgspec.json.decode(logprobs, type=Logprobs | None) if isinstance(logprobs, bytes | msgspec.Raw) else None
    except msgspec.MsgspecError:
        return ()
    first = next((each for each in (found.content if found else None) or () if each.token.strip()), None)
    if first is None:
        return ()
    each = {one.token: one.logprob for one in (*(first.top_logprobs or ()), first)}
    return tuple(each.items()) if all(value <= HIGHEST for value in each.values()) else ()
