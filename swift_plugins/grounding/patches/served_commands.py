"""`swift app`, `swift web-ui` and `swift eval`. Observed with ms-swift 4.6.0, gradio 6.31.0 and evalscope 1.10.0.

* The chat: swift keeps [question, answer] pairs, gradio 6 only takes messages with a role. The page opens, and the first question fails
  with `Data incompatible with messages format`.
* Both commands wait for the server process that they started, even after it has ended.
* `swift eval` asks OpenCompass for its datasets whatever `--eval_backend` is, and stops where opencompass is not installed.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

from swift.arguments import EvalArguments

from groundswift.errors import GroundswiftError

from .wrap_once import patch, wrap_once

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


DEPLOY = "swift.pipelines.infer.deploy"


def stop_waiting_for_dead_server() -> None:
    """End the wait with an error where the server's process has ended. Nothing to do for commands that start no server."""
    if DEPLOY in sys.modules:
        wrap_once(sys.modules[DEPLOY], "is_accessible", while_alive)


def while_alive(is_accessible: Callable[[int], bool], port: int) -> bool:
    """Whether a server answers. Raises GroundswiftError where no process is left to do so."""
    answers = is_accessible(port)
    if not answers and not multiprocessing.active_children():
        raise GroundswiftError(f"port {port}: the model server stopped before it answered. See its own error above")
    return answers


@patch("list_eval_dataset", EvalArguments)
def list_benchmarks_without_opencompass(listed: Callable[..., Any], eval_backend: str | None = None) -> dict[str, list[str]]:
    """List the benchmarks of another backend than OpenCompass where opencompass is not installed."""
    if eval_backend in (None, "OpenCompass") or find_spec("opencompass") is not None:
        return listed(eval_backend)
    from evalscope.backend.opencompass import OpenCompassBackendManager as Manager

    kept = vars(Manager)["list_datasets"]
    Manager.list_datasets = staticmethod(list)
    try:
        return listed(eval_backend)
    finally:
        Manager.list_datasets = kept
