"""Answers truncated at `max_new_tokens`, which swift's result rows do not mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from swift.utils import get_logger

TRUNCATED = "length"  # swift's `finish_reason` of an answer that reached the limit


def counting_truncated(infer: Callable[..., list[Any]], counts: Counter[str]) -> Callable[..., list[Any]]:
    """An engine's `infer` that counts its answers by how they ended."""

    def infer_and_count(requests: list[Any], request_config: Any = None, *given: Any, **more: Any) -> list[Any]:
        answers = infer(requests, request_config, *given, **more)
        if request_config is not None and request_config.stream:
            return [counted(pieces, counts) for pieces in answers]
        counts.update(ended(answer) for answer in answers)
        return answers

    return infer_and_count


def counted(pieces: Iterator[Any], counts: Counter[str]) -> Iterator[Any]:
    """The pieces of one answer; counts how it ended by the last one with a reason."""
    end = "unknown"
    for piece in pieces:
        end = ended(piece) if piece is not None and ended(piece) != "unknown" else end
        yield piece
    counts[end] += 1


def ended(answer: Any) -> str:
    """How one answer ended: stop, length, or unknown where there is none."""
    choices = getattr(answer, "choices", None) or []
    return (choices[0].finish_reason or "unknown") if choices else "unknown"


def warn_truncated_answers(counts: Counter[str], max_new_tokens: int | None) -> None:
    """Warn of incomplete answers, with the limit that truncated them."""
    if counts[TRUNCATED]:
        limit = "the model's limit" if max_new_tokens is None else f"--max_new_tokens {max_new_tokens}"
        remedy = "raise it" if max_new_tokens is not None else "lower --max_pixels, so that the question takes less room"
        get_logger().warning(
            f"{counts[TRUNCATED]} of {counts.total()} answers were truncated at {limit}, boxes may be missing: {remedy} [answers-truncated]"
        )
