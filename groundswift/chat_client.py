"""A server of chat completions: a request with a deadline and a limit of size, and what came back, or the id of why nothing did."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from .errors import GroundswiftError, error_at
from .urls import shown

LARGEST = 1 << 20  # bytes of a response
LONGEST_WAIT_S = 8  # of the openai client, between two attempts
LONGEST_SHOWN = 500  # characters of what a server says
WRONG_SETTINGS = {401: "refused the key", 403: "refused access", 404: "has no such model or path"}
PROBLEMS = ("timeout", "unreachable", "error", "too-large", "not-json", "refused")  # ids of a Reply
FAILED = ("timeout", "unreachable", "error", "too-large")  # after many of these a server is not asked further


class Usage(msgspec.Struct):
    """Tokens of a request and of its answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Message(msgspec.Struct):
    """The text of a response, or why the model refused."""

    content: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct):
    """One response; only the first is read."""

    message: Message
    finish_reason: str | None = None


class Completion(msgspec.Struct):
    """What a server of chat completions returns."""

    choices: list[Choice]
    usage: Usage | None = None


# Made here: msgspec 0.22.0 prepares a type at its first use, and the process dies where two threads are the first.
COMPLETION = msgspec.json.Decoder(Completion)


class Reply(msgspec.Struct, frozen=True):
    """The text of an answer; `problem` says by id why there is none, and `text` then what came instead. `status`: of HTTP, where that is
    the problem; `wait_s`: how long the server asks to wait."""

    text: str = ""
    problem: str = ""
    finish_reason: str | None = None
    usage: Usage = msgspec.field(default_factory=Usage)
    status: int | None = None
    wait_s: float | None = None

    @property
    def is_html(self) -> bool:
        """Whether a web page came in place of JSON: the URL is not that of an API."""
        return self.problem == "not-json" and self.text.lstrip()[:15].lower().startswith(("<!doctype html", "<html"))


class TooLarge(Exception):
    """The response is larger than LARGEST, or of unknown size because it is compressed."""


class TooLate(Exception):
    """The response did not end in time."""


class Limits(NamedTuple):
    """Seconds for a whole response, and how often a request is repeated; the waits between are those of the openai client."""

    timeout_s: float = 60
    retries: int = 2

    def longest_s(self) -> float:
        """Seconds for all attempts and the waits between them."""
        return (self.retries + 1) * self.timeout_s + self.retries * LONGEST_WAIT_S


class Asker(NamedTuple):
    """Who asks: how errors begin, what they expect of the settings, how the openai client is installed."""

    name: str
    settings: str
    install: str


