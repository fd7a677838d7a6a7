"""The result file: the rows in their order, each with its answer as `swift infer` writes it, and with the column `inference`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from groundswift.errors import GroundswiftError
from groundswift.grammars.registry import parse

from .journal import Entry, Inference, Places, entry_at, put
from .questions import Question

OWN = ("response", "labels", "logprobs", "finish_reason", "error", "inference")  # columns of a result, in place of a row's own
OLD = ("query", "history", "conversations", "conversation", "system")  # columns that `messages` replaces
_ENCODER = msgspec.json.Encoder()


def result_row(question: Question, entry: Entry, family: str | None) -> dict[str, Any]:
    """A row of the result. `family`: whose boxes the answer has; None where it is not known."""
    boxes = boxes_in(entry.response, family) if entry.error is None else None
    done = Inference(
        key=entry.key,
        fingerprint=entry.fingerprint,
        prompt_tokens=entry.prompt_tokens,
        completion_tokens=entry.completion_tokens,
        boxes=boxes,
        seconds=entry.seconds,
        boxes_per_second=round(boxes / entry.seconds, 3) if boxes is not None and entry.seconds else None,
    )
    said = {name: getattr(entry, name) for name in ("response", "logprobs", "finish_reason")}
    failed = {} if entry.error is None else {"error": entry.error}
    rest = {name: value for name, value in question.row.items() if name not in (*OWN, *OLD)}
    messages = [*question.request["messages"], {"role": "assistant", "content": entry.response}]
    return {**said, "labels": question.labels, **failed, "inference": done, **rest, "messages": messages}


def boxes_in(text: str, family: str | None) -> int | None:
    """How many boxes an answer has."""
    if family is None:
        return None
    return sum(located.box is not None for located in parse(text, family).objects)


def lines_of(questions: Sequence[Question], places: Places, family: str | None) -> Iterator[bytes]:
    """The lines of a result. Raises GroundswiftError where a question has neither answer nor failure."""
    with ExitStack() as stack:
        files: dict[Path, BinaryIO] = {}
        stack.callback(lambda: [file.close() for file in files.values()])
        for question in questions:
            if question.key not in places.lines:
                raise GroundswiftError(f"{question.where}: not answered yet; run the same command again to go on")
            yield _ENCODER.encode(result_row(question, entry_at(places.lines[question.key], files), family)) + b"\n"


def write_result(out: Path, questions: Sequence[Question], places: Places, family: str | None) -> None:
    """Write the whole result, or leave an earlier one as it was."""
    put(out, out, lines_of(questions, places, family))
