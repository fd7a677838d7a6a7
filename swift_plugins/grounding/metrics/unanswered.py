"""Answers that are missing, truncated or empty, in inference and in evaluation while training. Observed with ms-swift 4.6.0.

* Rows that cannot be encoded (image unreadable, row too long) end swift's inference and evaluation, and the earlier answers are lost. Here
  they get an empty answer, are counted, and score as false negatives.
* Result rows do not mark answers that were truncated at `max_new_tokens`.
* swift's metric of texts (`--eval_metric nlg`, `swift infer --metric rouge`) passes an empty answer to rouge as it is, which may end the
  training by `ValueError: Hypothesis is empty`. Which answers do depends on the package: rouge 1.0.1, or rouge-chinese 1.0.3, which
  overwrites the module `rouge`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from swift.infer_engine.protocol import (
    ChatCompletionResponse,
    ChatCompletionResponseChoice,
    ChatCompletionResponseStreamChoice,
    ChatCompletionStreamResponse,
    ChatMessage,
    DeltaMessage,
    UsageInfo,
)
from swift.pipelines.infer.infer import SwiftInfer
from swift.trainers import Seq2SeqTrainer
from swift.utils import get_logger

from groundswift.errors import GroundswiftError

from ..patches.wrap_once import patch
from ..run_checks.lost_rows import kind_of, name_of, reason_of

COLUMN = "error"  # of a result row without an answer: why there is none
TRUNCATED, NO_END = "length", "unknown"  # swift's `finish_reason` of an answer that reached the limit; none
ROUGE_USERS = ("swift.metrics.nlg", "swift.pipelines.infer.infer")  # the modules that have the function under its name
NO_WORD = re.compile(r"[\s.]*")


class Unanswered(str):
    """The empty text in place of an answer, with the `reason`, which ends in its id; can be pickled."""

    reason: str

    def __new__(cls, reason: str) -> Unanswered:
        self = super().__new__(cls, "")
        self.reason = reason
        return self

    def __reduce__(self) -> tuple[type[Unanswered], tuple[str]]:
        return Unanswered, (self.reason,)


@patch("infer_dataset", SwiftInfer)
def infer_every_row(infer_dataset: Callable[..., list[dict[str, Any]]], self: SwiftInfer, *given: Any, **more: Any) -> list[dict[str, Any]]:
    """`swift infer` that writes every row: one without an answer has an empty one, and the reason."""
    ends: Counter[str] = Counter()
    self.infer = tolerant(self.infer_engine, ends)
    try:
        rows = infer_dataset(self, *given, **more)
    finally:
        del self.infer
    warn_truncated_answers(ends, self.args.max_new_tokens)
    failed = Counter(id_in(row[COLUMN]) for row in rows if row.get(COLUMN))
    if failed:
        counts = ", ".join(f"{count} {kind}" for kind, count in failed.most_common())
        get_logger().warning(
            f"{failed.total()} of {len(rows)} rows have no answer ({counts}); see the column `{COLUMN}` of their result rows"
        )
    if failed.total() == len(rows) > 0:
        raise GroundswiftError(f"no row could be answered; first error: {next(row[COLUMN] for row in rows)}")
    return rows


@patch("__init__", Seq2SeqTrainer)
def evaluate_every_row(init: Callable[..., None], self: Seq2SeqTrainer, *given: Any, **more: Any) -> None:
    """A trainer whose evaluation by generation does not end at a row that cannot be encoded."""
    init(self, *given, **more)
    if self.args.predict_with_generate:
        self.infer_engine.infer = tolerant(self.infer_engine)


def tolerant(engine: Any, ends: Counter[str] | None = None) -> Callable[..., list[Any]]:
    """An engine's `infer` that answers each request: one that cannot be encoded by `Unanswered`, and it gets the column `error`.

    `ends` counts the answers by how they ended.
    """
    infer, counts = engine.infer, Counter() if ends is None else ends

    def answer(requests: list[dict[str, Any]], request_config: Any = None, *given: Any, **more: Any) -> list[Any]:
        strict, engine.strict = getattr(engine, "strict", True), False
        try:
            answers = infer(requests, request_config, *given, **more)
            if request_config is not None and request_config.stream:
                return [streamed(request, pieces, counts) for request, pieces in zip(requests, answers, strict=True)]
        finally:
            engine.strict = strict
        pairs = zip(requests, answers, strict=True)
        answers = [no_answer(request, answer) if isinstance(answer, Exception) else answer for request, answer in pairs]
        counts.update(map(end_of, answers))
        return answers

    return answer


def end_of(answer: Any) -> str:
    """How an answer, or a piece of one, ended: stop, length, or unknown."""
    choices = getattr(answer, "choices", None) or []
    return (choices[0].finish_reason or NO_END) if choices else NO_END


def no_answer(request: dict[str, Any], error: Exception) -> ChatCompletionResponse:
    """The empty answer to a request that could not be encoded."""
    message = ChatMessage(role="assistant", content=Unanswered(noted(request, error)))
    return ChatCompletionResponse("", [ChatCompletionResponseChoice(0, message, None)], UsageInfo(0, 0, 0))


def streamed(request: dict[str, Any], pieces: Iterator[Any], counts: Counter[str]) -> Iterator[Any]:
    """The pieces of an answer; an error among them becomes an empty piece. Counts how the answer ended by the last piece with a reason."""
    end = NO_END
    try:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            end = end_of(piece) if end_of(piece) != NO_END else end
            yield piece
    except Exception as error:
        delta = DeltaMessage(role="assistant", content=Unanswered(noted(request, error)))
        yield ChatCompletionStreamResponse("", [ChatCompletionResponseStreamChoice(0, delta, None)], UsageInfo(0, 0, 0))
    counts[end] += 1


def noted(request: dict[str, Any], error: Exception) -> str:
    """Write the reason and its id into the request, whose columns go into the result, and into the log."""
    request[COLUMN] = f"{reason_of(error)} [{kind_of(error)}]"
    get_logger().warning(f"{name_of(request)}: no answer: {request[COLUMN]}")
    return request[COLUMN]


def id_in(reason: str) -> str:
    """The id at the end of a reason: `a.png: no such image [image-missing]`."""
    return reason.rpartition("[")[2].rstrip("]")


def warn_truncated_answers(counts: Counter[str], max_new_tokens: int | None) -> None:
    """Warn of incomplete answers, with the limit that truncated them."""
    if counts[TRUNCATED]:
        limit = "the model's limit" if max_new_tokens is None else f"--max_new_tokens {max_new_tokens}"
        remedy = "raise it" if max_new_tokens is not None else "lower --max_pixels, so that the question takes less room"
        get_logger().warning(
            f"{counts[TRUNCATED]} of {counts.total()} answers were truncated at {limit}, boxes may be missing: {remedy} [answers-truncated]"
        )


@patch("compute_rouge_bleu", *ROUGE_USERS)
def score_empty_answers(compute: Callable[..., dict[str, float]], preds: list[str], labels: list[str]) -> dict[str, float]:
    """Score an answer of nothing but blanks and full stops 0, as swift does an empty one, and skip such a reference, as an empty one."""
    return compute([emptied(text) for text in preds], [emptied(text) for text in labels])


def emptied(text: str) -> str:
    """An empty text for one without a word; any other unchanged."""
    return "" if NO_WORD.fullmatch(text) else text