class ChatClient:
    """A server. `key`: its API key, which no message or file gets. Raises GroundswiftError where the openai client is not installed."""

    def __init__(self, url: str, key: str, limits: Limits, asker: Asker) -> None:
        try:
            import openai
        except ImportError:
            raise GroundswiftError(f"{asker.name} needs the package openai: {asker.install}") from None
        self.url, self.limits, self.asker, self._key, self._openai = url, limits, asker, key, openai
        self._client = openai.OpenAI(
            base_url=url,
            api_key=key or "none",
            timeout=limits.timeout_s,
            max_retries=limits.retries,
            default_headers={"Accept-Encoding": "identity"},
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [self._limit]}),
        )

    def models(self) -> list[str]:
        """The names of the models that the server has. Raises GroundswiftError where it does not say."""
        try:
            body = self._client.models.with_raw_response.list().content
            return [str(each["id"]) for each in msgspec.json.decode(body, type=dict[str, Any])["data"]]
        except self._openai.APIStatusError as error:
            said = self._refused("", error)
            raise error_at(shown(self.url), f"does not list its models ({said.status}: {said.text})", "--model with one of them") from None
        except (self._openai.APIConnectionError, TooLarge, TooLate):
            raise error_at(shown(self.url), "does not answer", "a running server of chat completions, its URL up to /v1") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
            page = "a web page" if b"<html" in body[:1000].lower() else "something else"
            raise error_at(shown(self.url), f"answered {page} in place of JSON", "the URL of an API, up to /v1") from None

    def ask(self, model: str, messages: Sequence[dict[str, Any]], fields: dict[str, Any]) -> Reply:
        """The reply to one request. Raises GroundswiftError where the server refuses the key or has no such model.

        In a thread of its own: no timeout of the client ends a reply whose headers come a byte at a time.
        """
        found: Future[Reply] = Future()

        def run() -> None:
            try:
                found.set_result(self._ask(model, messages, fields))
            except BaseException as error:
                found.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        try:
            return found.result(self.limits.longest_s())
        except TimeoutError:
            return Reply(problem="timeout")

    def _ask(self, model: str, messages: Sequence[dict[str, Any]], fields: dict[str, Any]) -> Reply:
        try:
            raw = self._client.chat.completions.with_raw_response.create(model=model, messages=list(messages), extra_body=fields)
        except self._openai.APIStatusError as error:
            return self._refused(model, error)
        except (self._openai.APIConnectionError, TooLarge, TooLate) as error:  # openai 1 and 2 wrap the latter two, 3 does not
            return Reply(problem=self._lost(error))
        return reply_of(raw.content)

    def _limit(self, response: Any) -> None:
        """Replace the stream of a response, whichever HTTP library the client has, by one that ends at the limits."""
        inner, deadline = response.stream, time.monotonic() + self.limits.timeout_s
        base = next(kind for kind in type(inner).__mro__ if kind.__name__ == "SyncByteStream")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise TooLarge
        methods = {"__iter__": lambda _: limited(inner, deadline), "close": lambda _: inner.close()}
        response.stream = type("LimitedStream", (base,), methods)()

    def _refused(self, model: str, error: Any) -> Reply:
        """What an HTTP status means; the key is removed from the server's words."""
        said = str(error.message)[:LONGEST_SHOWN]
        said = said.replace(self._key, "***") if self._key else said
        if error.status_code in WRONG_SETTINGS:
            what = f"the server {WRONG_SETTINGS[error.status_code]} ({error.status_code}: {said})"
            raise error_at(f"{self.asker.name} {model} at {shown(self.url)}", what, self.asker.settings)
        filtered = error.status_code == 400 and "content_filter" in said
        wait_s = None
        with suppress(TypeError, ValueError):
            wait_s = float(error.response.headers.get("retry-after"))
        return Reply(said, "refused" if filtered else "error", status=error.status_code, wait_s=wait_s)

    def _lost(self, error: Exception) -> str:
        """The id of a connection that gave no response."""
        causes = [error]
        while causes[-1].__cause__ is not None and len(causes) < 10:
            causes.append(causes[-1].__cause__)
        if any(isinstance(cause, TooLarge) for cause in causes):
            return "too-large"
        late = (TooLate, self._openai.APITimeoutError)
        return "timeout" if any(isinstance(cause, late) for cause in causes) else "unreachable"


def limited(stream: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """The same chunks up to LARGEST bytes and a deadline. Raises TooLarge, TooLate."""
    size = 0
    for chunk in stream:
        size += len(chunk)
        if size > LARGEST:
            raise TooLarge
        if time.monotonic() > deadline:
            raise TooLate
        yield chunk


def reply_of(body: bytes) -> Reply:
    """The reply in a response."""
    try:
        found = COMPLETION.decode(body)
        (choice, *_) = found.choices
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return Reply(body[:LONGEST_SHOWN].decode("utf-8", "replace"), "not-json")
    usage = found.usage or Usage()
    if choice.message.refusal or choice.finish_reason == "content_filter":
        return Reply(choice.message.refusal or choice.message.content or "", "refused", choice.finish_reason, usage)
    return Reply(choice.message.content or "", "", choice.finish_reason, usage)
