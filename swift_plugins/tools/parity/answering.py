"""What every way is given and gives, and the result file that is written of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from groundswift.atomic_write import write_whole
from groundswift.errors import GroundswiftError, error_at
from groundswift.records import IMAGE, tags_in
from groundswift.run_record import RESULT_SUFFIX, RunRecord, write_record

from .questions import Question


class Options(NamedTuple):
    """Options that hold for all ways."""

    model_type: str | None = None
    template: str | None = None
    swift_options: tuple[str, ...] = ()
    max_new_tokens: int = 2048
    batch_size: int = 1
    top_logprobs: int = 10
    timeout: float = 600.0


class Answer(NamedTuple):
    """One answer, or why there is none. `logprobs`: as the OpenAI format has them."""

    response: str | None = None
    logprobs: Any = None
    finish_reason: str | None = None
    error: str | None = None


class Answering(Protocol):
    """A way that is ready to answer."""

    record: RunRecord | None

    def answers(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """One answer a question, in order. Raises GroundswiftError where no further one can be had."""

    def close(self) -> None:
        """Free what it holds."""


def write_answers(path: Path, ready: Answering, questions: Sequence[Question]) -> None:
    """Write a result file, whole or not at all, and the record of its run. Raises GroundswiftError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = path.with_name(path.name + RESULT_SUFFIX)
    record.unlink(missing_ok=True)
    write_whole(path, map(_line, questions, ready.answers(questions)))
    if ready.record is not None:
        write_record(record, ready.record)


def _line(question: Question, answer: Answer) -> bytes:
    """A result row, as `swift infer` writes it."""
    row = {name: value for name, value in question.kept.items() if value is not None}
    messages = [*question.request["messages"], {"role": "assistant", "content": answer.response or ""}]
    said = {"error": answer.error, "response": ""} if answer.error else {"response": answer.response, "finish_reason": answer.finish_reason}
    try:
        return msgspec.json.encode({**said, "logprobs": answer.logprobs, **row, "messages": messages}) + b"\n"
    except UnicodeEncodeError:  # a model can write a lone surrogate, which JSON of UTF-8 cannot hold
        raise GroundswiftError(f"{question.where}: the answer holds a lone surrogate") from None


def content_parts(question: Question, part_of: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with content in parts, as chat templates and servers take them; `part_of` makes the part of an image.

    Raises GroundswiftError for swift's other placeholders.
    """
    images, found = iter(question.request["images"]), []
    for message in question.request["messages"]:
        if others := [tag for tag in tags_in(message["content"]) if tag != IMAGE]:
            what = f"the question has {others[0]}, which only swift's template fills in"
            raise error_at(question.where, what, "questions in plain text for servers and plain transformers")
        parts: list[dict[str, Any]] = []
        for number, text in enumerate(message["content"].split(IMAGE)):
            parts += [part_of(next(images))] if number else []
            parts += [{"type": "text", "text": text}] if text else []
        plain = len(parts) == 1 and parts[0]["type"] == "text"
        found.append({"role": message["role"], "content": parts[0]["text"] if plain else parts})
    return found
