"""One question to one judge: a request with a deadline and a limit of size, and what came back, by id."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from groundswift.errors import GroundswiftError, error_at
from groundswift.grammars.base import without_thinking
from groundswift.urls import shown

from ..answers.text_measures import INSTALL

LARGEST = 1 << 20  # bytes of a response
LONGEST_SHOWN = 500  # characters of a verdict's text
YES_OR_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
WRONG_SETTINGS = {401: "refused the key", 403: "refused access", 404: "has no such model or path"}
FAILED = (
    "judge-timeout",
    "judge-unreachable",
    "judge-error",
    "judge-too-large",
)  # after many of these a server is not asked further


class Verdict(msgspec.Struct, frozen=True):
    """What a judge said: `vote`, None where there is none, as `problem` says by id; the beginning of its text."""

    vote: bool | None
    text: str = ""
    problem: str = ""


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


class TooLarge(Exception):
    """The response is larger than LARGEST, or of unknown size because it is compressed."""


class TooLate(Exception):
    """The response did not end in time."""


class Limits(NamedTuple):
    """Seconds for a whole response, and how often a request is repeated; the waits between are those of the openai client."""

    timeout_s: float = 60
    retries: int = 2


class Judge:
    """A model at a server. `key`: its API key, which no message or file gets. `fields`: of the request, besides model and messages.

    Raises GroundswiftError where the openai client is not installed.
    """

    def __init__(self, url: str, model: str, key: str = "", fields: dict[str, Any] | None = None, limits: Limits | None = None) -> None:
        try:
            import openai
        except ImportError:
            raise GroundswiftError(f"a judge needs the package openai: {INSTALL}") from None
        self.url, self.model, self.fields, self._key = url, model, fields or {}, key
        self._limits, self._openai = limits or Limits(), openai
        self._client = openai.OpenAI(
            base_url=url,
            api_key=key or "none",
            timeout=self._limits.timeout_s,
            max_retries=self._limits.retries,
            default_headers={"Accept-Encoding": "identity"},
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [self._limit]}),
        )

    def ask(self, prompt: str) -> Verdict:
        """The verdict on one prompt. Raises GroundswiftError where the server refuses the key or has no such model."""
        try:
            raw = self._client.chat.completions.with_raw_response.create(
                model=self.model, messages=[{"role": "user", "content": prompt}], extra_body=self.fields
            )
        except self._openai.APIStatusError as error:
            return self._refused(error)
        except (self._openai.APIConnectionError, TooLarge, TooLate) as error:  # openai 1 and 2 wrap the latter two, 3 does not
            return Verdict(None, problem=self._lost(error))
        return verdict_of(raw.content)

    def _limit(self, response: Any) -> None:
        """Replace the stream of a response, whichever HTTP library the client has, by one that ends at the limits."""
        inner, deadline = response.stream, time.monotonic() + self._limits.timeout_s
        base = next(kind for kind in type(inner).__mro__ if kind.__name__ == "SyncByteStream")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise TooLarge
        methods = {"__iter__": lambda _: limited(inner, deadline), "close": lambda _: inner.close()}
        response.stream = type("LimitedStream", (base,), methods)()

    def _refused(self, error: Any) -> Verdict:
        """What an HTTP status means; the key is removed from the server's words."""
        said = str(error.message)[:LONGEST_SHOWN]
        said = said.replace(self._key, "***") if self._key else said
        if error.status_code in WRONG_SETTINGS:
            what = f"the server {WRONG_SETTINGS[error.status_code]} ({error.status_code}: {said})"
            raise error_at(f"judge {self.model} at {shown(self.url)}", what, "the URL up to /v1, a model it serves, and --judge-key-env")
        filtered = error.status_code == 400 and "content_filter" in said
        return Verdict(None, said, "judge-refused" if filtered else "judge-error")

    def _lost(self, error: Exception) -> str:
        """The id of a connection that gave no response."""
        causes = [error]
        while causes[-1].__cause__ is not None and len(causes) < 10:
            causes.append(causes[-1].__cause__)
        if any(isinstance(cause, TooLarge) for cause in causes):
            return "judge-too-large"
        late = (TooLate, self._openai.APITimeoutError)
        return "judge-timeout" if any(isinstance(cause, late) for cause in causes) else "judge-unreachable"


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


def verdict_of(body: bytes) -> Verdict:
    """The verdict in a response: the first yes or no if the text begins with it, else the only one that it holds."""
    try:
        (choice, *_) = msgspec.json.decode(body, type=Completion).choices
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return Verdict(None, body[:LONGEST_SHOWN].decode("utf-8", "replace"), "judge-not-json")
    text = choice.message.content or ""
    if choice.message.refusal or choice.finish_reason == "content_filter":
        return Verdict(None, (choice.message.refusal or text)[:LONGEST_SHOWN], "judge-refused")
    said = without_thinking(text)
    words = [word.lower() for word in YES_OR_NO.findall(said or "")]
    first = re.match(r"[\W_]*(yes|no)\b", said or "", re.IGNORECASE)
    if first or len(set(words)) == 1:
        return Verdict((first[1].lower() if first else words[0]) == "yes", text.strip()[:LONGEST_SHOWN])
    return Verdict(None, text.strip()[:LONGEST_SHOWN], "judge-unreadable")
