"""swift's commands: errors, `swift sample`, `swift app`, `swift web-ui` and `swift eval`.

Observed with ms-swift 4.6.0, gradio 6.31.0 and evalscope 1.10.0:

* An error of ours, complete for the user, is printed with a traceback.
* `swift sample` and `swift app` ignore `--template`: they look it up from the model again.
* The chat: swift keeps [question, answer] pairs, gradio 6 only takes messages with a role. The page opens, and the first question fails
  with `Data incompatible with messages format`.
* `swift app` and `swift eval` wait for the server process that they started, even after it has ended.
* `swift eval` asks OpenCompass for its datasets whatever `--eval_backend` is, and stops where opencompass is not installed.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from types import TracebackType
from typing import Any

from swift.arguments import AppArguments, EvalArguments, app_args
from swift.arguments.base_args.template_args import TemplateArguments
from swift.infer_engine import InferEngine, TransformersEngine
from swift.template import Template

from groundswift.errors import GroundswiftError

from .wrap_once import on_load, patch, wrap_once

APP, DEPLOY = "swift.pipelines.app.build_ui", "swift.pipelines.infer.deploy"
Pair = list[Any]  # question and answer; a question is a text or the one-tuple of a file's path, an answer is a text, None until it is there
Message = dict[str, Any]


@on_load
def print_errors_plainly() -> None:
    """Print a GroundswiftError, which is complete for the user, without its traceback; other errors keep theirs."""
    earlier = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, GroundswiftError):
            print(f"error: {error}", file=sys.stderr)
        else:
            earlier(kind, error, trace)

    if getattr(earlier, "__module__", None) != __name__:
        sys.excepthook = hook


@patch("__init__", TransformersEngine)
def note_given_template(init: Callable[..., None], self: Any, model: Any, *, template: Template | None = None, **more: Any) -> None:
    """`swift sample` passes its template to an engine that makes another from the model: note the one that was handed over."""
    self.template_given = template
    init(self, model, template=template, **more)


@patch("_get_template", InferEngine)
def keep_given_template(get: Callable[..., Template], self: InferEngine, *given: Any, **more: Any) -> Template:
    """Let an engine use the template that it was given."""
    template = getattr(self, "template_given", None)
    if template is None:
        return get(self, *given, **more)
    if template.use_model:
        template.model = self.model
    return template


@patch("__post_init__", TemplateArguments)
def keep_given_template_in_app(init: Callable[..., None], self: TemplateArguments) -> None:
    """`swift app` looks for the default system text without `--template`.

    It then refuses a model type with several templates, and serves one with a single template with the stock system text.
    """
    init(self)
    if isinstance(self, AppArguments):
        app_args.get_template_meta = lambda *given: self.template_meta


@on_load
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


@on_load
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
