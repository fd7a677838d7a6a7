"""Rows that cannot be encoded (image unreadable, row too long) get an empty answer, are counted, and score as false negatives.

swift's inference, and its evaluation during training, stop at the first one and lose the earlier answers.
"""

from __future__ import annotations

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
from ..run_checks.row_issues import kind_of, name_of, reason_of
from ..run_checks.truncated_answers import counting_truncated, warn_truncated_answers

COLUMN = "error"  # of a result row without an answer: why there is none


class Unanswered(str):
    """The empty text in place of an answer, with the `reason`; can be pickled."""

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
    self.infer = counting_truncated(tolerant(self.infer_engine), ends)
    try:
        rows = infer_dataset(self, *given, **more)
    finally:
        del self.infer
    warn_truncated_answers(ends, self.args.max_new_tokens)
    failed = Counter(kind_of(row[COLUMN]) for row in rows if row.get(COLUMN))
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


def tolerant(engine: Any) -> Callable[..., list[Any]]:
    """An engine's `infer` that answers each request: one that cannot be encoded by `Unanswered`, and it gets the column `error`."""
    infer = engine.infer

    def answer(requests: list[dict[str, Any]], request_config: Any = None, *given: Any, **more: Any) -> list[Any]:
        strict, engine.strict = getattr(engine, "strict", True), False
        try:
            answers = infer(requests, request_config, *given, **more)
            if request_config is not None and request_config.stream:
                return [streamed(request, pieces) for request, pieces in zip(requests, answers, strict=True)]
        finally:
            engine.strict = strict
        return [
            no_answer(request, answer) if isinstance(answer, Exception) else answer
            for request, answer in zip(requests, answers, strict=True)
        ]

    return answer


def no_answer(request: dict[str, Any], error: Exception) -> ChatCompletionResponse:
    """The empty answer to a request that could not be encoded."""
    message = ChatMessage(role="assistant", content=Unanswered(noted(request, error)))
    return ChatCompletionResponse("", [ChatCompletionResponseChoice(0, message, None)], UsageInfo(0, 0, 0))


def streamed(request: dict[str, Any], pieces: Iterator[Any]) -> Iterator[Any]:
    """The pieces of an answer; an error among them becomes an empty piece."""
    try:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece
    except Exception as error:
        delta = DeltaMessage(role="assistant", content=Unanswered(noted(request, error)))
        yield ChatCompletionStreamResponse("", [ChatCompletionResponseStreamChoice(0, delta, None)], UsageInfo(0, 0, 0))


def noted(request: dict[str, Any], error: Exception) -> str:
    """Write the reason into the request, whose columns go into the result, and into the log."""
    request[COLUMN] = reason_of(error)
    get_logger().warning(f"{name_of(request)}: no answer: {request[COLUMN]}")
    return request[COLUMN]
