"""The chat of `swift app` in gradio 6: swift keeps [question, answer] pairs, gradio 6 only takes messages with a role.

Observed with ms-swift 4.6.0 and gradio 6.31.0: the page opens, and the first question fails with `Data incompatible with messages format`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from .wrap_once import wrap_once

APP = "swift.pipelines.app.build_ui"
Pair = list[Any]  # question and answer; a question is a text or the one-tuple of a file's path, an answer is a text, None until it is there
Message = dict[str, Any]


def convert_chat_pairs() -> None:
    """Convert the chat on its way to the browser and back. Nothing to do for other commands, and for gradio 5, which takes pairs."""
    app = sys.modules.get(APP)
    if app is None or int(app.gr.__version__.split(".")[0]) < 6:
        return
    wrap_once(app.gr.Chatbot, "postprocess", sending_messages)
    wrap_once(app.gr.Chatbot, "preprocess", receiving_pairs)


def sending_messages(postprocess: Callable[..., Any], self: Any, value: list[Pair] | None) -> Any:
    """gradio's `postprocess`, which then takes pairs."""
    return postprocess(self, messages_of(value or []))


def receiving_pairs(preprocess: Callable[..., list[Message]], self: Any, payload: Any) -> list[Pair]:
    """gradio's `preprocess`, which then gives pairs."""
    return pairs_of(preprocess(self, payload))


def messages_of(pairs: Iterable[Pair]) -> list[Message]:
    """Pairs as gradio 6 takes them, in order."""
    messages = []
    for question, answer in pairs:
        content = {"path": question[0]} if isinstance(question, tuple) else question
        messages.append({"role": "user", "content": content})
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
    return messages


def pairs_of(messages: Iterable[Message]) -> list[Pair]:
    """Pairs from what gradio 6 gives: an answer belongs to the question before it."""
    pairs: list[Pair] = []
    for message in messages:
        values = [part["text"] if part["type"] == "text" else (part["file"]["path"],) for part in message["content"]]
        if message["role"] == "assistant" and pairs:
            pairs[-1][1] = "".join(values)
        else:
            pairs += [[value, None] for value in values]
    return pairs
